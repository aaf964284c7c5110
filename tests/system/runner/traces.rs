//! What a run leaves behind: nothing, or it has failed.
//!
//! Every temporary file of a run lies in one directory, which is the `TMPDIR` of everything that it
//! starts: so whoever is alive at the end with a directory in it is a process that a test has forgotten.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::pause;

const VARIABLE: &str = "TMPDIR";
/// For processes that were killed at the end of the last test to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Removes the directory when dropped.
pub struct Traces(TempDir);

impl Traces {
    /// Before the process has another thread.
    pub fn begin() -> Traces {
        let directory = tempfile::Builder::new().prefix("flux-tests-").tempdir();
        let directory = directory.expect("a directory for temporary files");
        // As /tmp is: some tests give up their rights.
        let mode = fs::Permissions::from_mode(0o1777);
        fs::set_permissions(directory.path(), mode).expect("chmod");
        // SAFETY: this is the only thread.
        unsafe { env::set_var(VARIABLE, directory.path()) };
        Traces(directory)
    }

    /// What is still there, in words.
    pub fn left(&self) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = self.look();
            if left.is_empty() || Instant::now() >= deadline {
                return left;
            }
            pause();
        }
    }

    fn look(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).expect("the run's directory");
        let files =
            entries.map(|entry| format!("file {}", entry.expect("an entry").path().display()));
        files.chain(self.processes()).collect()
    }

    fn processes(&self) -> impl Iterator<Item = String> {
        let mark = format!("{VARIABLE}={}", self.0.path().display());
        let own = std::process::id().to_string();
        let processes = fs::read_dir("/proc").expect("/proc").flatten();
        let others = processes.filter(move |it| it.file_name() != own.as_str());
        others.filter_map(move |process| {
            let environment = fs::read(process.path().join("environ")).ok()?;
            let mut variables = environment.split(|byte| *byte == 0);
            let is_ours = variables.any(|variable| variable.starts_with(mark.as_bytes()));
            let line = fs::read(process.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            is_ours.then(|| format!("process {}: {line}", process.path().display()))
        })
    }
}
