//! Properties of archives.

use std::io::{Read, Seek, SeekFrom, Write};
use std::time::Duration;

use flux::base::clock::{Clock, Timestamp};
use flux::model::ids::Digest;
use flux::store::{Store, StoreError};

use super::bench::{Bench, archive, at, config, function};

/// SHA-256 of "code".
const CODE: &str = "5694d08a2e53ffcae0c3103e5ad6f6076abd960eb1f8a56577040bc1028f702b";

pub fn an_archive_reads_back_under_its_digest(bench: &dyn Bench) {
    let store = bench.open();
    let mut upload = store.archive_scratch().expect("scratch");
    upload.write_all(b"co").expect("write");
    upload.write_all(b"de").expect("write");
    assert_eq!(upload.size_bytes(), 4);
    let mut before = String::new();
    let mut reader = upload.reader().expect("reader");
    reader.read_to_string(&mut before).expect("read");
    assert_eq!(before, "code", "readable before it is stored");
    let digest = Digest::new(CODE).expect("digest");
    let stored = store.put_archive(upload, Some(&digest)).expect("put");
    assert_eq!((stored.digest.as_str(), stored.size_bytes), (CODE, 4));
    drop(store);
    let store = bench.open();
    let mut reader = store.open_archive(&digest).expect("open").expect("there");
    assert_eq!(reader.len(), 4);
    reader.seek(SeekFrom::Start(2)).expect("seek");
    let mut rest = String::new();
    reader.read_to_string(&mut rest).expect("read");
    assert_eq!(rest, "de");
}

pub fn an_archive_that_is_not_the_announced_one_is_refused(bench: &dyn Bench) {
    let store = bench.open();
    let announced = Digest::from_sha256([1; 32]);
    let mut upload = store.archive_scratch().expect("scratch");
    upload.write_all(b"code").expect("write");
    let error = store
        .put_archive(upload, Some(&announced))
        .expect_err("another one");
    assert!(
        matches!(&error, StoreError::ArchiveMismatch { found, .. } if found.as_str() == CODE),
        "{error:?}"
    );
    for digest in [announced, Digest::new(CODE).expect("digest")] {
        assert!(!has(&*store, &digest));
    }
}

pub fn an_unknown_archive_is_absent_and_no_error(bench: &dyn Bench) {
    assert!(!has(&*bench.open(), &Digest::from_sha256([1; 32])));
}

pub fn a_dropped_upload_leaves_nothing(bench: &dyn Bench) {
    let store = bench.open();
    let mut upload = store.archive_scratch().expect("scratch");
    upload.write_all(b"code").expect("write");
    drop(upload);
    assert_eq!(store.collect_archives(in_an_hour()).expect("collect"), 0);
}

pub fn only_old_archives_without_a_version_are_collected(bench: &dyn Bench) {
    let store = bench.open();
    store.put_function(&config("f"), at(0)).expect("put");
    let used = archive(&*store, "used");
    let unused = archive(&*store, "unused");
    store
        .add_version(&function("f"), &used, at(1))
        .expect("add");
    let an_hour_ago = Clock::system().now().before(Duration::from_secs(3600));
    assert_eq!(store.collect_archives(an_hour_ago).expect("collect"), 0);
    assert!(has(&*store, &unused.digest), "too young");
    assert_eq!(store.collect_archives(in_an_hour()).expect("collect"), 1);
    assert!(!has(&*store, &unused.digest));
    assert!(has(&*store, &used.digest));
    store.delete_function(&function("f")).expect("delete");
    assert_eq!(store.collect_archives(in_an_hour()).expect("collect"), 1);
    assert!(!has(&*store, &used.digest));
}

pub fn storing_an_archive_again_makes_it_young(bench: &dyn Bench) {
    let store = bench.open();
    archive(&*store, "code");
    let before_second = wait_for_a_later_moment();
    let again = archive(&*store, "code");
    assert_eq!(store.collect_archives(before_second).expect("collect"), 0);
    assert!(has(&*store, &again.digest));
}

pub fn an_archive_that_is_being_read_can_be_collected(bench: &dyn Bench) {
    let store = bench.open();
    let stored = archive(&*store, "code");
    let mut reader = store
        .open_archive(&stored.digest)
        .expect("open")
        .expect("there");
    assert_eq!(store.collect_archives(in_an_hour()).expect("collect"), 1);
    let mut content = String::new();
    reader.read_to_string(&mut content).expect("read");
    assert_eq!(content, "code");
}

fn has(store: &dyn Store, digest: &Digest) -> bool {
    store.open_archive(digest).expect("open").is_some()
}

fn in_an_hour() -> Timestamp {
    Clock::system().now().after(Duration::from_secs(3600))
}

/// A moment after everything before this call and not after everything behind it, to the
/// millisecond and beyond the granularity of file times.
fn wait_for_a_later_moment() -> Timestamp {
    let called = Clock::system().now();
    let reached = |by| Clock::system().now() >= called.after(Duration::from_millis(by));
    while !reached(20) {
        std::thread::yield_now();
    }
    let moment = Clock::system().now();
    while !reached(40) {
        std::thread::yield_now();
    }
    moment
}
