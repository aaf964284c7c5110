//! The central directory, read whole: our own reading of it is what everything else goes by.

use std::io::{Read, Seek};

use super::error::ArchiveError;
use super::extras;
use super::frame::{Frame, read_at};
use super::header::{CentralHeader, Fields};

/// One header as it stands in the directory, 64-bit sizes resolved; nothing else is judged yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawEntry {
    pub(super) name: Vec<u8>,
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc: u32,
    pub(super) compressed_bytes: u64,
    pub(super) bytes: u64,
    /// `st_mode` in the upper half where a Unix-like tool made the archive.
    pub(super) external_attributes: u32,
    pub(super) local_start: u64,
}

/// Reads all headers, in order.
///
/// # Errors
/// [`ArchiveError::Directory`] or [`ArchiveError::Zip64`] when they do not fill the frame
/// exactly, [`ArchiveError::MultiPart`], those of [`extras::read`], [`ArchiveError::Read`].
pub(super) fn read(
    file: &mut (impl Read + Seek),
    frame: &Frame,
) -> Result<Vec<RawEntry>, ArchiveError> {
    let mut bytes = vec![0; frame.directory_bytes];
    read_at(file, frame.directory_start, &mut bytes)?;
    let mut fields = Fields::new(&bytes);
    // No more than fit into the bytes that are really there.
    let fitting = frame.directory_bytes / CentralHeader::BYTES;
    let mut entries = Vec::with_capacity(frame.entries.min(fitting));
    for _ in 0..frame.entries {
        entries.push(entry(&mut fields)?);
    }
    if !fields.is_empty() {
        return Err(damaged("it holds more than its entries"));
    }
    Ok(entries)
}

fn entry(fields: &mut Fields<'_>) -> Result<RawEntry, ArchiveError> {
    let header = CentralHeader::parse(fields.rest())
        .ok_or(damaged("it holds fewer entries than it should"))?;
    let cut_off = || damaged("an entry is cut off");
    fields.skip(CentralHeader::BYTES).ok_or_else(cut_off)?;
    let name = fields.take(header.name_bytes.into()).ok_or_else(cut_off)?;
    let extra = fields.take(header.extra_bytes.into()).ok_or_else(cut_off)?;
    fields
        .skip(header.comment_bytes.into())
        .ok_or_else(cut_off)?;
    let mut raw = RawEntry {
        name: name.to_vec(),
        flags: header.flags,
        method: header.method,
        crc: header.crc,
        compressed_bytes: header.compressed_bytes.into(),
        bytes: header.bytes.into(),
        external_attributes: header.external_attributes,
        local_start: header.local_start.into(),
    };
    if header.disk != 0 {
        return Err(ArchiveError::MultiPart);
    }
    let zip64 = extras::read(extra, &raw.name)?;
    resolve(&mut raw, &header, zip64)?;
    Ok(raw)
}

/// The 64-bit values of those fields that refer to them.
fn resolve(
    raw: &mut RawEntry,
    header: &CentralHeader,
    zip64: Option<&[u8]>,
) -> Result<(), ArchiveError> {
    let short = [header.bytes, header.compressed_bytes, header.local_start];
    let [bytes, compressed_bytes, local_start] =
        extras::resolve(short, zip64).ok_or(ArchiveError::Zip64 {
            reason: "an entry lacks a value",
        })?;
    raw.bytes = bytes;
    raw.compressed_bytes = compressed_bytes;
    raw.local_start = local_start;
    Ok(())
}

const fn damaged(reason: &'static str) -> ArchiveError {
    ArchiveError::Directory { reason }
}
