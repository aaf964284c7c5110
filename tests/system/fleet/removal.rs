//! Agents that leave the fleet, and ids that are taken.

use serde_json::json;

use super::scenes::{HOLD, agent_of, fleet, hold, text};
use crate::harness::eventually;
use crate::runner::tests;

tests![
    a_removed_agent_is_gone_its_executions_are_lost_and_it_may_come_back,
    an_agent_that_is_removed_while_it_is_probed_stays_removed,
    a_known_id_at_another_address_is_a_conflict_and_at_its_own_none,
];

fn a_removed_agent_is_gone_its_executions_are_lost_and_it_may_come_back() {
    let fleet = fleet(1);
    fleet.deploy_script("hold", "", HOLD);
    fleet.deploy_script("echo", "", "echo hello");
    let held = hold(&fleet, "hold");
    let id = text(&held, "execution_id");
    fleet.api.delete("/agents/agent-1").expect(200);
    assert_eq!(fleet.agent("agent-1"), None);
    fleet
        .api
        .delete("/agents/agent-1")
        .expect_error(404, "agent_not_found");
    let record = fleet.api.get(&format!("/executions/{id}")).expect(200);
    assert_eq!(record["status"], "failed");
    assert_eq!(record["reason"], "lost");
    fleet.execute("echo", &[]).expect_error(503, "no_agent");

    let address = &fleet.agents[0].address;
    fleet
        .api
        .post_json("/agents/register", &json!({ "address": address }))
        .expect(201);
    fleet.await_status("agent-1", "online");
    agent_of(&fleet.execute("echo", &[]));
    // It is listened to again: what runs there from before is known.
    eventually("what runs there is counted", || {
        let agent = fleet.agent("agent-1").expect("listed");
        (agent["active_count"] == 1).then_some(())
    });
}

fn an_agent_that_is_removed_while_it_is_probed_stays_removed() {
    let fleet = super::scenes::with_limits(1, "heartbeat_interval: 50ms");
    let address = fleet.agents[0].address.clone();
    for _ in 0..20 {
        fleet.api.delete("/agents/agent-1").expect(200);
        assert_eq!(fleet.agent("agent-1"), None);
        fleet
            .api
            .post_json("/agents/register", &json!({ "address": address }))
            .expect(201);
    }
    fleet.await_status("agent-1", "online");
    fleet.deploy_script("echo", "", "echo hello");
    agent_of(&fleet.execute("echo", &[]));
}

fn a_known_id_at_another_address_is_a_conflict_and_at_its_own_none() {
    let fleet = fleet(1);
    let address = fleet.agents[0].address.clone();
    let again = |address: &str| {
        fleet
            .api
            .post_json("/agents/register", &json!({ "address": address }))
    };
    again(&address).expect(201);
    let other = address.replace("127.0.0.1", "127.0.0.2");
    assert_ne!(other, address);
    let message = again(&other).expect_error(409, "agent_conflict");
    assert!(message.contains(&address), "{message}");
    assert_eq!(fleet.agent("agent-1").expect("listed")["address"], address);
}
