//! Archives that are small and become large: in bytes, in files, in directories, in memory.

use super::corpus::{HostileArchive, attack, handler, with};
use super::zip_bytes::{TestEntry, deflated, extra, stored, zip};

pub const ATTACKS: &[HostileArchive] = &[
    attack("one file of zeros", "archive_ratio", || {
        with(deflated("zeros", &vec![0; 4 << 20]))
    }),
    attack("many small files of zeros", "archive_total_ratio", || {
        let small = deflated("zeros", &vec![0; 1 << 20]);
        let named = |n| TestEntry {
            name: format!("zeros {n}").into_bytes(),
            ..small.clone()
        };
        let mut entries = vec![handler()];
        entries.extend((0..4).map(named));
        zip(&entries)
    }),
    attack(
        "one file of four gigabytes",
        "archive_entry_too_large",
        || {
            with(TestEntry {
                bytes: u32::MAX - 1,
                ..deflated("huge", b"x")
            })
        },
    ),
    attack(
        "files of two gigabytes together",
        "archive_total_too_large",
        || {
            // Just under the limit of a file and its ratio, so that the sum has to be looked at.
            let large = |name| TestEntry {
                bytes: 1 << 30,
                compressed_bytes: 6 << 20,
                method: 8,
                ..stored(name, b"")
            };
            zip(&[handler(), large("one"), large("two")])
        },
    ),
    attack(
        "sizes whose sum overflows",
        "archive_entry_too_large",
        || {
            let all = [u64::MAX.to_le_bytes(), 0u64.to_le_bytes()].concat();
            let endless = |name| TestEntry {
                bytes: u32::MAX,
                central_extra: extra(1, &all),
                local_extra: extra(1, &all),
                ..stored(name, b"")
            };
            zip(&[handler(), endless("one"), endless("two")])
        },
    ),
    attack(
        "more entries than files may be",
        "archive_too_many_entries",
        || {
            let many: Vec<_> = (0..10_001).map(|n| stored(format!("f{n}"), b"")).collect();
            zip(&many)
        },
    ),
    attack(
        "directories that no entry names",
        "archive_too_many_entries",
        || {
            let mut entries = vec![handler()];
            let deep = |n| stored(format!("{n}/{}f", "d/".repeat(30)), b"");
            entries.extend((0..330).map(deep));
            zip(&entries)
        },
    ),
    attack(
        "a directory of twenty megabytes",
        "archive_directory_invalid",
        || {
            let padded = |n| TestEntry {
                central_extra: extra(0xcafe, &vec![0; 65_000]),
                ..stored(format!("f{n}"), b"")
            };
            let mut entries = vec![handler()];
            entries.extend((0..330).map(padded));
            zip(&entries)
        },
    ),
    attack("one block for two names", "archive_overlap", || {
        zip(&[
            handler(),
            TestEntry {
                local_start: Some(0),
                is_written: false,
                ..stored("kernel", b"x")
            },
        ])
    }),
    attack("one block for a thousand names", "archive_overlap", || {
        let shared = |n| TestEntry {
            local_start: Some(0),
            is_written: false,
            ..stored(format!("k{n}"), b"x")
        };
        let mut entries = vec![handler()];
        entries.extend((0..1000).map(shared));
        zip(&entries)
    }),
    attack("quoted overlap", "archive_overlap", || {
        // D. Fifield, "A better zip bomb", WOOT 2019: the data of one entry holds the whole next.
        let inner = zip(&[stored("inner", b"payload")]);
        let whole = &inner[..30 + 5 + 7];
        let outer = stored("outer", whole);
        let quoted = TestEntry {
            local_start: Some(30 + 5),
            is_written: false,
            ..stored("inner", b"payload")
        };
        zip(&[outer, quoted])
    }),
    attack(
        "its own directory as a file",
        "archive_out_of_bounds",
        || {
            // The way of zip quines: an entry whose data is the archive around it.
            with(TestEntry {
                bytes: 200,
                compressed_bytes: 200,
                ..stored("self.zip", b"")
            })
        },
    ),
];
