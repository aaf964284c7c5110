//! Who takes more than its share: what it got, and what its record says.

use std::fs;

use serde_json::json;

use super::stage::Stage;
use crate::runner::tests;

tests![
    output_beyond_the_cap_is_cut_said_and_costs_the_agent_nothing,
    who_does_not_hear_the_polite_signal_is_ended_at_the_timeout_and_recorded_so,
    who_takes_more_disk_than_its_own_is_ended_recorded_so_and_leaves_nothing,
];

/// Of output, that a function writes here; the agent keeps 1 MiB.
const WRITTEN_MB: u64 = 64;
/// What the agent may grow by while it drains that (design of the output's path).
const GROWTH_MB: u64 = 32;

fn resident_mb(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = line
        .and_then(|line| line.split_whitespace().next())
        .and_then(|kib| kib.parse().ok())
        .expect("a number");
    kib >> 10
}

fn output_beyond_the_cap_is_cut_said_and_costs_the_agent_nothing() {
    let stage = Stage::start();
    let before = resident_mb(stage.agent_pid());
    let arguments = ["take", "what=output", &format!("mb={WRITTEN_MB}")].map(str::to_owned);
    let record = stage.probe(&arguments);
    assert_eq!(record["truncated"], true, "{}", record["reason"]);
    assert_eq!(record["stdout_bytes"], WRITTEN_MB << 20);
    assert_eq!(record["status"], "success");
    let kept = record["output"].as_str().expect("text").len();
    assert!(kept <= 2 << 20, "{kept} bytes are kept");
    let growth = resident_mb(stage.agent_pid()) - before;
    assert!(growth <= GROWTH_MB, "the agent grew by {growth} MiB");
}

fn who_does_not_hear_the_polite_signal_is_ended_at_the_timeout_and_recorded_so() {
    let stage = Stage::start();
    let headers = [
        ("x-flux-timeout", "1s"),
        ("content-type", "application/json"),
    ];
    let body = json!({"args": ["take", "what=time"]}).to_string();
    let reply = stage
        .fleet
        .api
        .call("POST", "/execute/prober", &headers, body.as_bytes());
    let record = reply.expect(500);
    assert_eq!(record["reason"], "timed_out", "{record}");
    assert_eq!(record["status"], "failed", "{record}");
}

fn who_takes_more_disk_than_its_own_is_ended_recorded_so_and_leaves_nothing() {
    let stage = Stage::start();
    assert!(stage.enforces("disk"), "an agent that runs as root does");
    stage.deploy("hoarder", "resources: {disk: 8}\n");
    for what in ["disk", "disk_without_names", "disk_in_many_files"] {
        let arguments = ["take", &format!("what={what}"), "mb=64"].map(str::to_owned);
        let record = stage.run("hoarder", &arguments);
        assert_eq!(record["reason"], "out_of_disk", "{what}: {record}");
        let id = record["execution_id"].as_str().expect("id");
        assert!(
            !stage.agent_state().join("work").join(id).exists(),
            "{what}"
        );
    }
}
