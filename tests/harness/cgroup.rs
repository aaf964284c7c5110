//! The part of the cgroup tree that an agent leaves when it is killed, as tests do with it: the
//! next agent of that name would clear it, and the one of a test has no successor.

use std::fs;
use std::path::{Path, PathBuf};

use super::pause;

/// Looks for processes that are dying to be gone.
const TRIES: usize = 100;

/// The agent's part, which it holds open; none where it runs without cgroups.
pub fn of_agent(pid: i32) -> Option<PathBuf> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    descriptors
        .filter_map(|descriptor| fs::read_link(descriptor.ok()?.path()).ok())
        .find(|target| {
            let name = target.file_name().unwrap_or_default();
            target.starts_with("/sys/fs/cgroup") && name.to_string_lossy().starts_with("flux-")
        })
}

/// Ends what still runs there, and takes it away. Nothing depends on it: what stays is only untidy.
#[expect(
    clippy::disallowed_methods,
    reason = "a kernel's file, not one to replace"
)]
pub fn remove(part: &Path) {
    let _ = fs::write(part.join("cgroup.kill"), "1");
    for _ in 0..TRIES {
        let leaves = fs::read_dir(part).into_iter().flatten().flatten();
        for leaf in leaves.filter(|entry| entry.path().is_dir()) {
            let _ = fs::remove_dir(leaf.path());
        }
        if fs::remove_dir(part).is_ok() || !part.exists() {
            return;
        }
        pause();
    }
}
