//! Each execution runs as the user that it was given, and as none that nobody configured.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use flux::model::execution::Ending;
use flux::sandbox::{CgroupMode, Enforced, FileAccess, Identity, Sandbox};

use super::place::{Opening, Place, config};
use crate::runner::{Need, needs, skip, tests};

tests![
    functions_with_users_of_their_own_reach_nothing_of_each_others,
    nothing_runs_as_root_as_nobody_in_particular_or_as_a_stranger,
    users_of_their_own_are_missing_where_none_is_configured,
    users_of_their_own_are_missing_with_the_reason,
    a_range_that_its_user_namespace_lacks_is_named,
];

const SHARED: Identity = Identity {
    uid: 64_900,
    gid: 64_901,
};
const OWN: (u32, u32) = (64_910, 64_919);

fn of(uid: u32) -> Identity {
    Identity {
        uid,
        gid: SHARED.gid,
    }
}

fn with_own_users() -> Place {
    needs(&[Need::Root]);
    let place = Opening {
        identity: Some(SHARED),
        own: Some(OWN),
        ..Opening::default()
    }
    .open();
    place.needs(Enforced::OwnUser);
    place
}

fn functions_with_users_of_their_own_reach_nothing_of_each_others() {
    let place = with_own_users();
    let private = place.root().join("private");
    fs::create_dir(&private).expect("a directory");
    fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).expect("its mode");
    chown(&private, Some(OWN.0), Some(SHARED.gid)).expect("its owner");
    for (identity, expected) in [
        (of(OWN.0), "64910 64901\nwritten\n"),
        (of(OWN.1), "64919 64901\n"),
    ] {
        let mut spec = place.shell(
            "echo $(id -u) $(id -g); { echo secret >private/file; } 2>/dev/null && echo written; true",
        );
        spec.identity = Some(identity);
        // The modes alone, without the rules for files.
        spec.files = FileAccess::Open;
        let (outcome, recorder) = place.run(&spec);
        assert_eq!(outcome.ending, Ending::Exited(0), "{}", outcome.error);
        assert_eq!(recorder.out(), expected, "{}", recorder.err());
    }
}

fn nothing_runs_as_root_as_nobody_in_particular_or_as_a_stranger() {
    let place = with_own_users();
    for (identity, part) in [
        (Some(of(0)), "as root"),
        (Some(Identity { gid: 0, ..SHARED }), "as root"),
        (None, "names no user"),
        (Some(of(OWN.1 + 1)), "64920"),
        (Some(of(1)), "user 1 "),
    ] {
        let mut spec = place.shell("touch ran");
        spec.identity = identity;
        let (outcome, recorder) = place.run(&spec);
        assert_eq!(outcome.ending, Ending::SpawnFailed);
        assert!(outcome.error.contains(part), "{}", outcome.error);
        assert_eq!(recorder.pid, None);
    }
    assert!(!place.root().join("ran").exists());
}

fn users_of_their_own_are_missing_where_none_is_configured() {
    assert!(reason(None, None).contains("no user is configured"));
}

fn users_of_their_own_are_missing_with_the_reason() {
    needs(&[Need::Root]);
    assert!(reason(None, Some(SHARED)).contains("no range"));
    assert!(reason(Some((0, 9)), Some(SHARED)).contains("root"));
    assert!(reason(Some(OWN), Some(of(0))).contains("is root"));
    // SAFETY: gives up root's rights in this process, which runs this test alone.
    let result = unsafe { libc::setresuid(65_534, 65_534, 65_534) };
    assert_eq!(result, 0);
    assert!(reason(Some(OWN), Some(SHARED)).contains("runs as root"));
}

/// Why an agent with this configuration has no users for its functions.
fn reason(own: Option<(u32, u32)>, identity: Option<Identity>) -> String {
    let root = tempfile::tempdir().expect("a directory");
    let mut config = config(root.path(), CgroupMode::Off, identity);
    if let Some(identities) = &mut config.identities {
        identities.own = own;
    }
    let sandbox = Sandbox::open(config).expect("a sandbox");
    let missing = sandbox.missing().iter();
    let mut missing = missing.filter(|missing| missing.what == Enforced::OwnUser);
    let missing = missing.next().expect("own users are missing");
    missing.reason.clone()
}

fn a_range_that_its_user_namespace_lacks_is_named() {
    let uid = nix::unistd::geteuid();
    // SAFETY: this process runs this test alone. It has other threads, which is why its tests' thread
    // cannot enter a user namespace itself: a child does.
    match unsafe { nix::unistd::fork() }.expect("a child") {
        nix::unistd::ForkResult::Child => {
            // SAFETY: concerns this child alone.
            let entered = unsafe { libc::unshare(libc::CLONE_NEWUSER) } == 0;
            // 0 alone exists inside.
            let mapped = entered && map_root(uid.as_raw());
            let code = if mapped {
                i32::from(!names_the_range())
            } else {
                77
            };
            // SAFETY: ends the child without the handlers that belong to its parent.
            unsafe { libc::_exit(code) };
        }
        nix::unistd::ForkResult::Parent { child } => {
            let status = nix::sys::wait::waitpid(child, None).expect("its end");
            match status {
                nix::sys::wait::WaitStatus::Exited(_, 77) => {
                    skip!("a user namespace cannot be made here");
                }
                status => assert_eq!(status, nix::sys::wait::WaitStatus::Exited(child, 0)),
            }
        }
    }
}

fn map_root(outside: u32) -> bool {
    put("/proc/self/setgroups", "deny") && put("/proc/self/uid_map", &format!("0 {outside} 1"))
}

fn put(path: &str, text: &str) -> bool {
    let file = fs::OpenOptions::new().write(true).open(path);
    file.is_ok_and(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()).is_ok())
}

fn names_the_range() -> bool {
    let root = std::env::temp_dir();
    let mut config = config(&root, CgroupMode::Off, Some(SHARED));
    config.identities.as_mut().expect("users").own = Some(OWN);
    let sandbox = Sandbox::open(config).expect("a sandbox");
    let missing = sandbox
        .missing()
        .iter()
        .find(|missing| missing.what == Enforced::OwnUser);
    missing.is_some_and(|missing| {
        missing.reason.contains("64910") && missing.reason.contains("user namespace")
    })
}
