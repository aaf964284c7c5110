//! The entries' own headers and data: each where the directory says, all of them back to back from
//! the very start to the directory, so that a program that reads from the front sees the same.
//!
//! The classic zip bomb lets thousands of directory entries share one compressed block: see
//! D. Fifield, "A better zip bomb", WOOT 2019. It cannot be built without overlaps. Gaps are
//! refused as well: they can hold entries that no directory knows.

use std::io::{Read, Seek};

use super::descriptor;
use super::directory::RawEntry;
use super::error::{ArchiveError, shown};
use super::extras;
use super::frame::{Frame, read_at};
use super::header::{FLAG_DESCRIPTOR, FLAGS_ENCRYPTED, LocalHeader};

/// Checks all entries against the bytes they claim.
///
/// # Errors
/// [`ArchiveError::Overlap`], [`ArchiveError::OutOfBounds`], [`ArchiveError::HeaderMismatch`],
/// [`ArchiveError::Prefixed`], [`ArchiveError::Descriptor`], [`ArchiveError::Gap`], those of
/// [`extras::read`], [`ArchiveError::Read`].
pub(super) fn check(
    file: &mut (impl Read + Seek),
    frame: &Frame,
    entries: &[RawEntry],
) -> Result<(), ArchiveError> {
    let mut in_order: Vec<&RawEntry> = entries.iter().collect();
    in_order.sort_by_key(|entry| entry.local_start);
    check_ends(frame, &in_order)?;
    for (index, entry) in in_order.iter().enumerate() {
        let next = in_order.get(index + 1);
        let data = data_of(file, frame, entry)?;
        if let Some(next) = next.filter(|next| next.local_start < data.end) {
            return Err(ArchiveError::Overlap {
                name: shown(&next.name),
                other: shown(&entry.name),
            });
        }
        let until = next.map_or(frame.directory_start, |next| next.local_start);
        descriptor::check(file, entry, data.has_descriptor, data.end..until)?;
    }
    Ok(())
}

/// The first entry stands at the start, the last one before the directory.
fn check_ends(frame: &Frame, in_order: &[&RawEntry]) -> Result<(), ArchiveError> {
    if let Some(last) = in_order.last() {
        header_end(frame, last)?;
    }
    match in_order.first() {
        Some(first) if first.local_start > 0 => Err(ArchiveError::Prefixed {
            bytes: first.local_start,
        }),
        Some(_) | None => Ok(()),
    }
}

/// Of one entry, without its header.
struct Data {
    end: u64,
    has_descriptor: bool,
}

fn data_of(
    file: &mut (impl Read + Seek),
    frame: &Frame,
    entry: &RawEntry,
) -> Result<Data, ArchiveError> {
    let name_start = header_end(frame, entry)?;
    let mut fixed = [0; LocalHeader::BYTES];
    read_at(file, entry.local_start, &mut fixed)?;
    let differs = |what| ArchiveError::HeaderMismatch {
        name: shown(&entry.name),
        what,
    };
    let header = LocalHeader::parse(&fixed).ok_or_else(|| differs("signature"))?;
    let named = usize::from(header.name_bytes);
    let data_start = name_start + u64::from(header.name_bytes) + u64::from(header.extra_bytes);
    let end = data_start
        .checked_add(entry.compressed_bytes)
        .filter(|&end| end <= frame.directory_start)
        .ok_or_else(|| outside(entry))?;
    let mut variable = vec![0; named + usize::from(header.extra_bytes)];
    read_at(file, name_start, &mut variable)?;
    let (name, extra) = variable.split_at(named);
    if name != entry.name {
        return Err(differs("name"));
    }
    let zip64 = extras::read(extra, name)?;
    match mismatch(&header, zip64, entry) {
        Some(what) => Err(differs(what)),
        None => Ok(Data {
            end,
            has_descriptor: header.flags & FLAG_DESCRIPTOR != 0,
        }),
    }
}

/// Where the fixed part of the entry's own header ends, which is before the directory.
fn header_end(frame: &Frame, entry: &RawEntry) -> Result<u64, ArchiveError> {
    let end = entry.local_start.checked_add(LocalHeader::BYTES as u64);
    end.filter(|&end| end <= frame.directory_start)
        .ok_or_else(|| outside(entry))
}

fn outside(entry: &RawEntry) -> ArchiveError {
    ArchiveError::OutOfBounds {
        name: shown(&entry.name),
    }
}

/// What differs between the two headers of an entry, of the things that other programs go by.
fn mismatch(local: &LocalHeader, zip64: Option<&[u8]>, entry: &RawEntry) -> Option<&'static str> {
    if local.method != entry.method {
        return Some("compression method");
    }
    if (local.flags ^ entry.flags) & FLAGS_ENCRYPTED != 0 {
        return Some("encryption flag");
    }
    // With a descriptor these follow the data, and zeros may stand here.
    let may_be_zero = local.flags & FLAG_DESCRIPTOR != 0;
    let same = |here: u64, there: u64| here == there || (here == 0 && may_be_zero);
    if !same(local.crc.into(), entry.crc.into()) {
        return Some("checksum");
    }
    let Some([bytes, compressed]) = extras::resolve([local.bytes, local.compressed_bytes], zip64)
    else {
        return Some("size");
    };
    (!same(bytes, entry.bytes) || !same(compressed, entry.compressed_bytes)).then_some("size")
}
