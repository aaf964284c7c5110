//! What an execution enters before its program: a domain that no other execution is in.
//!
//! A process in a domain can trace, and so read the memory and environment of, only what is in its
//! own domain; from version 6 on (Linux 6.12) the domain can hold signals in as well. Entering one ruleset
//! twice makes two domains, so all executions without rules for files share one ruleset; the
//! others get one each, over the same system paths.
//!
//! What Landlock does not hold, the file modes must: looking at a file's attributes, connecting
//! to a socket by its path, and before version 3 (Linux 6.2) truncating by path what the user may write. The
//! agent's own secrets below `/etc` are among the readable paths, and kept by their mode: only root and
//! the agent's group may read them, and executions are neither.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::super::super::FileAccess;
use super::rights;
use super::ruleset::{self, Ruleset, SCOPE_SIGNALS, SCOPE_SOCKETS, SCOPES_FROM};
use crate::base::causes::with_causes;

/// Devices that every program may count on. No terminals: an execution has none.
const DEVICES: [&str; 6] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
];

/// What one sandbox makes its children's domains from.
#[derive(Debug)]
pub(in super::super) struct Domains {
    version: i64,
    without_files: Ruleset,
    system: Vec<Place>,
}

/// A path to give rights on; it stays what it was when it was opened.
#[derive(Debug)]
struct Place {
    fd: OwnedFd,
    is_directory: bool,
    rights: u64,
}

/// The domain of one child.
#[derive(Debug)]
pub(in super::super) enum Domain<'a> {
    /// That of all executions without rules for files.
    Shared(BorrowedFd<'a>),
    /// This one's alone.
    Own(OwnedFd),
}

/// What of an execution's files cannot be given.
#[derive(Debug, Error)]
pub(in super::super) enum FilesError {
    #[error("cannot give it {}", path.display())]
    Path {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("rules for its files cannot be made")]
    Ruleset(#[source] io::Error),
}

impl Domains {
    /// System paths that do not exist are passed over.
    ///
    /// # Errors
    /// See [`super::why_missing`].
    pub(in super::super) fn open(system_paths: &[PathBuf]) -> io::Result<Domains> {
        let version = ruleset::version()?;
        let mut system = Vec::new();
        for path in system_paths {
            system.extend(Place::if_there(path, rights::READ)?);
        }
        for device in DEVICES {
            system.extend(Place::if_there(device.as_ref(), rights::USE)?);
        }
        Ok(Domains {
            version,
            without_files: without_files(version)?,
            system,
        })
    }

    /// Whether signals stay inside too.
    pub(in super::super) fn hold_signals(&self) -> bool {
        self.version >= SCOPES_FROM
    }

    /// # Errors
    /// A path of `files` cannot be opened, or is a symbolic link that could be written through.
    pub(in super::super) fn domain(&self, files: &FileAccess) -> Result<Domain<'_>, FilesError> {
        match files {
            FileAccess::Open => Ok(Domain::Shared(self.without_files.as_fd())),
            FileAccess::Only { read, write } => self
                .only(read, write)
                .map(|ruleset| Domain::Own(ruleset.into())),
        }
    }

    fn only(&self, read: &[PathBuf], write: &[PathBuf]) -> Result<Ruleset, FilesError> {
        let scopes = scopes(self.version, SCOPE_SIGNALS | SCOPE_SOCKETS);
        let ruleset =
            Ruleset::new(rights::known(self.version), scopes).map_err(FilesError::Ruleset)?;
        for place in &self.system {
            self.add(&ruleset, place).map_err(FilesError::Ruleset)?;
        }
        let read = read.iter().map(|path| (path, rights::READ, 0));
        // The execution of before may have put a link to elsewhere where its directory was.
        let write = write
            .iter()
            .map(|path| (path, rights::WRITE, libc::O_NOFOLLOW));
        for (path, rights, flags) in read.chain(write) {
            Place::open(path, rights, flags)
                .and_then(|place| self.add(&ruleset, &place))
                .map_err(|source| FilesError::Path {
                    path: path.clone(),
                    source,
                })?;
        }
        Ok(ruleset)
    }

    fn add(&self, ruleset: &Ruleset, place: &Place) -> io::Result<()> {
        let rights = rights::on(place.is_directory, place.rights) & rights::known(self.version);
        ruleset.add(place.fd.as_fd(), rights)
    }
}

impl Domain<'_> {
    /// The descriptor that landlock_restrict_self(2) takes.
    pub(in super::super) fn raw(&self) -> i32 {
        match self {
            Domain::Shared(ruleset) => ruleset.as_raw_fd(),
            Domain::Own(ruleset) => ruleset.as_raw_fd(),
        }
    }
}

impl Place {
    /// Neither reads nor waits: a pipe or a device is not opened by O_PATH.
    fn open(path: &Path, rights: u64, flags: i32) -> io::Result<Place> {
        let file = File::options()
            .read(true)
            .custom_flags(libc::O_PATH | flags)
            .open(path)?;
        let kind = file.metadata()?.file_type();
        if kind.is_symlink() {
            return Err(io::Error::from_raw_os_error(libc::ELOOP));
        }
        Ok(Place {
            fd: file.into(),
            is_directory: kind.is_dir(),
            rights,
        })
    }

    fn if_there(path: &Path, rights: u64) -> io::Result<Option<Place>> {
        match Place::open(path, rights, 0) {
            Ok(place) => Ok(Some(place)),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    let (path, why) = (path.display(), with_causes(&error));
                    log::warn!("executions cannot reach the system path {path}: {why}");
                }
                Ok(None)
            }
        }
    }
}

/// A ruleset must handle something: making block devices takes a capability that no execution has.
/// Moving from one directory to another is refused in every domain that does not give it (kernel
/// documentation, "Landlock: rename and link"), so it is given everywhere.
fn without_files(version: i64) -> io::Result<Ruleset> {
    let moving = rights::REFER & rights::known(version);
    let handled = rights::MAKE_BLOCK | moving;
    let ruleset = Ruleset::new(handled, scopes(version, SCOPE_SIGNALS))?;
    if moving != 0 {
        let root = Place::open("/".as_ref(), moving, 0)?;
        ruleset.add(root.fd.as_fd(), moving)?;
    }
    Ok(ruleset)
}

fn scopes(version: i64, wanted: u64) -> u64 {
    if version >= SCOPES_FROM { wanted } else { 0 }
}
