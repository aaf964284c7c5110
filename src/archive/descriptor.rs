//! What follows an entry's data: a descriptor where its header announces one, and nothing else.
//!
//! A descriptor repeats checksum and sizes for programs that read from the front (APPNOTE 4.3.9).
//! Its signature is optional and its sizes have 4 or 8 bytes: its length tells which.

use std::io::{Read, Seek};
use std::ops::Range;

use super::directory::RawEntry;
use super::error::{ArchiveError, shown};
use super::frame::read_at;
use super::header::{DESCRIPTOR_SIGNATURE, Fields};

/// Bytes of the longest: signature, checksum, two long sizes.
const LONGEST: usize = 24;

/// Checks what stands at `place`, from the end of the entry's data to the next thing.
///
/// # Errors
/// [`ArchiveError::Descriptor`] for one that is missing or differs, [`ArchiveError::Gap`] for
/// bytes that are none, [`ArchiveError::Read`].
pub(super) fn check(
    file: &mut (impl Read + Seek),
    entry: &RawEntry,
    announced: bool,
    place: Range<u64>,
) -> Result<(), ArchiveError> {
    let bytes = place.end.saturating_sub(place.start);
    let length = usize::try_from(bytes).unwrap_or(usize::MAX);
    if length == 0 && (!announced || is_nothing(entry)) {
        return Ok(());
    }
    if !announced || length > LONGEST {
        return Err(ArchiveError::Gap {
            name: shown(&entry.name),
            bytes,
        });
    }
    let mut found = vec![0; length];
    read_at(file, place.start, &mut found)?;
    if agrees(&found, entry) != Some(true) {
        return Err(ArchiveError::Descriptor {
            name: shown(&entry.name),
        });
    }
    Ok(())
}

/// Some tools set the flag for directories too, and leave out what would be zeros.
fn is_nothing(entry: &RawEntry) -> bool {
    entry.bytes == 0 && entry.compressed_bytes == 0 && entry.crc == 0
}

/// `None` for a length that no descriptor has.
fn agrees(found: &[u8], entry: &RawEntry) -> Option<bool> {
    let mut fields = match found.len() {
        16 | LONGEST => Fields::new(found.strip_prefix(&DESCRIPTOR_SIGNATURE)?),
        12 | 20 => Fields::new(found),
        _ => return None,
    };
    let crc = fields.u32()?;
    let (compressed_bytes, bytes) = if found.len() < 20 {
        (fields.u32()?.into(), fields.u32()?.into())
    } else {
        (fields.u64()?, fields.u64()?)
    };
    Some((crc, compressed_bytes, bytes) == (entry.crc, entry.compressed_bytes, entry.bytes))
}
