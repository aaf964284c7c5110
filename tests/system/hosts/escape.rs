//! The probe on a real host, installed from the packages: every attempt is denied, by the unit, the
//! kernel's limits and the agent together; and what it takes too much of is in its record.

use super::debs::flux;
use super::machine::Machine;
use super::prober::{LIMIT, STATUS_MARK, execute, host, knowledge, main_process, said, words};
use crate::escape::table::{OF_A_NETWORK, Table, only_of_a_network};
use crate::harness::notes;
use crate::runner::tests;

tests![
    every_attempt_of_a_function_is_denied,
    every_attempt_succeeds_for_root_outside,
    a_function_without_a_network_reaches_nothing_of_the_hosts,
    who_takes_more_memory_than_its_own_is_ended_and_recorded_so,
    who_takes_more_disk_than_its_own_is_ended_and_recorded_so,
    nothing_outlives_its_execution_and_nobody_else_is_hurt,
    links_left_behind_lead_nobody_astray,
];

/// Not tried in the ordinary run; the second list is what a test of its own tries.
const SKIPPED: &[&str] = &[
    // The kernel's default tells everybody who asks; only a limit that was told can be exceeded.
    "limit.file_size",
    "socket.redis",
    "program.sudo",
];

/// Where root outside is no better off than a function.
const OF_NOBODY: &[&str] = &[
    // The agent and the control plane refuse everybody; what systemd believed is looked at from outside.
    "control.without_key",
    "control.with_empty_key",
    "rpc.without_certificate",
    "rpc.with_own_certificate",
    "rpc.without_tls",
    "socket.notify_systemd",
    // Cannot be switched off once it is on, and changes nothing where it is off.
    "privilege.new_privileges_again",
    // A program that ssh starts begins with these too.
    "inherited.descriptors",
    "inherited.blocked_signals",
    "inherited.ignored_signals",
    "inherited.terminal",
    "inherited.priority",
    "inherited.memory_pressure_score",
    "persistent.listed_memory",
    // A guest's kernel does not have these; with more of them the attempts have power as well.
    "call.perf_event_open",
    "call.delete_module",
    "call.kexec_load",
    "call.acct",
    "call.by_other_numbers",
    "call.by_other_entry",
    "device.fuse",
    "device.virtual_machines",
    "device.io_ports",
    "process.agent_stack",
    "process.agent_syscall",
    "process.victim_stack",
    "process.victim_syscall",
    "process.control_stack",
    "process.control_syscall",
    "process.init_stack",
    "process.init_syscall",
    "read.kernel_memory",
    "write.sysrq",
    // A guest has no cron, no Redis, no login sessions and no way out; its parent cgroup holds groups, so
    // nobody can join it.
    "list.cron_tables",
    "socket.redis",
    "program.loginctl",
    "network.elsewhere",
    "cgroup.join_parent",
    "limit.file_size",
];

fn every_attempt_of_a_function_is_denied() {
    let guest = host();
    let (agent, control) = (
        main_process(&guest, "flux-agent"),
        main_process(&guest, "flux"),
    );
    let record = execute(&guest, "prober", &knowledge(&guest));
    let table = Table::parse(
        record["output"]
            .as_str()
            .unwrap_or_else(|| panic!("{record}")),
    );
    table.expect_denied(&[SKIPPED, &OF_A_NETWORK].concat());
    notes::add(&format!(
        "hosts: {} in {} ms",
        table.summary(),
        record["duration_ms"]
    ));
    let status = guest.succeed("systemctl show -P StatusText flux-agent");
    assert!(
        !status.contains(STATUS_MARK),
        "systemd believed it: {status}"
    );
    assert_eq!(main_process(&guest, "flux-agent"), agent);
    assert_eq!(main_process(&guest, "flux"), control);
}

fn every_attempt_succeeds_for_root_outside() {
    let guest = host();
    let mut arguments = knowledge(&guest);
    arguments.push("network=none".to_owned());
    arguments.push(format!("abstract={}", said(&guest, "abstract")));
    arguments.push("release=/root/outside".to_owned());
    guest.succeed("rm -rf /root/outside && cp -r /root/prober /root/outside && chmod 4755 /root/outside/run && mkdir /root/outside/work");
    let quoted: String = arguments.iter().map(|it| format!(" '{it}'")).collect();
    let line = format!(
        "ulimit -n 4096; exec 9</dev/null; cd /root/outside/work && TMPDIR=$PWD unshare --mount --uts /root/outside/run{quoted}"
    );
    let ran = guest.run_within(&line, LIMIT);
    Table::parse(&ran.stdout).expect_escaped(OF_NOBODY);
}

fn a_function_without_a_network_reaches_nothing_of_the_hosts() {
    let guest = host();
    let mut arguments = knowledge(&guest);
    arguments.extend(only_of_a_network());
    arguments.push(format!("abstract={}", said(&guest, "abstract")));
    let record = execute(&guest, "lonely", &arguments);
    let table = Table::parse(
        record["output"]
            .as_str()
            .unwrap_or_else(|| panic!("{record}")),
    );
    table.expect_denied(&[]);
}

fn who_takes_more_memory_than_its_own_is_ended_and_recorded_so() {
    let guest = host();
    for what in ["memory", "memory_of_children"] {
        let record = execute(
            &guest,
            "prober",
            &words(&format!("take what={what} mb=160")),
        );
        assert_eq!(record["reason"], "out_of_memory", "{record}");
        assert_eq!(record["status"], "failed", "{record}");
    }
    expect_others_alive(&guest);
}

fn who_takes_more_disk_than_its_own_is_ended_and_recorded_so() {
    let guest = host();
    for what in ["disk", "disk_without_names", "disk_in_many_files"] {
        let record = execute(
            &guest,
            "hoarder",
            &words(&format!("take what={what} mb=64")),
        );
        assert_eq!(record["reason"], "out_of_disk", "{what}: {record}");
        let id = record["execution_id"].as_str().expect("id");
        guest.succeed(&format!("test ! -e /var/lib/flux-agent/work/{id}"));
    }
    expect_others_alive(&guest);
}

/// The agent and the victim go on.
#[track_caller]
fn expect_others_alive(guest: &Machine) {
    assert_eq!(
        guest.succeed("systemctl is-active flux flux-agent"),
        "active\nactive"
    );
    assert_eq!(guest.succeed("systemctl show -P NRestarts flux-agent"), "0");
    guest.succeed(&format!("test -d /proc/{}", said(guest, "pid")));
}

fn nothing_outlives_its_execution_and_nobody_else_is_hurt() {
    let guest = host();
    let record = execute(&guest, "prober", &words("linger mark=flux-lingering-here"));
    // The pattern does not match itself.
    let marked = "grep -l 'flux-lingering-[h]ere' /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; true";
    assert_eq!(guest.succeed(marked), "");
    assert_eq!(record["output"], "left 10 of 10\n", "{record}");
    let zombies = format!(
        "ps -o stat= --ppid {} | grep Z; true",
        main_process(&guest, "flux-agent")
    );
    assert_eq!(guest.succeed(&zombies), "");
    let cgroups = "find /sys/fs/cgroup/system.slice/flux-agent.service -mindepth 1 -type d -name '*-*-*-*-*' | wc -l";
    guest.wait_until(&format!("test \"$({cgroups})\" -eq 1"));
    let record = execute(&guest, "prober", &words("rampage"));
    assert_eq!(record["output"], "has killed whom it could\n", "{record}");
    expect_others_alive(&guest);
}

fn links_left_behind_lead_nobody_astray() {
    let guest = host();
    guest.succeed("mkdir -p /root/canaries && echo canary >/root/canaries/file && chmod 600 /root/canaries/file");
    let canaries = "/etc/shadow /etc/flux-agent/agent.yaml /root/canaries /root/canaries/file /usr/bin/flux-agent";
    let seen = format!("stat -c '%n %s %a %u %g %h %Z' {canaries}");
    let before = guest.succeed(&seen);
    let told: String = canaries
        .split(' ')
        .map(|path| format!(" canary={path}"))
        .collect();
    for _ in 0..2 {
        let record = execute(&guest, "prober", &words(&format!("plant{told}")));
        assert_eq!(record["status"], "success", "{record}");
    }
    flux(&guest, "deploy /root/prober");
    let record = execute(&guest, "prober", &words("try only=inherited.directories"));
    assert_eq!(record["status"], "success", "{record}");
    assert_eq!(guest.succeed(&seen), before);
    let left = format!(
        "ls /var/lib/flux-agent/work | grep -v {}; true",
        guest.fetch("/root/victim.id")
    );
    guest.wait_until(&format!("test -z \"$({left})\""));
}
