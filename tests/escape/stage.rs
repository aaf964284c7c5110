//! A fleet with a victim that runs, and a prober that knows where everything is.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use serde_json::Value;

use crate::harness::{AgentOptions, Fleet, FleetOptions, eventually, function_yaml};
use crate::probe;
use crate::program::program;

/// In the agent's own environment, and nowhere else.
pub const AGENTS_SECRET: &str = "agents-own-secret-77c0";
/// As in the probe's `processes.rs`.
const VICTIMS_SECRET: &str = "flux-victim-secret-in-the-environment";
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

/// Whether the tests can be run here, with a line that says why not.
#[expect(
    clippy::print_stdout,
    reason = "who reads the tests' output should know"
)]
pub fn is_possible() -> bool {
    let is_root = geteuid().is_root();
    if !is_root {
        println!("skipped: only an agent that runs as root contains what the probe tries");
    }
    is_root
}

impl Stage {
    #[track_caller]
    pub fn start() -> Stage {
        let fleet = Fleet::with(&FleetOptions {
            agents: vec![AgentOptions {
                agent_yaml: format!(
                    "limits:\n  open_files: {OPEN_FILES}\n  file_size_mb: {FILE_SIZE_MB}\n  output_max_mb: 1\n"
                ),
                env: vec![("AGENT_TEST_SECRET", AGENTS_SECRET)],
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

    /// What an attacker who knows the layout would say.
    #[track_caller]
    pub fn knowledge(&self) -> Vec<String> {
        let agent = self.fleet.agents[0].directory().to_owned();
        let control = self.fleet.directory().to_owned();
        let state = self.agent_state();
        let (certificate, key) = (find(&agent, "agent.pem"), find(&agent, "agent-key.pem"));
        let authority_key = find(&control.join("certs/ca"), "-key.pem");
        let (client, client_key) = (
            find(&control.join("certs/flux"), ".pem"),
            find(&control.join("certs/flux"), "-key.pem"),
        );
        let address = |text: &str| text.trim_start_matches("http://").to_owned();
        let victim = &self.victim;
        let release = self.release("victim");
        let of_files = [
            ("read", "agent_config", agent.join("agent.yaml")),
            ("read", "agent_certificate", certificate.clone()),
            ("read", "agent_key", key.clone()),
            ("read", "agent_journal", state.join("journal/journal.db")),
            (
                "read",
                "victims_output",
                state.join(format!("output/{}.out", victim.execution)),
            ),
            ("read", "victims_handler", release.join("run")),
            ("read", "victims_data", release.join(probe::BESIDE)),
            (
                "read",
                "victims_file",
                victim.path("directory").join("secret.txt"),
            ),
            (
                "read",
                "victims_temporary_file",
                victim.path("temporary").join("secret.txt"),
            ),
            ("read", "control_config", control.join("flux.yaml")),
            ("read", "control_store", control.join("state/flux.db")),
            ("read", "authority_key", authority_key),
            ("list", "agent_state", state.clone()),
            ("list", "agent_output", state.join("output")),
            ("list", "agent_journal", state.join("journal")),
            ("list", "working_directories", state.join("work")),
            ("list", "functions", state.join("apps")),
            ("list", "victims_release", release.clone()),
            ("list", "victims_directory", victim.path("directory")),
            ("list", "victims_temporary", victim.path("temporary")),
            ("list", "control_state", control.join("state")),
            ("write", "agent_config", agent.join("agent.yaml")),
            ("write", "agent_key", key.clone()),
            ("write", "agent_state", state.clone()),
            ("write", "agent_journal", state.join("journal/journal.db")),
            ("write", "agent_output", state.join("output")),
            ("write", "working_directories", state.join("work")),
            ("write", "functions", state.join("apps")),
            ("write", "victims_release", release.clone()),
            ("write", "victims_data", release.join(probe::BESIDE)),
            ("write", "victims_directory", victim.path("directory")),
            ("write", "victims_temporary", victim.path("temporary")),
            ("link", "agent_key", key.clone()),
            (
                "link",
                "victims_file",
                victim.path("directory").join("secret.txt"),
            ),
            ("link", "victims_data", release.join(probe::BESIDE)),
        ];
        let mut told: Vec<String> = of_files
            .map(|(verb, label, path)| {
                assert!(path.exists(), "{} is not there", path.display());
                format!("{verb}={label}:{}", path.display())
            })
            .into();
        told.extend([
            format!("agent_pid={}", self.agent_pid()),
            format!("control_pid={}", self.fleet.flux.pid()),
            format!("victim_pid={}", victim.said("pid")),
            format!("victim_uid={}", victim.said("uid")),
            format!("victim_address={}", victim.said("address")),
            format!("rpc={}", address(&self.fleet.agents[0].address)),
            format!("control={}", address(&self.fleet.api.url)),
            format!("words={}", control.join("flux.yaml").display()),
            format!("words={}", agent.join("agent.yaml").display()),
            format!(
                "certificate=agent:{}:{}",
                certificate.display(),
                key.display()
            ),
            format!(
                "certificate=control:{}:{}",
                client.display(),
                client_key.display()
            ),
            format!("open_files={OPEN_FILES}"),
            format!("file_size={}", FILE_SIZE_MB << 20),
            "env=OWN".to_owned(),
            // Not the key of the API: arguments can be seen, and another test's probe looks there for it.
            format!("secret={AGENTS_SECRET}"),
            format!("secret={VICTIMS_SECRET}"),
        ]);
        told.extend(self.granted());
        told.extend(other_cgroup(self.victim.said("pid")));
        told
    }

    /// Copies of the probe to which somebody has given root's rights.
    fn granted(&self) -> Vec<String> {
        let directory = self.fleet.directory().join("granted");
        fs::create_dir_all(&directory).expect("a directory");
        open_to_all(&directory, 0o755);
        ["setuid", "filecaps"]
            .map(|name| {
                let path = directory.join(name);
                fs::copy(program(), &path).expect("a copy");
                open_to_all(&path, if name == "setuid" { 0o4755 } else { 0o755 });
                format!("{name}={}", path.display())
            })
            .into()
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

    fn path(&self, name: &str) -> PathBuf {
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

/// The file of that ending below a directory.
#[track_caller]
fn find(directory: &Path, ending: &str) -> PathBuf {
    let is_key = ending.ends_with("-key.pem");
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).expect("a directory").flatten() {
            let path = entry.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() {
                waiting.push(path);
            } else if name.ends_with(ending) && name.ends_with("-key.pem") == is_key {
                return path;
            }
        }
    }
    panic!("no …{ending} in {}", directory.display());
}

/// That of the victim, in the hierarchy that the agent uses.
fn other_cgroup(pid: &str) -> Option<String> {
    let places = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let place = places.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let mount = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (mount, kind) = (fields.next()?, fields.next()?);
        (kind == "cgroup2").then_some(mount)
    })?;
    Some(format!("other_cgroup={mount}/{place}"))
}

pub fn open_to_all(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
}
