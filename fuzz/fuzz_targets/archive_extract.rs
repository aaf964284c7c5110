//! Any bytes as an archive: no panic, and nothing but the planned files in a fresh directory.

#![no_main]

use std::fs;
use std::io::Cursor;

use flux::archive::{ArchiveLimits, extract, inspect};
use libfuzzer_sys::fuzz_target;

/// Small, so that a run spends its time on archives and not on writing.
const LIMITS: ArchiveLimits = ArchiveLimits {
    max_archive_bytes: 1 << 20,
    max_entries: 100,
    max_total_bytes: 1 << 20,
    max_entry_bytes: 1 << 20,
    max_ratio: 200,
    max_depth: 32,
};

fuzz_target!(|archive: &[u8]| {
    let Ok(plan) = inspect(Cursor::new(archive), &LIMITS) else {
        return;
    };
    let outer = tempfile::tempdir().expect("a temporary directory");
    let into = outer.path().join("inside");
    let extracted = extract(Cursor::new(archive), &plan, &into).is_ok();
    let beside = fs::read_dir(outer.path()).expect("list").count();
    assert_eq!(beside, usize::from(extracted), "something outside or left behind");
});
