//! What a killed agent leaves running, the next one ends.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use flux::sandbox::{CgroupMode, Control, Enforced, Sandbox, SandboxConfig};

use super::place::{Mode, Place, config, eventually, is_alive};
use crate::runner::{helper, tests};

tests![
    the_next_agent_ends_what_a_killed_one_left_running in Mode::BOTH,
    a_running_execution_is_no_leftover,
];

/// Tells the helper its mode and directory.
const HELPER_MODE: &str = "FLUX_SANDBOX_TEST_MODE";
const HELPER_ROOT: &str = "FLUX_SANDBOX_TEST_ROOT";
const AGENT: &str = "test-leftovers";

fn agent_config(root: &Path, mode: CgroupMode) -> SandboxConfig {
    SandboxConfig {
        name: AGENT.to_owned(),
        ..config(root, mode, None)
    }
}

fn the_next_agent_ends_what_a_killed_one_left_running(mode: Mode) {
    // Skips where the mode is not to be had.
    drop(mode.place());
    let (cgroups, name) = match mode {
        Mode::WithCgroups | Mode::WithoutCgroupKill => (CgroupMode::Auto, "auto"),
        Mode::WithoutCgroups => (CgroupMode::Off, "off"),
    };
    let root = tempfile::tempdir().expect("a directory");
    let pids = kill_an_agent(name, root.path());
    let [leader, daemon] = &pids[..] else {
        panic!("two numbers: {pids:?}");
    };
    eventually("the leader dies with its agent", || !is_alive(leader));
    assert!(is_alive(daemon), "the daemon is left");
    let sandbox = Sandbox::open(agent_config(root.path(), cgroups)).expect("the next agent");
    let cleared = sandbox.clear_leftovers().expect("cleared");
    assert!(!is_alive(daemon));
    // A leader that was still dying may be counted.
    assert!((1..=2).contains(&cleared), "{cleared}");
    assert_eq!(sandbox.clear_leftovers().expect("clear"), 0);
}

/// Runs an agent with one execution until that has two processes, and kills it. Returns the two.
fn kill_an_agent(mode: &str, root: &Path) -> Vec<String> {
    let mut agent = helper::command("sandbox::leftovers::an_agent_to_be_killed")
        .env(HELPER_MODE, mode)
        .env(HELPER_ROOT, root)
        // It has no time to tidy up.
        .env("TMPDIR", root)
        .stdout(Stdio::piped())
        .spawn()
        .expect("an agent");
    let lines = BufReader::new(agent.stdout.take().expect("its output")).lines();
    let pids: Vec<String> = lines
        .map(|line| line.expect("a line"))
        .filter_map(|line| line.split_once("pid=").map(|(_, pid)| pid.to_owned()))
        .take(2)
        .collect();
    agent.kill().expect("killed");
    agent.wait().expect("reaped");
    pids
}

/// The agent of the test above.
pub fn an_agent_to_be_killed() {
    let mode = std::env::var(HELPER_MODE).expect("a mode");
    let root = std::env::var_os(HELPER_ROOT).expect("a directory");
    let mode = match mode.as_str() {
        "off" => CgroupMode::Off,
        _ => CgroupMode::Auto,
    };
    let sandbox = Sandbox::open(agent_config(root.as_ref(), mode)).expect("a sandbox");
    let place = Place::new(CgroupMode::Off);
    let mut spec = place.shell("echo pid=$$; setsid sh -c 'sleep 1000 & echo pid=$!'; sleep 1000");
    let tmpdir = Path::new(&root).join(spec.execution_id.as_str());
    spec.env = vec![
        ("PATH".into(), "/usr/bin:/bin".into()),
        ("TMPDIR".into(), tmpdir.into()),
    ];
    let control = Control::new().expect("control");
    sandbox.run(&spec, &control, &mut Printer);
}

/// Passes the output on as it comes.
struct Printer;

impl flux::sandbox::OutputSink for Printer {
    fn write(&mut self, _stream: flux::model::output::Stream, data: &[u8]) {
        print!("{}", String::from_utf8_lossy(data));
        std::io::Write::flush(&mut std::io::stdout()).expect("flushed");
    }
}

fn a_running_execution_is_no_leftover() {
    let root = tempfile::tempdir().expect("a directory");
    let place = Place::new(CgroupMode::Off);
    let mut spec = place.shell("echo ready; sleep 1000");
    spec.env[1].1 = root.path().join("someones").into();
    let path = root.path().to_owned();
    let (outcome, _) = place.run_until(&spec, "ready", move |control, _| {
        let sandbox = Sandbox::open(agent_config(&path, CgroupMode::Off)).expect("a sandbox");
        // A running execution of this very process.
        assert_eq!(sandbox.clear_leftovers().expect("cleared"), 0);
        control.stop(flux::sandbox::StopReason::Cancelled);
    });
    assert_eq!(outcome.ending, flux::model::execution::Ending::Cancelled);
    assert!(!place.sandbox.enforced().contains(&Enforced::CgroupKill));
}
