//! Reachable, unreachable and interrupted; connections made, kept and dropped.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use flux::agent::serve::service::Serving;
use flux::base::cancel::Cancel;
use flux::base::threads::Supervisor;
use flux::rpc::limits::CONNECT_BOUND;
use flux::rpc::limits::Keepalive;
use flux::rpc::probe::{ProbeError, probe_identity};
use flux::rpc::{Channels, RpcError};

use super::double::Seen;
use super::fixture::{Agent, Certificates, execution, id, now, pair, request, within};
use crate::runner::{Need, needs, tests};

tests![
    where_nothing_listens_the_agent_is_unreachable_and_nothing_has_started,
    a_server_that_dies_during_a_call_leaves_the_outcome_unknown,
    an_agent_that_comes_back_is_reached_again_on_the_same_client,
    running_calls_get_their_grace_at_shutdown,
    a_connection_is_kept_until_the_agent_moves_or_is_forgotten,
    an_agent_that_says_to_be_another_is_not_believed,
    an_unknown_agent_is_identified_with_and_without_tls,
    a_peer_that_accepts_and_says_nothing_is_given_up_in_time,
    a_certificate_of_another_ca_or_of_no_agent_identifies_nobody,
    two_servers_cannot_share_a_port,
    tls_without_a_certificate_of_our_own_is_an_error_before_anything_is_sent,
    an_agent_is_reached_over_ipv6,
];

/// An address where nothing listens.
fn closed_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn where_nothing_listens_the_agent_is_unreachable_and_nothing_has_started() {
    let channels = Channels::new(None, &Supervisor::new());
    let client = channels.client(&id("a"), &closed_address(), false).unwrap();
    let bound = CONNECT_BOUND + Duration::from_secs(2);
    let error = within(bound, || client.health()).expect_err("nobody there");
    assert!(matches!(error, RpcError::Unreachable), "{error:?}");
    assert!(error.nothing_started());
    // The connection has failed by now, and an execution does not wait for another attempt.
    let error = within(Duration::from_secs(1), || {
        client.start_execute(request("echo"), None, now())
    });
    assert!(matches!(error.err(), Some(RpcError::Unreachable)));
}

fn a_server_that_dies_during_a_call_leaves_the_outcome_unknown() {
    let mut pair = pair();
    let pending = pair
        .client
        .start_execute(request("hold"), None, now())
        .unwrap();
    let held = pair.agent.next_seen();
    assert!(matches!(held, Seen::Held(..)));
    pair.agent.serving.take().unwrap().shutdown(Duration::ZERO);
    let error = pending
        .wait(&Cancel::never())
        .unwrap()
        .expect_err("cut off");
    assert!(matches!(error, RpcError::Interrupted { .. }), "{error:?}");
    assert!(!error.nothing_started());

    let error = pair
        .client
        .start_execute(request("echo"), None, now())
        .err();
    assert!(matches!(error, Some(RpcError::Unreachable)), "{error:?}");
}

fn an_agent_that_comes_back_is_reached_again_on_the_same_client() {
    let certificates = Certificates::new();
    let name = id("agent-1");
    let first = Agent::start(&name, Some(certificates.agent(&name)));
    let address = first.address.clone();
    let channels = Channels::new(Some(certificates.control()), &Supervisor::new());
    let client = channels.client(&name, &address, true).unwrap();
    assert!(client.health().is_ok());
    drop(first);
    assert!(client.health().is_err());
    let _second = Agent::start_at(&address, &name, Some(&certificates.agent(&name)));
    let deadline = Instant::now() + Duration::from_secs(20);
    while client.health().is_err() {
        assert!(Instant::now() < deadline, "never reached again");
    }
}

fn running_calls_get_their_grace_at_shutdown() {
    let mut pair = pair();
    let pending = pair
        .client
        .start_execute(request("hold"), None, now())
        .unwrap();
    let Seen::Held(held, on_done) = pair.agent.next_seen() else {
        panic!("not held");
    };
    let serving = pair.agent.serving.take().unwrap();
    let supervisor = pair.agent.supervisor.clone();
    let shutdown = supervisor.spawn("shutdown", move || {
        within(Duration::from_secs(15), || {
            serving.shutdown(Duration::from_secs(20));
        });
    });
    let executed = flux::model::execution::Executed {
        record: super::fixture::record(
            &id("agent-1"),
            &held,
            Some(flux::model::execution::Ending::Exited(0)),
        ),
        output: flux::model::output::Output::default(),
    };
    on_done(Ok(executed));
    assert!(pending.wait(&Cancel::never()).unwrap().is_ok());
    // The client's connection counts as running until it goes away or the calls have ended.
    shutdown.unwrap().join();
}

fn a_connection_is_kept_until_the_agent_moves_or_is_forgotten() {
    let certificates = Certificates::new();
    let name = id("agent-1");
    let first = Agent::start(&name, Some(certificates.agent(&name)));
    let second = Agent::start(&name, Some(certificates.agent(&name)));
    let channels = Channels::new(Some(certificates.control()), &Supervisor::new());
    let client = |agent: &Agent| channels.client(&name, &agent.address, true).unwrap();
    client(&first).cancel(&execution("e")).unwrap();
    assert!(matches!(first.next_seen(), Seen::Cancelled(_)));
    client(&second).cancel(&execution("e")).unwrap();
    assert!(matches!(second.next_seen(), Seen::Cancelled(_)));
    channels.forget(&name);
    client(&first).cancel(&execution("e")).unwrap();
    assert!(matches!(first.next_seen(), Seen::Cancelled(_)));
}

fn an_agent_that_says_to_be_another_is_not_believed() {
    let agent = Agent::start(&id("agent-1"), None);
    let channels = Channels::new(None, &Supervisor::new());
    let client = channels
        .client(&id("agent-2"), &agent.address, false)
        .unwrap();
    let error = client.node_status(now(), None).expect_err("another agent");
    assert!(matches!(error, RpcError::Rejected { .. }), "{error:?}");
}

fn an_unknown_agent_is_identified_with_and_without_tls() {
    let certificates = Certificates::new();
    let name = id("agent-1.x_y");
    let channels = Channels::new(Some(certificates.control()), &Supervisor::new());
    let secure = Agent::start(&name, Some(certificates.agent(&name)));
    assert_eq!(channels.identify(&secure.address, true).unwrap(), name);
    let plain = Agent::start(&name, None);
    assert_eq!(channels.identify(&plain.address, false).unwrap(), name);
    let error = channels
        .identify(&plain.address, true)
        .expect_err("no TLS there");
    assert!(
        matches!(
            error,
            ProbeError::Connect { .. } | ProbeError::Untrusted { .. }
        ),
        "{error:?}"
    );
    let error = channels
        .identify("unix:/tmp/x", true)
        .expect_err("no address");
    assert!(
        matches!(error, ProbeError::Rpc(RpcError::Address(_))),
        "{error:?}"
    );
}

fn a_peer_that_accepts_and_says_nothing_is_given_up_in_time() {
    let certificates = Certificates::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let probe = || {
        let deadline = Instant::now() + Duration::from_millis(300);
        probe_identity(&address, &certificates.control(), deadline)
    };
    let error = within(Duration::from_secs(3), probe).expect_err("silence");
    assert!(matches!(error, ProbeError::Connect { .. }), "{error:?}");
}

fn a_certificate_of_another_ca_or_of_no_agent_identifies_nobody() {
    let (ours, theirs) = (Certificates::new(), Certificates::new());
    let channels = Channels::new(Some(ours.control()), &Supervisor::new());
    let stranger = Agent::start(&id("a"), Some(theirs.agent(&id("a"))));
    let error = channels
        .identify(&stranger.address, true)
        .expect_err("stranger");
    assert!(matches!(error, ProbeError::Untrusted { .. }), "{error:?}");
    // The control plane's own certificate is valid as a client alone.
    let impostor = Agent::start(&id("a"), Some(ours.control()));
    let error = channels
        .identify(&impostor.address, true)
        .expect_err("no server");
    assert!(matches!(error, ProbeError::Untrusted { .. }), "{error:?}");
}

fn two_servers_cannot_share_a_port() {
    let first = Agent::start(&id("a"), None);
    let address = first.address.parse().unwrap();
    let (sender, _seen) = crossbeam_channel::unbounded();
    let supervisor = Supervisor::new();
    let double = super::double::double(&id("a"), &supervisor, sender);
    let started = Serving::start(address, None, double, &supervisor, Keepalive::default());
    let error = started.err().expect("taken");
    assert!(error.to_string().contains(&first.address), "{error}");
}

fn tls_without_a_certificate_of_our_own_is_an_error_before_anything_is_sent() {
    let channels = Channels::new(None, &Supervisor::new());
    let error = channels.client(&id("a"), "127.0.0.1:1", true).err();
    assert!(matches!(error, Some(RpcError::NoIdentity)));
}

fn an_agent_is_reached_over_ipv6() {
    needs(&[Need::Ipv6]);
    let (sender, _seen) = crossbeam_channel::unbounded();
    let supervisor = flux::base::threads::Supervisor::new();
    let double = super::double::double(&id("a"), &supervisor, sender);
    let loopback = "[::1]:0".parse().unwrap();
    let serving =
        Serving::start(loopback, None, double, &supervisor, Keepalive::default()).unwrap();
    let channels = Channels::new(None, &Supervisor::new());
    let client = channels
        .client(&id("a"), &serving.address().to_string(), false)
        .unwrap();
    assert!(client.health().unwrap().healthy);
}
