//! The sandbox's contract, on this machine: as root with every part, as another user with less, and
//! each part that is skipped says so.
#![cfg(target_os = "linux")]

mod containment;
mod endings;
mod harness;
mod leftovers;
mod many;
mod output;
mod starting;
mod trees;
