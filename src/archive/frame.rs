//! The archive's outer frame: where it ends, and where its central directory stands.
//!
//! Refuses: everything that two programs could find in two places. The last end record counts,
//! its comment ends with the file, and the directory ends where that record (or the zip64 one
//! before it) begins.

use std::io::{Read, Seek, SeekFrom};

use super::error::ArchiveError;
use super::header::{END_SIGNATURE, EndRecord, Zip64End, Zip64Locator};
use super::limits::ArchiveLimits;

/// Where the central directory stands; within the file, and within the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// Offset of the directory's first byte.
    pub(super) directory_start: u64,
    /// Its length in bytes.
    pub(super) directory_bytes: usize,
    /// How many headers it should hold.
    pub(super) entries: usize,
}

/// Finds the frame.
///
/// # Errors
/// What is wrong with it, or that the file cannot be read.
pub(super) fn locate(
    file: &mut (impl Read + Seek),
    limits: &ArchiveLimits,
) -> Result<Frame, ArchiveError> {
    let size = file.seek(SeekFrom::End(0)).map_err(ArchiveError::Read)?;
    if size > limits.max_archive_bytes {
        return Err(ArchiveError::TooLarge {
            size,
            limit: limits.max_archive_bytes,
        });
    }
    let tail = Tail::read(file, size)?;
    let (end_start, end) = tail.end_record()?;
    // Some tools write the zip64 records also where the plain ones would do.
    let claims = if claims_zip64(&end) || tail.locator_before(end_start).is_some() {
        Claims::from_zip64(file, &tail, end_start, &end)?
    } else {
        Claims::from_end(end_start, &end)?
    };
    claims.check(limits)
}

/// What the end records say about the directory.
#[derive(Debug)]
struct Claims {
    start: u64,
    bytes: u64,
    entries: u64,
    /// Where the directory has to end.
    must_end_at: u64,
}

impl Claims {
    fn from_end(end_start: u64, end: &EndRecord) -> Result<Claims, ArchiveError> {
        if end.disk != 0 || end.directory_disk != 0 || end.entries_here != end.entries {
            return Err(ArchiveError::MultiPart);
        }
        Ok(Claims {
            start: end.directory_start.into(),
            bytes: end.directory_bytes.into(),
            entries: end.entries.into(),
            must_end_at: end_start,
        })
    }

    fn from_zip64(
        file: &mut (impl Read + Seek),
        tail: &Tail,
        end_start: u64,
        end: &EndRecord,
    ) -> Result<Claims, ArchiveError> {
        let wrong = |reason| ArchiveError::Zip64 { reason };
        let (locator_start, locator) = tail
            .locator_before(end_start)
            .ok_or(wrong("there is no locator"))?;
        // The 44 bytes of version 1 of the record and nothing after them.
        let fits = locator.end_start.checked_add(Zip64End::BYTES as u64) == Some(locator_start);
        if !fits {
            return Err(wrong("the locator points elsewhere"));
        }
        let mut bytes = [0; Zip64End::BYTES];
        read_at(file, locator.end_start, &mut bytes)?;
        let zip64 = Zip64End::parse(&bytes).ok_or(wrong("there is no end record"))?;
        if zip64.record_bytes != Zip64End::BYTES as u64 - 12 {
            return Err(wrong("the end record has another length"));
        }
        let single = locator.disk == 0
            && locator.disks <= 1
            && zip64.disk == 0
            && zip64.directory_disk == 0
            && zip64.entries_here == zip64.entries;
        if !single {
            return Err(ArchiveError::MultiPart);
        }
        let agree = agrees(end.entries.into(), u16::MAX.into(), zip64.entries)
            && agrees(end.entries_here.into(), u16::MAX.into(), zip64.entries)
            && agrees(
                end.directory_bytes.into(),
                u32::MAX.into(),
                zip64.directory_bytes,
            )
            && agrees(
                end.directory_start.into(),
                u32::MAX.into(),
                zip64.directory_start,
            );
        if !agree {
            return Err(wrong("the two end records disagree"));
        }
        Ok(Claims {
            start: zip64.directory_start,
            bytes: zip64.directory_bytes,
            entries: zip64.entries,
            must_end_at: locator.end_start,
        })
    }

    fn check(&self, limits: &ArchiveLimits) -> Result<Frame, ArchiveError> {
        if self.entries > limits.max_entries {
            return Err(ArchiveError::TooManyEntries {
                count: self.entries,
                limit: limits.max_entries,
            });
        }
        let ends_at = self.start.checked_add(self.bytes);
        let slack = ends_at.and_then(|ends_at| self.must_end_at.checked_sub(ends_at));
        match slack {
            None => {
                return Err(ArchiveError::Directory {
                    reason: "it reaches past the archive's end",
                });
            }
            Some(0) => {}
            Some(bytes) => return Err(ArchiveError::Prefixed { bytes }),
        }
        if self.entries == 0 {
            return Err(ArchiveError::Empty);
        }
        let most = limits
            .max_entries
            .saturating_mul(ArchiveLimits::DIRECTORY_BYTES_PER_ENTRY);
        if self.bytes > most {
            return Err(ArchiveError::Directory {
                reason: "it is too large for the entries it may have",
            });
        }
        let too_large = |_| ArchiveError::Directory {
            reason: "it is too large for this machine",
        };
        Ok(Frame {
            directory_start: self.start,
            directory_bytes: usize::try_from(self.bytes).map_err(too_large)?,
            entries: usize::try_from(self.entries).map_err(too_large)?,
        })
    }
}

/// The file's last bytes: enough for a locator, an end record and the longest comment.
struct Tail {
    start: u64,
    bytes: Vec<u8>,
}

impl Tail {
    fn read(file: &mut (impl Read + Seek), size: u64) -> Result<Tail, ArchiveError> {
        let longest = Zip64Locator::BYTES + EndRecord::BYTES + usize::from(u16::MAX);
        let start = size.saturating_sub(longest as u64);
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(start))
            .and_then(|_| file.take(longest as u64).read_to_end(&mut bytes))
            .map_err(ArchiveError::Read)?;
        Ok(Tail { start, bytes })
    }

    /// The last end record and its offset; its comment ends with the file.
    fn end_record(&self) -> Result<(u64, EndRecord), ArchiveError> {
        let position = self
            .bytes
            .windows(END_SIGNATURE.len())
            .rposition(|window| window == END_SIGNATURE)
            .ok_or(ArchiveError::NotZip)?;
        let end = EndRecord::parse(&self.bytes[position..]).ok_or(ArchiveError::NotZip)?;
        let after = self.bytes.len() - position - EndRecord::BYTES;
        match after.checked_sub(usize::from(end.comment_bytes)) {
            None => Err(ArchiveError::NotZip),
            Some(0) => Ok((self.start + position as u64, end)),
            Some(bytes) => Err(ArchiveError::Trailing {
                bytes: bytes as u64,
            }),
        }
    }

    /// The zip64 locator right before the end record, and its offset.
    fn locator_before(&self, end_start: u64) -> Option<(u64, Zip64Locator)> {
        let start = end_start.checked_sub(Zip64Locator::BYTES as u64)?;
        let position = usize::try_from(start.checked_sub(self.start)?).ok()?;
        Some((start, Zip64Locator::parse(self.bytes.get(position..)?)?))
    }
}

/// Fills `into` from `offset` on; a file that ends before is no archive.
pub(super) fn read_at(
    file: &mut (impl Read + Seek),
    offset: u64,
    into: &mut [u8],
) -> Result<(), ArchiveError> {
    file.seek(SeekFrom::Start(offset))
        .and_then(|_| file.read_exact(into))
        .map_err(ArchiveError::Read)
}

fn claims_zip64(end: &EndRecord) -> bool {
    end.entries == u16::MAX
        || end.entries_here == u16::MAX
        || end.directory_bytes == u32::MAX
        || end.directory_start == u32::MAX
}

fn agrees(value: u64, see_zip64: u64, zip64_value: u64) -> bool {
    value == see_zip64 || value == zip64_value
}
