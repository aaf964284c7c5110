//! `flux server`: the control plane as a daemon.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::{Args, CommandFactory};

use super::exit::{self, Unsupported};
use super::logging;
use crate::api::handler::Api;
use crate::base::clock::Clock;
use crate::base::threads::Supervisor;
use crate::base::{process, signals};
use crate::cli::command::Cli;
use crate::cli::{exit_code, printer};
use crate::config::error::ConfigError;
use crate::config::server::ServerConfig;
use crate::control::plane::ControlPlane;
use crate::http::{Limits, ListenConfig, Server, TlsConfig};

#[derive(Debug, Args, Default)]
pub(crate) struct Arguments {
    /// The flux.yaml to read; else $FLUX_CONFIG, ./flux.yaml, /etc/flux/flux.yaml
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Read the configuration and say what is wrong with it, without starting
    #[arg(long)]
    pub(crate) check_config: bool,
}

/// What plain `flux` does: the server where a configuration is found, else the help.
pub(crate) fn run_if_configured() -> ExitCode {
    let arguments = Arguments::default();
    if let Err(ConfigError::NotFound { .. }) = ServerConfig::load(None) {
        let help = Cli::command().render_help().to_string();
        printer::raw_stderr(help.as_bytes());
        return exit_code::ExitCode::Usage.into();
    }
    run(&arguments)
}

/// Runs until a signal, a failed start or a panic.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    match serve(arguments) {
        Ok(code) => code,
        Err(error) => exit::not_started("flux server", &error),
    }
}

fn serve(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = ServerConfig::load(arguments.config.as_deref())?;
    refuse_what_is_not_there_yet(&config)?;
    if arguments.check_config {
        printer::note("the configuration is good");
        return Ok(ExitCode::SUCCESS);
    }
    logging::start(&config.log);
    process::keep_memory_small();
    process::raise_descriptor_limit();
    let supervisor = Supervisor::new();
    let _signals = signals::watch(&supervisor).context("cannot handle signals")?;
    let front = FrontDoor::open(&config, &supervisor)?;
    log::info!("listening on {}", front.url());
    process::tell_ready();
    supervisor.shutdown().wait();
    process::tell_stopping("finishing requests", config.limits.drain_timeout);
    front.shut_down(&config);
    Ok(exit::after_shutdown(&supervisor))
}

/// The control plane behind its HTTP server; shared with `flux dev`.
pub(crate) struct FrontDoor {
    // Before the control plane: its handlers use it.
    server: Server,
    control: Arc<ControlPlane>,
    scheme: &'static str,
}

impl FrontDoor {
    /// Starts the control plane, then opens the door.
    ///
    /// # Errors
    /// Whatever keeps either from starting.
    pub(crate) fn open(
        config: &ServerConfig,
        supervisor: &Supervisor,
    ) -> anyhow::Result<FrontDoor> {
        let control = Arc::new(ControlPlane::start(config, &Clock::system(), supervisor)?);
        let limits = Limits {
            connections: config.limits.http_connections.get() as usize,
            connections_per_peer: Some(config.limits.http_connections_per_address.get() as usize),
            ..Limits::default()
        };
        let listen = ListenConfig {
            address: config.listen,
            tls: config
                .tls
                .as_ref()
                .map(|tls| TlsConfig::from_files(&tls.cert, &tls.key))
                .transpose()
                .context("cannot use tls_cert and tls_key")?,
        };
        let scheme = if listen.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let api = Api::new(Arc::clone(&control), config);
        let server = Server::start(listen, limits, Arc::new(api), supervisor)?;
        Ok(FrontDoor {
            server,
            control,
            scheme,
        })
    }

    /// Where the API is, with the real port.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.server.local_addr())
    }

    pub(crate) fn control(&self) -> &ControlPlane {
        &self.control
    }

    /// Takes no new requests, and gives those under way until the deadline to end.
    pub(crate) fn shut_down(self, config: &ServerConfig) {
        self.server.stop_accepting();
        self.control.begin_shutdown();
        if !self
            .server
            .drain(Instant::now() + config.limits.drain_timeout)
        {
            log::warn!("requests that did not end in time were cut off; what they started goes on");
        }
    }
}

fn refuse_what_is_not_there_yet(config: &ServerConfig) -> anyhow::Result<()> {
    if config.redis_addr.is_some() {
        bail!(Unsupported(
            "redis_addr: this version keeps its state in the embedded store under state_dir; remove the key"
        ));
    }
    Ok(())
}
