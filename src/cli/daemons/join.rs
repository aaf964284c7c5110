//! `flux-agent join`: a key of its own, a certificate for it, and a configuration.
//!
//! Invariants: the private key never leaves this machine; the token's secret never travels;
//! nothing is written before the answer is proven to come from whoever made the token.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;

use super::agent::PROGRAM;
use crate::base::atomic_file;
use crate::base::https::system_tls;
use crate::cli::client::target::check_url;
use crate::cli::error::ApiError;
use crate::cli::printer;
use crate::pki::enrolment::{EnrolAnswer, EnrolRequest, Enrolled};
use crate::pki::invitation::Invitation;
use crate::pki::join::key_and_request;
use crate::wire::names::JOIN_TOKEN_HEADER;

const DEFAULT_CONFIG: &str = "/etc/flux-agent/agent.yaml";
/// Room for two certificates.
const MAX_ANSWER_BYTES: u64 = 256 << 10;
const TIMEOUT: Duration = Duration::from_secs(30);
/// Room for a token, which has a few hundred characters.
const MAX_TOKEN_BYTES: u64 = 4096;

/// Gets a certificate and a configuration for this machine's agent
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The control plane, such as http://10.0.0.1:7227
    url: String,
    /// What `flux agent enroll ID` printed; `-` reads it from standard input
    token: String,
    /// Where to write the configuration; certificates go into certs/ beside it
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
}

/// Joins, or writes nothing.
///
/// # Errors
/// A token that is no token, a configuration that is there already, a directory that cannot be
/// written to, no answer, a refusal, or an answer without the proof.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let invitation: Invitation = read_token(&arguments.token)?
        .parse()
        .context("the token cannot be used")?;
    let config =
        std::path::absolute(&arguments.config).context("cannot find the configuration file")?;
    if config.exists() {
        bail!(
            "{} is there already: move it away to join again, or name another place with --config",
            config.display()
        );
    }
    expect_writable(&config)?;
    let url = check_url(&arguments.url)?;
    let key = key_and_request(&invitation.agent)?;
    let request = EnrolRequest::new(&invitation.token, &invitation.agent, &key.request)?;
    let answer = ask(&url, &request)?;
    let enrolled = answer
        .open(&invitation.token, &request, &key.key)
        .context("the answer does not come from the fleet that made the token")?;
    write(&config, &invitation, &enrolled, &key.key)?;
    let text = format!(
        "joined as {}; wrote {}\n\
         next: start flux-agent, then register its address: flux agent register HOST:{}",
        invitation.agent,
        config.display(),
        port(&enrolled)
    );
    printer::say(PROGRAM, &text);
    Ok(ExitCode::SUCCESS)
}

/// Called before anything is asked, because an answer that cannot be kept would use the token up.
fn expect_writable(config: &Path) -> anyhow::Result<()> {
    let existing = config
        .ancestors()
        .skip(1)
        .find(|directory| directory.exists())
        .unwrap_or(Path::new("/"));
    tempfile::tempfile_in(existing)
        .with_context(|| format!("cannot write to {}", existing.display()))
        .map(drop)
}

fn read_token(argument: &str) -> anyhow::Result<String> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut text = String::new();
    std::io::stdin()
        .take(MAX_TOKEN_BYTES)
        .read_to_string(&mut text)
        .context("cannot read the token from standard input")?;
    Ok(text)
}

fn ask(url: &str, request: &EnrolRequest) -> anyhow::Result<EnrolAnswer> {
    let url = format!("{url}/agents/join");
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(TIMEOUT))
        .tls_config(system_tls())
        .build()
        .new_agent();
    let mut answer = agent
        .post(&url)
        .header(JOIN_TOKEN_HEADER, request.token_id()?.to_string())
        .send_json(request)
        .with_context(|| format!("cannot ask {url}"))?;
    let status = answer.status();
    let body = answer
        .body_mut()
        .with_config()
        .limit(MAX_ANSWER_BYTES)
        .read_to_vec()
        .with_context(|| format!("cannot read the answer of {url}"))?;
    if status.is_success() {
        return serde_json::from_slice(&body)
            .with_context(|| format!("{url} does not answer as Flux does"));
    }
    let error = ApiError::read(status.as_u16(), &body);
    if error.hint.is_empty() {
        bail!("{url} refused ({status}): {}", error.message);
    }
    bail!(
        "{url} refused ({status}): {}; {}",
        error.message,
        error.hint
    );
}

fn write(
    config: &Path,
    invitation: &Invitation,
    enrolled: &Enrolled,
    key: &[u8],
) -> anyhow::Result<()> {
    let directory = config.parent().unwrap_or(Path::new("/"));
    let certs = directory.join("certs");
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    atomic_file::create_directory(&certs, 0o700)?;
    atomic_file::write(&certs.join("agent-key.pem"), key, 0o600)?;
    atomic_file::write(
        &certs.join("agent.pem"),
        enrolled.certificate.as_bytes(),
        0o644,
    )?;
    atomic_file::write(&certs.join("ca.pem"), enrolled.ca.as_bytes(), 0o644)?;
    // The configuration comes last, because with it the agent can start.
    let yaml = format!(
        "# Written by flux-agent join. Every other key has its default: see example.agent.yaml.\n\
         agent_id: {}\n\
         port: {}\n\
         tls:\n\
         \x20 enabled: true\n\
         \x20 ca_cert: certs/ca.pem\n\
         \x20 cert_file: certs/agent.pem\n\
         \x20 key_file: certs/agent-key.pem\n",
        invitation.agent,
        port(enrolled),
    );
    // Functions may read below /etc, and secrets may be added to it.
    atomic_file::write(config, yaml.as_bytes(), 0o600)?;
    Ok(())
}

fn port(enrolled: &Enrolled) -> u16 {
    enrolled
        .settings
        .get("port")
        .and_then(|port| port.parse().ok())
        .unwrap_or(crate::config::server::DEFAULT_AGENT_PORT)
}
