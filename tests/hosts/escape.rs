//! The probe on a real host, installed from the packages: every attempt is denied, by the unit, the
//! kernel's limits and the agent together; and what it takes too much of is in its record.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};

use crate::debs::{self, KEY, as_client, flux};
use crate::machine::Machine;
use crate::process;
use crate::program::program;
use crate::suite::{self, Shared, tests};
use crate::table::Table;

tests![
    every_attempt_of_a_function_is_denied,
    every_attempt_succeeds_for_root_outside,
    a_function_without_a_network_reaches_nothing_of_the_hosts,
    who_takes_more_memory_than_its_own_is_ended_and_recorded_so,
    nothing_outlives_its_execution_and_nobody_else_is_hurt,
    links_left_behind_lead_nobody_astray,
];

const HOST: &str = "escape";
/// Of the prober; small, so that they are reached soon.
const MEMORY_MB: u64 = 64;
const PIDS: u64 = 40;
const CPU_MILLICORES: u64 = 300;
/// Of `agent.yaml` as it is installed.
const OPEN_FILES: u64 = 1024;
/// As in the probe's `processes.rs`.
const VICTIMS_SECRET: &str = "flux-victim-secret-in-the-environment";
const STATUS_MARK: &str = "written-by-the-probe";
/// The probe makes some hundred thousand system calls, and these machines are slow at them.
const LIMIT: Duration = Duration::from_secs(300);

/// Without debug information: a tenth of the bytes to send.
static PROBE: LazyLock<PathBuf> = LazyLock::new(|| {
    let output = PathBuf::from(crate::namespace::SCRATCH).join("escape-probe");
    process::succeed(
        process::command("strip")
            .arg("-o")
            .arg(&output)
            .arg(program()),
    );
    output
});

/// Not tried in the ordinary run; the second list is what a test of its own tries.
const SKIPPED: &[&str] = &[
    // The kernel's default tells everybody who asks; only a limit that was told can be exceeded.
    "limit.file_size",
    "socket.redis",
    "program.sudo",
    // Held back by a network of its own alone.
    "socket.abstract",
    "network.interfaces",
    "network.routes",
    "network.elsewhere",
    "network.agent_port",
    "network.control_port",
    "network.abstract_sockets",
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

/// Installed, configured, both functions deployed, the victim running.
fn host() -> Shared {
    let guest = suite::machine(HOST);
    if guest.run("test -d /root/prober").status != 0 {
        debs::install(&guest);
        debs::configure(&guest);
        // As systemd-coredump has it: to a program, which is no file whose size has a limit.
        guest.succeed("echo '|/usr/bin/tee /root/core' >/proc/sys/kernel/core_pattern");
        deploy(
            &guest,
            "victim",
            &format!("env: {{VICTIM_SECRET: {VICTIMS_SECRET}}}\n"),
        );
        deploy(
            &guest,
            "prober",
            &format!(
                "resources: {{memory: {MEMORY_MB}, cpu: {CPU_MILLICORES}, pids: {PIDS}}}\nenv: {{OWN: value}}\n"
            ),
        );
        deploy(&guest, "lonely", "isolation: {network: none}\n");
        grant(&guest);
        start_victim(&guest);
    }
    guest
}

fn deploy(guest: &Machine, name: &str, yaml: &str) {
    let yaml = format!("name: {name}\nhandler: run\ntimeout: 280\n{yaml}");
    guest.put(&format!("/root/{name}/function.yaml"), &yaml, 0o644);
    guest.put(&format!("/root/{name}/data.txt"), "of the release\n", 0o644);
    guest.copy(&PROBE, &format!("/root/{name}/run"));
    guest.succeed(&format!("chmod 755 /root/{name}/run"));
    flux(guest, &format!("deploy /root/{name}"));
}

/// Copies of the probe that an administrator has given root's rights, where functions can execute
/// them. The attribute is capabilities(7)' `vfs_cap_data`: version 2, effective, CAP_DAC_READ_SEARCH.
fn grant(guest: &Machine) {
    guest.succeed(
        "cp /root/prober/run /usr/local/bin/probe-setuid && chmod 4755 /usr/local/bin/probe-setuid \
         && cp /root/prober/run /usr/local/bin/probe-filecaps && chmod 755 /usr/local/bin/probe-filecaps \
         && python3 -c 'import os,struct; os.setxattr(\"/usr/local/bin/probe-filecaps\", \
         \"security.capability\", struct.pack(\"<5I\", 0x02000001, 4, 0, 0, 0))'",
    );
}

fn start_victim(guest: &Machine) {
    let id = flux(guest, "exec victim --async -- victim");
    guest.put("/root/victim.id", id.trim(), 0o600);
    let line = as_client(&format!("logs {id} | grep ready >/root/victim.said"));
    guest.wait_until(&line);
}

/// What the victim says of itself.
fn said(guest: &Machine, name: &str) -> String {
    let text = guest.fetch("/root/victim.said");
    let found = text
        .split_whitespace()
        .find_map(|word| word.strip_prefix(&format!("{name}=")));
    found
        .unwrap_or_else(|| panic!("no {name} in {text}"))
        .to_owned()
}

fn main_process(guest: &Machine, service: &str) -> String {
    guest.succeed(&format!("systemctl show -P MainPID {service}"))
}

/// What an attacker who knows the layout would say.
fn knowledge(guest: &Machine) -> Vec<String> {
    let state = "/var/lib/flux-agent";
    let (directory, temporary) = (said(guest, "directory"), said(guest, "temporary"));
    let release = guest.succeed(&format!("echo {state}/apps/victim/*"));
    let execution = guest.fetch("/root/victim.id");
    let cgroup = guest.succeed(&format!("sed s/^0::// /proc/{}/cgroup", said(guest, "pid")));
    let mut told: Vec<String> = [
        "read=agent_config:/etc/flux-agent/agent.yaml".to_owned(),
        "read=agent_certificate:/etc/flux-agent/certs/agent.pem".to_owned(),
        "read=agent_key:/etc/flux-agent/certs/agent-key.pem".to_owned(),
        format!("read=agent_journal:{state}/journal/journal.db"),
        format!("read=victims_output:{state}/output/{execution}.out"),
        format!("read=victims_handler:{release}/run"),
        format!("read=victims_data:{release}/data.txt"),
        format!("read=victims_file:{directory}/secret.txt"),
        format!("read=victims_temporary_file:{temporary}/secret.txt"),
        "read=control_config:/etc/flux/flux.yaml".to_owned(),
        "read=control_store:/var/lib/flux/flux.db".to_owned(),
        "read=authority_key:/etc/flux/certs/ca/ca-key.pem".to_owned(),
        format!("list=agent_state:{state}"),
        format!("list=agent_output:{state}/output"),
        format!("list=agent_journal:{state}/journal"),
        format!("list=working_directories:{state}/work"),
        format!("list=functions:{state}/apps"),
        format!("list=victims_release:{release}"),
        format!("list=victims_directory:{directory}"),
        format!("list=victims_temporary:{temporary}"),
        "list=control_state:/var/lib/flux".to_owned(),
        "list=system_journal:/var/log/journal".to_owned(),
        "write=agent_config:/etc/flux-agent/agent.yaml".to_owned(),
        "write=agent_key:/etc/flux-agent/certs/agent-key.pem".to_owned(),
        format!("write=agent_state:{state}"),
        format!("write=agent_journal:{state}/journal/journal.db"),
        format!("write=working_directories:{state}/work"),
        format!("write=functions:{state}/apps"),
        format!("write=victims_release:{release}"),
        format!("write=victims_directory:{directory}"),
        format!("write=victims_temporary:{temporary}"),
        "link=agent_key:/etc/flux-agent/certs/agent-key.pem".to_owned(),
        format!("link=victims_file:{directory}/secret.txt"),
        format!("link=victims_data:{release}/data.txt"),
        format!("victim_pid={}", said(guest, "pid")),
        format!("victim_uid={}", said(guest, "uid")),
        format!("victim_address={}", said(guest, "address")),
        format!("agent_pid={}", main_process(guest, "flux-agent")),
        format!("control_pid={}", main_process(guest, "flux")),
        format!("rpc={}:50052", guest.address()),
        "control=127.0.0.1:7227".to_owned(),
        "words=/etc/flux/flux.yaml".to_owned(),
        "words=/etc/flux-agent/agent.yaml".to_owned(),
        "certificate=agent:/etc/flux-agent/certs/agent.pem:/etc/flux-agent/certs/agent-key.pem"
            .to_owned(),
        "certificate=control:/etc/flux/certs/flux/flux.pem:/etc/flux/certs/flux/flux-key.pem"
            .to_owned(),
        format!("other_cgroup=/sys/fs/cgroup{cgroup}"),
        format!("pids={PIDS}"),
        format!("cpu_millicores={CPU_MILLICORES}"),
        format!("open_files={OPEN_FILES}"),
        "processes=hidden".to_owned(),
        "setuid=/usr/local/bin/probe-setuid".to_owned(),
        "filecaps=/usr/local/bin/probe-filecaps".to_owned(),
        format!("status_mark={STATUS_MARK}"),
        "env=OWN".to_owned(),
        format!("secret={VICTIMS_SECRET}"),
    ]
    .into();
    for path in told.iter().filter_map(|it| path_of(it)) {
        guest.succeed(&format!("test -e {path}"));
    }
    told.insert(0, "try".to_owned());
    told
}

/// Of what is to be read, listed, written or linked: one that is not there would be denied to anybody.
fn path_of(told: &str) -> Option<&str> {
    let (verb, rest) = told.split_once('=')?;
    let is_path = ["read", "list", "write", "link"].contains(&verb);
    is_path
        .then(|| rest.split_once(':'))
        .flatten()
        .map(|(_, path)| path)
}

/// Runs a function to its end over the API, and returns its record.
#[track_caller]
fn execute(guest: &Machine, function: &str, arguments: &[String]) -> Value {
    let body = json!({ "args": arguments }).to_string();
    guest.put("/root/body.json", &body, 0o600);
    let line = format!(
        "curl --silent --show-error --max-time 290 -H 'X-API-Key: {KEY}' -H 'Content-Type: application/json' \
         --data-binary @/root/body.json http://127.0.0.1:7227/execute/{function}"
    );
    let ran = guest.run_within(&line, LIMIT);
    serde_json::from_str(&ran.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", ran.stdout, ran.stderr))
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

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
    table.expect_denied(SKIPPED);
    println!("hosts: {} in {} ms", table.summary(), record["duration_ms"]);
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
        "ulimit -n 4096; cd /root/outside/work && TMPDIR=$PWD unshare --mount --uts /root/outside/run{quoted}"
    );
    let ran = guest.run_within(&line, LIMIT);
    Table::parse(&ran.stdout).expect_escaped(OF_NOBODY);
}

fn a_function_without_a_network_reaches_nothing_of_the_hosts() {
    let guest = host();
    let mut arguments = knowledge(&guest);
    arguments.extend(words(
        "network=none only=network. only=socket.abstract only=socket.any only=rpc. only=control.",
    ));
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
    guest.wait_until(&format!("test \"$({cgroups})\" -ge 1"));
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
