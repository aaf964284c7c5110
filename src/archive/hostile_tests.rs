//! The corpus of hostile archives against the code itself: each refused for its own reason,
//! nothing left behind. And what is accepted although it looks odd.

use std::collections::BTreeSet;
use std::fs;
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::hostile_archives::zip_bytes::{deflated, directory, stored, with_mode, zip};
use super::hostile_archives::{corpus, sound};
use super::{ArchiveError, ArchiveLimits, Plan, extract, inspect, verify};

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
fn refusal(archive: &[u8], limits: &ArchiveLimits) -> &'static str {
    try_extract(archive, limits).expect_err("refused").code()
}

fn mode_of(path: &Path) -> u32 {
    let metadata = fs::symlink_metadata(path);
    metadata.expect("stat").permissions().mode() & 0o7777
}

#[test]
fn every_attack_is_refused_for_its_own_reason_and_leaves_nothing() {
    let mut wrong = Vec::new();
    for attack in corpus() {
        let bytes = (attack.build)();
        match try_extract(&bytes, &ArchiveLimits::default()) {
            Err(error) if error.code() == attack.code && error.is_refusal() => {}
            Err(error) => wrong.push(format!("{}: {}: {error}", attack.name, error.code())),
            Ok(()) => wrong.push(format!("{}: accepted", attack.name)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_attack_is_refused_too_where_nothing_is_written() {
    for attack in corpus() {
        let bytes = (attack.build)();
        let error = inspect_bytes(&bytes)
            .and_then(|plan| verify(Cursor::new(&bytes), &plan))
            .expect_err(attack.name);
        assert_eq!(error.code(), attack.code, "{}: {error}", attack.name);
    }
}

#[test]
fn attacks_have_names_of_their_own_and_cover_every_reason_an_archive_can_be_refused_for() {
    let names: BTreeSet<_> = corpus().map(|attack| attack.name).collect();
    assert_eq!(names.len(), corpus().count(), "a name stands twice");
    let covered: BTreeSet<_> = corpus().map(|attack| attack.code).collect();
    // Every code of a refusal, as the source has them.
    let all: BTreeSet<_> = include_str!("error.rs")
        .split('"')
        .filter(|text| text.starts_with("archive_") && !text.contains(' '))
        .filter(|code| {
            // Of this machine's disk, or of limits that no corpus can reach in little memory.
            !matches!(
                *code,
                "archive_changed"
                    | "archive_read_failed"
                    | "archive_write_failed"
                    | "archive_too_large"
            )
        })
        .collect();
    assert!(all.len() > 35, "the codes are not where they were");
    assert_eq!(covered, all);
}

#[test]
fn odd_archives_become_plain_files_of_this_moment() {
    let began = SystemTime::now() - Duration::from_secs(2);
    for archive in sound() {
        let bytes = (archive.build)();
        let outer = tempfile::tempdir().expect("tempdir");
        let into = outer.path().join("inside");
        let plan = inspect_bytes(&bytes).expect(archive.name);
        verify(Cursor::new(&bytes), &plan).expect(archive.name);
        extract(Cursor::new(&bytes), &plan, &into).expect(archive.name);
        let (path, mode) = archive.becomes;
        assert_eq!(mode_of(&into.join(path)), mode, "{}", archive.name);
        let metadata = fs::symlink_metadata(into.join(path)).expect("stat");
        assert!(metadata.is_file() || metadata.is_dir(), "{}", archive.name);
        assert!(
            metadata.modified().expect("time") > began,
            "{}",
            archive.name
        );
        assert_eq!(mode_of(&into.join("run")), 0o755, "{}", archive.name);
    }
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
fn each_limit_is_kept_to_the_byte() {
    let archive = zip(&[stored("a", b"123456"), stored("b", b"123456")]);
    let length = archive.len() as u64;
    let plain = ArchiveLimits::default();
    for (limits, code) in [
        (
            ArchiveLimits {
                max_total_bytes: 11,
                ..plain
            },
            "archive_total_too_large",
        ),
        (
            ArchiveLimits {
                max_entry_bytes: 5,
                ..plain
            },
            "archive_entry_too_large",
        ),
        (
            ArchiveLimits {
                max_archive_bytes: length - 1,
                ..plain
            },
            "archive_too_large",
        ),
        (
            ArchiveLimits {
                max_entries: 1,
                ..plain
            },
            "archive_too_many_entries",
        ),
    ] {
        assert_eq!(refusal(&archive, &limits), code);
    }
    let exact = ArchiveLimits {
        max_total_bytes: 12,
        max_entry_bytes: 6,
        max_archive_bytes: length,
        max_entries: 2,
        ..plain
    };
    try_extract(&archive, &exact).expect("just within");
    let implied = zip(&[stored("a/b", b"1"), stored("a/c", b"2")]);
    assert_eq!(refusal(&implied, &exact), "archive_too_many_entries");
}

#[test]
fn a_count_at_the_limit_is_not_yet_a_bomb() {
    let many: Vec<_> = (0..10_000).map(|n| stored(format!("f{n}"), b"")).collect();
    assert!(inspect_bytes(&zip(&many)).is_ok());
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
    for start in 1..good.len() {
        let error = try_extract(&good[start..], &ArchiveLimits::default()).expect_err("cut off");
        assert!(error.is_refusal(), "from {start}: {error}");
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
fn a_directory_or_link_that_exists_is_not_extracted_into() {
    let archive = zip(&[stored("a", b"data")]);
    let plan = inspect_bytes(&archive).expect("plan");
    let outer = tempfile::tempdir().expect("tempdir");
    let (taken, link) = (outer.path().join("taken"), outer.path().join("link"));
    fs::create_dir(&taken).expect("mkdir");
    std::os::unix::fs::symlink(&taken, &link).expect("link");
    for place in [&taken, &link] {
        let error = extract(Cursor::new(&archive), &plan, place).expect_err("exists");
        assert_eq!(error.code(), "archive_write_failed");
        assert!(!error.is_refusal());
    }
    assert_eq!(fs::read_dir(&taken).expect("list").count(), 0);
    assert!(link.is_symlink());
}
