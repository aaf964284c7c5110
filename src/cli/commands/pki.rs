//! `flux pki`: the certificates of this machine, read from their files.
//!
//! Refuses: private keys. It opens certificates only, and changes nothing.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use crate::base::causes::with_causes;
use crate::base::clock::{Clock, Timestamp};
use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::Printer;
use crate::cli::table::Table;
use crate::pki::{Expiry, Holder, PkiError, expiries};

/// Lists the certificates of this machine and when they end
#[derive(Debug, Args)]
#[command(
    after_help = "Reads the files of the control plane's machine; asks nobody. Ends with 1 when a \
certificate has ended or cannot be read."
)]
pub struct Arguments {
    /// `certs_dir` of flux.yaml
    #[arg(long, value_name = "DIR", default_value = "/etc/flux/certs")]
    certs_dir: PathBuf,
}

const MILLIS_PER_DAY: i64 = 86_400_000;

/// Runs the command.
///
/// # Errors
/// The directory cannot be read.
pub fn run(arguments: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    // To the list, a directory that is not there is an empty one; to a person, a wrong path.
    fs::read_dir(&arguments.certs_dir)
        .with_context(|| format!("read {}", arguments.certs_dir.display()))?;
    let found = expiries(&arguments.certs_dir).map_err(anyhow::Error::new)?;
    let now = Clock::system().now();
    let is_good = found
        .iter()
        .all(|entry| matches!(entry, Ok(expiry) if expiry.not_after > now));
    let certificates = found
        .iter()
        .map(|entry| match entry {
            Ok(expiry) => facts(expiry, now),
            Err(error) => damage(error),
        })
        .collect();
    Printer::new(target.json).show(&Value::Array(certificates), table)?;
    Ok(if is_good {
        ExitCode::Ok
    } else {
        ExitCode::Failure
    })
}

fn facts(expiry: &Expiry, now: Timestamp) -> Value {
    let left = expiry.not_after.as_millis() - now.as_millis();
    json!({
        "holder": holder(&expiry.holder),
        "file": expiry.path.display().to_string(),
        "not_after": expiry.not_after.to_rfc3339(),
        "days_left": left.div_euclid(MILLIS_PER_DAY),
    })
}

fn holder(holder: &Holder) -> String {
    match holder {
        Holder::Ca => "authority".to_owned(),
        Holder::Control => "control plane".to_owned(),
        Holder::Agent(id) => format!("agent {id}"),
    }
}

fn damage(error: &PkiError) -> Value {
    json!({ "error": with_causes(error) })
}

fn table(certificates: &Value) -> Table {
    Table::of(
        certificates,
        &[
            ("HOLDER", "holder"),
            ("DAYS LEFT", "days_left"),
            ("NOT AFTER", "not_after"),
            ("FILE", "file"),
            ("ERROR", "error"),
        ],
    )
}
