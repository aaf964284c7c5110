//! The central directory, read whole: our own reading of it is what everything else goes by.

use std::io::{Read, Seek};

use super::error::{ArchiveError, shown};
use super::frame::{Frame, read_at};
use super::header::{CentralHeader, EXTRA_UNICODE_PATH, EXTRA_ZIP64, Fields, SEE_ZIP64};

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
/// exactly, [`ArchiveError::MultiPart`], [`ArchiveError::HeaderMismatch`] for an entry with two
/// names, [`ArchiveError::Read`].
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
    apply_extra(&mut raw, &header, extra)?;
    Ok(raw)
}

fn apply_extra(
    raw: &mut RawEntry,
    header: &CentralHeader,
    extra: &[u8],
) -> Result<(), ArchiveError> {
    let mut fields = Fields::new(extra);
    let mut zip64 = None;
    while !fields.is_empty() {
        let Some((id, body)) = extra_field(&mut fields) else {
            // Padding that aligns data, as some tools write it, is shorter than a field.
            break;
        };
        match id {
            EXTRA_ZIP64 if zip64.is_some() => {
                return Err(ArchiveError::Zip64 {
                    reason: "an entry has two of them",
                });
            }
            EXTRA_ZIP64 => zip64 = Some(body),
            // Version and checksum of the plain name, then the name.
            EXTRA_UNICODE_PATH if body.get(5..) != Some(&raw.name) => {
                return Err(ArchiveError::HeaderMismatch {
                    name: shown(&raw.name),
                    what: "name in its extra field",
                });
            }
            _ => {}
        }
    }
    apply_zip64(raw, header, zip64)
}

fn extra_field<'a>(fields: &mut Fields<'a>) -> Option<(u16, &'a [u8])> {
    let (id, length) = (fields.u16()?, fields.u16()?);
    Some((id, fields.take(length.into())?))
}

/// The field holds, in this order, only those values whose 32-bit field refers to it (4.5.3).
fn apply_zip64(
    raw: &mut RawEntry,
    header: &CentralHeader,
    body: Option<&[u8]>,
) -> Result<(), ArchiveError> {
    let mut fields = Fields::new(body.unwrap_or_default());
    let missing = ArchiveError::Zip64 {
        reason: "an entry lacks a value",
    };
    let values = [
        (header.bytes, &mut raw.bytes),
        (header.compressed_bytes, &mut raw.compressed_bytes),
        (header.local_start, &mut raw.local_start),
    ];
    for (short, value) in values {
        if short == SEE_ZIP64 {
            match fields.u64() {
                Some(long) => *value = long,
                None => return Err(missing),
            }
        }
    }
    Ok(())
}

const fn damaged(reason: &'static str) -> ArchiveError {
    ArchiveError::Directory { reason }
}
