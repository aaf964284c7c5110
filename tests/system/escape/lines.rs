//! The table: denied inside, and not for lack of power.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::probe;
use super::program::program;
use super::stage::{Stage, open_to_all};
use super::table::{OF_A_NETWORK, Table, only_of_a_network};
use crate::harness::notes;
use crate::runner::tests;

tests![
    every_attempt_is_denied,
    every_attempt_succeeds_where_nothing_contains_it,
    a_function_without_a_network_reaches_nothing_of_the_machines,
];

/// Not tried on this machine; each of them is on real hosts.
const SKIPPED_HERE: &[&str] = &[
    // Need cgroup controllers.
    "limit.processes",
    "limit.processor",
    // Hidden by the unit of the agent.
    "process.command_lines_of_others",
    // Need systemd, or programs that not every machine has.
    "program.sudo",
    "program.systemd_run",
    "program.systemctl",
    "program.loginctl",
    "program.hostnamectl",
    "socket.notify_systemd",
    "socket.redis",
];

/// Where a process outside is no better off, or where this kind of machine has nothing to get. Their power
/// shows on real hosts, if anywhere.
const OF_NOBODY: &[&str] = &[
    // The agent and the control plane refuse everybody.
    "control.without_key",
    "control.with_empty_key",
    "rpc.without_certificate",
    "rpc.with_own_certificate",
    "rpc.without_tls",
    // Cannot be switched off once it is on, and changes nothing where it is off.
    "privilege.new_privileges_again",
    // A program that a test starts begins with these too.
    "inherited.blocked_signals",
    "inherited.ignored_signals",
    "inherited.groups",
    "inherited.memory_pressure_score",
    "inherited.priority",
    "inherited.terminal",
    "persistent.listed_memory",
    // Root of a container or of a small virtual machine has no rights to these, or its kernel does not
    // have them.
    "call.by_other_numbers",
    "call.by_other_entry",
    "call.finit_module",
    "call.init_module",
    "call.delete_module",
    "call.kexec_load",
    "call.kcmp",
    "call.outlive_memory_pressure",
    "device.*",
    "limit.raised_again",
    "list.cron_tables",
    "list.logs",
    "privilege.join_namespaces",
    "process.init_*",
    "process.victim_prlimit",
    "read.kernel_memory",
    "read.shadow_backup",
    "write.mqueue",
    "write.sysrq",
    // Programs and daemons that are not on every machine.
    "program.*",
    "socket.any_path",
    "socket.private",
    "socket.notify_systemd",
    "socket.redis",
];

fn every_attempt_is_denied() {
    let stage = Stage::start();
    let mut arguments = vec!["try".to_owned()];
    arguments.extend(stage.knowledge());
    let record = stage.probe(&arguments);
    let table = Table::parse(record["output"].as_str().expect("text"));
    table.expect_denied(&[SKIPPED_HERE, &OF_A_NETWORK].concat());
    notes::add(&format!("escape: {}", table.summary()));
    assert_eq!(record["status"], "success", "{record}");
}

fn every_attempt_succeeds_where_nothing_contains_it() {
    let stage = Stage::start();
    let mut arguments = stage.knowledge();
    arguments.push("pids=100".to_owned());
    arguments.push("cpu_millicores=100".to_owned());
    arguments.push(format!("abstract={}", stage.victim.said("abstract")));
    arguments.push("network=none".to_owned());
    arguments.push("processes=hidden".to_owned());
    let output = outside(&stage, &arguments);
    Table::parse(&output).expect_escaped(OF_NOBODY);
}

fn a_function_without_a_network_reaches_nothing_of_the_machines() {
    let stage = Stage::start();
    stage.deploy("lonely", "isolation: {network: none}\n");
    let mut arguments = vec!["try".to_owned()];
    arguments.extend(only_of_a_network());
    arguments.push(format!("abstract={}", stage.victim.said("abstract")));
    arguments.extend(stage.knowledge());
    let record = stage.run("lonely", &arguments);
    let table = Table::parse(record["output"].as_str().expect("text"));
    table.expect_denied(&[]);
}

/// The leader of a session, whose parent is this test, holds a descriptor that its children inherit: a test's
/// own surroundings may have neither.
const SURROUNDINGS: &str = r#"exec 9</dev/null; "$@"; exit $?"#;

/// As root, with mounts of its own: what it mounts goes with it.
#[expect(clippy::disallowed_methods, reason = "tests start the real programs")]
fn outside(stage: &Stage, arguments: &[String]) -> String {
    let directory = stage.fleet.directory().join("outside");
    let (release, work) = (directory.join("release"), directory.join("work"));
    for path in [&directory, &release, &work] {
        fs::create_dir(path).expect("a directory");
        open_to_all(path, 0o755);
    }
    let program = copy_of_release(&release);
    let output = Command::new("/usr/bin/setsid")
        .args(["/bin/sh", "-c", SURROUNDINGS, "outside"])
        .args(["/usr/bin/unshare", "--mount", "--uts"])
        .arg(program)
        .arg("try")
        .args(arguments)
        .current_dir(&work)
        .env("TMPDIR", &work)
        .output()
        .expect("setsid");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn copy_of_release(directory: &Path) -> std::path::PathBuf {
    let copy = directory.join("run");
    fs::copy(program(), &copy).expect("a copy");
    fs::copy("/etc/hostname", directory.join(probe::BESIDE)).expect("a file");
    open_to_all(&copy, 0o4755);
    copy
}
