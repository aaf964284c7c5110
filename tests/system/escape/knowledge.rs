//! What the prober is told: where everything of the agent, the control plane and the victim is.
//!
//! Invariant: every path that it is told exists, so that none is denied for not being there.

use std::fs;
use std::path::{Path, PathBuf};

use super::probe;
use super::program::program;
use super::stage::{AGENTS_SECRET, FILE_SIZE_MB, OPEN_FILES, Stage, VICTIMS_SECRET, open_to_all};

impl Stage {
    /// What an attacker who knows the layout would say.
    #[track_caller]
    pub fn knowledge(&self) -> Vec<String> {
        let files = [
            self.to_read(),
            self.to_list(),
            self.to_write(),
            self.to_link(),
        ];
        let files = files.concat().into_iter().map(|(what, path)| {
            assert!(path.exists(), "{} is not there", path.display());
            format!("{what}:{}", path.display())
        });
        let mut told: Vec<String> = files.collect();
        told.extend(self.to_talk_to());
        told.extend(self.granted());
        told.extend(other_cgroup(self.victim.said("pid")));
        told
    }

    /// Files with something to find out.
    #[track_caller]
    fn to_read(&self) -> Vec<(&'static str, PathBuf)> {
        let (agent, control) = (self.agent_directory(), self.fleet.directory());
        let (state, release) = (self.agent_state(), self.release("victim"));
        let victim = &self.victim;
        vec![
            ("read=agent_config", agent.join("agent.yaml")),
            ("read=agent_certificate", find(agent, "agent.pem")),
            ("read=agent_key", find(agent, "agent-key.pem")),
            ("read=agent_journal", state.join("journal/journal.db")),
            (
                "read=victims_output",
                state.join(format!("output/{}.out", victim.execution)),
            ),
            ("read=victims_handler", release.join("run")),
            ("read=victims_data", release.join(probe::BESIDE)),
            (
                "read=victims_file",
                victim.path("directory").join("secret.txt"),
            ),
            (
                "read=victims_temporary_file",
                victim.path("temporary").join("secret.txt"),
            ),
            ("read=control_config", control.join("flux.yaml")),
            ("read=control_store", control.join("state/flux.db")),
            (
                "read=authority_key",
                find(&control.join("certs/ca"), "-key.pem"),
            ),
        ]
    }

    /// Directories whose names tell something.
    #[track_caller]
    fn to_list(&self) -> Vec<(&'static str, PathBuf)> {
        let (control, state) = (self.fleet.directory(), self.agent_state());
        let victim = &self.victim;
        vec![
            ("list=agent_state", state.clone()),
            ("list=agent_output", state.join("output")),
            ("list=agent_journal", state.join("journal")),
            ("list=working_directories", state.join("work")),
            ("list=functions", state.join("apps")),
            ("list=victims_release", self.release("victim")),
            ("list=victims_directory", victim.path("directory")),
            ("list=victims_temporary", victim.path("temporary")),
            ("list=control_state", control.join("state")),
        ]
    }

    /// What must stay as it is.
    #[track_caller]
    fn to_write(&self) -> Vec<(&'static str, PathBuf)> {
        let (agent, state) = (self.agent_directory(), self.agent_state());
        let (victim, release) = (&self.victim, self.release("victim"));
        vec![
            ("write=agent_config", agent.join("agent.yaml")),
            ("write=agent_key", find(agent, "agent-key.pem")),
            ("write=agent_state", state.clone()),
            ("write=agent_journal", state.join("journal/journal.db")),
            ("write=agent_output", state.join("output")),
            ("write=working_directories", state.join("work")),
            ("write=functions", state.join("apps")),
            ("write=victims_release", release.clone()),
            ("write=victims_data", release.join(probe::BESIDE)),
            ("write=victims_directory", victim.path("directory")),
            ("write=victims_temporary", victim.path("temporary")),
        ]
    }

    /// What a link may not lead to.
    #[track_caller]
    fn to_link(&self) -> Vec<(&'static str, PathBuf)> {
        let (agent, release) = (self.agent_directory(), self.release("victim"));
        let victim = &self.victim;
        vec![
            ("link=agent_key", find(agent, "agent-key.pem")),
            (
                "link=victims_file",
                victim.path("directory").join("secret.txt"),
            ),
            ("link=victims_data", release.join(probe::BESIDE)),
        ]
    }

    /// Processes, addresses, certificates and secrets.
    #[track_caller]
    fn to_talk_to(&self) -> Vec<String> {
        let (agent, control) = (self.agent_directory(), self.fleet.directory());
        let (certificate, key) = (find(agent, "agent.pem"), find(agent, "agent-key.pem"));
        let (client, client_key) = (
            find(&control.join("certs/flux"), ".pem"),
            find(&control.join("certs/flux"), "-key.pem"),
        );
        let address = |text: &str| text.trim_start_matches("http://").to_owned();
        let victim = &self.victim;
        vec![
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
        ]
    }

    fn agent_directory(&self) -> &Path {
        self.fleet.agents[0].directory()
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
