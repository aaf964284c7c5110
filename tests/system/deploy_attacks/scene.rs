//! What an attack may not change: a function that is deployed, one execution of it that runs all
//! the while, and every file of both daemons.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::fleet::fs_write;
use crate::harness::{DEADLINE, Fleet, archive_of, function_yaml, pause};

/// The function under attack.
pub const TARGET: &str = "target";

/// A control plane and an agent, with a running execution.
pub struct Scene {
    pub fleet: Fleet,
    running: String,
    gate: PathBuf,
    before: Listing,
}

/// Every path below a directory, and what it is.
type Listing = BTreeMap<PathBuf, String>;

impl Scene {
    /// Takes the listing once everything is at rest.
    #[track_caller]
    pub fn set() -> Scene {
        let fleet = Fleet::start();
        let gate = fleet.directory().join("gate");
        let script = format!(
            "#!/bin/sh\n[ $# -eq 0 ] && exec cat \"${{0%/*}}/word\"\n\
             echo started\nuntil [ -e {} ]; do sleep 0.02; done\ncat \"${{0%/*}}/word\"\n",
            gate.display()
        );
        let code = archive_of(&[("run", script.as_bytes(), true), ("word", b"sound", false)]);
        let yaml = function_yaml(TARGET, "");
        fleet.api.put("/functions", yaml.as_bytes()).expect(201);
        fleet.api.put(&path(), &code).expect(200);
        let running = fleet.execute_async(TARGET, &["wait"]);
        fleet.await_output(&running, "started");
        let mut scene = Scene {
            fleet,
            running,
            gate,
            before: Listing::new(),
        };
        scene.before = scene.listing();
        scene
    }

    /// Nothing is on disk that was not there before, and nothing is missing or another.
    #[track_caller]
    pub fn assert_untouched(&self, after: &str) {
        let deadline = std::time::Instant::now() + DEADLINE;
        // An upload's file is gone a moment after its answer.
        let now = loop {
            let now = self.listing();
            if now == self.before || std::time::Instant::now() > deadline {
                break now;
            }
            pause();
        };
        let differences: Vec<_> = (self.before.iter())
            .filter(|(path, what)| now.get(*path) != Some(*what))
            .chain(
                now.iter()
                    .filter(|(path, _)| !self.before.contains_key(*path)),
            )
            .collect();
        assert!(differences.is_empty(), "after {after}: {differences:#?}");
    }

    /// The one version is the active one, runs, and what ran before has run on with it.
    #[track_caller]
    pub fn assert_undisturbed(&self) {
        let versions = self.fleet.api.get(&format!("/functions/{TARGET}/versions"));
        let versions = versions.expect(200);
        let numbers: Vec<_> = versions.as_array().expect("array").iter().collect();
        assert_eq!(numbers.len(), 1, "{versions}");
        assert_eq!(numbers[0]["active"], true, "{versions}");
        let fresh = self.fleet.execute(TARGET, &[]).expect(200);
        assert_eq!(
            (&fresh["output"], &fresh["function_version"]),
            (&json!("sound"), &json!(1))
        );
        fs_write(&self.gate, "");
        let record: Value = self.fleet.await_end(&self.running);
        assert_eq!(record["status"], "success", "{record}");
        assert_eq!(record["output"], "started\nsound");
    }

    /// The agent's releases.
    pub fn apps(&self) -> PathBuf {
        self.fleet.agents[0].state_dir().join("apps")
    }

    fn listing(&self) -> Listing {
        let mut listing = Listing::new();
        list(self.fleet.directory(), &mut listing);
        listing
    }
}

/// Where the function is deployed to.
pub fn path() -> String {
    format!("/deploy/{TARGET}")
}

fn list(directory: &Path, into: &mut Listing) {
    for entry in fs::read_dir(directory).expect("list") {
        let path = entry.expect("entry").path();
        // Gone since: then it is not left behind.
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            continue;
        };
        let mode = metadata.permissions().mode();
        let what = if metadata.is_file() && !grows(&path) {
            let contents = fs::read(&path).expect("read");
            format!("{mode:o} {}: {contents:?}", metadata.nlink())
        } else {
            format!("{mode:o} {:?}", fs::read_link(&path).ok())
        };
        if metadata.is_dir() {
            list(&path, into);
        }
        into.insert(path, what);
    }
}

/// Logs and databases, which record refusals and probes.
fn grows(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".log") || name.contains(".db")
}
