//! flux.yaml: the control plane's configuration.
//!
//! Invariants: the API key is there and long enough; both TLS files or none; every duration and
//! count lies in a range in which the daemon works.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::document::{Node, Value};
use super::error::ConfigError;
use super::locate::{Environment, Source, process_environment};
use super::platform::{default_certs_dir, default_state_dir};
use super::read;
use super::redis_address::RedisAddress;
use super::secret::{Secret, secret};
use super::section::Section;
use super::yaml;
use crate::base::units::Mib;

/// Names another place of flux.yaml.
pub(crate) const SERVER_CONFIG_VARIABLE: &str = "FLUX_CONFIG";
/// The port of the HTTP API.
pub(crate) const DEFAULT_HTTP_PORT: u16 = 7227;
/// The port on which agents serve gRPC.
pub(crate) const DEFAULT_AGENT_PORT: u16 = 50052;

const PLACES: [&str; 2] = ["./flux.yaml", "/etc/flux/flux.yaml"];
/// Below it, a key can be guessed over the network in reasonable time.
const MIN_API_KEY_CHARACTERS: usize = 8;
const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
/// What is remembered longer belongs into an archive.
const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);
/// The longest life of an idempotency key.
const MONTH: Duration = Duration::from_secs(31 * 24 * 3600);

/// The control plane's configuration, checked.
#[derive(Debug, Clone)]
pub(crate) struct ServerConfig {
    /// What every client shows.
    pub api_key: Secret,
    /// Where the HTTP API is served; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Certificate and key of the HTTP API; without them it speaks plain HTTP.
    pub tls: Option<HttpTls>,
    /// Whether `GET /agents` answers without a key.
    pub public_agents: bool,
    /// Embedded store and archives.
    pub state_dir: PathBuf,
    /// The authority and its certificates.
    pub certs_dir: PathBuf,
    /// Whether agents are dialled in the clear.
    pub disable_grpc_tls: bool,
    /// The port of agents whose address does not say.
    pub agent_port: u16,
    /// The store, when it is not the embedded one.
    pub redis_addr: Option<RedisAddress>,
    /// The store of agents that Flux starts, when it is not their embedded one.
    pub agent_redis_url: Option<RedisAddress>,
    pub limits: ServerLimits,
    /// How long executions are remembered.
    pub retention: Retention,
    /// `env_logger`'s filter.
    pub log: String,
}

/// PEM files of the HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpTls {
    /// Certificate chain.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// Limits of the control plane. `Default` is what stands in the annotated example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerLimits {
    /// Open HTTP connections, idle ones included.
    pub http_connections: NonZeroU32,
    /// How many of these may come from one address.
    pub http_connections_per_address: NonZeroU32,
    /// A deployed archive.
    pub archive_max: Mib,
    /// The body of an execute call.
    pub execute_body_max: Mib,
    /// Callers of one function that wait for room; 0 lets none wait.
    pub queue_per_function: u32,
    /// For requests under way at shutdown.
    pub drain_timeout: Duration,
    /// Of an `Idempotency-Key`, after its first call.
    pub idempotency_retention: Duration,
    /// Between two probes of one agent.
    pub heartbeat_interval: Duration,
    /// Probes missed in a row that take an agent offline.
    pub heartbeat_misses: NonZeroU32,
}

/// How long executions that have ended are remembered, with their output. `Default` is what stands
/// in the annotated example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Retention {
    /// How long a success is kept after its end.
    pub success: Duration,
    /// How long everything else is kept after its end.
    pub failure: Duration,
    /// How much space all of it may take, with the bookkeeping; beyond it the oldest make room.
    pub total: Mib,
    /// How much output of one execution is kept.
    pub output_max: Mib,
}

impl Default for Retention {
    fn default() -> Retention {
        Retention {
            success: 24 * HOUR,
            failure: 7 * 24 * HOUR,
            total: Mib(1024),
            // As much as an answer carries.
            output_max: Mib(50),
        }
    }
}

impl Default for ServerLimits {
    fn default() -> ServerLimits {
        const fn count(number: u32) -> NonZeroU32 {
            match NonZeroU32::new(number) {
                Some(number) => number,
                None => NonZeroU32::MIN,
            }
        }
        ServerLimits {
            http_connections: count(8192),
            // Half: one address, which may be a proxy, cannot keep the others out.
            http_connections_per_address: count(4096),
            archive_max: Mib(256),
            execute_body_max: Mib(16),
            queue_per_function: 1000,
            drain_timeout: Duration::from_secs(30),
            idempotency_retention: 24 * HOUR,
            heartbeat_interval: Duration::from_secs(2),
            heartbeat_misses: count(3),
        }
    }
}

impl ServerConfig {
    /// Loads `named`, else what `FLUX_CONFIG` names, else the first of `./flux.yaml` and
    /// `/etc/flux/flux.yaml` that is there.
    ///
    /// # Errors
    /// No file, an unreadable one, no YAML, or bad keys: all of them at once.
    pub(crate) fn load(named: Option<&Path>) -> Result<ServerConfig, ConfigError> {
        let environment = &process_environment;
        let source = Source::find(named, SERVER_CONFIG_VARIABLE, &PLACES, environment)?;
        ServerConfig::from_source(source, environment)
    }

    /// A configuration without a file: defaults, with what every control plane needs of its own.
    pub(crate) fn with_defaults(
        api_key: Secret,
        state_dir: PathBuf,
        certs_dir: PathBuf,
    ) -> ServerConfig {
        ServerConfig {
            api_key,
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, DEFAULT_HTTP_PORT)),
            tls: None,
            public_agents: false,
            state_dir,
            certs_dir,
            disable_grpc_tls: false,
            agent_port: DEFAULT_AGENT_PORT,
            redis_addr: None,
            agent_redis_url: None,
            limits: ServerLimits::default(),
            retention: Retention::default(),
            log: DEFAULT_LOG.to_owned(),
        }
    }

    pub(super) fn from_source(
        source: Source,
        environment: Environment<'_>,
    ) -> Result<ServerConfig, ConfigError> {
        let root = match yaml::parse(&source.bytes) {
            Ok(root) => root,
            Err(malformed) => {
                let path = source.path;
                return Err(ConfigError::Malformed { path, malformed });
            }
        };
        root.read(|section| read_server(section, source.base(), environment))
            .map_err(|fields| ConfigError::Invalid {
                path: source.path.clone(),
                fields,
            })
    }
}

/// `log` when the file does not say.
pub(crate) const DEFAULT_LOG: &str = "info";

pub(super) fn read_server(
    mut root: Section<'_>,
    base: &Path,
    environment: Environment<'_>,
) -> Option<ServerConfig> {
    let api_key = root.required("api_key", |node| api_key(secret(base, environment)(node)?));
    let state_dir = root.or("state_dir", default_state_dir(), read::path(base));
    let certs_dir = root.or("certs_dir", default_certs_dir(), read::path(base));
    root.optional("providers", no_providers);
    let tls = tls(&mut root, base);
    let mut config = ServerConfig::with_defaults(
        // Stands in for a missing key; the report then refuses the file.
        api_key.unwrap_or_else(|| Secret::new(String::new())),
        state_dir,
        certs_dir,
    );
    config.tls = tls;
    config.listen = root.or("listen", config.listen, read::socket_address);
    config.public_agents = root.or("public_agents", false, read::boolean);
    config.disable_grpc_tls = root.or("disable_grpc_tls", false, read::boolean);
    config.agent_port = root.or("agent_port", config.agent_port, read::integer(1..=u16::MAX));
    config.redis_addr = root.optional("redis_addr", redis_address(base, environment));
    config.agent_redis_url = root.optional("agent_redis_url", redis_address(base, environment));
    config.limits = limits(root.section("limits"));
    config.retention = retention(root.section("retention"));
    config.log = root.or("log", config.log, read::log_filter);
    root.finish();
    Some(config)
}

/// Shared with agent.yaml, which has the same key.
pub(super) fn redis_address(
    base: &Path,
    environment: Environment<'_>,
) -> impl FnOnce(&Node) -> Result<RedisAddress, String> {
    move |node| RedisAddress::parse(secret(base, environment)(node)?.expose())
}

fn api_key(key: Secret) -> Result<Secret, String> {
    let text = key.expose();
    let is_header_text = text.chars().all(|c| c.is_ascii_graphic());
    if text.len() < MIN_API_KEY_CHARACTERS || !is_header_text {
        return Err(
            "expected at least 8 visible ASCII characters without spaces, ${ENV_NAME} or file:/path"
                .to_owned(),
        );
    }
    Ok(key)
}

fn no_providers(node: &Node) -> Result<(), String> {
    let is_empty = match &node.value {
        Value::Null => true,
        Value::Sequence(items) => items.is_empty(),
        Value::Mapping(entries) => entries.is_empty(),
        Value::Scalar(_) | Value::Text(_) | Value::Number(_) | Value::Truth(_) => false,
    };
    if is_empty {
        return Ok(());
    }
    Err(
        "cloud providers are not in this version; remove the key, and register agents instead"
            .to_owned(),
    )
}

fn tls(root: &mut Section<'_>, base: &Path) -> Option<HttpTls> {
    let cert = root.optional("tls_cert", read::path(base));
    let key = root.optional("tls_key", read::path(base));
    match (cert, key) {
        (Some(cert), Some(key)) => Some(HttpTls { cert, key }),
        (None, None) => None,
        (Some(_), None) => {
            root.refuse("tls_key", "expected, because tls_cert is given");
            None
        }
        (None, Some(_)) => {
            root.refuse("tls_cert", "expected, because tls_key is given");
            None
        }
    }
}

fn limits(mut section: Section<'_>) -> ServerLimits {
    let default = ServerLimits::default();
    let limits = ServerLimits {
        http_connections: section.or(
            "http_connections",
            default.http_connections,
            positive(1_000_000),
        ),
        http_connections_per_address: section.or(
            "http_connections_per_address",
            default.http_connections_per_address,
            positive(1_000_000),
        ),
        archive_max: section.or(
            "archive_max_mb",
            default.archive_max,
            read::mebibytes(1..=4096),
        ),
        execute_body_max: section.or(
            "execute_body_max_mb",
            default.execute_body_max,
            // The protocol to agents carries one message of the body and the arguments.
            read::mebibytes(1..=48),
        ),
        queue_per_function: section.or(
            "queue_per_function",
            default.queue_per_function,
            read::integer(0..=1_000_000),
        ),
        drain_timeout: section.or(
            "drain_timeout",
            default.drain_timeout,
            read::duration(Duration::ZERO..=HOUR),
        ),
        idempotency_retention: section.or(
            "idempotency_retention",
            default.idempotency_retention,
            read::duration(Duration::from_secs(1)..=MONTH),
        ),
        heartbeat_interval: section.or(
            "heartbeat_interval",
            default.heartbeat_interval,
            // Under it, probes would be the load that they measure.
            read::duration(50 * MILLISECOND..=Duration::from_secs(300)),
        ),
        heartbeat_misses: section.or("heartbeat_misses", default.heartbeat_misses, positive(100)),
    };
    section.finish();
    limits
}

fn retention(mut section: Section<'_>) -> Retention {
    let default = Retention::default();
    let age = || read::duration(Duration::from_secs(1)..=YEAR);
    let retention = Retention {
        success: section.or("success", default.success, age()),
        failure: section.or("failure", default.failure, age()),
        // A smaller one would be used up by the history's own bookkeeping.
        total: section.or("total_mb", default.total, read::mebibytes(16..=1_000_000)),
        output_max: section.or(
            "output_max_mb",
            default.output_max,
            read::mebibytes(0..=10_000),
        ),
    };
    section.finish();
    retention
}

/// A count of at least one.
pub(super) fn positive(largest: u32) -> impl FnOnce(&Node) -> Result<NonZeroU32, String> {
    move |node| {
        let number = read::integer(1..=largest)(node)?;
        NonZeroU32::new(number).ok_or_else(|| "expected at least 1".to_owned())
    }
}
