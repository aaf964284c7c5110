//! Installing, holding, pruning and removing releases.

use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use openssl::sha::sha256;
use tempfile::TempDir;

use super::{Release, ReleaseError, Releases, releases::KEPT_RELEASES};
use crate::archive::ArchiveLimits;
use crate::base::threads::Supervisor;
use crate::model::function::Code;
use crate::model::ids::{Digest, FunctionName};

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
        writer.start_file(*name, options).expect("start");
        writer.write_all(text.as_bytes()).expect("write");
    }
    writer.finish().expect("finish").into_inner()
}

fn digest_of(archive: &[u8]) -> Digest {
    Digest::from_sha256(sha256(archive))
}

fn code(version: u64, archive: &[u8]) -> Code {
    Code {
        version,
        digest: digest_of(archive),
    }
}

fn resize() -> FunctionName {
    FunctionName::new("resize").expect("name")
}

fn open(apps: &TempDir) -> Releases {
    Releases::open(apps.path(), ArchiveLimits::default()).expect("open")
}

fn install(releases: &Releases, version: u64) -> Arc<Release> {
    let bytes = archive(&[("handler", &format!("version {version}")), ("lib/x", "x")]);
    releases
        .install(&resize(), &code(version, &bytes), &mut Cursor::new(bytes))
        .expect("install")
}

/// Not `fs::write`, which the daemons must not use and clippy refuses.
fn write_file(path: &Path) {
    fs::File::create(path)
        .and_then(|mut file| file.write_all(b"x"))
        .expect("write");
}

/// What is in `apps_dir/resize`, and that nothing half done is anywhere.
#[track_caller]
fn versions(apps: &TempDir) -> Vec<u64> {
    for private in [".incoming", ".trash"] {
        assert_eq!(entries(&apps.path().join(private)), Vec::<String>::new());
    }
    let mut versions: Vec<u64> = entries(&apps.path().join("resize"))
        .iter()
        .map(|name| {
            name.split_once('-')
                .expect("dash")
                .0
                .parse()
                .expect("number")
        })
        .collect();
    versions.sort_unstable();
    versions
}

fn entries(path: &Path) -> Vec<String> {
    fs::read_dir(path)
        .map(|entries| {
            entries
                .map(|entry| {
                    entry
                        .expect("entry")
                        .file_name()
                        .into_string()
                        .expect("UTF-8")
                })
                .collect()
        })
        .unwrap_or_default()
}

#[test]
fn an_installed_release_is_whole_and_open_to_nobody_yet() {
    let apps = tempfile::tempdir().expect("tempdir");
    let release = install(&open(&apps), 3);
    assert!(release.dir.is_absolute());
    let name = format!("3-{}", &release.code.digest.as_str()[..12]);
    assert!(
        release.dir.ends_with(Path::new("resize").join(name)),
        "{:?}",
        release.dir
    );
    assert_eq!(release.top_level, ["handler", "lib"]);
    let text = fs::read_to_string(release.dir.join("handler")).expect("read");
    assert_eq!(text, "version 3");
    for path in ["", "lib", "handler"] {
        let mode = fs::metadata(release.dir.join(path))
            .expect("stat")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o755, "{path}");
    }
    for (path, mode) in [
        ("", 0o711),
        ("resize", 0o700),
        (".incoming", 0o700),
        (".trash", 0o700),
    ] {
        let found = fs::metadata(apps.path().join(path))
            .expect("stat")
            .permissions()
            .mode();
        assert_eq!(found & 0o777, mode, "{path}");
    }
    assert_eq!(versions(&apps), [3]);
}

/// The access control list of `apps_dir/resize` as numbers: (tag, permissions, id).
fn access_list(apps: &TempDir) -> Vec<(u16, u16, u32)> {
    let mut value = vec![0; 1024];
    let directory = apps.path().join("resize");
    let length =
        match rustix::fs::getxattr(&directory, "system.posix_acl_access", value.as_mut_slice()) {
            Ok(length) => length,
            // As good as its mode alone.
            Err(rustix::io::Errno::NODATA) => return Vec::new(),
            Err(errno) => panic!("{errno}"),
        };
    let entries = value[4..length].chunks(8);
    entries
        .map(|entry| {
            (
                u16::from_le_bytes([entry[0], entry[1]]),
                u16::from_le_bytes([entry[2], entry[3]]),
                u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]),
            )
        })
        .collect()
}

fn readers(apps: &TempDir) -> Vec<u32> {
    let list = access_list(apps).into_iter();
    list.filter(|(tag, permissions, _)| (*tag, *permissions) == (2, 5))
        .map(|(_, _, uid)| uid)
        .collect()
}

fn mode(apps: &TempDir) -> u32 {
    let metadata = fs::metadata(apps.path().join("resize")).expect("stat");
    metadata.permissions().mode() & 0o777
}

#[test]
fn a_release_is_open_to_those_users_that_are_let_in_and_for_as_long() {
    let apps = tempfile::tempdir().expect("tempdir");
    let releases = open(&apps);
    let first = releases
        .grant(&resize(), 70_001)
        .expect("before there is anything");
    install(&releases, 1);
    assert_eq!((readers(&apps), mode(&apps)), (vec![70_001], 0o750));
    let again = releases.grant(&resize(), 70_001).expect("again");
    let other = releases.grant(&resize(), 70_000).expect("another");
    assert_eq!(readers(&apps), [70_000, 70_001]);
    drop(first);
    assert_eq!(readers(&apps), [70_000, 70_001]);
    drop(again);
    assert_eq!(readers(&apps), [70_000]);
    drop(other);
    assert_eq!((readers(&apps), mode(&apps)), (Vec::new(), 0o700));
}

#[test]
fn what_an_earlier_run_had_opened_is_closed_at_the_next_start() {
    let apps = tempfile::tempdir().expect("tempdir");
    let releases = open(&apps);
    let granted = releases.grant(&resize(), 70_000).expect("granted");
    install(&releases, 1);
    // An agent that is killed takes nothing back.
    std::mem::forget(granted);
    drop(open(&apps));
    assert_eq!((readers(&apps), mode(&apps)), (Vec::new(), 0o700));
    let old = fs::Permissions::from_mode(0o755);
    fs::set_permissions(apps.path().join("resize"), old).expect("as an earlier release left it");
    drop(open(&apps));
    assert_eq!(mode(&apps), 0o700);
}

#[test]
fn installing_the_same_again_gives_the_same_release() {
    let apps = tempfile::tempdir().expect("tempdir");
    let releases = open(&apps);
    let first = install(&releases, 1);
    assert!(Arc::ptr_eq(&first, &install(&releases, 1)));
    let dir = first.dir.clone();
    drop(first);
    assert_eq!(install(&releases, 1).dir, dir);
    assert_eq!(versions(&apps), [1]);
}

#[test]
fn an_archive_with_another_digest_is_refused_before_anything_happens() {
    let apps = tempfile::tempdir().expect("tempdir");
    let error = open(&apps)
        .install(
            &resize(),
            &code(1, b"other"),
            &mut Cursor::new(b"no zip at all"),
        )
        .expect_err("refused");
    assert!(matches!(error, ReleaseError::Digest { .. }), "{error}");
    assert_eq!(versions(&apps), [0; 0]);
}

#[test]
fn a_refused_archive_leaves_what_is_installed_and_nothing_else() {
    let apps = tempfile::tempdir().expect("tempdir");
    let releases = open(&apps);
    let running = install(&releases, 1);
    let mut bad = archive(&[("handler", "some text that is long enough")]);
    // In the middle of the data, behind the local header and the name.
    bad[45] ^= 0xff;
    let error = releases
        .install(&resize(), &code(2, &bad), &mut Cursor::new(&bad))
        .expect_err("refused");
    assert!(matches!(error, ReleaseError::Archive(_)), "{error}");
    assert_eq!(versions(&apps), [1]);
    assert!(running.dir.join("handler").exists());
}

#[test]
fn a_switch_never_shows_half_a_release() {
    const VERSIONS: u64 = 20;
    let apps = tempfile::tempdir().expect("tempdir");
    let releases = open(&apps);
    let supervisor = Supervisor::new();
    let directory = apps.path().join("resize");
    let installer = supervisor
        .spawn("installer", move || {
            (1..=VERSIONS).for_each(|version| drop(install(&releases, version)));
        })
        .expect("thread");
    let mut seen = 0;
    while seen < VERSIONS as usize {
        // Taken before looking: whoever died half way has not filled the directory since.
        let is_over = installer.is_finished();
        let names = entries(&directory);
        for name in &names {
            let version = name.split_once('-').expect("dash").0;
            let text = fs::read_to_string(directory.join(name).join("handler")).expect("whole");
            assert_eq!(text, format!("version {version}"));
            assert!(directory.join(name).join("lib/x").exists());
        }
        seen = names.len();
        assert!(seen == VERSIONS as usize || !is_over, "the installer died");
    }
}

#[test]
fn installs_of_the_same_release_at_once_make_one() {
    let apps = tempfile::tempdir().expect("tempdir");
    let releases = open(&apps);
    let supervisor = Supervisor::new();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let releases = releases.clone();
            supervisor
                .spawn("installer", move || drop(install(&releases, 1)))
                .expect("thread")
        })
        .collect();
    drop(threads);
    assert_eq!(supervisor.first_panic(), None);
    assert_eq!(versions(&apps), [1]);
}

#[test]
fn pruning_keeps_the_active_one_and_the_newest_others() {
    let apps = tempfile::tempdir().expect("tempdir");
    let releases = open(&apps);
    (1..=9).for_each(|version| drop(install(&releases, version)));
    // Rolled back to an old one.
    let active = install(&releases, 2);
    releases.prune(&resize(), Some(&active)).expect("prune");
    assert_eq!(versions(&apps), [2, 7, 8, 9]);
    assert_eq!(versions(&apps).len(), KEPT_RELEASES + 1);
}

#[test]
fn a_held_release_outlives_pruning_until_its_last_holder_lets_go() {
    let apps = tempfile::tempdir().expect("tempdir");
    let releases = open(&apps);
    let running = install(&releases, 1);
    let also_running = Arc::clone(&running);
    (2..=5).for_each(|version| drop(install(&releases, version)));
    releases.prune(&resize(), None).expect("prune");
    assert_eq!(versions(&apps), [1, 3, 4, 5]);
    drop(running);
    assert!(also_running.dir.join("handler").exists());
    drop(also_running);
    assert_eq!(versions(&apps), [3, 4, 5]);
}

#[test]
fn a_release_that_is_wanted_again_is_not_removed_by_its_old_holder() {
    let apps = tempfile::tempdir().expect("tempdir");
    let releases = open(&apps);
    let running = install(&releases, 1);
    (2..=5).for_each(|version| drop(install(&releases, version)));
    releases.prune(&resize(), None).expect("prune");
    drop(install(&releases, 1));
    drop(running);
    assert_eq!(versions(&apps), [1, 3, 4, 5]);
}

#[test]
fn a_removed_function_is_gone_once_nothing_runs_it() {
    let apps = tempfile::tempdir().expect("tempdir");
    let releases = open(&apps);
    drop(install(&releases, 1));
    let running = install(&releases, 2);
    releases.remove_function(&resize()).expect("remove");
    assert_eq!(versions(&apps), [2]);
    assert!(running.dir.join("lib/x").exists());
    drop(running);
    assert_eq!(versions(&apps), [0; 0]);
    assert!(!apps.path().join("resize").exists());
    releases.remove_function(&resize()).expect("again");
    assert_eq!(install(&releases, 3).code.version, 3);
}

#[test]
fn a_release_is_found_again_after_a_restart_and_half_done_work_is_cleared() {
    let apps = tempfile::tempdir().expect("tempdir");
    let installed = install(&open(&apps), 7).code.clone();
    for private in [".incoming", ".trash"] {
        fs::create_dir_all(apps.path().join(private).join("left/over")).expect("mkdir");
    }
    let releases = open(&apps);
    assert_eq!(versions(&apps), [7]);
    let found = releases
        .reopen(&resize(), &installed)
        .expect("reopen")
        .expect("there");
    assert_eq!(found.top_level, ["handler", "lib"]);
    assert!(
        releases
            .reopen(
                &resize(),
                &Code {
                    version: 8,
                    ..installed
                }
            )
            .expect("reopen")
            .is_none()
    );
}

#[test]
fn a_link_in_the_place_of_a_release_or_function_is_not_followed() {
    let apps = tempfile::tempdir().expect("tempdir");
    let outside = tempfile::tempdir().expect("tempdir");
    write_file(&outside.path().join("precious"));
    let releases = open(&apps);
    symlink(outside.path(), apps.path().join("resize")).expect("link");
    let bytes = archive(&[("handler", "x")]);
    let first = code(1, &bytes);
    let installed = releases.install(&resize(), &first, &mut Cursor::new(&bytes));
    assert!(matches!(installed, Err(ReleaseError::File(_))));
    fs::remove_file(apps.path().join("resize")).expect("unlink");

    let name = format!("1-{}", &first.digest.as_str()[..12]);
    fs::create_dir(apps.path().join("resize")).expect("mkdir");
    symlink(outside.path(), apps.path().join("resize").join(name)).expect("link");
    assert!(
        releases
            .reopen(&resize(), &first)
            .expect("reopen")
            .is_none()
    );
    releases.remove_function(&resize()).expect("remove");
    assert!(outside.path().join("precious").exists());
}

#[test]
fn releases_behind_a_link_are_neither_found_nor_pruned() {
    let (apps, elsewhere) = (
        tempfile::tempdir().expect("tempdir"),
        tempfile::tempdir().expect("tempdir"),
    );
    let releases = open(&apps);
    let there = install(&open(&elsewhere), 1).code.clone();
    symlink(elsewhere.path().join("resize"), apps.path().join("resize")).expect("link");
    let found = releases.reopen(&resize(), &there).expect("reopen");
    assert!(found.is_none());
    // The link itself is in the way, and is said to be.
    assert!(releases.prune(&resize(), None).is_err());
    assert!(releases.remove_function(&resize()).is_err());
    assert_eq!(versions(&elsewhere), [1]);
}

#[test]
fn a_link_in_the_place_of_a_private_directory_is_refused_and_cleared_at_the_next_start() {
    let apps = tempfile::tempdir().expect("tempdir");
    let outside = tempfile::tempdir().expect("tempdir");
    write_file(&outside.path().join("precious"));
    let releases = open(&apps);
    let bytes = archive(&[("handler", "x")]);
    let kept: Vec<_> = (1..=5).map(|version| install(&releases, version)).collect();
    for private in [".incoming", ".trash"] {
        fs::remove_dir(apps.path().join(private)).expect("rmdir");
        symlink(outside.path(), apps.path().join(private)).expect("link");
    }
    assert!(matches!(releases.receive(), Err(ReleaseError::File(_))));
    let installed = releases.install(&resize(), &code(6, &bytes), &mut Cursor::new(&bytes));
    assert!(matches!(installed, Err(ReleaseError::File(_))));
    drop(kept);
    assert!(releases.prune(&resize(), None).is_err());
    assert_eq!(entries(outside.path()), ["precious"]);
    let releases = open(&apps);
    releases.prune(&resize(), None).expect("prune");
    assert_eq!(versions(&apps), [3, 4, 5]);
    assert_eq!(entries(outside.path()), ["precious"]);
}

#[test]
fn files_and_links_that_pose_as_old_releases_are_removed_and_lead_nowhere() {
    let apps = tempfile::tempdir().expect("tempdir");
    let outside = tempfile::tempdir().expect("tempdir");
    write_file(&outside.path().join("precious"));
    let releases = open(&apps);
    drop(install(&releases, 9));
    let resize_dir = apps.path().join("resize");
    write_file(&resize_dir.join("1-000000000000"));
    symlink(outside.path(), resize_dir.join("2-000000000000")).expect("link");
    fs::hard_link(
        outside.path().join("precious"),
        resize_dir.join("3-000000000000"),
    )
    .expect("hard link");
    releases.remove_function(&resize()).expect("remove");
    assert_eq!(versions(&apps), [0; 0]);
    assert_eq!(entries(outside.path()), ["precious"]);
}

#[test]
fn an_archive_received_in_pieces_is_installed() {
    let apps = tempfile::tempdir().expect("tempdir");
    let releases = open(&apps);
    let bytes = archive(&[("handler", "x")]);
    let mut incoming = releases.receive().expect("receive");
    bytes
        .chunks(7)
        .for_each(|piece| incoming.write(piece).expect("write"));
    let first = code(1, &bytes);
    let mut file = incoming
        .finish(&first.digest, bytes.len() as u64)
        .expect("finish");
    let release = releases
        .install(&resize(), &first, &mut file)
        .expect("install");
    assert!(release.dir.join("handler").exists());
    assert_eq!(versions(&apps), [1]);
}

#[test]
fn a_received_archive_that_is_not_the_announced_one_is_refused_without_a_trace() {
    let apps = tempfile::tempdir().expect("tempdir");
    let limits = ArchiveLimits {
        max_archive_bytes: 10,
        ..ArchiveLimits::default()
    };
    let releases = Releases::open(apps.path(), limits).expect("open");
    let receive = |bytes: &[u8]| {
        let mut incoming = releases.receive().expect("receive");
        incoming.write(bytes).map(|()| incoming)
    };
    let digest = digest_of(b"12345");
    let short = receive(b"1234").expect("room").finish(&digest, 5);
    assert!(matches!(short, Err(ReleaseError::Size { found: 4, .. })));
    let other = receive(b"54321").expect("room").finish(&digest, 5);
    assert!(matches!(other, Err(ReleaseError::Digest { .. })));
    let long = receive(b"12345678901");
    assert!(matches!(long, Err(ReleaseError::TooLarge { limit: 10 })));
    // Dropped half way.
    drop(receive(b"123"));
    assert_eq!(versions(&apps), [0; 0]);
}
