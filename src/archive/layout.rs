//! The entries' own headers and data: each where the directory says, none sharing bytes with
//! another, the first at the very start.
//!
//! The classic zip bomb lets thousands of directory entries share one compressed block: see
//! D. Fifield, "A better zip bomb", WOOT 2019. It cannot be built without overlaps.

use std::io::{Read, Seek};

use super::directory::RawEntry;
use super::error::{ArchiveError, shown};
use super::frame::{Frame, read_at};
use super::header::{FLAG_DESCRIPTOR, FLAGS_ENCRYPTED, LocalHeader, SEE_ZIP64};

/// Checks all entries against the bytes they claim.
///
/// # Errors
/// [`ArchiveError::Overlap`], [`ArchiveError::OutOfBounds`], [`ArchiveError::HeaderMismatch`],
/// [`ArchiveError::Prefixed`], [`ArchiveError::Read`].
pub(super) fn check(
    file: &mut (impl Read + Seek),
    frame: &Frame,
    entries: &[RawEntry],
) -> Result<(), ArchiveError> {
    let mut in_order: Vec<&RawEntry> = entries.iter().collect();
    in_order.sort_by_key(|entry| entry.local_start);
    if let Some(first) = in_order.first().filter(|first| first.local_start > 0) {
        // Programs that read from the front would see something else than we do.
        return Err(ArchiveError::Prefixed {
            bytes: first.local_start.min(frame.directory_start),
        });
    }
    let mut previous: Option<(&RawEntry, u64)> = None;
    for entry in in_order {
        if let Some((other, _)) = previous.filter(|&(_, end)| entry.local_start < end) {
            return Err(ArchiveError::Overlap {
                name: shown(&entry.name),
                other: shown(&other.name),
            });
        }
        previous = Some((entry, end_of(file, frame, entry)?));
    }
    Ok(())
}

/// Where the entry's data ends.
fn end_of(
    file: &mut (impl Read + Seek),
    frame: &Frame,
    entry: &RawEntry,
) -> Result<u64, ArchiveError> {
    let outside = || ArchiveError::OutOfBounds {
        name: shown(&entry.name),
    };
    let fixed_end = entry.local_start.checked_add(LocalHeader::BYTES as u64);
    let name_start = fixed_end
        .filter(|&end| end <= frame.directory_start)
        .ok_or_else(outside)?;
    let mut fixed = [0; LocalHeader::BYTES];
    read_at(file, entry.local_start, &mut fixed)?;
    let header = LocalHeader::parse(&fixed).ok_or(ArchiveError::HeaderMismatch {
        name: shown(&entry.name),
        what: "signature",
    })?;
    let data_start = name_start + u64::from(header.name_bytes) + u64::from(header.extra_bytes);
    let end = data_start
        .checked_add(entry.compressed_bytes)
        .filter(|&end| end <= frame.directory_start)
        .ok_or_else(outside)?;
    let mut name = vec![0; header.name_bytes.into()];
    read_at(file, name_start, &mut name)?;
    match mismatch(&header, &name, entry) {
        Some(what) => Err(ArchiveError::HeaderMismatch {
            name: shown(&entry.name),
            what,
        }),
        None => Ok(end),
    }
}

/// What differs between the two headers of an entry, of the things that other programs go by.
fn mismatch(local: &LocalHeader, name: &[u8], entry: &RawEntry) -> Option<&'static str> {
    if name != entry.name {
        return Some("name");
    }
    if local.method != entry.method {
        return Some("compression method");
    }
    if (local.flags ^ entry.flags) & FLAGS_ENCRYPTED != 0 {
        return Some("encryption flag");
    }
    // With a descriptor the sizes follow the data, and zeros may stand here.
    let may_be_zero = local.flags & FLAG_DESCRIPTOR != 0;
    let same = |short: u32, value: u64| {
        u64::from(short) == value || short == SEE_ZIP64 || (short == 0 && may_be_zero)
    };
    if !same(local.bytes, entry.bytes) || !same(local.compressed_bytes, entry.compressed_bytes) {
        return Some("size");
    }
    None
}
