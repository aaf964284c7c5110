//! `flux dev`: control plane and agent in one process, on loopback, without configuration.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use openssl::rand::rand_bytes;

use super::exit;
use super::logging;
use super::server::FrontDoor;
use crate::agent::daemon::Agent;
use crate::base::clock::Clock;
use crate::base::threads::Supervisor;
use crate::base::{atomic_file, process, signals};
use crate::cli::client::context::{self, Context};
use crate::cli::printer;
use crate::config::agent::{AgentConfig, AgentTls};
use crate::config::secret::Secret;
use crate::config::server::{DEFAULT_HTTP_PORT, ServerConfig};
use crate::control::agents::AgentError;
use crate::control::fleet::FleetError;
use crate::http::StartError;
use crate::model::ids::AgentId;
use crate::model::isolation::Loosening;
use crate::pki::Authority;
use crate::sandbox::shed_bounding_set;

const AGENT_ID: &str = "local";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where the API listens; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_HTTP_PORT)))]
    pub(crate) listen: SocketAddr,
    /// Where everything is kept; by default /var/lib/flux/dev as root, else ~/.local/state/flux/dev
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// Runs until a signal, a failed start or a panic.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    match serve(arguments) {
        Ok(code) => code,
        Err(error) => exit::not_started("flux dev", &error),
    }
}

fn serve(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if !arguments.listen.ip().is_loopback() {
        bail!(
            "--listen {}: `flux dev` serves the loopback address only; use `flux server` for others",
            arguments.listen
        );
    }
    let state_dir = match &arguments.state_dir {
        Some(directory) => {
            std::path::absolute(directory).context("cannot find the state directory")?
        }
        None => default_state_dir()?,
    };
    // Others may pass through: as root, functions run as another user and reach their code below it.
    atomic_file::create_directory(&state_dir, 0o711)?;
    logging::start("warn");
    process::keep_memory_small();
    shed_bounding_set();
    process::raise_descriptor_limit();
    let supervisor = Supervisor::new();
    let _signals = signals::watch(&supervisor).context("cannot handle signals")?;

    let api_key = api_key(&state_dir)?;
    let mut config = ServerConfig::with_defaults(
        api_key.clone(),
        state_dir.join("flux"),
        state_dir.join("certs"),
    );
    config.listen = arguments.listen;
    // Before the control plane, which remembers the agent from the last time and dials it at once:
    // after a refused connection, the next try would come too late for the registration below.
    let agent = start_agent(&state_dir, &config.certs_dir, &supervisor)?;
    let front = FrontDoor::open(&config, &supervisor).map_err(name_the_way_out)?;
    register(&front, &agent)?;

    let context_file = context::default_path()?;
    context::write(
        &context_file,
        &Context {
            url: front.url(),
            api_key,
        },
    )?;
    announce(&front.url(), &state_dir, &context_file);

    supervisor.shutdown().wait();
    printer::note("ending; a second Ctrl-C ends at once");
    // The front door first: calls that wait for an execution get its end before the agent goes.
    front.shut_down(&config);
    agent.shut_down();
    Ok(exit::after_shutdown(&supervisor))
}

/// Says what to do about the one failure that only `flux dev` invites: its usual port is taken.
fn name_the_way_out(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref() {
        Some(StartError::Listen { source, .. }) if source.kind() == io::ErrorKind::AddrInUse => {
            error.context(
                "the port is taken: choose another one with --listen, or end the program that has it",
            )
        }
        Some(StartError::Listen { .. } | StartError::Resources(_)) | None => error,
    }
}

fn start_agent(
    state_dir: &Path,
    certs_dir: &Path,
    supervisor: &Supervisor,
) -> anyhow::Result<Agent> {
    let id = AgentId::new(AGENT_ID)?;
    let authority = Authority::open_or_create(certs_dir)?;
    let layout = authority.layout().clone();
    if !layout.agent_certificate(&id).exists() || !layout.agent_key(&id).exists() {
        authority.issue_agent_with_key(&id)?;
    }
    let agent_dir = state_dir.join("agent");
    let mut config = AgentConfig::with_defaults(id.clone(), agent_dir.clone());
    config.tls = Some(AgentTls {
        ca_cert: layout.ca_certificate(),
        cert_file: layout.agent_certificate(&id),
        key_file: layout.agent_key(&id),
    });
    config.public_ip_lookup = None;
    // Machine and functions are the same person's: what a function asks for by name it gets.
    config.isolation.allow = Loosening::ALL.to_vec();
    atomic_file::create_directory(&agent_dir, 0o711)?;
    config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, usual_port(&agent_dir)));
    let agent = Agent::start(&config, &Clock::system(), supervisor)?;
    let port = agent.address().port().to_string();
    atomic_file::write(&agent_dir.join("port"), port.as_bytes(), 0o600)?;
    Ok(agent)
}

/// The port of the last time, if it is free: with it, executions of that time are still found.
fn usual_port(agent_dir: &Path) -> u16 {
    fs::read_to_string(agent_dir.join("port"))
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .filter(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        .unwrap_or(0)
}

fn register(front: &FrontDoor, agent: &Agent) -> anyhow::Result<()> {
    let agents = front.control().agents();
    let address = agent.address().to_string();
    let registered = match agents.register(&address, Some(true)) {
        Err(AgentError::Fleet(FleetError::AddressConflict { id, .. })) => {
            agents.remove(&id)?;
            agents.register(&address, Some(true))
        }
        registered => registered,
    };
    registered.map(drop).map_err(Into::into)
}

/// Made once and kept, so that a terminal that was opened before a restart still works.
fn api_key(state_dir: &Path) -> anyhow::Result<Secret> {
    let path = state_dir.join("api-key");
    match fs::read_to_string(&path) {
        Ok(key) => return Ok(Secret::new(key.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
    let mut bytes = [0u8; 24];
    rand_bytes(&mut bytes).context("cannot make an API key")?;
    let key: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    atomic_file::write(&path, key.as_bytes(), 0o600)?;
    Ok(Secret::new(key))
}

fn default_state_dir() -> anyhow::Result<PathBuf> {
    if nix::unistd::Uid::effective().is_root() {
        // Not below root's home, which nobody else can enter: functions run as another user.
        return Ok(PathBuf::from("/var/lib/flux/dev"));
    }
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let state = match (variable("XDG_STATE_HOME"), variable("HOME")) {
        (Some(state), _) => PathBuf::from(state),
        (None, Some(home)) => PathBuf::from(home).join(".local").join("state"),
        (None, None) => bail!("neither XDG_STATE_HOME nor HOME is set: give --state-dir"),
    };
    Ok(state.join("flux").join("dev"))
}

fn announce(url: &str, state_dir: &Path, context_file: &Path) {
    printer::note(&format!("ready at {url}"));
    let (state_dir, context_file) = (state_dir.display(), context_file.display());
    let text = format!(
        "  state in {state_dir}\n\
         \x20 address and key for other terminals in {context_file}\n\n\
         Try in a second terminal:\n\
         \x20 flux init hello --lang sh\n\
         \x20 flux deploy ./hello\n\
         \x20 flux exec hello -- world\n\n\
         Ctrl-C ends it.\n"
    );
    printer::raw_stderr(text.as_bytes());
}
