//! A corpus of hostile archives: each refused for its own reason, nothing left behind.

use std::fs;
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::test_zip::{
    TestEntry, deflated, directory, extra, stored, with_mode, zip, zip_with, zip64_records,
};
use super::{ArchiveError, ArchiveLimits, Plan, extract, inspect};

fn inspect_bytes(archive: &[u8]) -> Result<Plan, ArchiveError> {
    inspect(Cursor::new(archive), &ArchiveLimits::default())
}

/// Inspects and extracts; when that fails, checks that nothing came of it.
fn try_extract(archive: &[u8], limits: &ArchiveLimits) -> Result<(), ArchiveError> {
    let outer = tempfile::tempdir().expect("tempdir");
    let into = outer.path().join("inside");
    let outcome = inspect(Cursor::new(archive), limits)
        .and_then(|plan| extract(Cursor::new(archive), &plan, &into));
    if outcome.is_err() {
        let left = fs::read_dir(outer.path()).expect("list").count();
        assert_eq!(left, 0, "something was left behind");
    }
    outcome
}

#[track_caller]
fn assert_refused(archive: &[u8], code: &str) {
    let error = try_extract(archive, &ArchiveLimits::default()).expect_err(code);
    assert_eq!(error.code(), code, "{error}");
    assert!(error.is_refusal());
}

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path)
        .expect("stat")
        .permissions()
        .mode()
        & 0o7777
}

#[test]
fn an_honest_archive_is_extracted_with_its_contents_and_plain_permissions() {
    let text = b"text ".repeat(1000);
    let archive = zip(&[
        with_mode(0o100_755, stored("handler", b"binary")),
        directory("lib/"),
        deflated("lib/text", &text),
        with_mode(0o106_777, stored("lib/deep/setuid", b"s")),
        with_mode(0, stored("script", b"#!/bin/sh\n")),
        with_mode(0o100_600, stored("private", b"p")),
        directory("empty/"),
    ]);
    let outer = tempfile::tempdir().expect("tempdir");
    let into = outer.path().join("inside");
    let plan = inspect_bytes(&archive).expect("acceptable");
    assert_eq!(plan.total_bytes(), 6 + 5000 + 1 + 10 + 1);
    assert!(plan.contains_file("lib/text") && !plan.contains_file("lib"));
    extract(Cursor::new(&archive), &plan, &into).expect("extracted");
    assert_eq!(fs::read(into.join("lib/text")).expect("read"), text);
    for (path, mode) in [
        ("", 0o755),
        ("handler", 0o755),
        ("lib", 0o755),
        ("lib/text", 0o644),
        ("lib/deep", 0o755),
        ("lib/deep/setuid", 0o755),
        ("script", 0o755),
        ("private", 0o644),
        ("empty", 0o755),
    ] {
        assert_eq!(mode_of(&into.join(path)), mode, "{path}");
    }
}

#[test]
fn names_that_reach_outside_are_refused() {
    for (name, code) in [
        (&b"../escape"[..], "archive_name_parent"),
        (b"a/../../escape", "archive_name_parent"),
        (b"/tmp/escape", "archive_name_absolute"),
        (b"..\\escape", "archive_name_backslash"),
        (b"C:/escape", "archive_name_drive"),
        (b"a\0b", "archive_name_control"),
        (b"caf\xe9", "archive_name_not_utf8"),
        (b"a//b", "archive_name_part"),
        (b"", "archive_name_part"),
    ] {
        assert_refused(&zip(&[stored("good", b"x"), stored(name, b"x")]), code);
    }
    let deep = "d/".repeat(200) + "f";
    assert_refused(&zip(&[stored(deep, b"x")]), "archive_too_deep");
    let long = "n".repeat(256);
    assert_refused(&zip(&[stored(long, b"x")]), "archive_name_too_long");
}

#[test]
fn what_is_neither_file_nor_directory_is_refused() {
    for (mode, code) in [
        (0o120_777, "archive_symlink"),
        (0o020_644, "archive_special_file"),
        (0o060_644, "archive_special_file"),
        (0o010_644, "archive_special_file"),
        (0o140_644, "archive_special_file"),
        (0o040_755, "archive_kind_mismatch"),
    ] {
        let entry = with_mode(mode, stored("entry", b"/etc/passwd"));
        assert_refused(&zip(&[entry]), code);
    }
    let entry = with_mode(0o120_777, stored("entry/", b""));
    assert_refused(&zip(&[entry]), "archive_symlink");
    let entry = with_mode(0o100_644, stored("entry/", b""));
    assert_refused(&zip(&[entry]), "archive_kind_mismatch");
}

#[test]
fn a_symlink_and_a_file_through_it_are_refused() {
    let archive = zip(&[
        with_mode(0o120_777, stored("link", b"/tmp")),
        stored("link/escape", b"x"),
    ]);
    assert_refused(&archive, "archive_symlink");
}

#[test]
fn names_that_conflict_are_refused() {
    for (names, code) in [
        (["a", "a"], "archive_duplicate"),
        (["a", "A"], "archive_case_collision"),
        (["a", "a/b"], "archive_file_is_directory"),
        (["a/b", "a"], "archive_file_is_directory"),
    ] {
        assert_refused(&zip(&names.map(|name| stored(name, b"x"))), code);
    }
}

#[test]
fn sizes_that_lie_are_refused_both_ways() {
    let data = vec![b'x'; 100_000];
    for declared in [99_999, 100_001, 1, 0, 120_000] {
        let entry = TestEntry {
            bytes: declared,
            ..deflated("file", &data)
        };
        assert_refused(&zip(&[entry]), "archive_size_mismatch");
        let entry = TestEntry {
            bytes: declared,
            ..stored("file", &data)
        };
        assert_refused(&zip(&[entry]), "archive_size_mismatch");
    }
    let entry = TestEntry {
        compressed_bytes: 50,
        ..stored("file", &data)
    };
    assert_refused(&zip(&[entry]), "archive_size_mismatch");
    let entry = TestEntry {
        local_sizes: Some((1, 1)),
        ..stored("file", &data)
    };
    assert_refused(&zip(&[entry]), "archive_header_mismatch");
    let directory_with_data = TestEntry {
        mode: 0o040_755,
        ..stored("directory/", b"data")
    };
    assert_refused(&zip(&[directory_with_data]), "archive_size_mismatch");
}

#[test]
fn a_wrong_checksum_is_refused() {
    for entry in [stored("file", b"data"), deflated("file", b"data")] {
        let entry = TestEntry {
            crc: entry.crc ^ 1,
            ..entry
        };
        assert_refused(&zip(&[stored("good", b"x"), entry]), "archive_checksum");
    }
}

#[test]
fn damaged_compressed_data_is_refused() {
    let mut entry = deflated("file", &b"some text to squeeze ".repeat(100));
    // Block type 3 does not exist (RFC 1951, 3.2.3).
    entry.payload[0] = 0xff;
    assert_refused(&zip(&[entry]), "archive_corrupt");
    let mut entry = deflated("file", &b"some text to squeeze ".repeat(100));
    entry.payload.truncate(10);
    entry.compressed_bytes = 10;
    assert_refused(&zip(&[entry]), "archive_corrupt");
}

#[test]
fn ratio_and_size_bombs_are_refused_without_inflating() {
    let zeros = vec![0; 4 << 20];
    assert_refused(&zip(&[deflated("zeros", &zeros)]), "archive_ratio");
    let small = vec![0; 1 << 20];
    let many: Vec<_> = (0..4).map(|n| deflated(format!("z{n}"), &small)).collect();
    assert_refused(&zip(&many), "archive_total_ratio");
    let huge = TestEntry {
        bytes: u32::MAX - 1,
        ..deflated("huge", b"x")
    };
    assert_refused(&zip(&[huge]), "archive_entry_too_large");
    let limits = ArchiveLimits {
        max_total_bytes: 10,
        ..ArchiveLimits::default()
    };
    let archive = zip(&[stored("a", b"123456"), stored("b", b"123456")]);
    let error = try_extract(&archive, &limits).expect_err("too much");
    assert_eq!(error.code(), "archive_total_too_large");
    let limits = ArchiveLimits {
        max_archive_bytes: 100,
        ..ArchiveLimits::default()
    };
    let error = try_extract(&archive, &limits).expect_err("too long");
    assert_eq!(error.code(), "archive_too_large");
}

#[test]
fn a_count_bomb_is_refused_before_its_directory_is_read() {
    let many: Vec<_> = (0..10_001).map(|n| stored(format!("f{n}"), b"")).collect();
    assert_refused(&zip(&many), "archive_too_many_entries");
    assert!(inspect_bytes(&zip(&many[..10_000])).is_ok());
}

#[test]
fn entries_that_share_bytes_are_refused() {
    // Two directory entries, one local header: the same name is a duplicate, another is a lie.
    let shared = TestEntry {
        local_start: Some(0),
        is_written: false,
        ..stored("b", b"kernel")
    };
    assert_refused(&zip(&[stored("a", b"kernel"), shared]), "archive_overlap");
    // Fifield's quoted overlap: the data of the first holds the whole of the second.
    let inner = zip(&[stored("b", b"payload")]);
    let inner_entry_bytes = 30 + 1 + 7;
    let outer = TestEntry {
        compressed_bytes: inner_entry_bytes,
        bytes: inner_entry_bytes,
        ..stored("a", &inner[..inner_entry_bytes as usize])
    };
    let quoted = TestEntry {
        local_start: Some(31),
        is_written: false,
        ..stored("b", b"payload")
    };
    assert_refused(&zip(&[outer, quoted]), "archive_overlap");
}

#[test]
fn entries_that_reach_into_the_directory_are_refused() {
    let entry = stored("a", b"data");
    let reaching = TestEntry {
        bytes: 60,
        compressed_bytes: 60,
        ..entry.clone()
    };
    assert_refused(&zip(&[reaching]), "archive_out_of_bounds");
    let absent = TestEntry {
        local_start: Some(1 << 30),
        ..entry.clone()
    };
    assert_refused(
        &zip(&[
            entry,
            stored("b", b"x"),
            TestEntry {
                name: b"c".to_vec(),
                ..absent
            },
        ]),
        "archive_out_of_bounds",
    );
}

#[test]
fn headers_that_disagree_are_refused() {
    let entry = stored("name", b"data");
    let other_name = TestEntry {
        local_name: Some(b"nome".to_vec()),
        ..entry.clone()
    };
    let other_method = TestEntry {
        local_method: Some(8),
        ..entry.clone()
    };
    let mut unicode = vec![1, 0, 0, 0, 0];
    unicode.extend(b"../escape");
    let second_name = TestEntry {
        central_extra: extra(0x7075, &unicode),
        ..entry.clone()
    };
    for lie in [other_name, other_method, second_name] {
        assert_refused(&zip(&[lie]), "archive_header_mismatch");
    }
}

#[test]
fn encrypted_and_unsupported_entries_are_refused() {
    for flags in [1, 1 << 6 | 1, 1 << 13] {
        let entry = TestEntry {
            flags,
            ..stored("secret", b"data")
        };
        assert_refused(&zip(&[entry]), "archive_encrypted");
    }
    for method in [1, 9, 12, 14, 93, 99] {
        let entry = TestEntry {
            method,
            ..stored("file", b"data")
        };
        assert_refused(&zip(&[entry]), "archive_method_unsupported");
    }
}

#[test]
fn bytes_around_the_archive_are_refused() {
    let good = zip(&[stored("a", b"data")]);
    let mut trailing = good.clone();
    trailing.extend(b"more");
    assert_refused(&trailing, "archive_trailing_bytes");
    let mut prefixed = b"#!/bin/sh\n".to_vec();
    prefixed.extend(&good);
    assert_refused(&prefixed, "archive_prefixed");
    // A self-extracting archive whose offsets were adjusted to the prefix.
    let shifted = zip(&[TestEntry {
        is_written: true,
        ..stored("a", b"data")
    }]);
    let adjusted = adjust_to_prefix(&shifted, 10);
    assert_refused(&adjusted, "archive_prefixed");
    let padded = zip_with(&[stored("a", b"data")], b"junk", |_| {});
    assert_refused(&padded, "archive_prefixed");
}

fn adjust_to_prefix(archive: &[u8], prefix: u32) -> Vec<u8> {
    let directory = archive
        .windows(4)
        .position(|window| window == b"PK\x01\x02")
        .expect("directory");
    let end = archive.len() - 22;
    let mut out = vec![b'#'; prefix as usize];
    out.extend(archive);
    let shift = |out: &mut Vec<u8>, at: usize| {
        let at = at + prefix as usize;
        let value = u32::from_le_bytes(out[at..at + 4].try_into().expect("four")) + prefix;
        out[at..at + 4].copy_from_slice(&value.to_le_bytes());
    };
    shift(&mut out, directory + 42);
    shift(&mut out, end + 16);
    out
}

#[test]
fn an_archive_cut_off_anywhere_is_refused() {
    let good = zip(&[
        stored("a", b"data"),
        deflated("b", &b"text".repeat(50)),
        directory("c/"),
    ]);
    for length in 0..good.len() {
        let error = try_extract(&good[..length], &ArchiveLimits::default()).expect_err("cut off");
        assert_eq!(error.code(), "archive_not_zip", "at {length}: {error}");
    }
}

#[test]
fn counts_and_offsets_that_lie_are_refused() {
    let entries = [stored("a", b"data"), stored("b", b"data")];
    let lie = |change: fn(&mut super::test_zip::End)| zip_with(&entries, &[], change);
    for (archive, code) in [
        (lie(|end| end.entries_here = 1), "archive_multi_part"),
        (lie(|end| end.disk = 1), "archive_multi_part"),
        (
            lie(|end| (end.entries, end.entries_here) = (1, 1)),
            "archive_directory_invalid",
        ),
        (
            lie(|end| (end.entries, end.entries_here) = (3, 3)),
            "archive_directory_invalid",
        ),
        (
            lie(|end| (end.entries, end.entries_here) = (0, 0)),
            "archive_empty",
        ),
        (
            lie(|end| end.directory_bytes += 1),
            "archive_directory_invalid",
        ),
        (lie(|end| end.directory_bytes -= 1), "archive_prefixed"),
        (
            lie(|end| end.directory_start += 1),
            "archive_directory_invalid",
        ),
    ] {
        assert_refused(&archive, code);
    }
    assert_refused(&zip(&[]), "archive_empty");
}

#[test]
fn zip64_records_are_read_when_they_are_true_and_refused_when_they_lie() {
    let entries = [stored("a", b"data")];
    let plain = zip(&entries);
    let start = plain
        .windows(4)
        .position(|window| window == b"PK\x01\x02")
        .expect("directory") as u64;
    let bytes = plain.len() as u64 - 22 - start;
    let see_zip64 = |end: &mut super::test_zip::End| {
        end.directory_start = u32::MAX;
        end.entries = u16::MAX;
        end.entries_here = u16::MAX;
    };
    let truth = zip64_records(1, start, bytes);
    try_extract(
        &zip_with(&entries, &truth, see_zip64),
        &ArchiveLimits::default(),
    )
    .expect("true zip64 records");
    try_extract(
        &zip_with(&entries, &truth, |_| {}),
        &ArchiveLimits::default(),
    )
    .expect("true zip64 records that nothing refers to");
    assert_refused(&zip_with(&entries, &[], see_zip64), "archive_zip64_invalid");
    for (count, start, bytes, code) in [
        (1 << 40, start, bytes, "archive_too_many_entries"),
        (2, start, bytes, "archive_directory_invalid"),
        (1, start + 1, bytes, "archive_zip64_invalid"),
        (1, u64::MAX - 1, 1, "archive_zip64_invalid"),
    ] {
        let lie = zip64_records(count, start, bytes);
        assert_refused(&zip_with(&entries, &lie, see_zip64), code);
    }
    let disagree = zip_with(&entries, &truth, |end| {
        end.directory_start = u32::MAX;
        end.entries = 7;
        end.entries_here = 7;
    });
    assert_refused(&disagree, "archive_zip64_invalid");
}

#[test]
fn zip64_sizes_of_entries_are_read_when_they_are_true_and_refused_when_they_lie() {
    let sized = |bytes: u64, compressed: u64| {
        let mut body = bytes.to_le_bytes().to_vec();
        body.extend(compressed.to_le_bytes());
        TestEntry {
            bytes: u32::MAX,
            compressed_bytes: u32::MAX,
            central_extra: extra(1, &body),
            local_extra: extra(1, &body),
            ..stored("a", b"data")
        }
    };
    try_extract(&zip(&[sized(4, 4)]), &ArchiveLimits::default()).expect("true sizes");
    assert_refused(&zip(&[sized(5, 5)]), "archive_out_of_bounds");
    assert_refused(&zip(&[sized(u64::MAX, 4)]), "archive_entry_too_large");
    assert_refused(&zip(&[sized(3, 3)]), "archive_checksum");
    let missing = TestEntry {
        central_extra: Vec::new(),
        ..sized(4, 4)
    };
    assert_refused(&zip(&[missing]), "archive_zip64_invalid");
}

#[test]
fn an_archive_with_an_end_record_inside_its_comment_is_refused() {
    let first = zip(&[stored("a", b"seen by one program")]);
    let second = zip(&[stored("b", b"seen by another")]);
    let mut both = first;
    let length = u16::try_from(second.len()).expect("short");
    let at = both.len() - 2;
    both[at..].copy_from_slice(&length.to_le_bytes());
    both.extend(&second);
    assert_refused(&both, "archive_prefixed");
}

#[test]
fn what_is_no_zip_at_all_is_refused() {
    for bytes in [&b""[..], b"PK", b"\x1f\x8b\x08 a tarball", &[0; 100_000]] {
        assert_refused(bytes, "archive_not_zip");
    }
}

#[test]
fn another_archive_than_the_inspected_one_is_not_extracted() {
    let plan = inspect_bytes(&zip(&[stored("a", b"data")])).expect("plan");
    let outer = tempfile::tempdir().expect("tempdir");
    let other = zip(&[stored("a", b"atad")]);
    let error = extract(Cursor::new(other), &plan, &outer.path().join("x")).expect_err("changed");
    assert_eq!(error.code(), "archive_changed");
}

#[test]
fn a_directory_that_exists_is_not_extracted_into() {
    let archive = zip(&[stored("a", b"data")]);
    let plan = inspect_bytes(&archive).expect("plan");
    let outer = tempfile::tempdir().expect("tempdir");
    fs::create_dir(outer.path().join("x")).expect("mkdir");
    let error = extract(Cursor::new(archive), &plan, &outer.path().join("x")).expect_err("exists");
    assert_eq!(error.code(), "archive_write_failed");
    assert!(!error.is_refusal());
    assert_eq!(
        fs::read_dir(outer.path().join("x")).expect("list").count(),
        0
    );
}
