//! How executions end under real cgroup controllers, told by their records; and that what contained
//! them is gone with them.

use serde_json::Value;

use super::debs::{as_client, fleet, flux};
use super::machine::Machine;
use crate::runner::tests;

tests![
    each_end_is_recorded_as_what_it_was,
    a_cancel_that_has_answered_has_left_no_process,
    what_cannot_be_started_says_what_to_do,
    the_whole_tree_is_in_the_usage,
    an_ended_execution_leaves_no_cgroup,
    the_agent_enforces_all_that_can_be_required,
];

/// Runs a line of shell as a function to its end, and gives its record.
#[track_caller]
fn ended(guest: &Machine, line: &str) -> Value {
    let id = flux(guest, &format!("exec shell --async -- '{line}'"));
    guest.run(&as_client(&format!("logs {id} --follow >/root/said")));
    record(guest, &id)
}

#[track_caller]
fn record(guest: &Machine, id: &str) -> Value {
    let text = flux(guest, &format!("execution {id} --json"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn each_end_is_recorded_as_what_it_was() {
    let guest = fleet();
    // tail keeps the last line in memory, and /dev/zero has only one, without an end.
    for (line, status, reason) in [
        ("exit 0", "success", "exited"),
        ("exit 3", "failed", "exited"),
        ("kill -SEGV $$", "failed", "signalled"),
        ("kill -KILL $$", "failed", "signalled"),
        ("tail /dev/zero", "failed", "out_of_memory"),
        (
            "(tail /dev/zero; sleep 60) & sleep 60",
            "failed",
            "out_of_memory",
        ),
    ] {
        let record = ended(&guest, line);
        assert_eq!(record["status"], status, "{line}: {record}");
        assert_eq!(record["reason"], reason, "{line}: {record}");
    }
    let late = format!(
        "{}; echo status $?",
        as_client(
            "exec shell --timeout 2s -- 'trap : TERM; setsid sleep 900 & sleep 901; sleep 902'"
        )
    );
    let ran = guest.run(&late);
    assert!(
        ran.stderr.contains("timed out"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    assert_eq!(guest.succeed("pgrep -x sleep; true"), "");
}

fn a_cancel_that_has_answered_has_left_no_process() {
    let guest = fleet();
    let line = "trap : TERM INT; setsid setsid sleep 903 & (sleep 904 &) ; echo on; sleep 905";
    let id = flux(&guest, &format!("exec shell --async -- '{line}'"));
    guest.wait_until(&as_client(&format!("logs {id} | grep -q on")));
    guest.wait_until("test $(pgrep -x sleep | wc -l) -eq 3");
    let cancel = as_client(&format!("cancel {id} >/dev/null; pgrep -x sleep; true"));
    assert_eq!(guest.succeed(&cancel), "");
    assert_eq!(record(&guest, &id)["reason"], "cancelled");
}

fn what_cannot_be_started_says_what_to_do() {
    let guest = fleet();
    for (name, contents, mode, said) in [
        (
            "interpreter",
            "#!/no/such/interpreter\n",
            0o755,
            "/no/such/interpreter",
        ),
        (
            "windows",
            "#!/bin/sh\r\necho\r\n",
            0o755,
            "Windows line ends",
        ),
        ("text", "echo a line of shell\n", 0o755, "#!"),
        // The beginning of a program for ARM.
        (
            "foreign",
            "\u{7f}ELF\u{1}\u{1}\u{1}\0\0\0\0\0\0\0\0\0\u{2}\0\u{28}\0",
            0o755,
            "arm (32 bits)",
        ),
    ] {
        let yaml = format!("name: {name}\nhandler: run\n");
        guest.put(&format!("/root/{name}/function.yaml"), &yaml, 0o644);
        guest.put(&format!("/root/{name}/run"), contents, mode);
        flux(&guest, &format!("deploy /root/{name}"));
        let id = flux(&guest, &format!("exec {name} --async"));
        guest.run(&as_client(&format!("logs {id} --follow >/root/said")));
        let record = record(&guest, &id);
        assert_eq!(record["reason"], "spawn_failed", "{record}");
        let error = record["error"].as_str().unwrap_or_default();
        assert!(error.contains(said), "{name}: {record}");
    }
}

fn the_whole_tree_is_in_the_usage() {
    let guest = fleet();
    // Nobody waits for the one that works: only its cgroup knows of it.
    let line = "setsid sh -c \"head -c 24M /dev/zero | tail -c 24M >/dev/null; \
                i=0; while test \\$i -lt 60000; do i=\\$((i+1)); done; touch done\" & \
                until test -e done; do sleep 0.1; done";
    let id = flux(&guest, &format!("exec shell --async -- '{line}'"));
    guest.run(&as_client(&format!("logs {id} --follow >/root/said")));
    let record = record(&guest, &id);
    assert_eq!(record["reason"], "exited", "{record}");
    let used = |name: &str| record["usage"][name].as_u64().expect("a number");
    assert!(used("cpu_ms") >= 20, "{record}");
    assert!((24..=64).contains(&used("max_rss_mb")), "{record}");
}

fn an_ended_execution_leaves_no_cgroup() {
    let guest = fleet();
    let below = "find /sys/fs/cgroup/system.slice/flux-agent.service -mindepth 2 -type d | wc -l";
    for _ in 0..5 {
        ended(&guest, "(setsid sleep 906 &) ; exit 0");
    }
    assert_eq!(guest.succeed(below), "0");
}

fn the_agent_enforces_all_that_can_be_required() {
    let guest = fleet();
    // It has started, and its configuration requires it.
    guest.succeed("grep -qx 'require_isolation: true' /etc/flux-agent/agent.yaml");
    let agents: Value = serde_json::from_str(&flux(&guest, "agents --json")).expect("JSON");
    let missing = &agents[0]["isolation_missing"];
    // Linux 6.12 can hold signals; a user of its own holds them on any. A quota needs a file system for it.
    let list = missing.as_array().expect("a list");
    let what: Vec<_> = list.iter().map(|it| &it["what"]).collect();
    assert_eq!(what, ["foreign_signals", "disk_quota"], "{missing}");
}
