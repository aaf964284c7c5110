//! The spool directory and its files.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::error::OutputError;
use crate::base::atomic_file::{FileError, create_directory};
use crate::model::ids::ExecutionId;

/// What functions wrote is their owners' alone.
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
const DATA_EXTENSION: &str = "out";
const INDEX_EXTENSION: &str = "idx";

/// Creates the directory, unless it is there.
///
/// # Errors
/// The system's reason.
pub(crate) fn create_spool_dir(spool_dir: &Path) -> Result<(), FileError> {
    create_directory(spool_dir, DIRECTORY_MODE)
}

/// Removes an execution's output. Followers that read it may finish.
///
/// # Errors
/// The system's reason; that there is none is no error.
pub(crate) fn delete(spool_dir: &Path, execution: &ExecutionId) -> Result<(), OutputError> {
    [INDEX_EXTENSION, DATA_EXTENSION]
        .map(|extension| remove(&path(spool_dir, execution, extension)))
        .into_iter()
        .collect::<io::Result<()>>()
        .map_err(OutputError::at("delete", execution))
}

/// Removes the output of all executions that are not in `known`, and says how many files those
/// were. Files that are not ours stay.
///
/// # Errors
/// The first thing that the system refused; the rest is tried all the same.
pub(crate) fn clear_orphans(
    spool_dir: &Path,
    known: &HashSet<ExecutionId>,
) -> Result<usize, FileError> {
    let mut removed = 0;
    let mut outcome = Ok(());
    for entry in fs::read_dir(spool_dir).map_err(FileError::at("list", spool_dir))? {
        let path = entry.map_err(FileError::at("list", spool_dir))?.path();
        let Some(execution) = execution_of(&path) else {
            continue;
        };
        if known.contains(&execution) {
            continue;
        }
        match remove(&path) {
            Ok(()) => removed += 1,
            Err(error) => outcome = outcome.and(Err(FileError::at("remove", &path)(error))),
        }
    }
    outcome.map(|()| removed)
}

/// The two files of one execution that is being recorded; made when they are needed.
#[derive(Debug)]
pub(super) struct SpoolFiles {
    spool_dir: PathBuf,
    execution: ExecutionId,
}

impl SpoolFiles {
    pub(super) fn new(spool_dir: &Path, execution: &ExecutionId) -> SpoolFiles {
        SpoolFiles {
            spool_dir: spool_dir.to_owned(),
            execution: execution.clone(),
        }
    }

    pub(super) fn create_data(&self) -> io::Result<File> {
        self.create(DATA_EXTENSION)
    }

    pub(super) fn create_index(&self) -> io::Result<File> {
        self.create(INDEX_EXTENSION)
    }

    /// `None` when the execution wrote nothing.
    pub(super) fn open_data(&self) -> io::Result<Option<File>> {
        self.open(DATA_EXTENSION)
    }

    /// Empty when the execution wrote to stdout only. Reads at most `limit` bytes.
    pub(super) fn read_index(&self, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if let Some(index) = self.open(INDEX_EXTENSION)? {
            index.take(limit).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    }

    fn create(&self, extension: &str) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .append(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(path(&self.spool_dir, &self.execution, extension))
    }

    fn open(&self, extension: &str) -> io::Result<Option<File>> {
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(nix::libc::O_NOFOLLOW)
            .open(path(&self.spool_dir, &self.execution, extension));
        match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }
}

fn path(spool_dir: &Path, execution: &ExecutionId, extension: &str) -> PathBuf {
    spool_dir.join(format!("{execution}.{extension}"))
}

fn execution_of(path: &Path) -> Option<ExecutionId> {
    let extension = path.extension()?;
    if extension != DATA_EXTENSION && extension != INDEX_EXTENSION {
        return None;
    }
    ExecutionId::new(path.file_stem()?.to_str()?).ok()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}
