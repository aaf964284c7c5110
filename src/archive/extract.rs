//! The extraction loop: inflates what the plan lists, counting, into a fresh directory, or into
//! nothing to find out whether it can be.
//!
//! Invariants: never more bytes in a file than its entry declared and the plan allowed; the
//! directory is complete or gone. It is not synced: whoever makes it durable knows when.

use std::fs;
use std::io::{self, Read, Seek};
use std::path::Path;

use zip::read::{Config, ZipArchive, ZipFile};
use zip::result::ZipError;

use super::error::ArchiveError;
use super::plan::{Plan, PlannedEntry, inspect};
use super::write::{TargetFile, TargetTree};
use crate::base::causes::with_causes;

/// Bytes that are inflated at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// First bytes of what the kernel can execute (binfmt_elf, binfmt_script). Archives from Windows
/// and from libraries often carry no permission bits; a function's handler must run all the same.
const EXECUTABLE_MAGIC: [&[u8]; 2] = [b"\x7fELF", b"#!"];

/// Extracts the archive that `plan` was made from into `into`, which is created and must not
/// exist. Directories get mode 0755, files 0644, or 0755 when the archive marks them executable
/// or they start like an ELF file or a script.
///
/// # Errors
/// Sizes or checksums that turn out wrong, [`ArchiveError::Changed`] when it is another archive,
/// [`ArchiveError::Read`] and [`ArchiveError::Write`]. Nothing is left of `into` then.
pub(crate) fn extract(
    mut file: impl Read + Seek,
    plan: &Plan,
    into: &Path,
) -> Result<(), ArchiveError> {
    if inspect(&mut file, &plan.limits)? != *plan {
        return Err(ArchiveError::Changed);
    }
    let mut archive = open(file, plan)?;
    let mut tree = TargetTree::create(into)?;
    let extracted = inflate_all(&mut archive, plan, |entry| {
        if entry.is_directory {
            tree.directory(&entry.path)?;
            return Ok(None);
        }
        tree.file(&entry.path).map(Some)
    });
    if extracted.is_err()
        // Follows no links; and nobody but us has written below it.
        && let Err(error) = fs::remove_dir_all(into)
    {
        log::error!("cannot remove {}: {}", into.display(), with_causes(&error));
    }
    extracted
}

/// Inflates the archive that `plan` was made from, and keeps nothing of it: one that passes can
/// be extracted wherever there is room.
///
/// # Errors
/// As [`extract`], but for those of writing.
pub fn verify(file: impl Read + Seek, plan: &Plan) -> Result<(), ArchiveError> {
    let mut archive = open(file, plan)?;
    inflate_all(&mut archive, plan, |entry| {
        Ok((!entry.is_directory).then_some(Discarded))
    })
}

/// Where a file's bytes go.
trait Target {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ArchiveError>;
    fn finish(self, executable: bool) -> Result<(), ArchiveError>;
}

impl Target for TargetFile {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        TargetFile::write(self, bytes)
    }

    fn finish(self, executable: bool) -> Result<(), ArchiveError> {
        TargetFile::finish(self, executable)
    }
}

struct Discarded;

impl Target for Discarded {
    fn write(&mut self, _: &[u8]) -> Result<(), ArchiveError> {
        Ok(())
    }

    fn finish(self, _: bool) -> Result<(), ArchiveError> {
        Ok(())
    }
}

/// Opens the archive once more, for inflating; the crate has to read it as we do.
fn open<R: Read + Seek>(file: R, plan: &Plan) -> Result<ZipArchive<R>, ArchiveError> {
    let config = Config {
        archive_offset: zip::read::ArchiveOffset::Known(0),
    };
    let archive = ZipArchive::with_config(config, file).map_err(|error| match error {
        ZipError::Io(source) => ArchiveError::Read(source),
        _ => ArchiveError::Directory {
            reason: "it can be read in more than one way",
        },
    })?;
    let same = archive.len() == plan.entries().len()
        && archive.central_directory_start() == plan.directory_start
        && archive.offset() == 0
        && !archive.has_duplicate_names();
    if !same {
        return Err(ArchiveError::Directory {
            reason: "it can be read in more than one way",
        });
    }
    Ok(archive)
}

/// `target` is asked for every entry in order, and gives none for a directory.
fn inflate_all<R: Read + Seek, T: Target>(
    archive: &mut ZipArchive<R>,
    plan: &Plan,
    mut target: impl FnMut(&PlannedEntry) -> Result<Option<T>, ArchiveError>,
) -> Result<(), ArchiveError> {
    let mut buffer = vec![0; BUFFER_BYTES];
    for (index, entry) in plan.entries().iter().enumerate() {
        let Some(target) = target(entry)? else {
            continue;
        };
        let mut data = archive
            .by_index(index)
            .map_err(|error| inflate_error(entry, error.into()))?;
        check_same(&data, entry)?;
        let copied = copy(&mut data, entry, target, &mut buffer);
        drop(data);
        copied.map_err(|error| match error {
            CopyError::Inflate { source, complete } if complete && !is_system(&source) => {
                at_the_end(archive, index, entry)
            }
            CopyError::Inflate { source, .. } => inflate_error(entry, source),
            CopyError::Other(error) => error,
        })?;
    }
    Ok(())
}

enum CopyError {
    Inflate {
        source: io::Error,
        /// Whether all declared bytes had come before.
        complete: bool,
    },
    Other(ArchiveError),
}

impl From<ArchiveError> for CopyError {
    fn from(error: ArchiveError) -> CopyError {
        CopyError::Other(error)
    }
}

fn copy(
    data: &mut impl Read,
    entry: &PlannedEntry,
    mut target: impl Target,
    buffer: &mut [u8],
) -> Result<(), CopyError> {
    let mut remaining = entry.bytes;
    let mut executable = entry.executable;
    while remaining > 0 {
        let room = usize::try_from(remaining).map_or(buffer.len(), |bytes| bytes.min(buffer.len()));
        let count = fill(data, &mut buffer[..room])?;
        if count == 0 {
            return Err(size_mismatch(entry).into());
        }
        let chunk = &buffer[..count];
        if remaining == entry.bytes {
            executable |= EXECUTABLE_MAGIC
                .iter()
                .any(|magic| chunk.starts_with(magic));
        }
        target.write(chunk)?;
        remaining -= count as u64;
    }
    // The declared bytes are there. One more read has to find the end, and there the reader
    // compares the checksum.
    if read(data, &mut buffer[..1], true)? != 0 {
        return Err(size_mismatch(entry).into());
    }
    Ok(target.finish(executable)?)
}

/// Reads until `buffer` is full or the data ends: the first bytes are looked at together.
fn fill(data: &mut impl Read, buffer: &mut [u8]) -> Result<usize, CopyError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match read(data, &mut buffer[filled..], false)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

fn read(data: &mut impl Read, buffer: &mut [u8], complete: bool) -> Result<usize, CopyError> {
    loop {
        match data.read(buffer) {
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(CopyError::Inflate { source, complete }),
        }
    }
}

/// All declared bytes came, and then an error: are there more bytes, or is the checksum wrong?
/// The reader does not say which, so a second one without a checksum is asked.
fn at_the_end<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    index: usize,
    entry: &PlannedEntry,
) -> ArchiveError {
    let options = zip::read::ZipReadOptions::new().ignore_crc32(true);
    let ends_there = archive
        .by_index_with_options(index, options)
        .is_ok_and(|mut data| io::copy(&mut data, &mut io::sink()).is_ok());
    if ends_there {
        ArchiveError::Checksum {
            name: entry.path.clone(),
        }
    } else {
        size_mismatch(entry)
    }
}

fn check_same<R: Read>(data: &ZipFile<'_, R>, entry: &PlannedEntry) -> Result<(), ArchiveError> {
    let raw = &entry.raw;
    let same = data.name_raw() == raw.name
        && data.size() == raw.bytes
        && data.compressed_size() == raw.compressed_bytes
        && data.header_start() == raw.local_start
        && data.crc32() == raw.crc;
    if same {
        return Ok(());
    }
    Err(ArchiveError::HeaderMismatch {
        name: entry.path.clone(),
        what: "value in its extra fields",
    })
}

fn size_mismatch(entry: &PlannedEntry) -> ArchiveError {
    ArchiveError::SizeMismatch {
        name: entry.path.clone(),
        declared: entry.bytes,
    }
}

fn inflate_error(entry: &PlannedEntry, source: io::Error) -> ArchiveError {
    if is_system(&source) {
        return ArchiveError::Read(source);
    }
    ArchiveError::Corrupt {
        name: entry.path.clone(),
        source,
    }
}

/// An error of the file that holds the archive, and not of what the archive holds.
fn is_system(error: &io::Error) -> bool {
    error.raw_os_error().is_some()
}
