//! Entries that are neither files nor directories, or that are marked as both.

use super::corpus::{HostileArchive, attack, handler, with};
use super::zip_bytes::{TestEntry, extra, stored, with_mode, zip};

pub const ATTACKS: &[HostileArchive] = &[
    attack("symlink", "archive_symlink", || {
        marked(0o120_777, "link", b"/etc/passwd")
    }),
    attack("symlink named as a directory", "archive_symlink", || {
        marked(0o120_777, "link/", b"")
    }),
    attack("symlink and a file through it", "archive_symlink", || {
        zip(&[
            handler(),
            with_mode(0o120_777, stored("link", b"/tmp")),
            stored("link/escape", b"x"),
        ])
    }),
    attack(
        "symlink in the place of the handler",
        "archive_symlink",
        || zip(&[with_mode(0o120_777, stored("run", b"/bin/sh"))]),
    ),
    attack("symlink in an extra field", "archive_symlink", || {
        with(TestEntry {
            central_extra: asi_unix(0o120_777, b""),
            ..stored("link", b"/etc/passwd")
        })
    }),
    attack("symlink in a local extra field", "archive_symlink", || {
        with(TestEntry {
            local_extra: asi_unix(0o120_777, b"/etc/passwd"),
            ..stored("link", b"")
        })
    }),
    attack("hard link to the system", "archive_link_target", || {
        with(TestEntry {
            central_extra: pkware_unix(b"/etc/passwd"),
            ..stored("link", b"")
        })
    }),
    attack(
        "hard link in the local header",
        "archive_link_target",
        || {
            with(TestEntry {
                local_extra: pkware_unix(b"../../other/1-000000000000/run"),
                ..stored("link", b"")
            })
        },
    ),
    attack(
        "link target beside a plain mode",
        "archive_link_target",
        || {
            with(TestEntry {
                central_extra: asi_unix(0o100_644, b"/etc/passwd"),
                ..stored("link", b"")
            })
        },
    ),
    attack(
        "device number in an extra field",
        "archive_link_target",
        || {
            with(TestEntry {
                central_extra: pkware_unix(&[8, 0, 0, 0, 0, 0, 0, 0]),
                ..stored("sda", b"")
            })
        },
    ),
    attack("character device", "archive_special_file", || {
        marked(0o020_666, "null", b"")
    }),
    attack("block device", "archive_special_file", || {
        marked(0o060_666, "sda", b"")
    }),
    attack(
        "block device in an extra field",
        "archive_special_file",
        || {
            with(TestEntry {
                central_extra: asi_unix(0o060_666, b""),
                ..stored("sda", b"")
            })
        },
    ),
    attack("named pipe", "archive_special_file", || {
        marked(0o010_666, "pipe", b"")
    }),
    attack("socket", "archive_special_file", || {
        marked(0o140_666, "socket", b"")
    }),
    attack("unknown kind", "archive_special_file", || {
        marked(0o070_644, "unknown", b"")
    }),
    attack("every kind at once", "archive_special_file", || {
        marked(0o170_777, "all", b"")
    }),
    attack("directory without a slash", "archive_kind_mismatch", || {
        marked(0o040_755, "entry", b"x")
    }),
    attack("file with a slash", "archive_kind_mismatch", || {
        marked(0o100_644, "entry/", b"")
    }),
    attack("directory with contents", "archive_size_mismatch", || {
        with(TestEntry {
            mode: 0o040_755,
            ..stored("directory/", b"x")
        })
    }),
];

fn marked(mode: u32, name: &str, data: &[u8]) -> Vec<u8> {
    with(with_mode(mode, stored(name, data)))
}

/// PKWARE's Unix field (4.5.7): two times, user, group, and then a link's target or a device.
fn pkware_unix(variable: &[u8]) -> Vec<u8> {
    extra(0x000d, &[&[0; 12], variable].concat())
}

/// ASi's Unix field (4.6.8): checksum, mode, size or device, user, group, a link's target.
fn asi_unix(mode: u16, target: &[u8]) -> Vec<u8> {
    extra(
        0x756e,
        &[&[0; 4], &mode.to_le_bytes()[..], &[0; 8], target].concat(),
    )
}
