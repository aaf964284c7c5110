//! What a kill of one process after the other leaves behind it: a cgroup in which nothing can fork.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use flux::sandbox::{KillWay, Reached, kill_cgroup};

use super::place::{Mode, cgroups_called, eventually};
use crate::harness::process;
use crate::runner::tests;

tests![who_was_not_listed_is_held_until_the_next_kill_finds_it];

fn who_was_not_listed_is_held_until_the_next_kill_finds_it() {
    let place = Mode::WithoutCgroupKill.place();
    let parts = cgroups_called(&format!("flux-{}", place.name));
    let [part] = &parts[..] else {
        panic!("one part: {parts:?}");
    };
    let cgroup = part.join("late");
    fs::create_dir(&cgroup).expect("a cgroup");
    let directory = File::open(&cgroup).expect("its directory");
    let kill = || kill_cgroup(directory.as_fd(), KillWay::OneByOne).expect("killed");
    assert_eq!(kill(), Reached::Listed);

    // As if it had been forked then.
    let busy = "while :; do :; done";
    let mut late = process::command("sh");
    let mut late = late.args(["-c", busy]).spawn().expect("sh");
    put(&cgroup.join("cgroup.procs"), &late.id().to_string());
    eventually("it is held", || {
        let events = fs::read_to_string(cgroup.join("cgroup.events")).expect("events");
        events.lines().any(|line| line == "frozen 1")
    });
    assert!(late.try_wait().expect("a child of ours").is_none());
    kill();
    let status = late.wait().expect("a child of ours");
    assert_eq!(status.signal(), Some(libc::SIGKILL));
    eventually("nobody is in it", || fs::remove_dir(&cgroup).is_ok());
}

#[expect(clippy::disallowed_methods, reason = "a file of the kernel's")]
fn put(path: &Path, text: &str) {
    fs::write(path, text).expect("taken");
}
