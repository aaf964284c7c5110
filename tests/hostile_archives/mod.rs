//! The corpus of hostile archives: every attack once, with the one reason for which it has to be
//! refused. Adding an attack is adding one line to one of the tables below.
//!
//! Every door that takes archives is tested with all of them: `src/archive/hostile_tests.rs` (the
//! code itself), `tests/system/deploy_attacks/` (the control plane's `PUT /deploy` and the agent's two
//! calls). `fuzz/examples/archive_seeds.rs` makes them the fuzzer's first inputs.
//!
//! Invariant: each archive holds a sound handler `run` beside what is wrong with it, so that one
//! that is wrongly accepted would be deployed and run.

pub mod zip_bytes;

mod bombs;
mod contents;
mod corpus;
mod kinds;
mod names;
mod outline;
mod sizes;
mod sound;

pub use corpus::corpus;
pub use sound::sound;
