//! The machines: figures, and what only a provider can do.

use serde_json::{Value, json};

use crate::api::plain::plain;
use crate::runner::tests;

tests![
    initialize_without_a_provider_is_503,
    delete_nodes_removes_no_machine_that_flux_did_not_make,
    resources_tells_the_figures_of_the_control_plane_and_of_every_agent,
    agents_are_listed_with_every_field_of_the_contract,
];

const FIGURES: [&str; 7] = [
    "cpu_percent",
    "memory_percent",
    "memory_total_mb",
    "memory_used_mb",
    "active_tasks",
    "uptime_seconds",
    "collected_at",
];

fn initialize_without_a_provider_is_503() {
    let fleet = plain();
    for body in [&b""[..], b"{}"] {
        let reply = fleet.api.call("POST", "/initialize", &[], body);
        reply.expect_error(503, "no_provider");
    }
}

fn delete_nodes_removes_no_machine_that_flux_did_not_make() {
    let fleet = plain();
    let removed = fleet.api.delete("/nodes");
    let expected = json!({"status": "removed", "removed": 0});
    assert_eq!(removed.expect(200), expected);
    assert_eq!(
        fleet.agent("agent-1").expect("still there")["status"],
        "online"
    );
}

fn resources_tells_the_figures_of_the_control_plane_and_of_every_agent() {
    let fleet = plain();
    let resources = fleet.api.get("/resources").expect(200);
    are_figures(&resources["flux"]["node"]);
    let agents = resources["agents"].as_array().expect("agents");
    assert_eq!(agents.len(), 1);
    assert_eq!(agents[0]["id"], "agent-1");
    are_figures(&agents[0]["node_status"]);
}

fn agents_are_listed_with_every_field_of_the_contract() {
    let fleet = plain();
    let agent = fleet.agent("agent-1").expect("listed");
    assert_eq!(agent["address"], fleet.agents[0].address.as_str());
    assert_eq!(agent["status"], "online");
    assert!(agent["active_count"].is_u64());
    assert!(
        agent["last_heartbeat"].as_str().is_some_and(is_time),
        "{agent}"
    );
    for absent in ["provider", "provider_id", "instance_type"] {
        assert_eq!(agent[absent], "", "{absent}");
    }
    are_figures(&agent["node_status"]);
}

fn are_figures(node: &Value) {
    for field in FIGURES {
        assert!(node.get(field).is_some(), "{field} in {node}");
    }
    let number = |field: &str| node[field].as_f64().expect(field);
    assert!((0.0..=100.0).contains(&number("cpu_percent")), "{node}");
    assert!((0.0..=100.0).contains(&number("memory_percent")), "{node}");
    assert!(number("memory_total_mb") > 16.0, "{node}");
    assert!(number("memory_used_mb") <= number("memory_total_mb"));
    assert!(node["active_tasks"].is_u64() && node["uptime_seconds"].is_u64());
    assert!(node["collected_at"].as_str().is_some_and(is_time), "{node}");
}

fn is_time(text: &str) -> bool {
    text.len() >= 20 && text.starts_with("20") && text.contains('T') && text.ends_with('Z')
}
