//! The fleets of these tests, and a function that waits.

use crate::harness::{AgentOptions, Fleet, FleetOptions, Shared};

static PAIR: Shared = Shared::new();

/// Two agents, for tests that only need functions of their own.
pub fn pair() -> std::sync::Arc<Fleet> {
    PAIR.get(|| FleetOptions {
        flux_yaml: "limits: {queue_per_function: 2}\n".to_owned(),
        agents: vec![AgentOptions::default(), AgentOptions::default()],
    })
}

pub fn quick() -> FleetOptions {
    FleetOptions {
        flux_yaml: "limits: {heartbeat_interval: 100ms}\n".to_owned(),
        agents: vec![AgentOptions::default()],
    }
}

pub fn waiting_for(gate: &std::path::Path) -> String {
    format!(
        "echo begun; until [ -e {} ]; do sleep 0.02; done",
        gate.display()
    )
}
