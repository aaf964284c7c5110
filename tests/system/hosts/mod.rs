//! Flux on real Debian machines: guests under User-Mode Linux with systemd, cgroup v2 and a kernel that
//! has Landlock, booted once, shared by the tests, and gone with the run.
//!
//! A run has two processes. The outer one, which runs every other test, checks what the machine offers
//! ([`requirements`]), builds kernel and disk where the cache lacks them ([`cache`]), and starts the inner
//! one ([`inside`]) in namespaces of its own ([`namespace`]): network, so that nothing leaks into the real
//! one; mounts, for a temporary file system that nobody else sees; processes, so that the kernel ends every
//! guest when the inner one ends, however that comes. The inner one runs the tests of this module and sees
//! the guests' network as its own; the outer one shows how they ended ([`outside`]).
//!
//! A new module of tests is one line here and one in `list.rs`; [`sandbox`] is the example.

mod cache;
mod debs;
mod door;
pub mod ends;
pub mod escape;
pub mod guests;
mod inside;
mod logs;
mod machine;
mod measured;
mod namespace;
mod network;
mod outside;
pub mod packages;
mod prober;
pub mod quota;
mod requirements;
pub mod sandbox;
mod shell;
mod ssh;
mod suite;

pub use door::serve;
pub use outside::{end, outcome_of};
