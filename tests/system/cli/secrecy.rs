//! What must be nowhere: keys, tokens and functions' values, in no log and no process list.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use super::user::{User, processes_with};
use crate::harness::fleet::API_KEY;
use crate::harness::{AgentOptions, Fleet, FleetOptions};
use crate::runner::tests;

tests![
    no_secret_is_in_any_log_or_process_list,
    log_lines_say_when_how_grave_and_what,
];

const LOUD: &str = "log: trace\n";
const VALUE: &str = "hunter2-of-the-function";
const CALL_VALUE: &str = "hunter3-of-the-call";

fn logs(directory: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("list") {
        let path = entry.expect("entry").path();
        if path.is_dir() && !path.ends_with("state") {
            found.extend(logs(&path));
        } else if path.extension().is_some_and(|extension| extension == "log") {
            let text = fs::read_to_string(&path).expect("log");
            found.push((path.display().to_string(), text));
        }
    }
    found
}

fn no_secret_is_in_any_log_or_process_list() {
    let options = FleetOptions {
        flux_yaml: LOUD.to_owned(),
        agents: vec![AgentOptions {
            agent_yaml: LOUD.to_owned(),
            ..AgentOptions::default()
        }],
    };
    let fleet = Fleet::with(&options);
    let user = User::of(&fleet);
    let yaml = format!("env:\n  PASSWORD: {VALUE}\n");
    user.deploy(
        "keeper",
        &yaml,
        "echo \"$PASSWORD $OF_CALL\"; exec sleep 1000",
    );
    let token = user.run(&["agent", "enroll", "another"]).exits(0);
    let token = token.stdout().trim().to_owned();
    let of_call = format!("OF_CALL={CALL_VALUE}");
    let env_file = ["exec", "keeper", "--env", &of_call];
    let mut exec = user.start(&env_file, Stdio::null());
    assert_eq!(exec.line(), format!("{VALUE} {CALL_VALUE}"));
    // The value of --env stands in the caller's own command line; nowhere else.
    let own = format!("/proc/{}:", exec.child.id());
    for secret in [API_KEY, VALUE, CALL_VALUE, &token] {
        let mut processes = processes_with(secret);
        processes.retain(|line| !line.starts_with(&own));
        assert_eq!(processes, Vec::<String>::new());
    }
    exec.interrupt();
    exec.end().exits(130);
    user.run(&["functions"]).exits(0);
    user.with("FLUX_API_KEY", "a-wrong-key-of-a-stranger")
        .run(&["functions"])
        .exits(1);
    let logs = logs(fleet.directory());
    assert_eq!(logs.len(), 2, "of the control plane and of the agent");
    for (path, text) in &logs {
        for secret in [
            API_KEY,
            VALUE,
            CALL_VALUE,
            &token,
            "a-wrong-key-of-a-stranger",
        ] {
            assert!(!text.contains(secret), "{secret} is in {path}");
        }
    }
}

fn log_lines_say_when_how_grave_and_what() {
    let fleet = Fleet::start();
    let log = fleet.flux.log();
    assert!(!log.is_empty());
    for line in log.lines() {
        let (time, rest) = line.split_once(' ').expect("a time");
        assert!(
            flux::base::clock::Timestamp::parse_rfc3339(time).is_some() && time.ends_with('Z'),
            "{line}"
        );
        let level = rest.split_whitespace().next().expect("a level");
        assert!(["ERROR", "WARN", "INFO"].contains(&level), "{line}");
        assert!(line.chars().all(|c| !c.is_control()), "{line:?}");
    }
}
