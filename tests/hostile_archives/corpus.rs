//! What an attack is, the tables of all of them, and archives with something beside a sound handler.

use super::zip_bytes::{TestEntry, stored, with_mode, zip};
use super::{bombs, contents, kinds, names, outline, sizes};

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

pub const fn attack(
    name: &'static str,
    code: &'static str,
    build: fn() -> Vec<u8>,
) -> HostileArchive {
    HostileArchive { name, code, build }
}

pub fn handler() -> TestEntry {
    with_mode(0o100_755, stored("run", HANDLER))
}

/// The handler and one more entry.
pub fn with(entry: TestEntry) -> Vec<u8> {
    zip(&[handler(), entry])
}

/// The handler and one more file of this name.
pub fn named(name: impl AsRef<[u8]>) -> Vec<u8> {
    with(stored(name, b"x"))
}

/// The handler and files of these names, in this order.
pub fn all_named(names: &[&str]) -> Vec<u8> {
    let mut entries = vec![handler()];
    entries.extend(names.iter().map(|name| stored(name, b"x")));
    zip(&entries)
}
