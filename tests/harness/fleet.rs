//! A control plane with agents, joined and registered as a person would do it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Api, Daemon, Reply, cgroup, eventually, function_yaml, script_archive};

pub const FLUX: &str = env!("CARGO_BIN_EXE_flux");
pub const FLUX_AGENT: &str = env!("CARGO_BIN_EXE_flux-agent");
/// Of the tests' control planes; a value nobody would look for in a log by chance.
pub const API_KEY: &str = "test-key-3f9c1a7be2";

/// For function.yaml, where a script tells the test by files outside of its own directory how far it
/// is. The agents of tests allow it, unless a test says otherwise about isolation.
pub const OPEN_FILES: &str = "isolation: {files: open}\n";

/// What differs from a plain control plane.
#[derive(Debug, Clone, Default)]
pub struct FleetOptions {
    /// Lines added to flux.yaml.
    pub flux_yaml: String,
    pub agents: Vec<AgentOptions>,
}

/// What differs from a plain agent.
#[derive(Debug, Clone, Default)]
pub struct AgentOptions {
    /// Lines added to agent.yaml.
    pub agent_yaml: String,
    /// Added to the environment of the agent itself.
    pub env: Vec<(&'static str, &'static str)>,
    /// A shell command that mounts something before the agent starts, in a mount namespace of its own;
    /// `$1` is the agent's state directory. Needs root.
    pub mount: Option<&'static str>,
}

/// Dropped in this order: agents, control plane, directory.
pub struct Fleet {
    pub agents: Vec<Agent>,
    pub flux: Daemon,
    pub api: Api,
    flux_starts: usize,
    directory: TempDir,
}

pub struct Agent {
    pub id: String,
    pub daemon: Daemon,
    pub address: String,
    directory: PathBuf,
    env: Vec<(&'static str, &'static str)>,
    mount: Option<&'static str>,
    starts: usize,
    cgroup: Option<PathBuf>,
}

impl Fleet {
    /// One agent, nothing special.
    #[track_caller]
    pub fn start() -> Fleet {
        Fleet::with(&FleetOptions {
            agents: vec![AgentOptions::default()],
            ..FleetOptions::default()
        })
    }

    #[track_caller]
    pub fn with(options: &FleetOptions) -> Fleet {
        let directory = tempfile::Builder::new()
            .prefix("flux-test-")
            .tempdir()
            .expect("tempdir");
        open_to_all(directory.path());
        let root = directory.path().display();
        fs_write(
            &directory.path().join("flux.yaml"),
            &format!(
                "api_key: {API_KEY}\nlisten: 127.0.0.1:0\nstate_dir: {root}/state\ncerts_dir: {root}/certs\n{}",
                options.flux_yaml
            ),
        );
        let (flux, url) = start_flux(directory.path(), 0);
        let mut fleet = Fleet {
            agents: Vec::new(),
            flux,
            api: Api::new(&url, API_KEY),
            flux_starts: 1,
            directory,
        };
        for agent in &options.agents {
            fleet.add_agent(agent);
        }
        fleet
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Enrols, joins, starts and registers an agent, and waits until it gets traffic.
    #[track_caller]
    pub fn add_agent(&mut self, options: &AgentOptions) {
        let id = format!("agent-{}", self.agents.len() + 1);
        let agent = self.start_agent(&id, options);
        self.api
            .post_json("/agents/register", &json!({"address": agent.address}))
            .expect(201);
        self.agents.push(agent);
        self.await_status(&id, "online");
    }

    /// Enrols, joins and starts an agent, without registering it.
    #[track_caller]
    pub fn start_agent(&self, id: &str, options: &AgentOptions) -> Agent {
        let directory = self.directory.path().join(id);
        fs::create_dir(&directory).expect("agent directory");
        open_to_all(&directory);
        let token = self
            .api
            .post_json("/agents/enroll", &json!({"agent_id": id}))
            .expect(201)["token"]
            .as_str()
            .expect("token")
            .to_owned();
        let config = directory.join("agent.yaml");
        run(
            FLUX_AGENT,
            &["join", &self.api.url, &token, "--config", path(&config)],
        );
        let yaml = fs::read_to_string(&config).expect("agent.yaml was written");
        let root = directory.display();
        fs_write(
            &config,
            &format!(
                "{}\nport: 0\nstate_dir: {root}/state\npublic_ip_lookup: false\n{}{}",
                yaml.lines()
                    .filter(|line| !line.starts_with("port:") && !line.starts_with("state_dir:"))
                    .collect::<Vec<_>>()
                    .join("\n"),
                if options.agent_yaml.contains("isolation:") {
                    ""
                } else {
                    "isolation: {allow: [open_files]}\n"
                },
                options.agent_yaml
            ),
        );
        let (daemon, address) = start_agent(&directory, id, &options.env, options.mount, 0);
        Agent {
            id: id.to_owned(),
            cgroup: cgroup::of_agent(daemon.pid()),
            daemon,
            address,
            directory,
            env: options.env.clone(),
            mount: options.mount,
            starts: 1,
        }
    }

    /// SIGTERM to the control plane, which has to end well.
    #[track_caller]
    pub fn stop_flux(&mut self) {
        let status = self.flux.stop();
        assert!(status.success(), "{status}\n{}", self.flux.log());
    }

    /// SIGKILL to the control plane.
    pub fn kill_flux(&mut self) {
        self.flux.kill9();
    }

    /// Starts the control plane again, after it has ended; it may get another port.
    #[track_caller]
    pub fn restart_flux(&mut self) {
        self.restart_flux_as(FLUX, &["server"], &[]);
    }

    /// The same with another environment, or through a program that becomes it.
    #[track_caller]
    pub fn restart_flux_as(&mut self, program: &str, args: &[&str], env: &[(&str, &str)]) {
        let directory = self.directory.path();
        let (flux, url) = start_flux_as(directory, program, args, env, self.flux_starts);
        self.flux_starts += 1;
        self.flux = flux;
        self.api = Api::new(&url, API_KEY);
    }

    /// From now on [`Fleet::restart_flux`] comes back at the same address.
    pub fn keep_address(&self) {
        let config = self.directory.path().join("flux.yaml");
        let address = self.api.url.trim_start_matches("http://");
        let yaml = fs::read_to_string(&config).expect("flux.yaml");
        fs_write(&config, &yaml.replace("127.0.0.1:0", address));
    }

    #[track_caller]
    pub fn await_status(&self, agent: &str, status: &str) {
        eventually(&format!("agent {agent} is {status}"), || {
            (self.agent(agent)?["status"] == status).then_some(())
        });
    }

    /// The agent's entry in GET /agents.
    pub fn agent(&self, id: &str) -> Option<Value> {
        let agents = self.api.get("/agents").expect(200);
        agents
            .as_array()
            .expect("array")
            .iter()
            .find(|agent| agent["id"] == id)
            .cloned()
    }

    /// Registers and deploys a shell script as a function.
    #[track_caller]
    pub fn deploy_script(&self, name: &str, yaml: &str, script: &str) {
        self.api
            .put("/functions", function_yaml(name, yaml).as_bytes())
            .expect(201);
        self.api
            .put(&format!("/deploy/{name}"), &script_archive(script))
            .expect(200);
    }

    pub fn execute(&self, name: &str, args: &[&str]) -> Reply {
        self.api
            .post_json(&format!("/execute/{name}"), &json!({ "args": args }))
    }

    /// Starts asynchronously; returns the execution's id.
    #[track_caller]
    pub fn execute_async(&self, name: &str, args: &[&str]) -> String {
        let reply = self
            .api
            .post_json(&format!("/execute/{name}/async"), &json!({ "args": args }));
        reply.expect(202)["execution_id"]
            .as_str()
            .expect("id")
            .to_owned()
    }

    /// Waits until the execution has ended; returns its record.
    #[track_caller]
    pub fn await_end(&self, id: &str) -> Value {
        eventually(&format!("execution {id} ends"), || {
            let reply = self.api.get(&format!("/executions/{id}"));
            if reply.status != 200 {
                return None;
            }
            let record = reply.json();
            (record["status"] != "running").then_some(record)
        })
    }

    /// Waits until the live output of an execution contains `text`.
    #[track_caller]
    pub fn await_output(&self, id: &str, text: &str) {
        eventually(&format!("execution {id} writes {text:?}"), || {
            let record = self.api.get(&format!("/executions/{id}")).expect(200);
            record["output"]
                .as_str()
                .is_some_and(|output| output.contains(text))
                .then_some(())
        });
    }
}

impl Agent {
    /// Starts it again on the same port, after it has ended.
    #[track_caller]
    pub fn restart(&mut self) {
        self.restart_with(&[]);
    }

    /// The same with another environment.
    #[track_caller]
    pub fn restart_with(&mut self, env: &[(&str, &str)]) {
        let config = self.directory.join("agent.yaml");
        let (_, port) = self.address.rsplit_once(':').expect("port");
        let yaml = fs::read_to_string(&config)
            .expect("agent.yaml")
            .replace("port: 0", &format!("port: {port}"));
        fs_write(&config, &yaml);
        let env = [self.env.as_slice(), env].concat();
        let (daemon, address) =
            start_agent(&self.directory, &self.id, &env, self.mount, self.starts);
        assert_eq!(address, self.address);
        self.starts += 1;
        self.daemon = daemon;
    }

    pub fn state_dir(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// Where agent.yaml and the certificates are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.daemon.kill9();
        if let Some(cgroup) = &self.cgroup {
            cgroup::remove(cgroup);
        }
    }
}

#[track_caller]
fn start_flux(directory: &Path, starts: usize) -> (Daemon, String) {
    start_flux_as(directory, FLUX, &["server"], &[], starts)
}

#[track_caller]
fn start_flux_as(
    directory: &Path,
    program: &str,
    args: &[&str],
    env: &[(&str, &str)],
    starts: usize,
) -> (Daemon, String) {
    let config = directory.join("flux.yaml");
    let env = [env, &[("FLUX_CONFIG", path(&config))]].concat();
    let mut daemon = Daemon::start(program, args, &env, directory, "flux");
    let url = daemon.await_log("listening on ", starts);
    (daemon, url)
}

#[track_caller]
fn start_agent(
    directory: &Path,
    id: &str,
    env: &[(&str, &str)],
    mount: Option<&str>,
    starts: usize,
) -> (Daemon, String) {
    let config = directory.join("agent.yaml");
    let env = [env, &[("AGENT_CONFIG", path(&config))]].concat();
    let mut daemon = match mount {
        None => Daemon::start(FLUX_AGENT, &[], &env, directory, id),
        Some(mount) => {
            let state = directory.join("state");
            // Becomes the agent; what it mounts goes with the last process that sees it.
            let script = format!("mkdir -p \"$1\" && {mount} && exec \"$0\"");
            let args = ["--mount", "sh", "-c", &script, FLUX_AGENT, path(&state)];
            Daemon::start("unshare", &args, &env, directory, id)
        }
    };
    let address = daemon.await_log("listening on ", starts);
    // With TLS it listens on every address, which is none to dial.
    let address = address.replace("0.0.0.0:", "127.0.0.1:");
    (daemon, address)
}

/// Runs a program to its end and returns its standard output.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "tests start the real programs")]
pub fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().expect(program);
    assert!(
        output.status.success(),
        "{program} {args:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("output is UTF-8")
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test's own file needs no atomicity"
)]
pub fn fs_write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8 path")
}

/// Functions run as an unprivileged user where the tests run as root.
fn open_to_all(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).expect("chmod");
}
