//! What the platform promises when a daemon dies at a bad moment: nothing accepted vanishes,
//! nothing runs twice, no end changes, no process outlives the agent that answers for it.
//!
//! Every storm is made from a seed, which stands in the test's name; `FLUX_CRASH_SEED=n` runs
//! `a_storm_of_kills_breaks_no_promise_with_a_seed_of_choice` with another one.

pub mod caller;
pub mod history;
pub mod homecoming;
pub mod kills;
mod scene;
pub mod stops;
pub mod storm;
pub mod witness;
