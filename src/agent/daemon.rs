//! The worker as a whole: starts in order, reconciles with what was there before, ends in order.

use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::functions::Functions;
use super::journal::{ExecutionFilter, Journal, JournalError, MAX_LISTED};
use super::output::{OutputLog, clear_orphans, create_spool_dir};
use super::release::{ReleaseError, Releases};
use super::run::admission::Admission;
use super::run::context::Context;
use super::run::environment::Environment;
use super::run::live::LiveTable;
use super::serve::events::Events;
use super::serve::service::Serving;
use super::serve::worker::AgentWorker;
use super::serve::worker_api::Worker;
use super::who::isolation::IsolationRules;
use super::who::runners::{self, RunnerError};
use super::workdir::WorkDirs;
use crate::archive::ArchiveLimits;
use crate::base::atomic_file::{self, FileError};
use crate::base::causes::with_causes;
use crate::base::clock::{Clock, Timestamp};
use crate::base::https;
use crate::base::threads::{Joined, Lasting, Supervisor};
use crate::base::units::Mib;
use crate::config::agent::{AgentConfig, AgentLimits, AgentTls};
use crate::host;
use crate::model::ids::ExecutionId;
use crate::rpc::TlsIdentity;
use crate::rpc::limits::Keepalive;
use crate::rpc::server::ServerError;
use crate::rpc::tls::{InvalidIdentity, ServerIdentity};
use crate::sandbox::{
    CgroupMode, ResourceLimits, Sandbox, SandboxConfig, SandboxError, StopReason,
    default_system_paths,
};

/// Between two looks for expired records, at the most; sooner where records live shorter.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(60);
/// Between two looks for expired records, at the least.
const SHORTEST_EXPIRY_INTERVAL: Duration = Duration::from_secs(1);
/// For asking what the public address is.
const PUBLIC_ADDRESS_TIMEOUT: Duration = Duration::from_secs(5);
/// After a stop at the drain's deadline, until every execution is confirmed dead and recorded.
const STOP_TIME: Duration = Duration::from_secs(15);
/// For the answers of executions that have just ended.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// Why the worker does not start.
#[derive(Debug, Error)]
pub(crate) enum StartError {
    #[error("cannot prepare the state directory")]
    Directory(#[from] FileError),
    #[error("cannot open the journal")]
    Journal(#[from] JournalError),
    #[error("cannot open the releases")]
    Release(#[from] ReleaseError),
    #[error("cannot prepare the sandbox")]
    Sandbox(#[from] SandboxError),
    #[error("cannot serve gRPC")]
    Server(#[from] ServerError),
    /// One of the certificate's files.
    #[error("cannot use the certificate")]
    Certificate(#[from] CertificateError),
    #[error("cannot start a thread")]
    Thread(#[from] std::io::Error),
    /// Nobody to run functions as.
    #[error("cannot find somebody to run functions as")]
    Runner(#[from] RunnerError),
}

/// Why a certificate cannot be used.
#[derive(Debug, Error)]
pub(crate) enum CertificateError {
    #[error(transparent)]
    File(#[from] FileError),
    /// What stands in them.
    #[error(transparent)]
    Invalid(#[from] InvalidIdentity),
}

/// A running worker. Dropped, it ends at once; [`Agent::shut_down`] ends it in order.
pub(crate) struct Agent {
    // First: no call arrives any more. Then the worker, whose pool waits for what runs.
    server: Serving,
    worker: Arc<AgentWorker>,
    _expiry: Lasting,
    _lookup: Option<Joined>,
    drain_timeout: Duration,
}

impl Agent {
    /// Ends what an earlier process left behind, then serves.
    ///
    /// # Errors
    /// See [`StartError`].
    pub(crate) fn start(
        config: &AgentConfig,
        clock: &Clock,
        supervisor: &Supervisor,
    ) -> Result<Agent, StartError> {
        let (context, functions) = open(config, clock)?;
        let limits = &config.limits;
        let worker = Arc::new(AgentWorker::new(
            config.agent_id.clone(),
            context,
            functions,
            Admission::new(limits.max_executions),
            limits,
            supervisor,
        ));
        let expiry = expire_records(&worker, limits.record_retention, supervisor)?;
        let lookup = match (config.node_public_ip, &config.public_ip_lookup) {
            (None, Some(url)) => Some(look_up_public_address(&worker, url.clone(), supervisor)?),
            (Some(_), _) | (None, None) => None,
        };
        let identity = config.tls.as_ref().map(read_identity).transpose()?;
        let for_service: Arc<dyn Worker> = worker.clone();
        let keepalive = Keepalive::default();
        let server = Serving::start(config.listen, identity, for_service, supervisor, keepalive)?;
        Ok(Agent {
            server,
            worker,
            _expiry: expiry,
            _lookup: lookup,
            drain_timeout: limits.drain_timeout,
        })
    }

    /// Where it serves.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// How long [`Agent::shut_down`] takes at the most.
    pub(crate) fn longest_stop(&self) -> Duration {
        self.drain_timeout
            .saturating_add(STOP_TIME)
            .saturating_add(ANSWER_TIME)
    }

    /// Takes on nothing more, lets what runs end until the deadline, then stops it. What had to
    /// be stopped is recorded as lost.
    pub(crate) fn shut_down(self) {
        let admission = self.worker.admission();
        let running = admission.close();
        if running > 0 {
            log::info!(
                "waiting for {running} executions, {:?} at the most",
                self.drain_timeout
            );
        }
        if !admission.wait_until_idle(self.drain_timeout) {
            log::warn!(
                "stopping {} executions that did not end in time",
                admission.running()
            );
            self.worker.context().live.stop_all(StopReason::Shutdown);
            if !admission.wait_until_idle(STOP_TIME) {
                log::error!("{} executions could not be stopped", admission.running());
            }
        }
        self.worker.context().events.close();
        let Agent {
            server,
            worker,
            _expiry,
            _lookup,
            ..
        } = self;
        server.shutdown(ANSWER_TIME);
        drop(worker);
    }
}

/// Opens what is on disk and what contains functions, and clears up what an earlier process left in
/// both. In this order: leftovers are dead before anything of theirs is touched.
fn open(config: &AgentConfig, clock: &Clock) -> Result<(Context, Functions), StartError> {
    atomic_file::create_directory(&config.state_dir, 0o711)?;
    // Absolute, because the sandbox recognises processes by it; the configuration's may be
    // relative to a file that was named without its directory.
    let state_dir = &config.state_dir;
    let work_root =
        std::path::absolute(state_dir.join("work")).map_err(FileError::at("resolve", state_dir))?;
    let spool_dir = config.state_dir.join("output");
    create_spool_dir(&spool_dir)?;
    let journal = Arc::new(Journal::open(&config.state_dir.join("journal"))?);
    let runners = runners::find(&config.runner_user, &config.isolation.runner_uids)?;
    let sandbox = Sandbox::open(SandboxConfig {
        name: cgroup_name(config),
        work_root: work_root.clone(),
        identities: runners,
        system_paths: readable(&config.isolation.read_paths),
        require_isolation: config.require_isolation,
        cgroup: CgroupMode::Auto,
    })?;
    report_isolation(&sandbox);
    let workdirs = WorkDirs::open(&work_root, sandbox.projects())?;
    clear_up(&sandbox, &workdirs, &journal, &spool_dir, clock.now())?;
    let releases = Releases::open(&config.apps_dir, ArchiveLimits::default())?;
    let rules = IsolationRules::new(&config.isolation, &sandbox, runners);
    let functions = Functions::load(Arc::clone(&journal), releases, rules)?;
    let private = config.node_private_ip.or_else(host::private_address);
    let context = Context {
        clock: clock.clone(),
        sandbox,
        journal,
        live: LiveTable::default(),
        workdirs,
        environment: Environment::new(private, config.node_public_ip),
        events: Events::default(),
        limits: default_limits(&config.limits),
        kill_grace: config.limits.kill_grace,
        pipe_grace: config.limits.pipe_grace,
        spool_dir,
    };
    Ok((context, functions))
}

/// For executions whose function names no limits of its own.
fn default_limits(limits: &AgentLimits) -> ResourceLimits {
    ResourceLimits {
        memory: limits.memory,
        cpu_millicores: limits.cpu_millicores,
        disk: Some(limits.disk),
        pids: Some(limits.pids),
        nofile: Some(limits.open_files.get().into()),
        fsize: limits.file_size.map(Mib::bytes),
        ..ResourceLimits::NONE
    }
}

/// The agent's part of the cgroup tree. Clearing up kills everything in it, and two agents of one
/// machine may bear the same id in two fleets: what they never share is the state directory.
fn cgroup_name(config: &AgentConfig) -> String {
    let directory = config.state_dir.as_os_str().as_encoded_bytes();
    let [a, b, c, d, ..] = openssl::sha::sha256(directory);
    format!("{}-{a:02x}{b:02x}{c:02x}{d:02x}", config.agent_id)
}

/// The system's paths, and those of the configuration.
fn readable(further: &[PathBuf]) -> Vec<PathBuf> {
    let mut paths = default_system_paths();
    paths.extend_from_slice(further);
    paths
}

fn read_identity(tls: &AgentTls) -> Result<Arc<ServerIdentity>, CertificateError> {
    let is_open = fs::metadata(&tls.key_file).is_ok_and(|key| key.mode() & 0o007 != 0);
    if is_open {
        let key = tls.key_file.display();
        log::warn!("{key} is open to every user, functions among them: chmod 600 it");
    }
    let read = |path: &Path| fs::read(path).map_err(FileError::at("read", path));
    let identity = TlsIdentity::new(
        &read(&tls.ca_cert)?,
        &read(&tls.cert_file)?,
        &read(&tls.key_file)?,
    )?;
    Ok(Arc::new(ServerIdentity::new(identity)))
}

fn report_isolation(sandbox: &Sandbox) {
    let enforced: Vec<_> = sandbox.enforced().iter().map(|it| it.as_str()).collect();
    log::info!("executions are contained by: {}", enforced.join(", "));
    for missing in sandbox.missing() {
        log::warn!("not enforced here: {missing}");
    }
}

/// What ran when an earlier process of this agent ended is killed and recorded as lost; what it
/// left half-done is removed.
fn clear_up(
    sandbox: &Sandbox,
    workdirs: &WorkDirs,
    journal: &Journal,
    spool_dir: &Path,
    now: Timestamp,
) -> Result<(), StartError> {
    let killed = sandbox.clear_leftovers()?;
    let recorded = {
        let spool_dir = spool_dir.to_owned();
        move |id: &ExecutionId| recorded_bytes(&spool_dir, id)
    };
    let lost = journal.mark_lost(now, "the agent ended while it ran", recorded)?;
    if killed > 0 || !lost.is_empty() {
        log::warn!(
            "ended {killed} leftover processes; {} executions are lost",
            lost.len()
        );
    }
    workdirs.clear_leftovers()?;
    if let Err(error) = clear_orphans(spool_dir, &recorded_ids(journal)?) {
        log::warn!("output without a record stays: {}", with_causes(&error));
    }
    Ok(())
}

/// Of stdout and of stderr: what an execution wrote that nobody has counted to its end.
fn recorded_bytes(spool_dir: &Path, id: &ExecutionId) -> [u64; 2] {
    match OutputLog::reopen(spool_dir, id) {
        Ok(log) => {
            let totals = log.totals();
            [totals.stdout_bytes, totals.stderr_bytes]
        }
        Err(error) => {
            log::warn!("{}", with_causes(&error));
            [0, 0]
        }
    }
}

fn recorded_ids(journal: &Journal) -> Result<HashSet<ExecutionId>, JournalError> {
    let mut ids = HashSet::new();
    let mut filter = ExecutionFilter::default();
    loop {
        let page = journal.list(&filter, MAX_LISTED)?;
        let Some(last) = page.last() else {
            return Ok(ids);
        };
        filter.before = Some(last.id.clone());
        ids.extend(page.into_iter().map(|record| record.id));
    }
}

fn expire_records(
    worker: &Arc<AgentWorker>,
    retention: Duration,
    supervisor: &Supervisor,
) -> std::io::Result<Lasting> {
    let interval = retention.clamp(SHORTEST_EXPIRY_INTERVAL, EXPIRY_INTERVAL);
    let (worker, shutdown) = (Arc::clone(worker), supervisor.shutdown());
    supervisor.spawn_lasting("expiry", move || {
        let clock = worker.context().clock.clone();
        while !clock.wait(&shutdown, interval) {
            worker.expire(clock.now(), retention);
        }
    })
}

fn look_up_public_address(
    worker: &Arc<AgentWorker>,
    url: String,
    supervisor: &Supervisor,
) -> std::io::Result<Joined> {
    let worker = Arc::clone(worker);
    supervisor.spawn("public-address", move || match public_address(&url) {
        Ok(address) => worker.context().environment.set_public_address(address),
        Err(reason) => log::info!("the public address is unknown: {url}: {reason}"),
    })
}

fn public_address(url: &str) -> Result<IpAddr, String> {
    /// The longest text of an address, with room for a line's end.
    const MAX_ANSWER_BYTES: u64 = 64;
    let answer = ureq::get(url)
        .config()
        .timeout_global(Some(PUBLIC_ADDRESS_TIMEOUT))
        .tls_config(https::system_tls())
        .build()
        .call()
        .and_then(|mut answer| {
            answer
                .body_mut()
                .with_config()
                .limit(MAX_ANSWER_BYTES)
                .read_to_string()
        })
        .map_err(|error| with_causes(&error))?;
    answer
        .trim()
        .parse()
        .map_err(|_| "the answer is no address".to_owned())
}
