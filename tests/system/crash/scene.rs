//! The fleet that daemons are killed of, with the function that leaves traces.

use super::witness;
use super::witness::Witness;
use crate::harness::{AgentOptions, Fleet, FleetOptions, OPEN_FILES};

/// Appends to the witness's file when it starts and when it ends.
pub const FUNCTION: &str = "noted";

/// One agent that is seen to come and go quickly, with the function that leaves traces.
pub fn fleet() -> (Fleet, Witness) {
    let fleet = Fleet::with(&FleetOptions {
        flux_yaml: "limits:\n  heartbeat_interval: 200ms\n".to_owned(),
        agents: vec![AgentOptions {
            agent_yaml: "limits:\n  max_executions: 32\n".to_owned(),
            ..AgentOptions::default()
        }],
    });
    let witness = Witness::new(fleet.directory());
    let yaml = format!("max_concurrency: 32\n{OPEN_FILES}");
    fleet.deploy_script(FUNCTION, &yaml, witness::SCRIPT);
    (fleet, witness)
}
