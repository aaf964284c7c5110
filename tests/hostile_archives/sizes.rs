//! Sizes and places that lie: of the directory, the entries' own headers, the descriptors behind
//! them, the zip64 fields, and of what is really there.

use super::corpus::{HostileArchive, attack, with};
use super::zip_bytes::{TestEntry, deflated, descriptor, extra, stored, streamed, zip};

pub const ATTACKS: &[HostileArchive] = &[
    attack(
        "declares less than it inflates to",
        "archive_size_mismatch",
        || declares(99_999),
    ),
    attack(
        "declares more than it inflates to",
        "archive_size_mismatch",
        || declares(100_001),
    ),
    attack("declares nothing", "archive_size_mismatch", || declares(0)),
    attack("stored with two sizes", "archive_size_mismatch", || {
        with(TestEntry {
            bytes: 5,
            ..stored("file", b"data")
        })
    }),
    attack("stored short", "archive_size_mismatch", || {
        with(TestEntry {
            compressed_bytes: 2,
            ..stored("file", b"data")
        })
    }),
    attack(
        "another size in the local header",
        "archive_header_mismatch",
        || {
            with(TestEntry {
                local_sizes: Some((1, 1)),
                ..stored("file", b"data")
            })
        },
    ),
    attack(
        "no size in the local header",
        "archive_header_mismatch",
        || {
            with(TestEntry {
                local_sizes: Some((0, 0)),
                ..stored("file", b"data")
            })
        },
    ),
    attack(
        "zip64 size in the local header alone",
        "archive_header_mismatch",
        || {
            with(TestEntry {
                local_sizes: Some((u32::MAX, u32::MAX)),
                local_extra: zip64(1 << 40, 1 << 40),
                ..stored("file", b"data")
            })
        },
    ),
    attack(
        "zip64 size promised and not there",
        "archive_header_mismatch",
        || {
            with(TestEntry {
                local_sizes: Some((u32::MAX, u32::MAX)),
                ..stored("file", b"data")
            })
        },
    ),
    attack(
        "another method in the local header",
        "archive_header_mismatch",
        || {
            with(TestEntry {
                local_method: Some(8),
                ..stored("file", b"data")
            })
        },
    ),
    attack(
        "another checksum in the local header",
        "archive_header_mismatch",
        || {
            with(TestEntry {
                local_crc: Some(7),
                ..stored("file", b"data")
            })
        },
    ),
    attack(
        "local header that says encrypted",
        "archive_header_mismatch",
        || {
            with(TestEntry {
                local_flags: Some(1),
                ..stored("file", b"data")
            })
        },
    ),
    attack("descriptor with another size", "archive_descriptor", || {
        let entry = deflated("file", b"data");
        with(TestEntry {
            trailer: descriptor(entry.crc, entry.compressed_bytes, 3),
            ..streamed(entry)
        })
    }),
    attack(
        "descriptor with another compressed size",
        "archive_descriptor",
        || {
            let entry = stored("file", b"data");
            with(TestEntry {
                trailer: descriptor(entry.crc, 2, 4),
                ..streamed(entry)
            })
        },
    ),
    attack(
        "descriptor with another checksum",
        "archive_descriptor",
        || {
            let entry = stored("file", b"data");
            with(TestEntry {
                trailer: descriptor(entry.crc ^ 1, 4, 4),
                ..streamed(entry)
            })
        },
    ),
    attack(
        "descriptor with another signature",
        "archive_descriptor",
        || {
            let mut entry = streamed(stored("file", b"data"));
            entry.trailer[3] ^= 1;
            with(entry)
        },
    ),
    attack("descriptor that is missing", "archive_descriptor", || {
        with(TestEntry {
            trailer: Vec::new(),
            ..streamed(stored("file", b"data"))
        })
    }),
    attack("descriptor that nobody announced", "archive_gap", || {
        let entry = stored("file", b"data");
        with(TestEntry {
            trailer: descriptor(entry.crc, 4, 4),
            ..entry
        })
    }),
    attack("an entry that no directory knows", "archive_gap", || {
        let whole = zip(&[stored("hidden", b"for those who read from the front")]);
        let hidden = whole[..30 + 6 + 33].to_vec();
        with(TestEntry {
            trailer: hidden,
            ..stored("file", b"data")
        })
    }),
    attack("data after the last entry", "archive_gap", || {
        with(TestEntry {
            trailer: b"payload of another program".to_vec(),
            ..stored("file", b"data")
        })
    }),
    attack(
        "reaches into the directory",
        "archive_out_of_bounds",
        || {
            with(TestEntry {
                bytes: 60,
                compressed_bytes: 60,
                ..stored("file", b"data")
            })
        },
    ),
    attack("stands behind the end", "archive_out_of_bounds", || {
        with(TestEntry {
            local_start: Some(1 << 30),
            ..stored("file", b"data")
        })
    }),
    attack(
        "zip64 size beyond the archive",
        "archive_out_of_bounds",
        || with(sized(5, 5)),
    ),
    attack(
        "zip64 size of everything",
        "archive_entry_too_large",
        || with(sized(u64::MAX, 4)),
    ),
    attack(
        "zip64 compressed size of everything",
        "archive_out_of_bounds",
        || {
            with(TestEntry {
                method: 8,
                ..sized(4, u64::MAX)
            })
        },
    ),
    attack("zip64 size that is short", "archive_checksum", || {
        with(TestEntry {
            payload: b"dat".to_vec(),
            ..sized(3, 3)
        })
    }),
    attack(
        "zip64 field that is missing",
        "archive_zip64_invalid",
        || {
            with(TestEntry {
                central_extra: Vec::new(),
                ..sized(4, 4)
            })
        },
    ),
    attack(
        "zip64 field that is cut off",
        "archive_zip64_invalid",
        || {
            with(TestEntry {
                central_extra: extra(1, &4u64.to_le_bytes()),
                ..sized(4, 4)
            })
        },
    ),
    attack("two zip64 fields", "archive_zip64_invalid", || {
        with(TestEntry {
            central_extra: [zip64(4, 4), zip64(1, 1)].concat(),
            ..sized(4, 4)
        })
    }),
];

/// 100,000 bytes, compressed, said to be as many as this.
fn declares(bytes: u32) -> Vec<u8> {
    with(TestEntry {
        bytes,
        ..deflated("file", &[b'x'; 100_000])
    })
}

/// Four bytes with sizes in the zip64 field alone.
fn sized(bytes: u64, compressed_bytes: u64) -> TestEntry {
    TestEntry {
        bytes: u32::MAX,
        compressed_bytes: u32::MAX,
        central_extra: zip64(bytes, compressed_bytes),
        local_extra: zip64(bytes, compressed_bytes),
        ..stored("file", b"data")
    }
}

/// The field with 64-bit sizes (4.5.3).
fn zip64(bytes: u64, compressed_bytes: u64) -> Vec<u8> {
    let body = [bytes.to_le_bytes(), compressed_bytes.to_le_bytes()].concat();
    extra(1, &body)
}
