//! Which agent gets a call, and who waits.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use super::fleets::{pair, quick, waiting_for};
use crate::api::plain::plain;
use crate::harness::{Fleet, OPEN_FILES, eventually, fleet::fs_write};
use crate::runner::tests;

tests![
    a_call_goes_to_the_idle_agent_when_the_best_one_is_full_and_is_refused_when_all_are,
    a_burst_does_not_pile_up_on_one_agent,
    an_agent_at_capacity_under_a_burst_refuses_and_lives_on,
    waiting_calls_run_first_in_first_out_the_moment_a_slot_frees,
    waiting_is_bounded_in_time_and_in_length,
    a_call_for_more_memory_than_any_agent_has_is_429_and_not_queued_behind_capacity,
    an_agent_that_dies_during_a_synchronous_call_neither_hangs_its_caller_nor_stays_online,
    the_figures_of_an_agent_do_not_freeze,
    active_executions_are_counted_while_they_run_and_not_after,
];

fn a_call_goes_to_the_idle_agent_when_the_best_one_is_full_and_is_refused_when_all_are() {
    let fleet = pair();
    let gate = fleet.directory().join("full-gate");
    fleet.deploy_script("full", "max_concurrency: 1\n", &waiting_for(&gate));
    let running: Vec<_> = (0..2).map(|_| fleet.execute_async("full", &[])).collect();
    let owners: Vec<_> = running
        .iter()
        .map(|id| fleet.api.get(&format!("/executions/{id}")).expect(200)["agent_id"].clone())
        .collect();
    assert_ne!(owners[0], owners[1]);
    // An asynchronous call is refused like any other: never a 202 for what no agent has taken.
    for path in ["/execute/full", "/execute/full/async"] {
        let reply = fleet.api.post_json(path, &json!({}));
        reply.expect_error(503, "at_capacity");
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    fs_write(&gate, "");
    for id in running {
        assert_eq!(fleet.await_end(&id)["status"], "success");
    }
    let listed = fleet.api.get("/executions?function=full").expect(200);
    assert_eq!(listed["executions"].as_array().map(Vec::len), Some(2));
    fleet.execute("full", &[]).expect(200);
}

fn a_burst_does_not_pile_up_on_one_agent() {
    let fleet = pair();
    let gate = fleet.directory().join("burst-gate");
    fleet.deploy_script("burst", "max_concurrency: 4\n", &waiting_for(&gate));
    let ids: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| fleet.execute_async("burst", &[])))
            .collect();
        calls
            .into_iter()
            .map(|call| call.join().expect("accepted"))
            .collect()
    });
    for agent in ["agent-1", "agent-2"] {
        let on_it = ids
            .iter()
            .filter(|id| {
                fleet.api.get(&format!("/executions/{id}")).expect(200)["agent_id"] == agent
            })
            .count();
        assert_eq!(on_it, 4, "{agent}");
    }
    fleet.execute("burst", &[]).expect_error(503, "at_capacity");
    fs_write(&gate, "");
    for id in ids {
        fleet.await_end(&id);
    }
}

fn an_agent_at_capacity_under_a_burst_refuses_and_lives_on() {
    let fleet = plain();
    fleet.deploy_script("crush", "max_concurrency: 2\n", "sleep 0.1");
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..24)
            .map(|_| scope.spawn(|| fleet.execute("crush", &[]).status))
            .collect();
        calls
            .into_iter()
            .map(|call| call.join().expect("call"))
            .collect()
    });
    assert!(
        statuses.iter().all(|status| matches!(status, 200 | 503)),
        "{statuses:?}"
    );
    assert!(statuses.contains(&503), "{statuses:?}");
    fleet.execute("crush", &[]).expect(200);
}

fn waiting_calls_run_first_in_first_out_the_moment_a_slot_frees() {
    let fleet = plain();
    let order = fleet.directory().join("fifo-order");
    fs_write(&order, "");
    fs::set_permissions(&order, std::os::unix::fs::PermissionsExt::from_mode(0o666))
        .expect("chmod");
    let gate = fleet.directory().join("fifo-gate");
    let script = format!("{}; echo $1 >> {}", waiting_for(&gate), order.display());
    let yaml = &format!("max_concurrency: 1\nmax_concurrency_behavior: wait\n{OPEN_FILES}");
    fleet.deploy_script("fifo", yaml, &script);
    let first = fleet.execute_async("fifo", &["0"]);
    let open: Vec<_> = (1..=6)
        .map(|i| {
            // One connection after the other; asynchronous calls wait in the same queue.
            let suffix = if i % 2 == 0 { "/async" } else { "" };
            let body = json!({"args": [i.to_string()]}).to_string();
            let line = format!("POST /execute/fifo{suffix} HTTP/1.1");
            let length = format!("Content-Length: {}", body.len());
            let stream = fleet.api.begin(
                &[&line, "Content-Type: application/json", &length],
                body.as_bytes(),
            );
            // A request that has arrived is in the queue soon; nothing outside shows when.
            std::thread::park_timeout(Duration::from_millis(100));
            stream
        })
        .collect();
    fs_write(&gate, "");
    for stream in open {
        let answer = std::io::read_to_string(stream).expect("answer");
        assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    }
    fleet.await_end(&first);
    let lines = eventually("all have run", || {
        let text = fs::read_to_string(&order).expect("order");
        (text.lines().count() == 7).then_some(text)
    });
    assert_eq!(lines, "0\n1\n2\n3\n4\n5\n6\n");
}

fn waiting_is_bounded_in_time_and_in_length() {
    let fleet = pair();
    let gate = fleet.directory().join("bounded-gate");
    let yaml = "max_concurrency: 1\nmax_concurrency_behavior: wait\nmax_wait: 1s\n";
    fleet.deploy_script("bounded", yaml, &waiting_for(&gate));
    let running: Vec<_> = (0..2)
        .map(|_| fleet.execute_async("bounded", &[]))
        .collect();
    let began = Instant::now();
    let replies: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..5)
            .map(|_| scope.spawn(|| fleet.execute("bounded", &[])))
            .collect();
        calls
            .into_iter()
            .map(|call| call.join().expect("call"))
            .collect()
    });
    assert!(began.elapsed() < Duration::from_secs(15));
    let full = replies
        .iter()
        .filter(|reply| reply.json()["error"]["code"] == "queue_full")
        .count();
    assert_eq!(full, 3, "two may wait");
    for reply in &replies {
        assert_eq!(reply.status, 503, "{}", reply.text());
        assert!(reply.header("retry-after").is_some());
    }
    let waited = replies
        .iter()
        .filter(|reply| reply.json()["error"]["code"] == "at_capacity")
        .count();
    assert_eq!(waited, 2);
    fs_write(&gate, "");
    for id in running {
        fleet.await_end(&id);
    }
}

fn a_call_for_more_memory_than_any_agent_has_is_429_and_not_queued_behind_capacity() {
    let fleet = plain();
    let yaml = "resources: {memory: 16777216}\n";
    fleet.deploy_script("huge", yaml, "true");
    for path in ["/execute/huge", "/execute/huge/async"] {
        let reply = fleet.api.post_json(path, &json!({}));
        reply.expect_error(429, "resource_pressure");
        assert!(reply.header("retry-after").is_some());
    }
}

fn an_agent_that_dies_during_a_synchronous_call_neither_hangs_its_caller_nor_stays_online() {
    let mut fleet = Fleet::with(&quick());
    fleet.deploy_script("dies", "", "echo begun; sleep 600");
    let api = fleet.api.clone();
    let (caller, id) = std::thread::scope(|scope| {
        let caller = scope.spawn(|| api.post_json("/execute/dies", &json!({})));
        let id = eventually("it runs", || {
            let listed = api.get("/executions?function=dies").expect(200);
            listed["executions"][0]["execution_id"]
                .as_str()
                .map(str::to_owned)
        });
        fleet.await_output(&id, "begun");
        fleet.agents[0].daemon.kill9();
        (caller.join().expect("caller"), id)
    });
    // Nobody can tell yet how it ended, and that is what the caller hears: not that it failed.
    let message = caller.expect_error(503, "outcome_unknown");
    assert!(message.contains(&id), "{message}");
    fleet.await_status("agent-1", "offline");
    fleet.execute("dies", &[]).expect_error(503, "no_agent");
    // The agent knows when it is back.
    fleet.agents[0].restart();
    fleet.await_status("agent-1", "online");
    let kept = fleet.api.get(&format!("/executions/{id}")).expect(200);
    assert_eq!(
        (&kept["status"], &kept["reason"]),
        (&json!("failed"), &json!("lost"))
    );
}

fn the_figures_of_an_agent_do_not_freeze() {
    let fleet = Fleet::with(&quick());
    let seen = || {
        let agent = fleet.agent("agent-1").expect("listed");
        (
            agent["last_heartbeat"].clone(),
            agent["node_status"]["collected_at"].clone(),
        )
    };
    let before = seen();
    eventually("both move on", || {
        let now = seen();
        (now.0 != before.0 && now.1 != before.1).then_some(())
    });
}

fn active_executions_are_counted_while_they_run_and_not_after() {
    let fleet = Fleet::with(&quick());
    let gate = fleet.directory().join("gate");
    fleet.deploy_script("counted", "", &waiting_for(&gate));
    let ids: Vec<_> = (0..3)
        .map(|_| fleet.execute_async("counted", &[]))
        .collect();
    let count = || fleet.agent("agent-1").expect("listed")["active_count"].clone();
    assert_eq!(count(), 3);
    fs_write(&gate, "");
    for id in ids {
        fleet.await_end(&id);
    }
    eventually("none is active", || (count() == 0).then_some(()));
}
