//! Hostile archives at every door of the real programs, as root's child or anybody's: refused with
//! their reason, nothing left on any disk, and what runs runs on. Links that were planted before.
//!
//! The archives are those of `tests/hostile_archives/`; the code itself meets them in
//! `src/archive/hostile_tests.rs`.

pub mod agent_door;
pub mod front_door;
pub mod planted;
pub mod scene;
pub mod thief;
