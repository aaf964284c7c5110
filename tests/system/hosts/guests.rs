//! What tests may rely on in a guest, and the harness's own promises.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::suite;
use super::{namespace, shell};
use crate::harness::process;
use crate::runner::{helper, tests};

tests![
    a_guest_offers_what_flux_contains_with,
    a_file_arrives_as_it_was_sent,
    guests_reach_one_another_and_keep_files_over_a_reboot,
    a_run_that_is_killed_leaves_no_process_behind,
];

/// Shared with every test that leaves a guest as it found it.
pub const COMMON: &str = "common";

fn a_guest_offers_what_flux_contains_with() {
    let guest = suite::machine(COMMON);
    assert_eq!(guest.succeed("systemctl is-system-running"), "running");
    assert_eq!(
        guest.succeed("cat /sys/fs/cgroup/cgroup.controllers"),
        "cpu io memory pids"
    );
    let modules = guest.succeed("cat /sys/kernel/security/lsm");
    assert!(modules.contains("landlock"), "{modules}");
    // landlock_create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION), landlock(7).
    let abi = guest
        .succeed("python3 -c 'import ctypes; print(ctypes.CDLL(None).syscall(444, None, 0, 1))'");
    assert!(abi.parse::<i32>().is_ok_and(|abi| abi >= 2), "{abi}");
    assert!(
        guest
            .fetch("/proc/sys/kernel/seccomp/actions_avail")
            .contains("errno")
    );
    assert_eq!(guest.run("exit 7").status, 7);
    assert_eq!(guest.run("sh -c 'kill -9 $$'").status, 137);
}

fn a_file_arrives_as_it_was_sent() {
    let guest = suite::machine(COMMON);
    let contents = "it's \"here\"\n".repeat(50_000);
    guest.put("/tmp/a place/it's.txt", &contents, 0o640);
    assert_eq!(guest.fetch("/tmp/a place/it's.txt"), contents);
    assert_eq!(guest.succeed("stat -c %a \"/tmp/a place/it's.txt\""), "640");
    guest.succeed("(sleep 1; rm -r '/tmp/a place') >/dev/null 2>&1 &");
    guest.wait_until("! test -e '/tmp/a place'");
}

fn guests_reach_one_another_and_keep_files_over_a_reboot() {
    let other = suite::machine(COMMON);
    let mut guest = suite::fresh("rebooted");
    guest.put("/etc/kept", "kept", 0o644);
    let before = guest.fetch("/proc/sys/kernel/random/boot_id");
    guest.reboot();
    assert_ne!(guest.fetch("/proc/sys/kernel/random/boot_id"), before);
    assert_eq!(guest.fetch("/etc/kept"), "kept");
    other.succeed(&format!(
        "timeout 10 bash -c 'exec 3<>/dev/tcp/{}/22 && head -c 4 <&3'",
        guest.address()
    ));
    guest.put("/etc/synced", "synced", 0o644);
    guest.succeed("sync /etc/synced");
    guest.cut_power();
    guest.boot();
    assert_eq!(guest.fetch("/etc/synced"), "synced");
}

fn a_run_that_is_killed_leaves_no_process_behind() {
    let mut run = process::command(helper::this_program())
        .env_remove(namespace::INSIDE)
        .env(shell::SHELL, "doomed")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("this program");
    // Held open, so that the run has no end of its own.
    let _input = run.stdin.take();
    let network = process::eventually("a guest of the other run", || {
        processes()
            .find(|it| is_guest(it, "doomed"))
            .and_then(|it| network_of(&it))
    });
    assert_ne!(Some(&network), network_of(Path::new("/proc/self")).as_ref());
    run.kill().expect("SIGKILL");
    run.wait().expect("a child of ours");
    process::eventually("no process in the other run's network", || {
        let left = processes().any(|it| network_of(&it).as_ref() == Some(&network));
        (!left).then_some(())
    });
}

/// The directory of each process that this one sees, those of runs inside this run included.
fn processes() -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir("/proc").expect("processes");
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("cmdline").exists())
}

fn is_guest(process: &Path, name: &str) -> bool {
    let umid = format!("umid={name}\0");
    fs::read(process.join("cmdline"))
        .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&umid))
}

/// The network namespace that it is in; nothing for one that has just ended.
fn network_of(process: &Path) -> Option<PathBuf> {
    fs::read_link(process.join("ns/net")).ok()
}
