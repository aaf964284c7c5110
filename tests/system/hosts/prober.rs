//! A host with the packages, a victim that runs, and a prober that knows where everything is.
//!
//! Invariant: every path that the prober is told exists, so that none is denied for not being there.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};

use super::debs::{self, KEY, as_client, flux};
use super::machine::Machine;
use super::suite::{self, Shared};
use crate::escape::program::program;
use crate::harness::process;

const HOST: &str = "escape";
/// Of the prober; small, so that they are reached soon.
const MEMORY_MB: u64 = 64;
const PIDS: u64 = 40;
const CPU_MILLICORES: u64 = 300;
/// Of `agent.yaml` as it is installed.
const OPEN_FILES: u64 = 1024;
/// As in the probe's `processes.rs`.
const VICTIMS_SECRET: &str = "flux-victim-secret-in-the-environment";
pub const STATUS_MARK: &str = "written-by-the-probe";
/// The probe makes some hundred thousand system calls, and these machines are slow at them.
pub const LIMIT: Duration = Duration::from_secs(300);

/// Without debug information: a tenth of the bytes to send.
static PROBE: LazyLock<PathBuf> = LazyLock::new(|| {
    let output = PathBuf::from(super::namespace::SCRATCH).join("escape-probe");
    process::succeed(
        process::command("strip")
            .arg("-o")
            .arg(&output)
            .arg(program()),
    );
    output
});

/// Installed, configured, both functions deployed, the victim running.
pub fn host() -> Shared {
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
        deploy(&guest, "hoarder", "resources: {disk: 8}\n");
        grant(&guest);
        start_victim(&guest);
    }
    guest
}

fn deploy(guest: &Machine, name: &str, yaml: &str) {
    // The victim is there until the last test.
    let timeout = if name == "victim" { 7200 } else { 280 };
    let yaml = format!("name: {name}\nhandler: run\ntimeout: {timeout}\n{yaml}");
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
pub fn said(guest: &Machine, name: &str) -> String {
    let text = guest.fetch("/root/victim.said");
    let found = text
        .split_whitespace()
        .find_map(|word| word.strip_prefix(&format!("{name}=")));
    found
        .unwrap_or_else(|| panic!("no {name} in {text}"))
        .to_owned()
}

pub fn main_process(guest: &Machine, service: &str) -> String {
    guest.succeed(&format!("systemctl show -P MainPID {service}"))
}

/// What an attacker who knows the layout would say.
pub fn knowledge(guest: &Machine) -> Vec<String> {
    let of_files = knowledge_of_files(guest);
    for path in of_files.iter().filter_map(|it| path_of(it)) {
        guest.succeed(&format!("test -e {path}"));
    }
    let of_processes = knowledge_of_processes(guest);
    [vec!["try".to_owned()], of_files, of_processes].concat()
}

/// Where everything is.
fn knowledge_of_files(guest: &Machine) -> Vec<String> {
    let state = "/var/lib/flux-agent";
    let (directory, temporary) = (said(guest, "directory"), said(guest, "temporary"));
    let release = guest.succeed(&format!("echo {state}/apps/victim/*"));
    let execution = guest.fetch("/root/victim.id");
    vec![
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
    ]
}

/// Who runs, what may be had, and where somebody listens.
fn knowledge_of_processes(guest: &Machine) -> Vec<String> {
    let cgroup = guest.succeed(&format!("sed s/^0::// /proc/{}/cgroup", said(guest, "pid")));
    vec![
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
pub fn execute(guest: &Machine, function: &str, arguments: &[String]) -> Value {
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

pub fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}
