//! Names that reach outside, that two systems or programs read in two ways, or that meet another.

use super::corpus::{HostileArchive, all_named, attack, handler, named, with};
use super::zip_bytes::{TestEntry, directory, extra, stored, zip};

pub const ATTACKS: &[HostileArchive] = &[
    attack("parent", "archive_name_parent", || named("../escape")),
    attack("parent of a parent", "archive_name_parent", || {
        named("../../../../../../../../etc/cron.d/escape")
    }),
    attack("parent within", "archive_name_parent", || {
        named("a/../../escape")
    }),
    attack("parent that stays inside", "archive_name_parent", || {
        named("a/../inside")
    }),
    attack("parent alone", "archive_name_parent", || named("..")),
    attack("parent as a directory", "archive_name_parent", || {
        with(directory("../"))
    }),
    attack("parent after a dot", "archive_name_part", || {
        named("./../escape")
    }),
    attack("absolute", "archive_name_absolute", || {
        named("/etc/cron.d/escape")
    }),
    attack("absolute with two slashes", "archive_name_absolute", || {
        named("//host/share/escape")
    }),
    attack("root", "archive_name_absolute", || with(directory("/"))),
    attack("drive letter", "archive_name_drive", || named("C:/escape")),
    attack("drive letter, relative", "archive_name_drive", || {
        named("c:escape")
    }),
    attack("backslash parent", "archive_name_backslash", || {
        named("..\\escape")
    }),
    attack("backslash within", "archive_name_backslash", || {
        named("a\\..\\..\\escape")
    }),
    attack("host share", "archive_name_backslash", || {
        named("\\\\host\\share\\escape")
    }),
    attack("NUL", "archive_name_control", || named(b"run\0.txt")),
    attack("newline", "archive_name_control", || named("a\nb")),
    attack("escape sequence", "archive_name_control", || {
        named("\x1b[2Jcleared")
    }),
    attack("C1 control", "archive_name_control", || named("a\u{9b}b")),
    attack("Latin-1", "archive_name_not_utf8", || named(b"caf\xe9")),
    attack("overlong slash", "archive_name_not_utf8", || {
        named(b"..\xc0\xafescape")
    }),
    attack("surrogate", "archive_name_not_utf8", || {
        named(b"\xed\xa0\x80")
    }),
    attack("empty", "archive_name_part", || named("")),
    attack("empty part", "archive_name_part", || named("a//b")),
    attack("dot", "archive_name_part", || named(".")),
    attack("dot part", "archive_name_part", || named("a/./b")),
    attack(
        "dots that Windows takes for none",
        "archive_name_part",
        || named(".. /escape"),
    ),
    attack("spaces alone", "archive_name_part", || named("a/  /b")),
    attack("long part", "archive_name_too_long", || {
        named("n".repeat(256))
    }),
    attack("long path", "archive_name_too_long", || {
        named(vec!["n".repeat(200); 6].join("/"))
    }),
    attack("longest name there is", "archive_name_too_long", || {
        named("n".repeat(65_535))
    }),
    attack("deep", "archive_too_deep", || named("d/".repeat(200) + "f")),
    attack("twice", "archive_duplicate", || all_named(&["a", "a"])),
    attack("the handler twice", "archive_duplicate", || named("run")),
    attack("directory twice", "archive_duplicate", || {
        zip(&[handler(), directory("a/"), directory("a/")])
    }),
    attack("case", "archive_case_collision", || named("RUN")),
    attack("case of a directory", "archive_case_collision", || {
        all_named(&["lib/a", "LIB/b"])
    }),
    attack("case beyond ASCII", "archive_case_collision", || {
        all_named(&["x/ä", "x/Ä"])
    }),
    attack(
        "case that changes the length",
        "archive_case_collision",
        || all_named(&["straße", "STRASSE"]),
    ),
    attack("case of the long s", "archive_case_collision", || {
        all_named(&["set", "ſet"])
    }),
    attack("composed and decomposed", "archive_name_collision", || {
        all_named(&["caf\u{e9}", "cafe\u{301}"])
    }),
    attack("composed directory", "archive_name_collision", || {
        all_named(&["\u{c5}/a", "A\u{30a}/b"])
    }),
    attack("letter and its sign", "archive_name_collision", || {
        all_named(&["\u{212b}", "\u{c5}"])
    }),
    attack("order of marks", "archive_name_collision", || {
        all_named(&["a\u{323}\u{307}", "a\u{307}\u{323}"])
    }),
    attack(
        "decomposed and in capitals",
        "archive_name_collision",
        || all_named(&["caf\u{e9}", "CAFE\u{301}"]),
    ),
    attack("trailing dot", "archive_name_collision", || named("run.")),
    attack("trailing space", "archive_name_collision", || named("run ")),
    attack(
        "trailing dot of a directory",
        "archive_name_collision",
        || all_named(&["lib/a", "lib./b"]),
    ),
    attack("file, then directory", "archive_file_is_directory", || {
        named("run/inner")
    }),
    attack("directory, then file", "archive_file_is_directory", || {
        all_named(&["a/b", "a"])
    }),
    attack(
        "file and directory entry",
        "archive_file_is_directory",
        || zip(&[handler(), stored("a", b"x"), directory("a/")]),
    ),
    attack(
        "another name in the local header",
        "archive_header_mismatch",
        || {
            with(TestEntry {
                local_name: Some(b"../escape".to_vec()),
                ..stored("honest999", b"x")
            })
        },
    ),
    attack(
        "a second name for those who read it",
        "archive_header_mismatch",
        || {
            with(TestEntry {
                central_extra: unicode_path(b"../escape"),
                ..stored("honest", b"x")
            })
        },
    ),
    attack(
        "a second name in the local header",
        "archive_header_mismatch",
        || {
            with(TestEntry {
                local_extra: unicode_path(b"../escape"),
                ..stored("honest", b"x")
            })
        },
    ),
];

/// Info-ZIP's Unicode Path (4.6.9): version, checksum of the plain name, the name.
fn unicode_path(name: &[u8]) -> Vec<u8> {
    extra(0x7075, &[&[1, 0, 0, 0, 0], name].concat())
}
