//! Making a working directory for an execution: on the path of every call, so as few system
//! calls as it takes. One rename where there is a spare; otherwise six calls, and one for each
//! top-level name of the release.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, open, openat, renameat2};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{Gid, Uid, fchown, fchownat, symlinkat};

use super::pristine::{MadeFor, is_pristine};
use super::remove::{Budget, remove_tree};
use super::spares::{Spare, Spares};
use crate::agent::release::Release;
use crate::base::atomic_file::{FileError, create_directory};
use crate::base::causes::with_causes;
use crate::base::threads::lock;
use crate::model::ids::ExecutionId;
use crate::sandbox::{Project, Projects};

/// Functions pass through, and cannot list who else runs.
const ROOT_MODE: u32 = 0o711;
/// Of a working directory and what Flux puts there.
pub(super) const PRIVATE_MODE: Mode = Mode::S_IRWXU;
/// Name of the directory for temporary files; a release's own top-level `.tmp` is not linked.
pub(super) const TMP: &str = ".tmp";

/// Name of the directory for spares. No execution has it: ids start with a letter or digit.
const SPARES: &str = ".spares";

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
    /// Of [`SPARES`]: nobody that functions run as can pass it, and so change a spare.
    spares_fd: OwnedFd,
    spares: Mutex<Spares>,
    projects: Option<Projects>,
}

/// One execution's directory; removed when dropped, if not before.
#[derive(Debug)]
pub struct WorkDir {
    root: Arc<Root>,
    id: ExecutionId,
    cwd: PathBuf,
    release: Arc<Release>,
    owner: Option<(u32, u32)>,
    /// Of all that is in it; dropped after the directory is removed.
    project: Option<Arc<Project>>,
    may_be_kept: bool,
    is_removed: bool,
}

impl WorkDirs {
    /// Creates `work_root`, with mode 0711, unless it is there. The directories above it must let
    /// the user that functions run as pass. Each directory gets one of `projects`, if there are any.
    ///
    /// # Errors
    /// The system's reason.
    pub fn open(work_root: &Path, projects: Option<&Projects>) -> Result<WorkDirs, FileError> {
        create_directory(work_root, ROOT_MODE)?;
        let path = std::path::absolute(work_root).map_err(FileError::at("resolve", work_root))?;
        let fd = open(&path, directory_flags(), Mode::empty()).map_err(errno_at("open", &path))?;
        let spares_fd = open_spares(&fd).map_err(FileError::at("clear the spares in", &path))?;
        Ok(WorkDirs {
            root: Arc::new(Root {
                path,
                fd,
                spares_fd,
                spares: Mutex::default(),
                projects: projects.cloned(),
            }),
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
        release: &Arc<Release>,
        owner: Option<(u32, u32)>,
    ) -> Result<WorkDir, FileError> {
        let cwd = self.root.path.join(execution.as_str());
        let spare = self
            .root
            .reuse(execution, release, owner)
            .map_err(errno_at("create", &cwd))?;
        let is_ready = spare.is_some();
        if !is_ready {
            mkdirat(&self.root.fd, execution.as_str(), PRIVATE_MODE)
                .map_err(errno_at("create", &cwd))?;
        }
        // From here on its drop cleans up.
        let mut work_dir = WorkDir {
            root: Arc::clone(&self.root),
            id: execution.clone(),
            cwd,
            release: Arc::clone(release),
            owner,
            project: spare.and_then(|spare| spare.project),
            may_be_kept: true,
            is_removed: false,
        };
        if !is_ready {
            work_dir
                .fill()
                .map_err(FileError::at("prepare", &work_dir.cwd))?;
        }
        Ok(work_dir)
    }

    /// Removes what earlier runs left, quotas included; only before the first [`WorkDirs::create`]. What
    /// cannot be removed is logged. Says how many are gone.
    ///
    /// # Errors
    /// That `work_root` cannot be listed.
    pub(crate) fn clear_leftovers(&self) -> Result<usize, FileError> {
        let listed = openat(&self.root.fd, ".", directory_flags(), Mode::empty())
            .and_then(Dir::from_fd)
            .map_err(errno_at("list", &self.root.path))?;
        let mut removed = 0;
        for entry in listed {
            let entry = entry.map_err(errno_at("list", &self.root.path))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") || name.to_bytes() == SPARES.as_bytes() {
                continue;
            }
            match remove_tree(self.root.fd.as_fd(), name, ENTRIES_AT_START) {
                Ok(()) => removed += 1,
                Err(error) => log::warn!(
                    "cannot remove the leftover {} in {}: {}",
                    name.to_string_lossy(),
                    self.root.path.display(),
                    with_causes(&error)
                ),
            }
        }
        self.root.clear_quotas();
        Ok(removed)
    }
}

impl Root {
    /// After the directories.
    fn clear_quotas(&self) {
        match self.projects.as_ref().map(Projects::clear_leftovers) {
            None | Some(Ok(0)) => {}
            Some(Ok(count)) => log::info!("cleared {count} quotas of an earlier run"),
            Some(Err(error)) => log::warn!(
                "cannot clear the quotas of an earlier run: {}",
                with_causes(&error)
            ),
        }
    }

    /// Makes a spare the execution's, if there is one.
    fn reuse(
        &self,
        execution: &ExecutionId,
        release: &Release,
        owner: Option<(u32, u32)>,
    ) -> Result<Option<Spare>, Errno> {
        let Some(spare) = lock(&self.spares).take(&release.dir, owner) else {
            return Ok(None);
        };
        match rename(&self.spares_fd, &spare.name, &self.fd, execution.as_str()) {
            Ok(()) => Ok(Some(spare)),
            Err(errno) => {
                self.discard(&spare);
                if errno == Errno::EEXIST {
                    return Err(errno);
                }
                Ok(None)
            }
        }
    }

    /// Makes an ended execution's directory a spare, if it is unchanged; says whether it did.
    fn keep(&self, work_dir: &WorkDir) -> Result<bool, Errno> {
        let (id, release) = (work_dir.id.as_str(), &work_dir.release);
        let made_for = MadeFor {
            release,
            owner: work_dir.owner,
            project: work_dir.project.as_deref(),
        };
        if !is_pristine(self.fd.as_fd(), id, &made_for)? {
            return Ok(false);
        }
        let name = lock(&self.spares).new_name();
        rename(&self.fd, id, &self.spares_fd, &name)?;
        let surplus =
            lock(&self.spares).put(name, release, work_dir.owner, work_dir.project.clone());
        if let Some(surplus) = surplus {
            self.discard(&surplus);
        }
        Ok(true)
    }

    fn discard(&self, spare: &Spare) {
        if let Err(error) = remove_below(&self.spares_fd, &spare.name) {
            log::warn!(
                "cannot remove the spare {}: {}",
                spare.name,
                with_causes(&error)
            );
        }
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

    /// What its disk limit is held by, where that is a quota.
    pub fn project(&self) -> Option<Arc<Project>> {
        self.project.clone()
    }

    /// Once something in it may be alive: it could change the directory of whoever has it next.
    pub(crate) fn never_reuse(&mut self) {
        self.may_be_kept = false;
    }

    /// Removes it with all that the function left there; follows no link. If nothing is changed it
    /// is kept as a spare for the next execution of the same release instead. Only once the function's
    /// processes are dead: they could fill it faster than it is emptied.
    ///
    /// # Errors
    /// What could not be removed; it is left for the next start.
    pub fn remove(mut self) -> Result<(), FileError> {
        self.remove_in_place()
    }

    fn fill(&mut self) -> io::Result<()> {
        let dir = openat(
            &self.root.fd,
            self.id.as_str(),
            directory_flags(),
            Mode::empty(),
        )?;
        // First: what is made in it belongs to the same.
        if let Some(projects) = &self.root.projects {
            self.project = Some(Arc::new(projects.assign(dir.as_fd())?));
        }
        mkdirat(&dir, TMP, PRIVATE_MODE)?;
        for name in &self.release.top_level {
            if name != OsStr::new(TMP) {
                symlinkat(&self.release.dir.join(name), &dir, name.as_os_str())?;
            }
        }
        if let Some((uid, gid)) = self.owner {
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
        // Whatever is in the way of keeping it is perhaps not in the way of removing it.
        if self.may_be_kept && self.root.keep(self) == Ok(true) {
            return Ok(());
        }
        remove_below(&self.root.fd, self.id.as_str()).map_err(FileError::at("remove", &self.cwd))
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        if let Err(error) = self.remove_in_place() {
            log::warn!(
                "a working directory is left for the next start: {}",
                with_causes(&error)
            );
        }
    }
}

/// The directory for spares, empty: those of an earlier run are nobody's.
fn open_spares(root: &OwnedFd) -> io::Result<OwnedFd> {
    remove_below(root, SPARES)?;
    mkdirat(root, SPARES, PRIVATE_MODE)?;
    Ok(openat(root, SPARES, directory_flags(), Mode::empty())?)
}

/// Never onto something that is there.
fn rename(from: &OwnedFd, old: &str, to: &OwnedFd, new: &str) -> Result<(), Errno> {
    renameat2(from, old, to, new, RenameFlags::RENAME_NOREPLACE)
}

fn remove_below(parent: &OwnedFd, name: &str) -> io::Result<()> {
    remove_tree(parent.as_fd(), &CString::new(name)?, ENTRIES_AT_END)
}

pub(super) fn directory_flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC
}

fn errno_at<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(Errno) -> FileError + 'a {
    move |errno| FileError::at(action, path)(io::Error::from(errno))
}
