//! Data that nobody can or should read: encrypted, damaged, in ways of its own.

use super::corpus::{HostileArchive, attack, with};
use super::zip_bytes::{TestEntry, deflated, stored};

pub const ATTACKS: &[HostileArchive] = &[
    attack("encrypted", "archive_encrypted", || flagged(1)),
    attack("strongly encrypted", "archive_encrypted", || {
        flagged(1 | 1 << 6)
    }),
    attack("masked headers", "archive_encrypted", || flagged(1 << 13)),
    attack("AES", "archive_encrypted", || {
        with(TestEntry {
            flags: 1,
            method: 99,
            ..stored("secret", b"data")
        })
    }),
    attack("AES without the flag", "archive_method_unsupported", || {
        packed(99)
    }),
    attack("shrunk", "archive_method_unsupported", || packed(1)),
    attack("deflate64", "archive_method_unsupported", || packed(9)),
    attack("bzip2", "archive_method_unsupported", || packed(12)),
    attack("lzma", "archive_method_unsupported", || packed(14)),
    attack("zstd", "archive_method_unsupported", || packed(93)),
    attack("wrong checksum, stored", "archive_checksum", || {
        let entry = stored("file", b"data");
        with(TestEntry {
            crc: entry.crc ^ 1,
            ..entry
        })
    }),
    attack("wrong checksum, compressed", "archive_checksum", || {
        let entry = deflated("file", b"data");
        with(TestEntry {
            crc: entry.crc ^ 1,
            ..entry
        })
    }),
    attack(
        "a block type that does not exist",
        "archive_corrupt",
        || {
            let mut entry = text();
            // RFC 1951, 3.2.3.
            entry.payload[0] = 0xff;
            with(entry)
        },
    ),
    attack("compressed data that ends early", "archive_corrupt", || {
        let mut entry = text();
        entry.payload.truncate(10);
        entry.compressed_bytes = 10;
        with(entry)
    }),
];

fn flagged(flags: u16) -> Vec<u8> {
    with(TestEntry {
        flags,
        ..stored("secret", b"data")
    })
}

fn packed(method: u16) -> Vec<u8> {
    with(TestEntry {
        method,
        ..stored("file", b"data")
    })
}

fn text() -> TestEntry {
    deflated("file", &b"some text to squeeze ".repeat(100))
}
