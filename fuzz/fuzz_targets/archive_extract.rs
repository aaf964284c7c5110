//! Any bytes as an archive: no panic, nothing but the planned files in a fresh directory, and one
//! verdict whether it is extracted or only verified.

#![no_main]

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use libfuzzer_sys::fuzz_target;

/// The files under test, without the rest of Flux and what that links to.
#[path = "../../src/archive/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "a part of the files is for the daemons alone"
)]
mod archive;
#[path = "../../src/base"]
#[expect(dead_code, reason = "archives need one unit, and the causes of errors")]
mod base {
    pub mod causes;
    pub mod units;
}

use archive::{ArchiveLimits, Plan, extract, inspect, verify};

/// Small, so that a run spends its time on archives and not on writing.
const LIMITS: ArchiveLimits = ArchiveLimits {
    max_archive_bytes: 1 << 20,
    max_entries: 100,
    max_total_bytes: 1 << 20,
    max_entry_bytes: 1 << 20,
    max_ratio: 200,
    max_depth: 32,
};

fuzz_target!(|bytes: &[u8]| {
    let Ok(plan) = inspect(Cursor::new(bytes), &LIMITS) else {
        return;
    };
    let verified = verify(Cursor::new(bytes), &plan).map_err(|error| error.code());
    let outer = tempfile::tempdir().expect("a temporary directory");
    let into = outer.path().join("inside");
    let extracted = extract(Cursor::new(bytes), &plan, &into).map_err(|error| error.code());
    let beside = fs::read_dir(outer.path()).expect("list").count();
    assert_eq!(
        beside,
        usize::from(extracted.is_ok()),
        "something outside or left behind"
    );
    assert_eq!(extracted, verified, "two verdicts");
    if extracted.is_ok() {
        is_as_planned(&plan, &into);
    }
});

fn is_as_planned(plan: &Plan, into: &Path) {
    let mut found = BTreeMap::new();
    list(into, into, &mut found);
    for entry in plan.entries() {
        let bytes = found.remove(&entry.path).expect("every entry is there");
        assert_eq!(bytes, (!entry.is_directory).then_some(entry.bytes));
    }
    for (path, bytes) in found {
        assert_eq!(bytes, None, "{path} was not planned");
        let below = format!("{path}/");
        let is_implied = plan
            .entries()
            .iter()
            .any(|entry| entry.path.starts_with(&below));
        assert!(is_implied, "{path} was not planned");
    }
}

/// Paths below `root`; with their lengths where they are files.
fn list(root: &Path, directory: &Path, into: &mut BTreeMap<String, Option<u64>>) {
    for entry in fs::read_dir(directory).expect("list") {
        let path = entry.expect("entry").path();
        let metadata = fs::symlink_metadata(&path).expect("stat");
        let is_directory = metadata.is_dir();
        assert!(
            is_directory || metadata.is_file(),
            "{path:?} is neither file nor directory"
        );
        assert_eq!(metadata.permissions().mode() & 0o7022, 0, "{path:?}");
        let name = path
            .strip_prefix(root)
            .expect("below")
            .to_str()
            .expect("UTF-8");
        into.insert(name.to_owned(), (!is_directory).then_some(metadata.len()));
        if is_directory {
            list(root, &path, into);
        }
    }
}
