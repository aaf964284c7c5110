//! The archive as a whole: what stands before, behind and between, where the directory is said to
//! be, and how many ends there are.

use super::corpus::{HostileArchive, attack, handler, with};
use super::zip_bytes::{End, TestEntry, stored, zip, zip_with, zip64_records};

/// Bytes of an end record without a comment.
const END: usize = 22;

pub const ATTACKS: &[HostileArchive] = &[
    attack("nothing", "archive_not_zip", Vec::new),
    attack("a signature", "archive_not_zip", || b"PK".to_vec()),
    attack("a tarball", "archive_not_zip", || {
        b"\x1f\x8b\x08 a tarball".to_vec()
    }),
    attack("zeros", "archive_not_zip", || vec![0; 100_000]),
    attack("an end record alone", "archive_empty", || zip(&[])),
    attack("cut off in the end record", "archive_not_zip", || {
        let mut archive = good();
        archive.pop();
        archive
    }),
    attack("cut off in the data", "archive_not_zip", || {
        good()[..50].to_vec()
    }),
    attack("cut off at the front", "archive_directory_invalid", || {
        good()[10..].to_vec()
    }),
    attack("bytes behind", "archive_trailing_bytes", || {
        [good(), b"more".to_vec()].concat()
    }),
    attack("bytes before", "archive_prefixed", || {
        [b"#!/bin/sh\n".to_vec(), good()].concat()
    }),
    attack("bytes before, offsets to match", "archive_prefixed", || {
        self_extracting(b"#!/bin/sh\n")
    }),
    attack("bytes before the end record", "archive_prefixed", || {
        zip_with(&entries(), b"junk", |_| {})
    }),
    attack(
        "two archives, the first in front",
        "archive_prefixed",
        || [with(stored("first", b"x")), good()].concat(),
    ),
    attack("an archive in the comment", "archive_prefixed", || {
        let second = good();
        let mut both = with(stored("first", b"seen by one program"));
        let length = u16::try_from(second.len()).expect("short");
        let at = both.len() - 2;
        both[at..].copy_from_slice(&length.to_le_bytes());
        both.extend(second);
        both
    }),
    attack(
        "an end record in the comment",
        "archive_directory_invalid",
        || {
            // The later record counts, and points at a directory with nothing in it.
            let mut archive = good();
            let empty = zip(&[]);
            let at = archive.len() - 2;
            archive[at..].copy_from_slice(&[END as u8, 0]);
            let directory_start = u32::try_from(archive.len()).expect("short");
            archive.extend(&empty[..END]);
            let at = archive.len() - 6;
            archive[at..at + 4].copy_from_slice(&(directory_start + 1).to_le_bytes());
            archive
        },
    ),
    attack(
        "half an end record in the comment",
        "archive_not_zip",
        || {
            let mut archive = good();
            let at = archive.len() - 2;
            archive[at..].copy_from_slice(&[4, 0]);
            archive.extend(b"PK\x05\x06");
            archive
        },
    ),
    attack("a comment longer than the file", "archive_not_zip", || {
        let mut archive = good();
        let at = archive.len() - 2;
        archive[at..].copy_from_slice(&[9, 0]);
        archive
    }),
    attack("two end records", "archive_prefixed", || {
        let archive = good();
        let end = archive[archive.len() - END..].to_vec();
        [archive, end].concat()
    }),
    attack("one of several parts", "archive_multi_part", || {
        lie(|end| end.disk = 1)
    }),
    attack(
        "fewer entries here than in all",
        "archive_multi_part",
        || lie(|end| end.entries_here = 1),
    ),
    attack(
        "fewer entries than there are",
        "archive_directory_invalid",
        || lie(|end| (end.entries, end.entries_here) = (1, 1)),
    ),
    attack(
        "more entries than there are",
        "archive_directory_invalid",
        || lie(|end| (end.entries, end.entries_here) = (9, 9)),
    ),
    attack("as many entries as fit", "archive_too_many_entries", || {
        lie(|end| (end.entries, end.entries_here) = (65_534, 65_534))
    }),
    attack("no entries", "archive_empty", || {
        lie(|end| (end.entries, end.entries_here) = (0, 0))
    }),
    attack("directory too long", "archive_directory_invalid", || {
        lie(|end| end.directory_bytes += 1)
    }),
    attack("directory too short", "archive_prefixed", || {
        lie(|end| end.directory_bytes -= 1)
    }),
    attack("directory elsewhere", "archive_directory_invalid", || {
        lie(|end| end.directory_start += 1)
    }),
    attack(
        "directory beyond everything",
        "archive_directory_invalid",
        || lie(|end| end.directory_start = u32::MAX - 1),
    ),
    attack("zip64 without its records", "archive_zip64_invalid", || {
        zip_with(&entries(), &[], see_zip64)
    }),
    attack(
        "zip64 with a count of terabytes",
        "archive_too_many_entries",
        || zip64(|count, start, bytes| (count << 40, start, bytes)),
    ),
    attack(
        "zip64 with one entry more",
        "archive_directory_invalid",
        || zip64(|count, start, bytes| (count + 1, start, bytes)),
    ),
    attack("zip64 directory elsewhere", "archive_zip64_invalid", || {
        zip64(|count, start, bytes| (count, start + 1, bytes))
    }),
    attack(
        "zip64 directory that overflows",
        "archive_zip64_invalid",
        || zip64(|count, _, _| (count, u64::MAX - 1, 1)),
    ),
    attack(
        "zip64 records that disagree",
        "archive_zip64_invalid",
        || {
            let (start, bytes) = directory_of(&good());
            zip_with(&entries(), &zip64_records(2, start, bytes), |end| {
                end.directory_start = u32::MAX;
                (end.entries, end.entries_here) = (7, 7);
            })
        },
    ),
    attack(
        "zip64 record of another length",
        "archive_zip64_invalid",
        || {
            let (start, bytes) = directory_of(&good());
            let mut records = zip64_records(2, start, bytes);
            records[4] = 200;
            zip_with(&entries(), &records, see_zip64)
        },
    ),
    attack(
        "zip64 locator that points at the data",
        "archive_zip64_invalid",
        || {
            let (start, bytes) = directory_of(&good());
            let mut records = zip64_records(2, start, bytes);
            records[56 + 8..56 + 16].fill(0);
            zip_with(&entries(), &records, see_zip64)
        },
    ),
    attack("entry on another disk", "archive_multi_part", || {
        let mut archive = good();
        let (start, _) = directory_of(&archive);
        archive[start as usize + 34] = 1;
        archive
    }),
    attack(
        "directory without its signatures",
        "archive_directory_invalid",
        || {
            let mut archive = good();
            let (start, _) = directory_of(&archive);
            archive[start as usize] = b'X';
            archive
        },
    ),
    attack(
        "local header without its signature",
        "archive_header_mismatch",
        || {
            let mut archive = good();
            archive[0] = b'X';
            archive
        },
    ),
];

/// What [`good`] holds.
fn entries() -> Vec<TestEntry> {
    vec![handler(), stored("file", b"data")]
}

/// Nothing is wrong with it yet.
fn good() -> Vec<u8> {
    zip(&entries())
}

fn lie(change: fn(&mut End)) -> Vec<u8> {
    zip_with(&entries(), &[], change)
}

fn see_zip64(end: &mut End) {
    end.directory_start = u32::MAX;
    (end.entries, end.entries_here) = (u16::MAX, u16::MAX);
}

/// Count, start and length of the directory as `lie` makes them of the true ones.
fn zip64(lie: fn(u64, u64, u64) -> (u64, u64, u64)) -> Vec<u8> {
    let (start, bytes) = directory_of(&good());
    let (count, start, bytes) = lie(2, start, bytes);
    zip_with(&entries(), &zip64_records(count, start, bytes), see_zip64)
}

/// Where the directory starts and how long it is.
fn directory_of(archive: &[u8]) -> (u64, u64) {
    let field = |at: usize| {
        let at = archive.len() - END + at;
        u32::from_le_bytes(archive[at..at + 4].try_into().expect("four"))
    };
    (field(16).into(), field(12).into())
}

/// An archive whose offsets have been adjusted to what was put before it.
fn self_extracting(stub: &[u8]) -> Vec<u8> {
    let archive = zip(&[handler()]);
    let (directory, _) = directory_of(&archive);
    let mut out = [stub, &archive].concat();
    let shift = u32::try_from(stub.len()).expect("short");
    let end = archive.len() - END;
    for at in [directory as usize + 42, end + 16] {
        let at = at + stub.len();
        let value = u32::from_le_bytes(out[at..at + 4].try_into().expect("four"));
        out[at..at + 4].copy_from_slice(&(value + shift).to_le_bytes());
    }
    out
}
