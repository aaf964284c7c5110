//! The directories below `apps_dir`, and what may be done with them.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::unistd::syncfs;

use super::access::{self, PRIVATE_MODE};
use crate::base::atomic_file::{FileError, create_directory, sync_directory};
use crate::model::function::Code;
use crate::model::ids::FunctionName;

/// Functions pass through, and cannot list which others there are.
const APPS_MODE: u32 = 0o711;
/// Digits of the digest in a directory's name: enough to tell archives apart, short enough to read.
const DIGEST_DIGITS: usize = 12;

/// `apps_dir`, made ready. Its two private directories cannot collide with a function: function
/// names start with a letter or digit.
#[derive(Debug)]
pub(super) struct Directories {
    apps: PathBuf,
    incoming: PathBuf,
    trash: PathBuf,
}

impl Directories {
    /// Creates what is missing, and clears what an earlier run left half done.
    pub(super) fn open(apps_dir: &Path) -> Result<Directories, FileError> {
        create_directory(apps_dir, APPS_MODE)?;
        // Absolute, because links in working directories will point below it.
        let apps = fs::canonicalize(apps_dir).map_err(FileError::at("resolve", apps_dir))?;
        let directories = Directories {
            incoming: apps.join(".incoming"),
            trash: apps.join(".trash"),
            apps,
        };
        for private in [&directories.incoming, &directories.trash] {
            remove_if_there(private)?;
            DirBuilder::new()
                .mode(PRIVATE_MODE)
                .create(private)
                .map_err(FileError::at("create", private))?;
        }
        directories.close_all()?;
        Ok(directories)
    }

    /// Nobody may read anything until it is granted anew: an earlier run may have granted it to
    /// others, and an earlier release of Flux to everyone.
    fn close_all(&self) -> Result<(), FileError> {
        for name in names(&self.apps)? {
            let directory = self.apps.join(&name);
            let is_function = name
                .to_str()
                .is_some_and(|name| FunctionName::new(name).is_ok());
            if is_function && is_directory(&directory)? {
                access::grant(&directory, &[])?;
            }
        }
        Ok(())
    }

    /// Lets exactly these users read the function's releases, as soon as there are any.
    pub(super) fn grant(&self, function: &FunctionName, uids: &[u32]) -> Result<(), FileError> {
        let directory = self.function(function);
        if is_directory(&directory)? {
            access::grant(&directory, uids)?;
        }
        Ok(())
    }

    /// Where archives are received.
    pub(super) fn incoming(&self) -> Result<&Path, FileError> {
        own(&self.incoming)
    }

    /// A fresh name for something half extracted.
    pub(super) fn new_incoming(&self) -> Result<PathBuf, FileError> {
        Ok(self.incoming()?.join(unique()))
    }

    pub(super) fn function(&self, function: &FunctionName) -> PathBuf {
        self.apps.join(function.as_str())
    }

    pub(super) fn release(&self, function: &FunctionName, name: &ReleaseName) -> PathBuf {
        self.function(function).join(name.to_string())
    }

    /// Whether there is such a release, and no link on the way to it.
    pub(super) fn holds(
        &self,
        function: &FunctionName,
        name: &ReleaseName,
    ) -> Result<bool, FileError> {
        Ok(is_directory(&self.function(function))? && is_directory(&self.release(function, name))?)
    }

    /// Makes an extracted directory the release's, which must not exist.
    pub(super) fn publish(
        &self,
        extracted: &Path,
        function: &FunctionName,
        release: &Path,
    ) -> Result<(), FileError> {
        let parent = self.function(function);
        if !is_directory(&parent)? {
            // Not create_directory, which would accept a link to a directory.
            DirBuilder::new()
                .mode(PRIVATE_MODE)
                .create(&parent)
                .map_err(FileError::at("create", &parent))?;
            sync_directory(&self.apps)?;
        }
        fs::rename(extracted, release).map_err(FileError::at("rename to", release))?;
        sync_directory(&parent)
    }

    /// Takes a release out of sight at once; removing it from where it is then may take its
    /// time.
    pub(super) fn discard(&self, release: &Path) -> Result<PathBuf, FileError> {
        let discarded = own(&self.trash)?.join(unique());
        fs::rename(release, &discarded).map_err(FileError::at("rename", release))?;
        Ok(discarded)
    }

    /// The releases on disk, oldest version first.
    pub(super) fn list(&self, function: &FunctionName) -> Result<Vec<ReleaseName>, FileError> {
        let directory = self.function(function);
        if !is_directory(&directory)? {
            return Ok(Vec::new());
        }
        let mut releases: Vec<ReleaseName> = names(&directory)?
            .iter()
            .filter_map(|name| ReleaseName::parse(name.to_str()?))
            .collect();
        releases.sort();
        Ok(releases)
    }

    /// Drops the function's directory if nothing is in it any more.
    pub(super) fn forget_function(&self, function: &FunctionName) -> Result<(), FileError> {
        let directory = self.function(function);
        match fs::remove_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome.map_err(FileError::at("remove", &directory)),
        }
    }
}

/// `<version>-<digits of the digest>`; ordered by version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ReleaseName {
    pub(super) version: u64,
    digits: String,
}

impl ReleaseName {
    pub(super) fn new(code: &Code) -> ReleaseName {
        ReleaseName {
            version: code.version,
            digits: code.digest.as_str()[..DIGEST_DIGITS].to_owned(),
        }
    }

    fn parse(text: &str) -> Option<ReleaseName> {
        let (version, digits) = text.split_once('-')?;
        let name = ReleaseName {
            version: version.parse().ok()?,
            digits: digits.to_owned(),
        };
        (digits.len() == DIGEST_DIGITS && name.to_string() == text).then_some(name)
    }
}

impl std::fmt::Display for ReleaseName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.version, self.digits)
    }
}

/// Whether there is a directory, and not a link to one.
pub(super) fn is_directory(path: &Path) -> Result<bool, FileError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(metadata.is_dir()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(FileError::at("look at", path)(error)),
    }
}

/// A private directory, unless a link or file has taken its place since the start. Looked at before
/// each use: nobody but the agent's own user and root can put one there, and against somebody who
/// is either no check helps; but what an administrator moved, or a fault left, is not followed.
fn own(private: &Path) -> Result<&Path, FileError> {
    if is_directory(private)? {
        return Ok(private);
    }
    Err(FileError::at("use", private)(
        io::ErrorKind::NotADirectory.into(),
    ))
}

/// The names in a directory, in order; none when it is not there.
pub(super) fn names(directory: &Path) -> Result<Vec<OsString>, FileError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(FileError::at("list", directory))?,
    };
    let mut names = entries
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(FileError::at("list", directory))?;
    names.sort();
    Ok(names)
}

/// Makes everything below `directory` durable. One syncfs(2) for the whole file system instead of
/// an fsync for each of perhaps ten thousand files: those would wait for the journal one by one.
pub(super) fn sync_tree(directory: &Path) -> Result<(), FileError> {
    File::open(directory)
        .and_then(|opened| syncfs(opened).map_err(io::Error::from))
        .map_err(FileError::at("sync", directory))
}

/// Removes a tree that only the agent has written to, or the file or link in its place.
/// `remove_dir_all` follows no links.
pub(super) fn remove_if_there(path: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            fs::remove_file(path).map_err(FileError::at("remove", path))
        }
        outcome => outcome.map_err(FileError::at("remove", path)),
    }
}

fn unique() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
