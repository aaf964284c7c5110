//! The sandbox's contract, on this machine: as root with every part, as another user with less, and
//! each part that is skipped says so.
#![cfg(target_os = "linux")]
#![expect(
    clippy::print_stdout,
    reason = "skipped parts say so, and one test's helper process speaks through its output"
)]

mod containment;
mod disk;
mod endings;
mod fallbacks;
mod files;
mod harness;
mod identities;
mod leftovers;
mod many;
mod network;
mod output;
mod starting;
mod stubborn;
mod syscalls;
mod trees;
