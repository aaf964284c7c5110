//! The disk limit as a project quota, on a host whose agent has its state on a file system for it; and
//! that an agent on any other says that it measures.

use serde_json::Value;

use super::debs::{self, as_client, fleet, flux};
use super::machine::Machine;
use super::suite::{self, Shared};
use crate::runner::tests;

tests![
    an_agent_says_which_way_it_holds_the_disk_limit,
    the_kernel_refuses_what_would_pass_the_limit,
    an_execution_at_its_limit_is_left_alone_and_one_over_it_is_out_of_disk,
    eight_writers_together_do_not_pass_the_limit,
    the_number_of_files_is_limited,
    each_execution_has_a_limit_of_its_own,
    a_function_cannot_leave_its_project,
    a_function_with_all_system_calls_is_measured_too,
    nothing_is_left_of_a_quota_after_an_agent_was_killed,
];

const STATE: &str = "/var/lib/flux-agent";
/// Of the functions, in MiB.
const LIMIT: u64 = 8;
/// What an execution that is over its limit has more at the most.
const PAGE: u64 = 4096;

/// Installed on a state directory of a file system with project quotas, and two functions.
fn host() -> Shared {
    let guest = suite::machine("quota");
    if guest.run("test -d /root/keeper").status != 0 {
        debs::install(&guest);
        guest.succeed(&format!(
            "truncate -s 300M /root/state.img \
             && mkfs.ext4 -q -O project,quota -E quotatype=prjquota /root/state.img \
             && mkdir -p {STATE} && mount -o loop,prjquota /root/state.img {STATE}"
        ));
        debs::configure(&guest);
        guest.put("/root/figures.py", include_str!("quota/figures.py"), 0o644);
        guest.succeed(
            "printf 'isolation:\\n  allow: [open_syscalls]\\n' >>/etc/flux-agent/agent.yaml \
             && systemctl restart flux-agent",
        );
        debs::wait_until_online(&guest);
        deploy(&guest, "opener", "isolation: {syscalls: open}\n");
        deploy(&guest, "keeper", "");
    }
    debs::wait_until_online(&guest);
    guest
}

#[track_caller]
fn deploy(guest: &Machine, name: &str, more: &str) {
    let yaml =
        format!("name: {name}\nhandler: run.sh\nresources: {{memory: 128, disk: {LIMIT}}}\n{more}");
    let place = format!("/root/{name}");
    guest.put(&format!("{place}/function.yaml"), yaml, 0o644);
    guest.put(
        &format!("{place}/run.sh"),
        "#!/bin/sh\nexec sh -c \"$1\"\n",
        0o755,
    );
    for (file, text) in [
        ("leave.py", include_str!("quota/leave.py")),
        ("fill.py", include_str!("quota/fill.py")),
    ] {
        guest.put(&format!("{place}/{file}"), text, 0o644);
    }
    flux(guest, &format!("deploy {place}"));
}

/// Starts a line of shell as a function.
#[track_caller]
fn begun(guest: &Machine, function: &str, line: &str) -> String {
    flux(guest, &format!("exec {function} --async -- '{line}'"))
}

/// Its record, once it has ended.
#[track_caller]
fn record(guest: &Machine, id: &str) -> Value {
    guest.run(&as_client(&format!("logs {id} --follow >/root/said 2>&1")));
    let text = flux(guest, &format!("execution {id} --json"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[track_caller]
fn ended(guest: &Machine, function: &str, line: &str) -> Value {
    let id = begun(guest, function, line);
    record(guest, &id)
}

/// Bytes, as its record has them.
#[track_caller]
fn held(record: &Value) -> u64 {
    let held = &record["usage"]["max_disk_bytes"];
    held.as_u64().unwrap_or_else(|| panic!("{record}"))
}

/// Id, bytes, inodes and the limits of each project.
#[track_caller]
fn projects(guest: &Machine) -> Vec<Vec<u64>> {
    let listed = guest.succeed(&format!("python3 /root/figures.py {STATE}"));
    let numbers = |line: &str| {
        line.split(' ')
            .map(|it| it.parse().expect("a number"))
            .collect()
    };
    listed.lines().map(numbers).collect()
}

#[track_caller]
fn expect_no_project_left(guest: &Machine) {
    guest.wait_until(&format!("test -z \"$(python3 /root/figures.py {STATE})\""));
}

#[track_caller]
fn expect_out_of_disk(record: &Value, said: &str) {
    assert_eq!(record["reason"], "out_of_disk", "{record}");
    let error = record["error"].as_str().unwrap_or_default();
    assert!(error.contains(said), "{record}");
}

fn an_agent_says_which_way_it_holds_the_disk_limit() {
    let agent = |guest: &Machine| -> Value {
        let agents: Value = serde_json::from_str(&flux(guest, "agents --json")).expect("JSON");
        agents[0].clone()
    };
    let has = |agent: &Value, word: &str| {
        let words = agent["isolation"].as_array().expect("words");
        words.iter().any(|it| it == word)
    };
    {
        let guest = host();
        let hard = agent(&guest);
        assert!(has(&hard, "disk") && has(&hard, "disk_quota"), "{hard}");
        guest.succeed("journalctl -u flux-agent | grep -q 'contained by: .*disk_quota'");
    }
    let guest = fleet();
    let measured = agent(&guest);
    assert!(
        has(&measured, "disk") && !has(&measured, "disk_quota"),
        "{measured}"
    );
    let missing = measured["isolation_missing"].as_array().expect("a list");
    let reason = missing.iter().find(|it| it["what"] == "disk_quota");
    let reason = reason.map_or("", |it| it["reason"].as_str().expect("text"));
    assert!(
        reason.contains("measured instead") && reason.contains("prjquota"),
        "{measured}"
    );
}

fn the_kernel_refuses_what_would_pass_the_limit() {
    let guest = host();
    // Mostly too short for a look: then the figures at the end tell. Either way no more than that is there.
    for line in [
        "fallocate -l 5M a; fallocate -l 5M b",
        "fallocate -l 5M a; cat /dev/zero >b; exit 3",
    ] {
        let record = ended(&guest, "keeper", line);
        expect_out_of_disk(&record, "of its disk limit of 8 MiB");
        let held = held(&record);
        let over = LIMIT << 20..=(LIMIT << 20) + PAGE;
        assert!(over.contains(&held), "{record}");
    }
    expect_no_project_left(&guest);
}

fn an_execution_at_its_limit_is_left_alone_and_one_over_it_is_out_of_disk() {
    let guest = host();
    let record = ended(&guest, "keeper", "python3 fill.py 0");
    assert_eq!(record["status"], "success", "{record}");
    assert_eq!(held(&record), LIMIT << 20, "{record}");
    let record = ended(&guest, "keeper", &format!("python3 fill.py {PAGE}"));
    expect_out_of_disk(&record, "of its disk limit of 8 MiB");
    assert_eq!(held(&record), (LIMIT << 20) + PAGE, "{record}");
}

fn eight_writers_together_do_not_pass_the_limit() {
    let guest = host();
    guest.succeed(&format!(
        "python3 /root/figures.py {STATE} /root/enough >/root/most 2>&1 </dev/null &"
    ));
    let line = "for i in 1 2 3 4 5 6 7 8; do cat /dev/zero >f$i & done; wait; sleep 60";
    let record = ended(&guest, "keeper", line);
    expect_out_of_disk(&record, "of its disk limit of 8 MiB");
    guest.succeed("touch /root/enough");
    let seen: u64 = guest
        .wait_until("grep . /root/most")
        .parse()
        .expect("a number");
    // A page more, and what the others are found by, which is never refused.
    let most = (LIMIT << 20) + PAGE + (LIMIT << 20) / 64;
    // What one of them is refused another may have reserved, and given back unused: a look finds less then.
    let least = (LIMIT << 20) / 8 * 7;
    for held in [held(&record), seen] {
        assert!((least..=most).contains(&held), "{held}: {record}");
    }
    expect_no_project_left(&guest);
}

fn the_number_of_files_is_limited() {
    let guest = host();
    let record = ended(&guest, "keeper", "seq 10500 | xargs touch; sleep 60");
    // The next one was refused.
    expect_out_of_disk(&record, "made 10001 files, and its limit is 10000");
    expect_no_project_left(&guest);
}

fn each_execution_has_a_limit_of_its_own() {
    let guest = host();
    let line = "fallocate -l 6M a; echo on; until test -e enough; do sleep 0.1; done";
    let ids = [0, 1].map(|_| begun(&guest, "keeper", line));
    for id in &ids {
        guest.wait_until(&as_client(&format!("logs {id} | grep -q on")));
    }
    let projects = projects(&guest);
    let [one, other] = projects.as_slice() else {
        panic!("{projects:?}");
    };
    assert_ne!(one[0], other[0]);
    for project in [one, other] {
        assert!((6 << 20..8 << 20).contains(&project[1]), "{project:?}");
        assert_eq!(project[3] * 1024, (LIMIT << 20) + PAGE, "{project:?}");
    }
    for id in &ids {
        guest.succeed(&format!("touch {STATE}/work/{id}/enough"));
        assert_eq!(record(&guest, id)["status"], "success");
    }
    expect_no_project_left(&guest);
}

fn a_function_cannot_leave_its_project() {
    let guest = host();
    let record = ended(&guest, "keeper", "python3 leave.py; touch f");
    assert_eq!(
        record["output"], "flags EPERM\nproject EPERM\nfile_setattr EPERM\n",
        "{record}"
    );
    expect_no_project_left(&guest);
}

fn a_function_with_all_system_calls_is_measured_too() {
    let guest = host();
    let line = "python3 leave.py; fallocate -l 5M a; fallocate -l 5M b; sleep 60";
    let record = ended(&guest, "opener", line);
    // Before Linux 6.17 there is no such call.
    assert_eq!(
        record["output"], "flags done\nproject done\nfile_setattr ENOSYS\n",
        "{record}"
    );
    expect_out_of_disk(&record, "of its disk limit of 8 MiB");
    // One that has left its project and ended well is no other's to begin in.
    let record = ended(&guest, "opener", "python3 leave.py");
    assert_eq!(record["status"], "success", "{record}");
    expect_no_project_left(&guest);
}

fn nothing_is_left_of_a_quota_after_an_agent_was_killed() {
    let guest = host();
    let line = "fallocate -l 6M a; exec 3>b; rm b; head -c 1M /dev/zero >&3; echo on; sleep 60";
    let id = begun(&guest, "keeper", line);
    guest.wait_until(&as_client(&format!("logs {id} | grep -q on")));
    assert_eq!(projects(&guest).len(), 1);
    guest.succeed("systemctl kill --kill-whom=main --signal=KILL flux-agent");
    expect_no_project_left(&guest);
    debs::wait_until_online(&guest);
    assert_eq!(record(&guest, &id)["reason"], "lost");
    let record = ended(&guest, "keeper", "fallocate -l 5M a");
    assert_eq!(record["status"], "success", "{record}");
}
