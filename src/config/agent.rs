//! agent.yaml: the worker's configuration.
//!
//! Invariant: without TLS the agent listens on the loopback address only, unless the file itself
//! says `tls.enabled: false`. Whoever reaches the port of an agent without TLS runs code on it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::document::Node;
use super::error::ConfigError;
use super::function::{MAX_CPU_MILLICORES, MAX_DISK_MIB, MAX_MEMORY_MIB, MAX_PIDS};
use super::isolation::{AgentIsolation, agent_isolation};
use super::locate::{Environment, Source, process_environment};
use super::read;
use super::redis_address::RedisAddress;
use super::section::Section;
use super::server::{DEFAULT_AGENT_PORT, DEFAULT_LOG, positive, redis_address};
use super::yaml;
use crate::base::units::Mib;
use crate::model::ids::AgentId;

/// Names another place of agent.yaml.
pub(crate) const AGENT_CONFIG_VARIABLE: &str = "AGENT_CONFIG";
/// Who is asked for the public address, unless the file says otherwise.
pub(crate) const DEFAULT_PUBLIC_IP_LOOKUP: &str = "https://api.ipify.org";

const PLACES: [&str; 2] = ["./agent.yaml", "/etc/flux-agent/agent.yaml"];
const DEFAULT_STATE_DIR: &str = "/var/lib/flux-agent";
const DEFAULT_RUNNER_USER: &str = "flux-runner";
/// Executions at once on each processor, when the file does not say: most wait for something.
const EXECUTIONS_PER_PROCESSOR: u32 = 4;
/// Executions at once that also the smallest machine takes.
const FEWEST_DEFAULT_EXECUTIONS: u32 = 16;
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const MONTH: Duration = Duration::from_secs(31 * 24 * 3600);

/// The worker's configuration, checked.
#[derive(Debug, Clone)]
pub(crate) struct AgentConfig {
    /// Unique in the fleet.
    pub agent_id: AgentId,
    /// Where gRPC is served; the address follows from `tls`.
    pub listen: SocketAddr,
    /// Files of mTLS; without them the agent speaks in the clear.
    pub tls: Option<AgentTls>,
    /// The journal's store, when it is not the embedded one.
    pub redis_addr: Option<RedisAddress>,
    /// Given to functions; found out when absent.
    pub node_private_ip: Option<IpAddr>,
    /// Given to functions; looked up when absent.
    pub node_public_ip: Option<IpAddr>,
    /// A URL that answers with the caller's address as text.
    pub public_ip_lookup: Option<String>,
    /// Journal and output.
    pub state_dir: PathBuf,
    /// Releases of functions.
    pub apps_dir: PathBuf,
    /// As whom functions run.
    pub runner_user: String,
    /// Whether to refuse to start where isolation is incomplete.
    pub require_isolation: bool,
    /// How far functions are kept apart.
    pub isolation: AgentIsolation,
    pub limits: AgentLimits,
    /// `env_logger`'s filter.
    pub log: String,
}

/// PEM files of the agent's mTLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AgentTls {
    /// The fleet's authority.
    pub ca_cert: PathBuf,
    /// This agent's certificate.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
}

/// Limits of the worker. `Default` is what stands in the annotated example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AgentLimits {
    /// Of all functions together, at once.
    pub max_executions: NonZeroU32,
    /// Kept of both outputs of one execution together; 0 keeps none.
    pub output_max: Mib,
    /// Given to one execution as its standard input; 0 takes none.
    pub stdin_max: Mib,
    /// Processes and threads of one execution, where its function does not say.
    pub pids: NonZeroU32,
    /// Memory of one execution, where its function does not say.
    pub memory: Option<Mib>,
    /// Processor time of one execution, in thousandths of a processor, where its function does not
    /// say.
    pub cpu_millicores: Option<NonZeroU32>,
    /// What one execution keeps in its directories, where its function does not say.
    pub disk: Mib,
    /// Open descriptors of each process.
    pub open_files: NonZeroU32,
    /// The largest file that a process may write.
    pub file_size: Option<Mib>,
    /// Between the polite signal and the kill.
    pub kill_grace: Duration,
    /// For pipes that a finished execution's children hold open.
    pub pipe_grace: Duration,
    /// For executions under way at shutdown.
    pub drain_timeout: Duration,
    /// Of a record, after the execution's end.
    pub record_retention: Duration,
}

impl Default for AgentLimits {
    fn default() -> AgentLimits {
        const fn count(number: u32) -> NonZeroU32 {
            match NonZeroU32::new(number) {
                Some(number) => number,
                None => NonZeroU32::MIN,
            }
        }
        AgentLimits {
            max_executions: default_max_executions(),
            output_max: Mib(8),
            stdin_max: Mib(16),
            pids: count(512),
            memory: None,
            cpu_millicores: None,
            disk: Mib(1024),
            open_files: count(1024),
            file_size: None,
            kill_grace: Duration::from_secs(2),
            pipe_grace: Duration::from_millis(250),
            drain_timeout: Duration::from_secs(30),
            record_retention: HOUR,
        }
    }
}

impl AgentConfig {
    /// Loads `named`, else what `AGENT_CONFIG` names, else the first of `./agent.yaml` and
    /// `/etc/flux-agent/agent.yaml` that is there.
    ///
    /// # Errors
    /// No file, an unreadable one, no YAML, or bad keys: all of them at once.
    pub(crate) fn load(named: Option<&Path>) -> Result<AgentConfig, ConfigError> {
        let environment = &process_environment;
        let source = Source::find(named, AGENT_CONFIG_VARIABLE, &PLACES, environment)?;
        AgentConfig::from_source(source, environment)
    }

    /// A configuration without a file: defaults, on the loopback address and without TLS.
    pub(crate) fn with_defaults(agent_id: AgentId, state_dir: PathBuf) -> AgentConfig {
        AgentConfig {
            agent_id,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_AGENT_PORT)),
            tls: None,
            redis_addr: None,
            node_private_ip: None,
            node_public_ip: None,
            public_ip_lookup: Some(DEFAULT_PUBLIC_IP_LOOKUP.to_owned()),
            apps_dir: state_dir.join("apps"),
            state_dir,
            runner_user: DEFAULT_RUNNER_USER.to_owned(),
            require_isolation: false,
            isolation: AgentIsolation::default(),
            limits: AgentLimits::default(),
            log: DEFAULT_LOG.to_owned(),
        }
    }

    pub(super) fn from_source(
        source: Source,
        environment: Environment<'_>,
    ) -> Result<AgentConfig, ConfigError> {
        let root = match yaml::parse(&source.bytes) {
            Ok(root) => root,
            Err(malformed) => {
                let path = source.path;
                return Err(ConfigError::Malformed { path, malformed });
            }
        };
        root.read(|section| read_agent(section, source.base(), environment))
            .map_err(|fields| ConfigError::Invalid {
                path: source.path.clone(),
                fields,
            })
    }
}

pub(super) fn read_agent(
    mut root: Section<'_>,
    base: &Path,
    environment: Environment<'_>,
) -> Option<AgentConfig> {
    let agent_id = root.required("agent_id", agent_id);
    let port = root.or("port", DEFAULT_AGENT_PORT, read::integer(0..=u16::MAX));
    let state_dir = root.or("state_dir", DEFAULT_STATE_DIR.into(), read::path(base));
    let apps_dir = root.or("apps_dir", state_dir.join("apps"), read::path(base));
    let (tls, address) = tls(root.section("tls"), base, &state_dir);
    let redis_addr = root.optional("redis_addr", redis_address(base, environment));
    let mut network = root.section("network");
    let node_private_ip = network.optional("node_private_ip", read::ip);
    let node_public_ip = network.optional("node_public_ip", read::ip);
    network.finish();
    let public_ip_lookup = root.or(
        "public_ip_lookup",
        Some(DEFAULT_PUBLIC_IP_LOOKUP.to_owned()),
        public_ip_lookup,
    );
    let runner_user = root.or("runner_user", DEFAULT_RUNNER_USER.to_owned(), user_name);
    let require_isolation = root.or("require_isolation", false, read::boolean);
    let isolation = agent_isolation(root.section("isolation"), &[&state_dir, &apps_dir]);
    let limits = limits(root.section("limits"));
    let log = root.or("log", DEFAULT_LOG.to_owned(), read::log_filter);
    root.finish();
    Some(AgentConfig {
        agent_id: agent_id?,
        listen: SocketAddr::from((address, port)),
        tls,
        redis_addr,
        node_private_ip,
        node_public_ip,
        public_ip_lookup,
        state_dir,
        apps_dir,
        runner_user,
        require_isolation,
        isolation,
        limits,
        log,
    })
}

/// TLS, and the address that goes with it: every one with mTLS or with an explicit
/// `enabled: false`, the loopback one when nobody said anything.
fn tls(mut section: Section<'_>, base: &Path, state_dir: &Path) -> (Option<AgentTls>, Ipv4Addr) {
    let enabled = section.optional("enabled", read::boolean);
    let ca_cert = section.optional("ca_cert", read::path(base));
    let cert_file = section.optional("cert_file", read::path(base));
    let key_file = section.optional("key_file", read::path(base));
    let has_files = ca_cert.is_some() || cert_file.is_some() || key_file.is_some();
    if enabled.is_none() && has_files {
        section.refuse(
            "enabled",
            "expected true or false, because certificate files are given",
        );
    }
    section.finish();
    // Where enrolment puts them.
    let enrolled = state_dir.join("certs");
    let tls = (enabled == Some(true)).then(|| AgentTls {
        ca_cert: ca_cert.unwrap_or_else(|| enrolled.join("ca.pem")),
        cert_file: cert_file.unwrap_or_else(|| enrolled.join("agent.pem")),
        key_file: key_file.unwrap_or_else(|| enrolled.join("agent-key.pem")),
    });
    let address = match enabled {
        Some(_) => Ipv4Addr::UNSPECIFIED,
        None => Ipv4Addr::LOCALHOST,
    };
    (tls, address)
}

fn limits(mut section: Section<'_>) -> AgentLimits {
    let default = AgentLimits::default();
    let limits = AgentLimits {
        max_executions: section.or("max_executions", default.max_executions, positive(100_000)),
        output_max: section.or(
            "output_max_mb",
            default.output_max,
            read::mebibytes(0..=4096),
        ),
        stdin_max: section.or("stdin_max_mb", default.stdin_max, read::mebibytes(0..=48)),
        pids: section.or("pids", default.pids, positive(MAX_PIDS)),
        memory: section.optional("memory_mb", read::mebibytes(1..=MAX_MEMORY_MIB)),
        cpu_millicores: section.optional("cpu_millicores", positive(MAX_CPU_MILLICORES)),
        disk: section.or("disk_mb", default.disk, read::mebibytes(1..=MAX_DISK_MIB)),
        // Linux' default for fs.nr_open.
        open_files: section.or("open_files", default.open_files, positive(1 << 20)),
        file_size: section.optional("file_size_mb", read::mebibytes(0..=16 << 20)),
        kill_grace: section.or(
            "kill_grace",
            default.kill_grace,
            read::duration(Duration::ZERO..=5 * MINUTE),
        ),
        pipe_grace: section.or(
            "pipe_grace",
            default.pipe_grace,
            read::duration(Duration::ZERO..=MINUTE),
        ),
        drain_timeout: section.or(
            "drain_timeout",
            default.drain_timeout,
            read::duration(Duration::ZERO..=24 * HOUR),
        ),
        record_retention: section.or(
            "record_retention",
            default.record_retention,
            read::duration(Duration::from_secs(1)..=MONTH),
        ),
    };
    section.finish();
    limits
}

fn default_max_executions() -> NonZeroU32 {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let executions = u32::try_from(processors)
        .unwrap_or(u32::MAX)
        .saturating_mul(EXECUTIONS_PER_PROCESSOR)
        .max(FEWEST_DEFAULT_EXECUTIONS);
    NonZeroU32::new(executions).unwrap_or(NonZeroU32::MIN)
}

fn agent_id(node: &Node) -> Result<AgentId, String> {
    AgentId::new(&read::text(node)?).map_err(|error| error.to_string())
}

/// `false`, `true` for the usual one, or the URL of another.
fn public_ip_lookup(node: &Node) -> Result<Option<String>, String> {
    match read::boolean(node) {
        Ok(true) => return Ok(Some(DEFAULT_PUBLIC_IP_LOOKUP.to_owned())),
        Ok(false) => return Ok(None),
        Err(_) => {}
    }
    let text = read::text(node)?;
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    if host.is_none_or(str::is_empty) || text.chars().any(|c| !c.is_ascii_graphic()) {
        return Err(read::found("true, false or an http(s) URL", &text));
    }
    Ok(Some(text))
}

/// As useradd(8) takes them.
fn user_name(node: &Node) -> Result<String, String> {
    let text = read::text(node)?;
    let is_valid = (1..=32).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c));
    if is_valid {
        return Ok(text);
    }
    Err(read::found(
        "a user name: 1 to 32 of a-z, 0-9, _ and -, starting with a letter or _",
        &text,
    ))
}
