//! Hostile archives at every door of the real programs, as root's child or anybody's: refused with
//! their reason, nothing left on any disk, and what runs runs on. Links that were planted before.
//!
//! The archives are those of `tests/hostile_archives/`; the code itself meets them in
//! `src/archive/hostile_tests.rs`.

mod agent_door;
mod front_door;
#[path = "../harness/mod.rs"]
mod harness;
#[path = "../hostile_archives/mod.rs"]
mod hostile_archives;
mod planted;
mod scene;
mod thief;
