//! Who is believed to be whom, and who may command.

use std::fs;

use flux::base::threads::Supervisor;
use flux::model::ids::AgentId;
use flux::rpc::{Channels, RpcError, TlsIdentity};
use serde_json::json;

use super::scenes::{agent_of, fleet};
use crate::harness::Fleet;
use crate::runner::tests;

tests![
    an_agent_with_another_agents_certificate_gets_no_traffic,
    an_agent_takes_orders_from_the_control_plane_and_from_no_other_agent,
    another_agent_at_a_known_address_gets_no_traffic,
];

fn an_agent_with_another_agents_certificate_gets_no_traffic() {
    let mut fleet = fleet(2);
    fleet.deploy_script("echo", "", "echo hello");
    fleet.agents[0].daemon.kill9();
    fleet.await_status("agent-1", "offline");
    let [first, second] = [0, 1].map(|index| fleet.agents[index].directory().join("certs"));
    for file in ["agent.pem", "agent-key.pem"] {
        fs::copy(second.join(file), first.join(file)).expect("copy");
    }
    fleet.agents[0].restart();
    // It says to be the first, and its certificate that it is the second.
    let address = fleet.agents[0].address.clone();
    let message = fleet
        .api
        .post_json("/agents/register", &json!({ "address": address }))
        .expect_error(502, "agent_unreachable");
    assert!(message.contains("this is agent agent-1"), "{message}");
    for _ in 0..10 {
        assert_eq!(agent_of(&fleet.execute("echo", &[])), "agent-2");
    }
    assert_eq!(fleet.agent("agent-1").expect("listed")["status"], "offline");
}

fn identity(fleet: &Fleet, certificate: &str, key: &str) -> TlsIdentity {
    let read = |path: &str| fs::read(fleet.directory().join(path)).expect(path);
    TlsIdentity::new(&read("certs/ca/ca.pem"), &read(certificate), &read(key)).expect("identity")
}

fn an_agent_takes_orders_from_the_control_plane_and_from_no_other_agent() {
    let fleet = fleet(2);
    let id = AgentId::new("agent-1").expect("id");
    let address = &fleet.agents[0].address;
    let ask = |identity| {
        Channels::new(Some(identity), &Supervisor::new())
            .client(&id, address, true)
            .expect("a client")
            .list_functions()
    };
    let own = identity(&fleet, "certs/flux/flux.pem", "certs/flux/flux-key.pem");
    assert!(ask(own).is_ok());
    let stolen = identity(
        &fleet,
        "agent-2/certs/agent.pem",
        "agent-2/certs/agent-key.pem",
    );
    let refused = ask(stolen).expect_err("refused");
    assert!(matches!(refused, RpcError::Unreachable), "{refused:?}");
}

fn another_agent_at_a_known_address_gets_no_traffic() {
    let mut fleet = fleet(2);
    fleet.deploy_script("echo", "", "echo hello");
    for agent in &mut fleet.agents {
        agent.daemon.kill9();
    }
    // The second agent, as sound as it is, where the first one was.
    fleet.agents[1].address = fleet.agents[0].address.clone();
    fleet.agents[1].restart();
    let address = fleet.agents[0].address.clone();
    let message = fleet
        .api
        .post_json("/agents/register", &json!({ "address": address }))
        .expect_error(409, "agent_conflict");
    assert!(message.contains("agent-2"), "{message}");
    for id in ["agent-1", "agent-2"] {
        fleet.await_status(id, "offline");
    }
    fleet.execute("echo", &[]).expect_error(503, "no_agent");
}
