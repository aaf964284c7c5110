//! `flux pki`: lists the certificates of this machine, from their files.
//!
//! Opens certificates only, never a private key, and changes nothing.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use crate::base::causes::with_causes;
use crate::base::clock::{Clock, Timestamp};
use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::Printer;
use crate::cli::table::{Cell, Table};
use crate::pki::{Expiry, Holder, PkiError, expiries};

/// Lists the certificates of this machine and when they expire
#[derive(Debug, Args)]
#[command(
    after_help = "Reads files on the control plane's machine, and asks nobody. Exits with 1 when a \
certificate has expired or cannot be read."
)]
pub(crate) struct Arguments {
    /// `certs_dir` of flux.yaml
    #[arg(long, value_name = "DIR", default_value = "/etc/flux/certs")]
    certs_dir: PathBuf,
}

const MILLIS_PER_DAY: i64 = 86_400_000;

pub(crate) fn run(arguments: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    // `expiries` takes a directory that is not there for an empty one; here it is a wrong path.
    fs::read_dir(&arguments.certs_dir)
        .with_context(|| format!("cannot read {}", arguments.certs_dir.display()))?;
    let found = expiries(&arguments.certs_dir).map_err(anyhow::Error::new)?;
    let now = Clock::system().now();
    let is_good = found
        .iter()
        .all(|entry| matches!(entry, Ok(expiry) if expiry.not_after > now));
    let certificates: Vec<_> = found
        .iter()
        .map(|entry| Certificate::new(entry, now))
        .collect();
    Printer::new(target.json).show(&certificates, |certificates| table(certificates))?;
    Ok(if is_good {
        ExitCode::Ok
    } else {
        ExitCode::Failure
    })
}

/// One certificate, or what keeps it from being read.
#[derive(Serialize)]
#[serde(untagged)]
enum Certificate {
    Read {
        days_left: i64,
        file: String,
        holder: String,
        not_after: String,
    },
    Damaged {
        error: String,
    },
}

impl Certificate {
    fn new(entry: &Result<Expiry, PkiError>, now: Timestamp) -> Certificate {
        match entry {
            Ok(expiry) => Certificate::Read {
                days_left: (expiry.not_after.as_millis() - now.as_millis())
                    .div_euclid(MILLIS_PER_DAY),
                file: expiry.path.display().to_string(),
                holder: holder(&expiry.holder),
                not_after: expiry.not_after.to_rfc3339(),
            },
            Err(error) => Certificate::Damaged {
                error: with_causes(error),
            },
        }
    }
}

fn holder(holder: &Holder) -> String {
    match holder {
        Holder::Ca => "authority".to_owned(),
        Holder::Control => "control plane".to_owned(),
        Holder::Agent(id) => format!("agent {id}"),
    }
}

fn table(certificates: &[Certificate]) -> Table {
    let mut table = Table::new(&["HOLDER", "DAYS LEFT", "NOT AFTER", "FILE", "ERROR"]);
    for certificate in certificates {
        table.row(match certificate {
            Certificate::Read {
                days_left,
                file,
                holder,
                not_after,
            } => [
                holder.cell(),
                days_left.cell(),
                not_after.cell(),
                file.cell(),
                "".cell(),
            ],
            Certificate::Damaged { error } => {
                ["".cell(), "".cell(), "".cell(), "".cell(), error.cell()]
            }
        });
    }
    table
}
