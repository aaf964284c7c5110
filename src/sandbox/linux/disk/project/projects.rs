//! The project ids of one work root.
//!
//! Ids come from [`FIRST`] on: 4096 slices of 65,536, of which each work root has one by a digest of its
//! path, so that two agents on one file system do not meet. It is above what people write into
//! /etc/projects and what container runtimes count up from 1, and below the half that systemd takes (its
//! PROJECT_IDS.md: from 2147483648 on).
//!
//! Invariants: an id that the file system knows anything about before its first use is somebody else's
//! and passed over; an id is used again only when nothing is counted for it any more, so not while
//! something of its earlier directory lives on.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::sys::statvfs::fstatvfs;
use nix::unistd::{SysconfVar, sysconf};
use openssl::sha::sha256;

use super::attributes;
use super::project::Project;
use super::quotactl::{self, Bounds};
use crate::base::causes::with_causes;
use crate::base::threads::lock;

/// Of the first slice; what lies below is left to people.
const FIRST: u32 = 0x7000_0000;
const SLICES: u32 = 4096;
const SLICE: u32 = 65_536;
/// Released ids that are asked about for one new directory. The kernel counts a little longer than a
/// directory is there: Landlock's rules hold it until a work queue frees them, and XFS removes in the
/// background. The oldest have had the most time.
const RECHECKS: usize = 4;

/// Those of one work root. Cheap to clone; all clones speak of the same ids.
#[derive(Debug, Clone)]
pub struct Projects {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    /// A directory on it.
    file_system: OwnedFd,
    /// What a write takes at once.
    unit_bytes: u64,
    ids: Mutex<Ids>,
}

#[derive(Debug)]
struct Ids {
    /// First and last.
    slice: (u32, u32),
    /// The next that was never used; beyond the slice when all were.
    fresh: u32,
    /// Oldest first.
    released: VecDeque<u32>,
}

impl Projects {
    /// Of the file system that `work_root` is on, or will be: whether it is there or not.
    ///
    /// # Errors
    /// Why there can be none, in words.
    pub(in super::super::super) fn find(work_root: &Path) -> Result<Projects, String> {
        let path = work_root.display();
        let directory = open_nearest(work_root)
            .map_err(|errno| format!("{path} cannot be opened: {}", words(errno)))?;
        match quotactl::enforces(directory.as_fd()) {
            Ok(true) => {}
            Ok(false) | Err(Errno::ENOSYS) => {
                return Err(format!(
                    "the file system of {path} holds no project quotas: ext4 and XFS do when they are \
                     mounted with prjquota, from Linux 5.14 on"
                ));
            }
            Err(errno) => {
                return Err(format!(
                    "quotas of {path} cannot be asked for: {}",
                    words(errno)
                ));
            }
        }
        match attributes::project_of(directory.as_fd()) {
            Ok(0) => {}
            Ok(other) => return Err(format!("{path} belongs to project {other} already")),
            Err(errno) => {
                return Err(format!(
                    "the project of {path} is unknown: {}",
                    words(errno)
                ));
            }
        }
        let projects = Projects::new(directory, work_root)
            .map_err(|error| format!("{path} has no figures: {}", with_causes(&error)))?;
        projects.rehearse().map_err(|error| {
            let why = with_causes(&error);
            format!("limits of projects cannot be set for {path}, which takes CAP_SYS_ADMIN: {why}")
        })?;
        Ok(projects)
    }

    fn new(directory: OwnedFd, work_root: &Path) -> io::Result<Projects> {
        // Data goes page by page; a page of several blocks gets all of them or none.
        let page_bytes = sysconf(SysconfVar::PAGE_SIZE)?.unwrap_or_default();
        let block_bytes = fstatvfs(&directory)?.block_size();
        Ok(Projects {
            shared: Arc::new(Shared {
                file_system: directory,
                unit_bytes: block_bytes.max(page_bytes as u64),
                ids: Mutex::new(Ids::new(slice_of(work_root))),
            }),
        })
    }

    /// Sets limits once, for nobody.
    fn rehearse(&self) -> io::Result<()> {
        let id = self.shared.take()?;
        let file_system = self.shared.file_system();
        let bounds = Bounds {
            bytes: self.shared.unit_bytes,
            inodes: 1,
        };
        quotactl::limit(file_system, id, bounds)?;
        let is_limited = quotactl::figures(file_system, id)?.is_limited;
        self.shared.release(id);
        match is_limited {
            true => Ok(()),
            false => Err(io::Error::other("they are not kept")),
        }
    }

    /// Gives an empty directory a project of its own.
    ///
    /// # Errors
    /// The system's, or that all ids are in use.
    pub(crate) fn assign(&self, directory: BorrowedFd<'_>) -> io::Result<Project> {
        let id = self.shared.take()?;
        // Released when dropped.
        let project = Project::new(Arc::clone(&self.shared), id);
        attributes::give(directory, id)?;
        Ok(project)
    }

    /// Takes the limits away that an earlier agent left, once its directories are gone. Where something is
    /// still counted they stay, until the next start: it may be another agent's. Says how many there were.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn clear_leftovers(&self) -> io::Result<usize> {
        let file_system = self.shared.file_system();
        let (mut from, last) = lock(&self.shared.ids).slice;
        let mut cleared = 0;
        while let Some((id, found)) = quotactl::next(file_system, from)? {
            if id > last {
                break;
            }
            if found.is_limited && found.is_empty() {
                quotactl::limit(file_system, id, Bounds::NONE)?;
                cleared += 1;
            }
            from = id + 1;
        }
        Ok(cleared)
    }
}

impl Shared {
    pub(super) fn file_system(&self) -> BorrowedFd<'_> {
        self.file_system.as_fd()
    }

    pub(super) fn unit_bytes(&self) -> u64 {
        self.unit_bytes
    }

    /// One for which nothing is counted.
    fn take(&self) -> io::Result<u32> {
        for _ in 0..RECHECKS {
            let Some(id) = lock(&self.ids).released.pop_front() else {
                break;
            };
            if quotactl::figures(self.file_system(), id)?.is_empty() {
                return Ok(id);
            }
            lock(&self.ids).released.push_back(id);
        }
        loop {
            let id = lock(&self.ids).next_fresh().ok_or_else(|| {
                io::Error::other(format!("all {SLICE} project ids of this agent are in use"))
            })?;
            let found = quotactl::figures(self.file_system(), id)?;
            if found.is_empty() && !found.is_limited {
                return Ok(id);
            }
        }
    }

    /// Without its limits from now on.
    pub(super) fn release(&self, id: u32) {
        if let Err(errno) = quotactl::limit(self.file_system(), id, Bounds::NONE) {
            log::warn!("cannot clear the quota of project {id}: {}", words(errno));
        }
        lock(&self.ids).released.push_back(id);
    }
}

impl Ids {
    fn new(slice: (u32, u32)) -> Ids {
        Ids {
            slice,
            fresh: slice.0,
            released: VecDeque::new(),
        }
    }

    fn next_fresh(&mut self) -> Option<u32> {
        let id = self.fresh;
        if id > self.slice.1 {
            return None;
        }
        self.fresh += 1;
        Some(id)
    }
}

/// First and last id.
fn slice_of(work_root: &Path) -> (u32, u32) {
    let [a, b, ..] = sha256(work_root.as_os_str().as_bytes());
    let number = u32::from(u16::from_be_bytes([a, b])) % SLICES;
    let first = FIRST + number * SLICE;
    (first, first + (SLICE - 1))
}

fn words(errno: Errno) -> String {
    with_causes(&io::Error::from(errno))
}

/// The directory, or before the first start the one that it will be made in.
fn open_nearest(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    match (open(path, flags, Mode::empty()), path.parent()) {
        (Err(Errno::ENOENT), Some(parent)) => open(parent, flags, Mode::empty()),
        (opened, _) => opened,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_work_root_has_a_slice_below_the_ids_of_systemd() {
        for number in 0..1000 {
            let (first, last) = slice_of(Path::new(&format!("/srv/{number}/work")));
            assert!(first >= FIRST && first.is_multiple_of(SLICE));
            assert_eq!(last - first, SLICE - 1);
            assert!(last < 1 << 31);
        }
        assert_ne!(slice_of(Path::new("/a")), slice_of(Path::new("/b")));
    }

    #[test]
    fn fresh_ids_end_with_the_slice() {
        let mut ids = Ids::new((5, 7));
        let all: Vec<u32> = std::iter::from_fn(|| ids.next_fresh()).collect();
        assert_eq!(all, [5, 6, 7]);
    }

    #[test]
    fn a_file_system_without_quotas_is_named_and_one_that_is_not_there_yet_is_its_parents() {
        let root = tempfile::tempdir().expect("a directory");
        let work = root.path().join("work");
        assert!(open_nearest(&work).is_ok());
        assert_eq!(
            open_nearest(&work.join("more")).expect_err("no parent"),
            Errno::ENOENT
        );
        // Linux keeps no quotas for /proc.
        let reason = Projects::find(Path::new("/proc")).expect_err("no quotas");
        assert!(
            reason.contains("/proc") && reason.contains("prjquota"),
            "{reason}"
        );
    }
}
