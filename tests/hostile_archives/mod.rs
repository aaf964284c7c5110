//! The corpus of hostile archives: every attack once, with the one reason for which it has to be
//! refused. Adding an attack is adding one line to one of the tables below.
//!
//! Every door that takes archives is tested with all of them: `src/archive/hostile_tests.rs` (the
//! code itself), `tests/deploy_attacks/` (the control plane's `PUT /deploy` and the agent's two
//! calls). `fuzz/examples/archive_seeds.rs` makes them the fuzzer's first inputs.
//!
//! Invariant: each archive holds a sound handler `run` beside what is wrong with it, so that one
//! that is wrongly accepted would be deployed and run.

pub mod zip_bytes;

mod bombs;
mod contents;
mod kinds;
mod names;
mod outline;
mod sizes;
mod sound;

pub use sound::sound;

use zip_bytes::{TestEntry, stored, with_mode, zip};

/// What the handler `run` of a hostile archive would print.
pub const HANDLER: &[u8] = b"#!/bin/sh\necho from the corpus\n";

/// One attack.
pub struct HostileArchive {
    /// What it tries; unique.
    pub name: &'static str,
    /// Why it is refused: `ArchiveError::code`.
    pub code: &'static str,
    /// Its bytes, made anew: some have tens of megabytes.
    pub build: fn() -> Vec<u8>,
}

/// All of them.
pub fn corpus() -> impl Iterator<Item = &'static HostileArchive> {
    let tables = [
        names::ATTACKS,
        kinds::ATTACKS,
        sizes::ATTACKS,
        bombs::ATTACKS,
        outline::ATTACKS,
        contents::ATTACKS,
    ];
    tables.into_iter().flatten()
}

const fn attack(name: &'static str, code: &'static str, build: fn() -> Vec<u8>) -> HostileArchive {
    HostileArchive { name, code, build }
}

fn handler() -> TestEntry {
    with_mode(0o100_755, stored("run", HANDLER))
}

/// The handler and one more entry.
fn with(entry: TestEntry) -> Vec<u8> {
    zip(&[handler(), entry])
}

/// The handler and one more file of this name.
fn named(name: impl AsRef<[u8]>) -> Vec<u8> {
    with(stored(name, b"x"))
}

/// The handler and files of these names, in this order.
fn all_named(names: &[&str]) -> Vec<u8> {
    let mut entries = vec![handler()];
    entries.extend(names.iter().map(|name| stored(name, b"x")));
    zip(&entries)
}
