//! What tests may rely on in a guest, and the harness's own promises.

use crate::suite::{self, tests};

tests![
    a_guest_offers_what_flux_contains_with,
    a_file_arrives_as_it_was_sent,
    guests_reach_one_another_and_keep_files_over_a_reboot,
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
