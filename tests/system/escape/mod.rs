//! A function that tries to get out, on this machine: every attempt is denied where the agent
//! contains it, and each has the power to succeed where nothing does.
//!
//! The program is `tests/escape_probe`. What needs limits by cgroups is tried on real hosts.

pub mod endings;
pub mod knowledge;
pub mod leftovers;
pub mod lines;
pub mod planted;
pub mod probe;
pub mod program;
pub mod stage;
pub mod table;
