//! Who gets a call, and what is said when nobody can.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::scenes::{HOLD, agent_of, cancel, fleet, hold, text};
use crate::harness::eventually;
use crate::runner::tests;

tests![
    executions_spread_and_max_concurrency_counts_for_each_agent,
    calls_one_after_the_other_reach_every_agent,
    more_memory_than_any_machine_has_is_resource_pressure_and_starts_nothing,
];

fn executions_spread_and_max_concurrency_counts_for_each_agent() {
    let fleet = fleet(3);
    fleet.deploy_script("hold", "max_concurrency: 2\n", HOLD);
    let held: Vec<_> = (0..6).map(|_| hold(&fleet, "hold")).collect();
    let mut by_agent = BTreeMap::<&str, u32>::new();
    for record in &held {
        *by_agent.entry(text(record, "agent_id")).or_default() += 1;
    }
    let even = [("agent-1", 2), ("agent-2", 2), ("agent-3", 2)];
    assert_eq!(by_agent, BTreeMap::from(even));
    for id in ["agent-1", "agent-2", "agent-3"] {
        assert_eq!(fleet.agent(id).expect("listed")["active_count"], 2);
    }

    let refused = fleet.execute("hold", &[]);
    refused.expect_error(503, "at_capacity");
    assert!(refused.header("retry-after").is_some());
    let refused = fleet.api.post_json("/execute/hold/async", &json!({}));
    refused.expect_error(503, "at_capacity");
    assert!(refused.header("retry-after").is_some());
    let listed = fleet.api.get("/executions").expect(200);
    assert_eq!(listed["executions"].as_array().map(Vec::len), Some(6));

    // A slot that is freed is the one that is taken next.
    cancel(&fleet, &held[3]);
    let next = eventually("a slot is free again", || {
        let reply = fleet.api.post_json("/execute/hold/async", &json!({}));
        (reply.status == 202).then(|| reply.json())
    });
    let id = text(&next, "execution_id");
    fleet.await_output(id, "started");
    let next = fleet.api.get(&format!("/executions/{id}")).expect(200);
    assert_eq!(next["agent_id"], held[3]["agent_id"]);
    for record in held.iter().filter(|record| **record != held[3]) {
        cancel(&fleet, record);
    }
    cancel(&fleet, &next);
}

fn calls_one_after_the_other_reach_every_agent() {
    let fleet = fleet(3);
    fleet.deploy_script("echo", "", "echo hello");
    let mut seen = BTreeSet::new();
    // The chance that one of three is passed over that often by accident is below 1e-8.
    for _ in 0..50 {
        seen.insert(agent_of(&fleet.execute("echo", &[])));
        if seen.len() == 3 {
            return;
        }
    }
    panic!("only {seen:?} were used");
}

fn more_memory_than_any_machine_has_is_resource_pressure_and_starts_nothing() {
    let fleet = fleet(2);
    let machine = fleet.agent("agent-1").expect("listed");
    let total = machine["node_status"]["memory_total_mb"]
        .as_u64()
        .expect("a figure");
    let yaml = format!("resources:\n  memory: {}\n", total + 1);
    fleet.deploy_script("large", &yaml, "echo never");
    let refused = fleet.execute("large", &[]);
    refused.expect_error(429, "resource_pressure");
    assert!(refused.header("retry-after").is_some());
    fleet
        .api
        .post_json("/execute/large/async", &json!({}))
        .expect_error(429, "resource_pressure");
    let listed = fleet.api.get("/executions").expect(200);
    assert_eq!(listed["executions"].as_array().map(Vec::len), Some(0));
}
