//! `wait`: in order, bounded, woken by the slot and by nothing else.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use flux::base::threads::Supervisor;
use flux::model::ids::AgentId;
use flux::rpc::{AgentClient, Channels, TlsIdentity};
use nix::sys::signal::Signal;

use super::scenes::{HOLD, call_aside, cancel, hold, text, with_limits};
use crate::harness::fleet::API_KEY;
use crate::harness::{AgentOptions, Api, DEADLINE, Fleet, FleetOptions, Reply, eventually};
use crate::runner::tests;

tests![
    waiting_calls_run_in_their_order_the_moment_an_async_execution_ends,
    a_waiter_is_woken_by_the_end_of_an_execution_from_before_the_control_planes_restart,
    a_call_waits_no_longer_than_max_wait,
    a_client_that_leaves_makes_room_in_the_queue_and_takes_no_slot,
    whoever_waits_is_told_when_the_control_plane_stops,
    an_agent_that_is_full_of_other_work_is_waited_for_too,
    a_call_that_was_turned_down_and_waits_is_not_lost_to_who_asks_for_it,
];

/// Once in a test: nothing but the agent's own word can wake a waiter in time.
const RARE_HEARTBEAT: &str = "heartbeat_interval: 300s";
const WAITS: &str = "max_concurrency: 1\nmax_concurrency_behavior: wait\n";
const WAITING: &str = "waits for room";

/// With an argument it holds its slot; without, it says when it ran.
fn script() -> String {
    format!("[ $# -gt 0 ] && {{ {HOLD}; }}; date +%s%N")
}

#[track_caller]
fn hold_slot(fleet: &Fleet) -> serde_json::Value {
    let id = fleet.execute_async("f", &["hold"]);
    fleet.await_output(&id, "started");
    fleet.api.get(&format!("/executions/{id}")).expect(200)
}

#[track_caller]
fn ran_at(reply: &Reply) -> u128 {
    let body = reply.expect(200);
    text(&body, "output").trim().parse().expect("nanoseconds")
}

fn waiting_calls_run_in_their_order_the_moment_an_async_execution_ends() {
    let mut fleet = with_limits(1, &format!("{RARE_HEARTBEAT}\n  queue_per_function: 3"));
    fleet.deploy_script("f", WAITS, &script());
    let holder = hold_slot(&fleet);
    thread::scope(|scope| {
        let mut waiting = Vec::new();
        for place in 0..2 {
            waiting.push(call_aside(scope, &fleet, "/execute/f", &[]));
            fleet.flux.await_log(WAITING, place);
        }
        let accepted_later = call_aside(scope, &fleet, "/execute/f/async", &[]);
        fleet.flux.await_log(WAITING, 2);
        for path in ["/execute/f", "/execute/f/async"] {
            let refused = fleet.api.post_json(path, &serde_json::json!({}));
            refused.expect_error(503, "queue_full");
            assert!(refused.header("retry-after").is_some());
        }
        assert!(!accepted_later.is_finished(), "no 202 while it waits");

        let freed = Instant::now();
        cancel(&fleet, &holder);
        let ran: Vec<_> = waiting
            .into_iter()
            .map(|call| ran_at(&call.join().expect("no panic")))
            .collect();
        assert!(ran[0] < ran[1], "{ran:?}");
        let accepted = accepted_later.join().expect("no panic").expect(202);
        let last = fleet.await_end(text(&accepted, "execution_id"));
        assert_eq!(last["status"], "success");
        let last: u128 = text(&last, "output").trim().parse().expect("nanoseconds");
        assert!(ran[1] < last);
        assert!(freed.elapsed() < DEADLINE);
    });
}

fn a_waiter_is_woken_by_the_end_of_an_execution_from_before_the_control_planes_restart() {
    let mut fleet = with_limits(1, RARE_HEARTBEAT);
    fleet.deploy_script("f", WAITS, &script());
    let holder = hold_slot(&fleet);
    fleet.flux.kill9();
    fleet.restart_flux();
    fleet.await_status("agent-1", "online");
    thread::scope(|scope| {
        let waiting = call_aside(scope, &fleet, "/execute/f", &[]);
        fleet.flux.await_log(WAITING, 0);
        cancel(&fleet, &holder);
        ran_at(&waiting.join().expect("no panic"));
    });
}

fn a_call_waits_no_longer_than_max_wait() {
    let fleet = with_limits(1, RARE_HEARTBEAT);
    fleet.deploy_script("f", &format!("{WAITS}max_wait: 300ms\n"), &script());
    let _holder = hold_slot(&fleet);
    for path in ["/execute/f", "/execute/f/async"] {
        let began = Instant::now();
        let refused = fleet.api.post_json(path, &serde_json::json!({}));
        let message = refused.expect_error(503, "at_capacity");
        assert!(message.contains("waiting"), "{message}");
        assert!(began.elapsed().as_millis() >= 300);
    }
}

fn a_client_that_leaves_makes_room_in_the_queue_and_takes_no_slot() {
    let mut fleet = with_limits(1, &format!("{RARE_HEARTBEAT}\n  queue_per_function: 1"));
    fleet.deploy_script("f", WAITS, &script());
    let holder = hold_slot(&fleet);
    let mut leaver = TcpStream::connect(
        fleet
            .api
            .url
            .strip_prefix("http://")
            .expect("a plain address"),
    )
    .expect("connect");
    write!(
        leaver,
        "POST /execute/f HTTP/1.1\r\nHost: flux\r\nX-API-Key: {API_KEY}\r\nContent-Length: 2\r\n\r\n{{}}"
    )
    .expect("send");
    fleet.flux.await_log(WAITING, 0);
    fleet.execute("f", &[]).expect_error(503, "queue_full");
    drop(leaver);
    thread::scope(|scope| {
        let stays = eventually("there is room in the queue", || {
            let call = call_aside(scope, &fleet, "/execute/f", &[]);
            // Either it is refused, or one more waits than the leaver.
            eventually("the call is refused or waits", || {
                let waits = fleet.flux.log().matches(WAITING).count() > 1;
                (waits || call.is_finished()).then_some(())
            });
            (!call.is_finished()).then_some(call)
        });
        cancel(&fleet, &holder);
        ran_at(&stays.join().expect("no panic"));
    });
    // The slot is nobody's now.
    ran_at(&fleet.execute("f", &[]));
}

fn whoever_waits_is_told_when_the_control_plane_stops() {
    let mut fleet = with_limits(1, RARE_HEARTBEAT);
    fleet.deploy_script("f", WAITS, &script());
    let _holder = hold_slot(&fleet);
    thread::scope(|scope| {
        let waiting = call_aside(scope, &fleet, "/execute/f", &[]);
        fleet.flux.await_log(WAITING, 0);
        fleet.flux.signal(Signal::SIGTERM);
        let reply = waiting.join().expect("no panic");
        reply.expect_error(503, "shutting_down");
    });
    assert!(fleet.flux.wait().success());
}

/// With one agent, which has room for one execution; nothing but its own word tells of that.
fn with_one_slot() -> Fleet {
    let fleet = Fleet::with(&FleetOptions {
        flux_yaml: format!("log: info,flux::control::fleet=debug\nlimits:\n  {RARE_HEARTBEAT}\n"),
        agents: vec![AgentOptions {
            agent_yaml: "limits:\n  max_executions: 1\n".to_owned(),
            ..AgentOptions::default()
        }],
    });
    fleet.deploy_script("f", WAITS, &script());
    fleet.deploy_script("other", "", HOLD);
    fleet
}

fn an_agent_that_is_full_of_other_work_is_waited_for_too() {
    let mut fleet = with_one_slot();
    let holder = hold(&fleet, "other");
    thread::scope(|scope| {
        let waiting = call_aside(scope, &fleet, "/execute/f", &[]);
        fleet.flux.await_log(WAITING, 0);
        cancel(&fleet, &holder);
        ran_at(&waiting.join().expect("no panic"));
    });
}

fn a_call_that_was_turned_down_and_waits_is_not_lost_to_who_asks_for_it() {
    let mut fleet = with_limits(1, RARE_HEARTBEAT);
    fleet.deploy_script("f", "max_concurrency_behavior: wait\n", "echo ran");
    fleet.deploy_script("other", "", HOLD);
    let holder = hold(&fleet, "other");
    // Of which the control plane hears with the next heartbeat, and from the refusal before.
    let (_channels, agent) = straight_to_the_agent(&fleet);
    agent.drain(true).expect("drains");
    let call = |api: &Api| {
        let headers = [
            ("Idempotency-Key", "k"),
            ("Content-Type", "application/json"),
        ];
        api.call("POST", "/execute/f/async", &headers, b"{}")
    };
    thread::scope(|scope| {
        let api = fleet.api.clone();
        let waiting = scope.spawn(move || call(&api));
        fleet.flux.await_log(WAITING, 0);
        let pending = call(&fleet.api).expect_error(409, "idempotency_pending");
        let id = pending
            .rsplit(' ')
            .next()
            .expect("an id at its end")
            .to_owned();
        // Nobody has it, which is no reason to write its end down.
        let unknown = fleet.api.get(&format!("/executions/{id}"));
        unknown.expect_error(404, "execution_not_found");
        agent.drain(false).expect("serves again");
        cancel(&fleet, &holder);
        let accepted = waiting.join().expect("no panic").expect(202);
        assert_eq!(text(&accepted, "execution_id"), id);
        assert_eq!(fleet.await_end(&id)["status"], "success");
    });
}

fn straight_to_the_agent(fleet: &Fleet) -> (Channels, AgentClient) {
    let read = |path: &str| fs::read(fleet.directory().join("certs").join(path)).expect(path);
    let [ca, certificate, key] = ["ca/ca.pem", "flux/flux.pem", "flux/flux-key.pem"].map(read);
    let identity = TlsIdentity::new(&ca, &certificate, &key).expect("identity");
    let channels = Channels::new(Some(identity), &Supervisor::new());
    let id = AgentId::new(&fleet.agents[0].id).expect("id");
    let agent = channels.client(&id, &fleet.agents[0].address, true);
    (channels, agent.expect("a client"))
}
