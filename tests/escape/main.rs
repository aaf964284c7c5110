//! A function that tries to get out, on this machine: every attempt is denied where the agent
//! contains it, and each has the power to succeed where nothing does.
//!
//! The program is `tests/hosts/escape_probe`. What needs limits by cgroups is tried on real hosts.

mod endings;
#[path = "../harness/mod.rs"]
mod harness;
mod knowledge;
mod leftovers;
mod lines;
mod planted;
mod probe;
mod program;
mod stage;
mod table;
