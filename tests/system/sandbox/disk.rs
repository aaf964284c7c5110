//! The disk limit: what counts, what does not, and that going over it ends an execution and is named.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::time::Duration;

use flux::base::units::Mib;
use flux::model::execution::Ending;
use flux::sandbox::{CgroupMode, Enforced, FileAccess, Identity, Outcome, Spec};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::place::{Mode, Opening, PATIENCE, Place, eventually, is_root, strings};
use crate::runner::{Need, helper, needs, tests};

tests![
    it_is_enforced_by_an_agent_from_which_nothing_can_be_hidden,
    a_single_file_cannot_outgrow_the_limit,
    the_smaller_of_the_limits_to_a_file_holds,
    a_program_that_ends_because_its_file_reached_the_limit_is_out_of_disk in Mode::BOTH,
    a_program_that_ends_at_the_end_of_a_hole_is_not,
    many_files_are_stopped in Mode::BOTH,
    files_in_the_temporary_directory_count_too in Mode::BOTH,
    files_that_are_removed_and_still_open_are_stopped in Mode::BOTH,
    files_that_a_process_outside_the_session_holds_are_stopped in Mode::BOTH,
    files_that_only_a_mapping_holds_are_stopped in Mode::BOTH,
    many_empty_files_are_stopped in Mode::BOTH,
    directories_deeper_than_can_be_named_are_stopped,
    what_lies_deep_counts in Mode::BOTH,
    what_lies_in_a_directory_without_permissions_counts,
    what_another_user_than_the_agents_holds_counts,
    a_hole_does_not_count in Mode::BOTH,
    a_file_counts_once_whatever_its_names_and_descriptors in Mode::BOTH,
    what_links_lead_to_does_not_count in Mode::BOTH,
    what_is_mounted_below_does_not_count,
    what_was_removed_for_good_does_not_count in Mode::BOTH,
    what_another_execution_holds_does_not_count,
    a_tree_that_changes_all_the_time_is_neither_lost_nor_stopped_for_nothing in Mode::BOTH,
    what_was_held_is_told_where_somebody_looked,
    what_ends_before_a_look_has_no_figure,
    a_limit_that_is_not_set_is_none,
];

const NOBODY: Identity = Identity {
    uid: 65_534,
    gid: 65_534,
};
/// Longer than the time to several looks of a quick machine. Functions that should be left alone run
/// this long after they have done what should not count.
const FOR_SEVERAL_LOOKS: &str = "sleep 0.5";
/// In the end, so that it is the agent that ends it, and not the last command.
const FOREVER: &str = "sleep 1000";

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

/// Runs `script` with a limit of 16 MiB.
fn assert_left_alone(mode: Mode, script: &str) {
    let place = mode.place();
    let script = format!("set -e; {script}; {FOR_SEVERAL_LOOKS}; echo done");
    let (outcome, recorder) = place.run(&shell(&place, 16, &script));
    assert_eq!(outcome.ending, Ending::Exited(0), "{outcome:?}");
    assert_eq!(recorder.out(), "done\n", "{}", recorder.err());
    // Long enough for a look.
    assert!(outcome.duration > Duration::from_millis(400), "{outcome:?}");
}

/// The same, and it is stopped for using more than that.
fn assert_stopped_for_more(mode: Mode, script: &str) {
    let place = mode.place();
    let script = format!("{script}; {FOREVER}");
    let (outcome, recorder) = place.run(&shell(&place, 16, &script));
    let said = "of its disk limit of 16 MiB";
    assert_stopped(&outcome, said);
    assert!(outcome.error.starts_with("used "), "{outcome:?}");
    let held = outcome.usage.max_disk_bytes;
    assert!(held > Some(Mib(16).bytes()), "{outcome:?}");
    assert_eq!(recorder.err(), "");
}

fn it_is_enforced_by_an_agent_from_which_nothing_can_be_hidden() {
    let place = Place::new(CgroupMode::Off);
    let enforces = place.enforces(Enforced::Disk);
    assert_eq!(enforces, is_root());
    assert!(Enforced::ISOLATION.contains(&Enforced::Disk));
    // Which file system that takes is no agent's to choose.
    assert!(!Enforced::ISOLATION.contains(&Enforced::DiskQuota));
}

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

fn a_program_that_ends_because_its_file_reached_the_limit_is_out_of_disk(mode: Mode) {
    let place = mode.place();
    let mut spec = within(place.spec("/bin/dd"), 8);
    spec.args = strings(&["if=/dev/zero", "of=big", "bs=1M", "count=20"]);
    let (outcome, _) = place.run(&spec);
    assert_stopped(&outcome, "of its disk limit of 8 MiB");
}

fn a_program_that_ends_at_the_end_of_a_hole_is_not() {
    let place = Place::new(CgroupMode::Auto);
    let mut spec = within(place.spec("/bin/dd"), 8);
    spec.args = strings(&["if=/dev/zero", "of=big", "bs=1M", "count=1", "seek=9"]);
    spec.args.push("conv=notrunc".into());
    let (outcome, _) = place.run(&spec);
    assert_eq!(outcome.ending, Ending::Signalled(libc::SIGXFSZ));
}

fn many_files_are_stopped(mode: Mode) {
    assert_stopped_for_more(
        mode,
        "for i in $(seq 40); do head -c 2M /dev/zero >f$i; done",
    );
}

fn files_in_the_temporary_directory_count_too(mode: Mode) {
    assert_stopped_for_more(
        mode,
        "head -c 9M /dev/zero >here; head -c 9M /dev/zero >$TMPDIR/there",
    );
}

fn files_that_are_removed_and_still_open_are_stopped(mode: Mode) {
    assert_stopped_for_more(
        mode,
        "exec 3>a 4>b; rm a b; head -c 9M /dev/zero >&3; head -c 9M /dev/zero >&4",
    );
}

fn files_that_a_process_outside_the_session_holds_are_stopped(mode: Mode) {
    assert_stopped_for_more(
        mode,
        "exec 3>a 4>b; rm a b; head -c 9M /dev/zero >&3; head -c 9M /dev/zero >&4
         setsid sleep 1000 <&- & exec 3>&- 4>&-",
    );
}

fn files_that_only_a_mapping_holds_are_stopped(mode: Mode) {
    needs(&[Need::Root]);
    let place = mode.place();
    let mut spec = within(place.spec(helper::this_program()), 16);
    // The program lies outside of what an execution may read.
    spec.files = FileAccess::Open;
    spec.args = strings(&helper::arguments("sandbox::disk::hold_by_mapping"));
    let (outcome, _) = place.run(&spec);
    assert_stopped(&outcome, "of its disk limit of 16 MiB");
}

/// The program of the test above.
pub fn hold_by_mapping() {
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

fn many_empty_files_are_stopped(mode: Mode) {
    let place = mode.place();
    let script = format!("seq 10500 | xargs touch; {FOREVER}");
    let (outcome, _) = place.run(&shell(&place, 4, &script));
    assert_stopped(&outcome, "files, and its limit is 10000");
}

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

fn what_lies_deep_counts(mode: Mode) {
    let deep = vec!["d"; 1000].join("/");
    assert_stopped_for_more(
        mode,
        &format!("mkdir -p {deep}; cd {deep}; head -c 9M /dev/zero >a; head -c 9M /dev/zero >b"),
    );
}

fn what_lies_in_a_directory_without_permissions_counts() {
    needs(&[Need::Root]);
    let place = as_nobody();
    let script = "mkdir d; head -c 9M /dev/zero >d/a; head -c 9M /dev/zero >d/b; chmod 000 d";
    let (outcome, _) = place.run(&shell(&place, 16, &format!("{script}; {FOREVER}")));
    assert_stopped(&outcome, "of its disk limit of 16 MiB");
}

fn what_another_user_than_the_agents_holds_counts() {
    needs(&[Need::Root]);
    let place = as_nobody();
    let script = "exec 3>a 4>b; rm a b; head -c 9M /dev/zero >&3; head -c 9M /dev/zero >&4";
    let (outcome, _) = place.run(&shell(&place, 16, &format!("{script}; {FOREVER}")));
    assert_stopped(&outcome, "of its disk limit of 16 MiB");
}

fn a_hole_does_not_count(mode: Mode) {
    assert_left_alone(mode, "for i in $(seq 20); do truncate -s 15M f$i; done");
}

fn a_file_counts_once_whatever_its_names_and_descriptors(mode: Mode) {
    assert_left_alone(
        mode,
        "head -c 12M /dev/zero >a; for i in $(seq 20); do ln a b$i; done; exec 3<a 4<b1; rm a b*",
    );
}

fn what_links_lead_to_does_not_count(mode: Mode) {
    let outside = tempfile::tempdir().expect("a directory");
    let open_to_all = fs::Permissions::from_mode(0o755);
    fs::set_permissions(outside.path(), open_to_all).expect("its mode");
    fs::File::create(outside.path().join("big"))
        .and_then(|mut file| std::io::Write::write_all(&mut file, &vec![1; 20 << 20]))
        .expect("a large file");
    let path = outside.path().display();
    assert_left_alone(
        mode,
        &format!("ln -s {path} directory; ln -s {path}/big file; ln -s . self"),
    );
}

fn what_is_mounted_below_does_not_count() {
    needs(&[Need::Root]);
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

fn what_was_removed_for_good_does_not_count(mode: Mode) {
    assert_left_alone(
        mode,
        "for i in $(seq 30); do head -c 10M /dev/zero >f; rm f; done",
    );
}

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

fn a_tree_that_changes_all_the_time_is_neither_lost_nor_stopped_for_nothing(mode: Mode) {
    /// For this many seconds, in one process: starting many takes too long on a small machine.
    fn churn(seconds: u32) -> String {
        format!(
            "perl -e 'for (my $end = time + {seconds}; time < $end;) {{ mkdir \"x/d\"; \
             rename \"x/big\", \"y/big\" or die; rename \"x/d\", \"y/d\" or die; \
             rename \"y/big\", \"x/big\" or die; rmdir \"y/d\" or die }}'"
        )
    }
    const BEGIN: &str = "mkdir x y; head -c 9M /dev/zero >x/big";
    assert_left_alone(mode, &format!("{BEGIN}; {}", churn(2)));
    assert_stopped_for_more(
        mode,
        &format!(
            "{BEGIN}; {}; head -c 10M /dev/zero >more; {}",
            churn(1),
            churn(60)
        ),
    );
}

fn what_was_held_is_told_where_somebody_looked() {
    let place = Place::new(CgroupMode::Auto);
    let script = "head -c 6M /dev/zero >f; >filled; until [ -e go ]; do sleep 0.05; done; rm f";
    let mut spec = shell(&place, 16, script);
    spec.limits.timeout = Some(PATIENCE);
    let outcome = std::thread::scope(|scope| {
        let run = scope.spawn(|| place.run(&spec).0);
        eventually("it has made its file", || spec.cwd.join("filled").exists());
        // When one has begun that finds the second, the one that has found the first is over.
        await_look(&spec.cwd.join("first"));
        await_look(&spec.cwd.join("second"));
        fs::File::create(spec.cwd.join("go")).expect("a file");
        run.join().expect("its outcome")
    });
    let held = outcome.usage.max_disk_bytes.expect("a look");
    assert!((6 << 20..7 << 20).contains(&held), "{outcome:?}");
}

/// Makes a directory there, and returns when somebody has opened it.
fn await_look(directory: &Path) {
    fs::create_dir(directory).expect("a directory");
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK).expect("inotify");
    let watched = inotify.add_watch(directory, AddWatchFlags::IN_OPEN);
    watched.expect("a watch");
    eventually("somebody looks", || inotify.read_events().is_ok());
}

fn what_ends_before_a_look_has_no_figure() {
    let place = Place::new(CgroupMode::Auto);
    // A machine that has no time may look at the shortest run.
    eventually("a run is over before a look", || {
        let (outcome, _) = place.run(&within(place.spec("/bin/true"), 1024));
        outcome.usage.max_disk_bytes.is_none()
    });
}

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
