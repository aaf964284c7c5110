//! What an entry is said to be: a file or a directory, as its name says too, and nothing else.

use super::error::ArchiveError;

/// Judges the type bits of `st_mode`, whichever system claims to have written them: programs
/// that extract go by the bits. All zero is what tools without modes write.
///
/// # Errors
/// [`ArchiveError::Symlink`], [`ArchiveError::SpecialFile`], [`ArchiveError::KindMismatch`].
pub(super) fn check(path: &str, mode: u32, is_directory: bool) -> Result<(), ArchiveError> {
    let name = path.to_owned();
    let kind = match mode & 0o170_000 {
        0 => return Ok(()),
        0o100_000 if !is_directory => return Ok(()),
        0o040_000 if is_directory => return Ok(()),
        0o100_000 => {
            return Err(ArchiveError::KindMismatch {
                name,
                marked: "file",
                named: "directory",
            });
        }
        0o040_000 => {
            return Err(ArchiveError::KindMismatch {
                name,
                marked: "directory",
                named: "file",
            });
        }
        0o120_000 => return Err(ArchiveError::Symlink { name }),
        0o020_000 | 0o060_000 => "device",
        0o010_000 => "named pipe",
        0o140_000 => "socket",
        _ => "special file",
    };
    Err(ArchiveError::SpecialFile { name, kind })
}
