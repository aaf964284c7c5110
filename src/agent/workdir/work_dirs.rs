//! Making a working directory for an execution: on the path of every call, so as few system
//! calls as it takes (six, and one for each top-level name of the release).

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{Gid, Uid, fchown, fchownat, symlinkat};

use super::remove::{Budget, remove_tree};
use crate::agent::release::Release;
use crate::base::atomic_file::{FileError, create_directory};
use crate::model::ids::ExecutionId;

/// Functions pass through, and cannot list who else runs.
const ROOT_MODE: u32 = 0o711;
/// Of a working directory and what Flux puts there.
const PRIVATE_MODE: Mode = Mode::S_IRWXU;
/// Name of the directory for temporary files; a release's own top-level `.tmp` is not linked.
const TMP: &str = ".tmp";

/// Directory entries that the end of an execution takes time to remove: some seconds' work. What
/// is left then waits for the next start of the agent.
const ENTRIES_AT_END: Budget = Budget::entries(1_000_000);
/// Directory entries removed for one leftover at start: minutes, in which nothing else waits but
/// the start itself.
const ENTRIES_AT_START: Budget = Budget::entries(20_000_000);

/// The directory that holds all of them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct WorkDirs {
    root: Arc<Root>,
}

#[derive(Debug)]
struct Root {
    path: PathBuf,
    fd: OwnedFd,
}

/// One execution's directory; removed when dropped, if not before.
#[derive(Debug)]
pub struct WorkDir {
    root: Arc<Root>,
    id: ExecutionId,
    cwd: PathBuf,
    is_removed: bool,
}

impl WorkDirs {
    /// Creates `work_root`, with mode 0711, unless it is there. The directories above it must let
    /// the user that functions run as pass.
    ///
    /// # Errors
    /// The system's reason.
    pub fn open(work_root: &Path) -> Result<WorkDirs, FileError> {
        create_directory(work_root, ROOT_MODE)?;
        let path = std::path::absolute(work_root).map_err(FileError::at("resolve", work_root))?;
        let fd = open(&path, directory_flags(), Mode::empty()).map_err(errno_at("open", &path))?;
        Ok(WorkDirs {
            root: Arc::new(Root { path, fd }),
        })
    }

    /// Makes a directory for an execution, owned by `owner` (user and group id) if there is one.
    ///
    /// # Errors
    /// The system's reason, also that there is one for this execution already. Nothing is left
    /// then.
    pub fn create(
        &self,
        execution: &ExecutionId,
        release: &Release,
        owner: Option<(u32, u32)>,
    ) -> Result<WorkDir, FileError> {
        let cwd = self.root.path.join(execution.as_str());
        mkdirat(&self.root.fd, execution.as_str(), PRIVATE_MODE)
            .map_err(errno_at("create", &cwd))?;
        // From here on its drop cleans up.
        let work_dir = WorkDir {
            root: Arc::clone(&self.root),
            id: execution.clone(),
            cwd,
            is_removed: false,
        };
        work_dir
            .fill(release, owner)
            .map_err(errno_at("prepare", &work_dir.cwd))?;
        Ok(work_dir)
    }

    /// Removes what earlier runs left; only before the first [`WorkDirs::create`]. What cannot be
    /// removed is logged. Says how many are gone.
    ///
    /// # Errors
    /// That `work_root` cannot be listed.
    pub fn clear_leftovers(&self) -> Result<usize, FileError> {
        let listed = openat(&self.root.fd, ".", directory_flags(), Mode::empty())
            .and_then(Dir::from_fd)
            .map_err(errno_at("list", &self.root.path))?;
        let mut removed = 0;
        for entry in listed {
            let entry = entry.map_err(errno_at("list", &self.root.path))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            match remove_tree(self.root.fd.as_fd(), name, ENTRIES_AT_START) {
                Ok(()) => removed += 1,
                Err(error) => log::warn!(
                    "failed to remove the leftover {} in {}: {error}",
                    name.to_string_lossy(),
                    self.root.path.display()
                ),
            }
        }
        Ok(removed)
    }
}

impl WorkDir {
    /// The directory itself: absolute.
    pub fn cwd(&self) -> &Path {
        &self.cwd
    }

    /// Where temporary files go.
    pub fn tmp(&self) -> PathBuf {
        self.cwd.join(TMP)
    }

    /// Removes it with all that the function left there; follows no link. Only once the function's
    /// processes are dead: they could fill it faster than it is emptied.
    ///
    /// # Errors
    /// What could not be removed; it is left for the next start.
    pub fn remove(mut self) -> Result<(), FileError> {
        self.remove_in_place()
    }

    fn fill(&self, release: &Release, owner: Option<(u32, u32)>) -> Result<(), Errno> {
        let dir = openat(
            &self.root.fd,
            self.id.as_str(),
            directory_flags(),
            Mode::empty(),
        )?;
        mkdirat(&dir, TMP, PRIVATE_MODE)?;
        for name in &release.top_level {
            if name != OsStr::new(TMP) {
                symlinkat(&release.dir.join(name), &dir, name.as_os_str())?;
            }
        }
        if let Some((uid, gid)) = owner {
            let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
            fchownat(&dir, TMP, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW)?;
            // Last: until here nobody else could change what is in it.
            fchown(&dir, uid, gid)?;
        }
        Ok(())
    }

    fn remove_in_place(&mut self) -> Result<(), FileError> {
        if self.is_removed {
            return Ok(());
        }
        // Tried once: a second attempt right after would meet the same obstacle.
        self.is_removed = true;
        let name = std::ffi::CString::new(self.id.as_str())
            .map_err(|error| FileError::at("remove", &self.cwd)(error.into()))?;
        remove_tree(self.root.fd.as_fd(), &name, ENTRIES_AT_END)
            .map_err(FileError::at("remove", &self.cwd))
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        if let Err(error) = self.remove_in_place() {
            log::warn!(
                "failed to {error}, left for the next start: {}",
                error.source
            );
        }
    }
}

fn directory_flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC
}

fn errno_at<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(Errno) -> FileError + 'a {
    move |errno| FileError::at(action, path)(io::Error::from(errno))
}
