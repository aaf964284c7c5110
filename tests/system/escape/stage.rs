//! A fleet with a victim that runs, and a prober that knows where everything is.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::probe;
use crate::harness::{AgentOptions, Fleet, FleetOptions, eventually, function_yaml};
use crate::runner::{Need, needs};

/// In the agent's own environment, and nowhere else.
pub const AGENTS_SECRET: &str = "agents-own-secret-77c0";
/// As in the probe's `processes.rs`.
pub const VICTIMS_SECRET: &str = "flux-victim-secret-in-the-environment";
pub const OPEN_FILES: u64 = 256;
pub const FILE_SIZE_MB: u64 = 32;

pub struct Stage {
    pub fleet: Fleet,
    pub victim: Victim,
}

/// What it says of itself.
pub struct Victim {
    pub execution: String,
    said: BTreeMap<String, String>,
}

impl Stage {
    /// Skips the test for all but root: only an agent that runs as root contains what the probe tries.
    #[track_caller]
    pub fn start() -> Stage {
        needs(&[Need::Root]);
        let fleet = Fleet::with(&FleetOptions {
            agents: vec![AgentOptions {
                agent_yaml: format!(
                    "limits:\n  open_files: {OPEN_FILES}\n  file_size_mb: {FILE_SIZE_MB}\n  output_max_mb: 1\n"
                ),
                env: vec![("AGENT_TEST_SECRET", AGENTS_SECRET)],
                ..AgentOptions::default()
            }],
            ..FleetOptions::default()
        });
        deploy(
            &fleet,
            "victim",
            &format!("env: {{VICTIM_SECRET: {VICTIMS_SECRET}}}\n"),
        );
        deploy(&fleet, "prober", "env: {OWN: value}\n");
        let victim = Victim::start(&fleet);
        Stage { fleet, victim }
    }

    /// Runs the prober to its end; returns its record, whatever that is.
    #[track_caller]
    pub fn probe(&self, arguments: &[String]) -> Value {
        self.run("prober", arguments)
    }

    /// The same with the probe under another name.
    #[track_caller]
    pub fn run(&self, function: &str, arguments: &[String]) -> Value {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let id = self.fleet.execute_async(function, &arguments);
        self.fleet.await_end(&id)
    }

    /// The probe as another function.
    #[track_caller]
    pub fn deploy(&self, name: &str, yaml: &str) {
        deploy(&self.fleet, name, yaml);
    }

    /// Whether the agent says so of itself.
    #[track_caller]
    pub fn enforces(&self, what: &str) -> bool {
        let agent = self.fleet.agent("agent-1").expect("the agent");
        let enforced = agent["isolation"].as_array().expect("a list");
        enforced.iter().any(|it| it == what)
    }

    pub fn agent_pid(&self) -> i32 {
        self.fleet.agents[0].daemon.pid()
    }

    /// The agent's directory of `name`'s one release.
    #[track_caller]
    pub fn release(&self, name: &str) -> PathBuf {
        let directory = self.agent_state().join("apps").join(name);
        let mut entries = fs::read_dir(&directory).expect("releases");
        entries.next().expect("a release").expect("an entry").path()
    }

    pub fn agent_state(&self) -> PathBuf {
        self.fleet.agents[0].state_dir()
    }
}

impl Victim {
    #[track_caller]
    fn start(fleet: &Fleet) -> Victim {
        let execution = fleet.execute_async("victim", &["victim"]);
        let path = format!("/executions/{execution}");
        let record = eventually("the victim is ready", || {
            let record = fleet.api.get(&path).expect(200);
            assert_eq!(record["status"], "running", "{record}");
            let is_ready = record["output"].as_str()?.contains("ready");
            is_ready.then_some(record)
        });
        let said = record["output"]
            .as_str()
            .expect("text")
            .split_whitespace()
            .filter_map(|word| word.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Victim { execution, said }
    }

    #[track_caller]
    pub fn said(&self, name: &str) -> &str {
        self.said
            .get(name)
            .unwrap_or_else(|| panic!("no {name}: {:?}", self.said))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(self.said(name))
    }
}

#[track_caller]
fn deploy(fleet: &Fleet, name: &str, yaml: &str) {
    let yaml = function_yaml(name, &format!("{yaml}timeout: 180\n"));
    fleet.api.put("/functions", yaml.as_bytes()).expect(201);
    fleet
        .api
        .put(&format!("/deploy/{name}"), probe::archive())
        .expect(200);
}

pub fn open_to_all(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
}
