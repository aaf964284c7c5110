//! The disk limit: what counts, what does not, and that going over it ends an execution and is named.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::time::Duration;

use flux::base::units::Mib;
use flux::model::execution::Ending;
use flux::sandbox::{CgroupMode, Enforced, FileAccess, Identity, Outcome, Spec};

use super::harness::{Opening, PATIENCE, Place, alone, both_modes, is_root, strings};

const NOBODY: Identity = Identity {
    uid: 65_534,
    gid: 65_534,
};
/// Longer than the time to several looks of a quick machine. Functions that should be left alone run
/// this long after they have done what should not count.
const FOR_SEVERAL_LOOKS: &str = "sleep 0.5";
/// In the end, so that it is the agent that ends it, and not the last command.
const FOREVER: &str = "sleep 1000";
/// Makes the helper below do its work instead of passing.
const HOLD: &str = "FLUX_TEST_HOLD_BY_MAPPING";

/// A shell in a directory of its own, with `limit` MiB for it.
fn shell(place: &Place, limit: u64, script: &str) -> Spec {
    within(place.shell(script), limit)
}

fn within(mut spec: Spec, limit: u64) -> Spec {
    let tmpdir = spec.env.iter().find(|(name, _)| name == "TMPDIR");
    let tmpdir = tmpdir.map(|(_, value)| Path::new(value).to_owned());
    let tmpdir = tmpdir.expect("a temporary directory");
    spec.cwd = tmpdir.parent().expect("its directory").to_owned();
    fs::create_dir_all(&tmpdir).expect("directories");
    if let Some(Identity { uid, gid }) = spec.identity {
        for path in [&spec.cwd, &tmpdir] {
            chown(path, Some(uid), Some(gid)).expect("its owner");
        }
    }
    spec.limits.disk = Some(Mib(limit));
    spec
}

fn as_nobody() -> Place {
    Opening {
        identity: Some(NOBODY),
        ..Opening::default()
    }
    .open()
}

fn assert_stopped(outcome: &Outcome, said: &str) {
    assert_eq!(outcome.ending, Ending::OutOfDisk, "{outcome:?}");
    assert!(outcome.error.contains(said), "{outcome:?}");
    assert!(outcome.tree_confirmed_dead, "{outcome:?}");
    assert!(outcome.duration < PATIENCE, "{outcome:?}");
}

/// Runs `script` with a limit of 16 MiB in both modes.
fn assert_left_alone(script: &str) {
    for place in both_modes() {
        let script = format!("set -e; {script}; {FOR_SEVERAL_LOOKS}; echo done");
        let (outcome, recorder) = place.run(&shell(&place, 16, &script));
        assert_eq!(outcome.ending, Ending::Exited(0), "{outcome:?}");
        assert_eq!(recorder.out(), "done\n", "{}", recorder.err());
        // Long enough for a look.
        assert!(outcome.duration > Duration::from_millis(400), "{outcome:?}");
    }
}

/// The same, and it is stopped for using more than that.
fn assert_stopped_in_both_modes(script: &str) {
    for place in both_modes() {
        let script = format!("{script}; {FOREVER}");
        let (outcome, recorder) = place.run(&shell(&place, 16, &script));
        let said = "of its disk limit of 16 MiB";
        assert_stopped(&outcome, said);
        assert!(outcome.error.starts_with("used "), "{outcome:?}");
        let held = outcome.usage.max_disk_bytes;
        assert!(held > Some(Mib(16).bytes()), "{outcome:?}");
        assert_eq!(recorder.err(), "");
    }
}

#[test]
fn it_is_enforced_by_an_agent_from_which_nothing_can_be_hidden() {
    let enforces = Place::new(CgroupMode::Off).enforces(Enforced::Disk);
    assert_eq!(enforces, is_root());
    assert!(Enforced::ISOLATION.contains(&Enforced::Disk));
    // Which file system that takes is no agent's to choose.
    assert!(!Enforced::ISOLATION.contains(&Enforced::DiskQuota));
}

#[test]
fn a_single_file_cannot_outgrow_the_limit() {
    let place = Place::new(CgroupMode::Auto);
    // A program that does not end at the signal gets EFBIG.
    let spec = shell(
        &place,
        8,
        "trap '' XFSZ; head -c 20M /dev/zero >big; exit 3",
    );
    let (outcome, recorder) = place.run(&spec);
    let is_expected = matches!(outcome.ending, Ending::Exited(3) | Ending::OutOfDisk);
    assert!(is_expected, "{outcome:?} {}", recorder.err());
    let length = fs::metadata(spec.cwd.join("big")).expect("big").len();
    assert_eq!(length, Mib(8).bytes());
}

#[test]
fn the_smaller_of_the_limits_to_a_file_holds() {
    let place = Place::new(CgroupMode::Auto);
    for (fsize, disk, most) in [(1, 8, 1), (8, 1, 1)] {
        let mut spec = shell(&place, disk, "trap '' XFSZ; truncate -s 2M big; ulimit -f");
        spec.limits.fsize = Some(Mib(fsize).bytes());
        let (_, recorder) = place.run(&spec);
        // In blocks of 512 bytes.
        assert_eq!(recorder.out(), format!("{}\n", most * 2048));
        assert_eq!(fs::metadata(spec.cwd.join("big")).expect("big").len(), 0);
    }
}

#[test]
fn a_program_that_ends_because_its_file_reached_the_limit_is_out_of_disk() {
    for place in both_modes() {
        let mut spec = within(place.spec("/bin/dd"), 8);
        spec.args = strings(&["if=/dev/zero", "of=big", "bs=1M", "count=20"]);
        let (outcome, _) = place.run(&spec);
        assert_stopped(&outcome, "of its disk limit of 8 MiB");
    }
}

#[test]
fn a_program_that_ends_at_the_end_of_a_hole_is_not() {
    let place = Place::new(CgroupMode::Auto);
    let mut spec = within(place.spec("/bin/dd"), 8);
    spec.args = strings(&["if=/dev/zero", "of=big", "bs=1M", "count=1", "seek=9"]);
    spec.args.push("conv=notrunc".into());
    let (outcome, _) = place.run(&spec);
    assert_eq!(outcome.ending, Ending::Signalled(libc::SIGXFSZ));
}

#[test]
fn many_files_are_stopped() {
    assert_stopped_in_both_modes("for i in $(seq 40); do head -c 2M /dev/zero >f$i; done");
}

#[test]
fn files_in_the_temporary_directory_count_too() {
    assert_stopped_in_both_modes("head -c 9M /dev/zero >here; head -c 9M /dev/zero >$TMPDIR/there");
}

#[test]
fn files_that_are_removed_and_still_open_are_stopped() {
    assert_stopped_in_both_modes(
        "exec 3>a 4>b; rm a b; head -c 9M /dev/zero >&3; head -c 9M /dev/zero >&4",
    );
}

#[test]
fn files_that_a_process_outside_the_session_holds_are_stopped() {
    assert_stopped_in_both_modes(
        "exec 3>a 4>b; rm a b; head -c 9M /dev/zero >&3; head -c 9M /dev/zero >&4
         setsid sleep 1000 <&- & exec 3>&- 4>&-",
    );
}

#[test]
fn files_that_only_a_mapping_holds_are_stopped() {
    if !is_root() {
        return;
    }
    for place in both_modes() {
        let this = std::env::current_exe().expect("this program");
        let mut spec = within(place.spec(this), 16);
        // The program lies outside of what an execution may read.
        spec.files = FileAccess::Open;
        spec.args = strings(&["--exact", "disk::helper_holds_by_mapping", "--nocapture"]);
        spec.env.push((HOLD.into(), "1".into()));
        let (outcome, _) = place.run(&spec);
        assert_stopped(&outcome, "of its disk limit of 16 MiB");
    }
}

/// Not a test of its own: the program of the one above.
#[test]
fn helper_holds_by_mapping() {
    if std::env::var_os(HOLD).is_none() {
        return;
    }
    for name in ["a", "b"] {
        const LENGTH: usize = 9 << 20;
        let options = fs::File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(name);
        let mut file = options.expect("a file");
        std::io::Write::write_all(&mut file, &vec![1; LENGTH]).expect("its contents");
        fs::remove_file(name).expect("removed");
        let (protection, flags) = (libc::PROT_READ, libc::MAP_SHARED);
        let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
        // SAFETY: a new mapping at an address of the kernel's choice, which nobody uses.
        let mapped = unsafe { libc::mmap(std::ptr::null_mut(), LENGTH, protection, flags, fd, 0) };
        assert_ne!(mapped, libc::MAP_FAILED);
    }
    std::thread::park_timeout(PATIENCE);
}

#[test]
fn many_empty_files_are_stopped() {
    for place in both_modes() {
        let script = format!("seq 10500 | xargs touch; {FOREVER}");
        let (outcome, _) = place.run(&shell(&place, 4, &script));
        assert_stopped(&outcome, "files, limit 10000");
    }
}

#[test]
fn directories_deeper_than_can_be_named_are_stopped() {
    let place = Place::new(CgroupMode::Auto);
    let deep = vec!["d"; 1000].join("/");
    let script = format!("for i in 1 2 3; do mkdir -p {deep}; cd -P {deep}; done; {FOREVER}");
    let (outcome, recorder) = place.run(&shell(&place, 64, &script));
    assert_stopped(&outcome, "more than 2048 deep");
    // A shell may complain that the path has become too long to be told.
    assert!(!recorder.err().contains("mkdir"), "{}", recorder.err());
    // The temporary directory's own end has not enough descriptors for it.
    let (outcome, _) = place.run(&place.shell("rm -r *"));
    assert_eq!(outcome.ending, Ending::Exited(0));
}

#[test]
fn what_lies_deep_counts() {
    let deep = vec!["d"; 1000].join("/");
    assert_stopped_in_both_modes(&format!(
        "mkdir -p {deep}; cd {deep}; head -c 9M /dev/zero >a; head -c 9M /dev/zero >b"
    ));
}

#[test]
fn what_lies_in_a_directory_without_permissions_counts() {
    if !is_root() {
        return;
    }
    let place = as_nobody();
    let script = "mkdir d; head -c 9M /dev/zero >d/a; head -c 9M /dev/zero >d/b; chmod 000 d";
    let (outcome, _) = place.run(&shell(&place, 16, &format!("{script}; {FOREVER}")));
    assert_stopped(&outcome, "of its disk limit of 16 MiB");
}

#[test]
fn what_another_user_than_the_agents_holds_counts() {
    if !is_root() {
        return;
    }
    let place = as_nobody();
    let script = "exec 3>a 4>b; rm a b; head -c 9M /dev/zero >&3; head -c 9M /dev/zero >&4";
    let (outcome, _) = place.run(&shell(&place, 16, &format!("{script}; {FOREVER}")));
    assert_stopped(&outcome, "of its disk limit of 16 MiB");
}

#[test]
fn a_hole_does_not_count() {
    assert_left_alone("for i in $(seq 20); do truncate -s 15M f$i; done");
}

#[test]
fn a_file_counts_once_whatever_its_names_and_descriptors() {
    assert_left_alone(
        "head -c 12M /dev/zero >a; for i in $(seq 20); do ln a b$i; done; exec 3<a 4<b1; rm a b*",
    );
}

#[test]
fn what_links_lead_to_does_not_count() {
    let outside = tempfile::tempdir().expect("a directory");
    let open_to_all = fs::Permissions::from_mode(0o755);
    fs::set_permissions(outside.path(), open_to_all).expect("its mode");
    fs::File::create(outside.path().join("big"))
        .and_then(|mut file| std::io::Write::write_all(&mut file, &vec![1; 20 << 20]))
        .expect("a large file");
    let path = outside.path().display();
    assert_left_alone(&format!(
        "ln -s {path} directory; ln -s {path}/big file; ln -s . self"
    ));
}

#[test]
fn what_is_mounted_below_does_not_count() {
    if !is_root() || !alone("disk::what_is_mounted_below_does_not_count") {
        return;
    }
    let place = Place::new(CgroupMode::Auto);
    let spec = shell(&place, 16, &format!("ls mnt; {FOR_SEVERAL_LOOKS}"));
    let (large, mnt) = (place.root().join("large"), spec.cwd.join("mnt"));
    for directory in [&large, &mnt] {
        fs::create_dir(directory).expect("a directory");
    }
    place.file("large/big", &vec![1; 20 << 20], 0o600);
    // The namespace ends with this thread's process.
    bind(&large, &mnt);
    let (outcome, recorder) = place.run(&spec);
    assert_eq!(outcome.ending, Ending::Exited(0), "{outcome:?}");
    assert_eq!(recorder.out(), "big\n");
    // SAFETY: the string has an end and outlives the call.
    let unmounted = unsafe { libc::umount2(text(&mnt).as_ptr(), libc::MNT_DETACH) };
    assert_eq!(unmounted, 0);
}

/// In a mount namespace of this thread's own.
fn bind(from: &Path, to: &Path) {
    // SAFETY: no memory is involved.
    let unshared = unsafe { libc::unshare(libc::CLONE_NEWNS) };
    assert_eq!(unshared, 0, "{}", std::io::Error::last_os_error());
    let mount = |from: &Path, to: &Path, flags| {
        let (from, to) = (text(from), text(to));
        let none = std::ptr::null();
        // SAFETY: the strings have an end and outlive the call; there are no data.
        let mounted = unsafe { libc::mount(from.as_ptr(), to.as_ptr(), none, flags, none.cast()) };
        assert_eq!(mounted, 0, "{}", std::io::Error::last_os_error());
    };
    mount(
        Path::new("none"),
        Path::new("/"),
        libc::MS_REC | libc::MS_PRIVATE,
    );
    mount(from, to, libc::MS_BIND);
}

fn text(path: &Path) -> std::ffi::CString {
    std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).expect("no NUL")
}

#[test]
fn what_was_removed_for_good_does_not_count() {
    assert_left_alone("for i in $(seq 30); do head -c 10M /dev/zero >f; rm f; done");
}

#[test]
fn what_another_execution_holds_does_not_count() {
    let place = Place::new(CgroupMode::Auto);
    let file = place.file("other", &vec![1; 20 << 20], 0o600);
    let held = fs::File::open(&file).expect("open");
    fs::remove_file(&file).expect("removed");
    let spec = shell(&place, 16, &format!("{FOR_SEVERAL_LOOKS}; echo done"));
    let (outcome, _) = place.run(&spec);
    assert_eq!(outcome.ending, Ending::Exited(0), "{outcome:?}");
    assert_eq!(held.metadata().expect("stat").nlink(), 0);
}

#[test]
fn a_tree_that_changes_all_the_time_is_neither_lost_nor_stopped_for_nothing() {
    /// For this many seconds, in one process: starting many takes too long on a small machine.
    fn churn(seconds: u32) -> String {
        format!(
            "perl -e 'for (my $end = time + {seconds}; time < $end;) {{ mkdir \"x/d\"; \
             rename \"x/big\", \"y/big\" or die; rename \"x/d\", \"y/d\" or die; \
             rename \"y/big\", \"x/big\" or die; rmdir \"y/d\" or die }}'"
        )
    }
    const BEGIN: &str = "mkdir x y; head -c 9M /dev/zero >x/big";
    assert_left_alone(&format!("{BEGIN}; {}", churn(2)));
    assert_stopped_in_both_modes(&format!(
        "{BEGIN}; {}; head -c 10M /dev/zero >more; {}",
        churn(1),
        churn(60)
    ));
}

#[test]
fn what_was_held_is_told_where_somebody_looked() {
    let place = Place::new(CgroupMode::Auto);
    let script = format!("head -c 6M /dev/zero >f; {FOR_SEVERAL_LOOKS}; rm f");
    let (outcome, _) = place.run(&shell(&place, 16, &script));
    let held = outcome.usage.max_disk_bytes.expect("a look");
    assert!((6 << 20..7 << 20).contains(&held), "{outcome:?}");
    let (outcome, _) = place.run(&shell(&place, 1024, "exit 0"));
    assert_eq!(outcome.usage.max_disk_bytes, None);
}

#[test]
fn a_limit_that_is_not_set_is_none() {
    let place = Place::new(CgroupMode::Auto);
    let mut spec = shell(
        &place,
        1,
        &format!("head -c 5M /dev/zero >f; {FOR_SEVERAL_LOOKS}"),
    );
    spec.limits.disk = None;
    let (outcome, _) = place.run(&spec);
    assert_eq!(outcome.ending, Ending::Exited(0), "{outcome:?}");
}
