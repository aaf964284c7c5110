//! A disk that really is full: a small tmpfs in a mount namespace of the test's own.
//!
//! The process of the test cannot enter one alone, because it has threads; it starts itself
//! again under `unshare`. Where the system forbids that, the test is skipped;
//! `base::sqlite` has one for a full database everywhere.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use flux::agent::journal::{Journal, JournalError};
use flux::base::sqlite::SqliteError;
use flux::store::{ArchiveStore, EmbeddedStore, RouteStore, Store, StoreError};

use super::values::{accepted, ended, id, route};
use crate::harness::process;
use crate::runner::{Need, helper, needs, tests};

tests![a_full_disk_is_a_typed_error_loses_nothing_and_passes,];

const MOUNT_POINT: &str = "FLUX_TEST_SMALL_DISK";
const DONE: &str = "the small disk behaved";

fn a_full_disk_is_a_typed_error_loses_nothing_and_passes() {
    needs(&[Need::MountNamespace]);
    let directory = tempfile::tempdir().expect("tempdir");
    // The mount goes with the namespace, whose only process is the helper.
    let script = "mount -t tmpfs -o size=4m tmpfs \"$1\" && shift && exec \"$@\"";
    let mut command = process::command("unshare");
    command
        .args(["--mount", "--map-root-user", "sh", "-c", script, "sh"])
        .arg(directory.path())
        .arg(helper::this_program())
        .args(helper::arguments("durability::full_disk::on_a_small_disk"))
        .env(MOUNT_POINT, directory.path());
    let said = process::succeed(&mut command);
    assert!(said.contains(DONE), "{said}");
}

/// The program of the test above.
pub fn on_a_small_disk() {
    let disk = PathBuf::from(std::env::var_os(MOUNT_POINT).expect("a disk"));
    the_journal_survives(&disk.join("agent"), &disk);
    the_store_survives(&disk.join("flux"), &disk);
    println!("{DONE}");
}

fn the_journal_survives(state_dir: &Path, disk: &Path) {
    let journal = Journal::open(state_dir).expect("open");
    journal.accept(&accepted("before")).expect("accept");
    let ballast = fill(disk);
    let (acknowledged, error) =
        until_refused(|number| journal.accept(&accepted(&format!("e{number}"))));
    assert!(
        matches!(error, JournalError::Storage(SqliteError::Full { .. })),
        "{error:?}"
    );
    let refused = format!("e{acknowledged}");
    assert_eq!(journal.get(&id(&refused)).expect("reads go on"), None);
    journal
        .finish(&ended("before"), true)
        .expect_err("still full");
    assert!(journal.check().is_err(), "and says so");
    fs::remove_file(ballast).expect("make room");
    journal.check().expect("room again");
    journal.accept(&accepted(&refused)).expect("accept");
    drop(journal);
    let journal = Journal::open(state_dir).expect("reopen");
    for number in 0..=acknowledged {
        let name = format!("e{number}");
        assert!(journal.get(&id(&name)).expect("get").is_some(), "{name}");
    }
    journal
        .finish(&ended("before"), true)
        .expect("still running, as acknowledged");
}

fn the_store_survives(state_dir: &Path, disk: &Path) {
    let store = EmbeddedStore::open(state_dir).expect("open");
    let mut upload = store.archive_scratch().expect("scratch");
    let ballast = fill(disk);
    let (acknowledged, error) =
        until_refused(|number| store.put_route(&route(&format!("e{number}"))));
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    upload
        .write_all(&[0; 1 << 20])
        .expect_err("no room for an archive");
    drop(upload);
    store.put_route_lazily(&route("lazy"));
    assert!(store.flush().is_err(), "the lazy write is known to be lost");
    fs::remove_file(ballast).expect("make room");
    store.put_route(&route("after")).expect("put");
    drop(store);
    let store = EmbeddedStore::open(state_dir).expect("reopen");
    for number in 0..acknowledged {
        let name = format!("e{number}");
        assert!(
            store.get_route(&id(&name)).expect("get").is_some(),
            "{name}"
        );
    }
    assert!(store.get_route(&id("after")).expect("get").is_some());
}

/// Fills what is left of the disk to the last page.
fn fill(disk: &Path) -> PathBuf {
    let path = disk.join("ballast");
    let mut file = File::create(&path).expect("create");
    while file.write_all(&[0; 4096]).is_ok() {}
    path
}

/// Calls with 0, 1, 2 and so on; how many calls succeeded, and the first error. A few succeed
/// where the database holds pages in reserve.
fn until_refused<E>(mut call: impl FnMut(usize) -> Result<(), E>) -> (usize, E) {
    for number in 0..100_000 {
        if let Err(error) = call(number) {
            return (number, error);
        }
    }
    panic!("the disk never fills");
}
