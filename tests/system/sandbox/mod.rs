//! The sandbox's contract, on this machine: as root with every part, as another user with less.
//!
//! Each test has a process of its own, because a sandbox may make its process the parent of orphans.

pub mod containment;
pub mod disk;
pub mod endings;
pub mod fallbacks;
pub mod files;
pub mod frozen;
pub mod identities;
pub mod leftovers;
pub mod many;
pub mod network;
pub mod output;
mod place;
pub mod starting;
pub mod strangers;
pub mod stubborn;
pub mod syscalls;
pub mod trees;
