//! What the platform promises when a daemon dies at a bad moment: nothing accepted vanishes,
//! nothing runs twice, no end changes, no process outlives the agent that answers for it.
//!
//! Every storm is made from a seed, which stands in the test's name; `FLUX_CRASH_SEED=n` runs
//! `a_storm_of_kills_with_a_seed_of_choice` with another one.

mod caller;
#[path = "../harness/mod.rs"]
mod harness;
mod history;
mod homecoming;
mod kills;
mod seed;
mod stops;
mod storm;
mod witness;

use harness::{AgentOptions, Fleet, FleetOptions, OPEN_FILES};
use witness::Witness;

/// Appends to the witness's file when it starts and when it ends.
const FUNCTION: &str = "noted";

/// One agent that is seen to come and go quickly, with the function that leaves traces.
fn fleet() -> (Fleet, Witness) {
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
