//! `flux pki`: the certificates of this machine, read from their files.
//!
//! Refuses: private keys. It opens certificates only, and changes nothing.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use openssl::asn1::Asn1Time;
use openssl::x509::X509;
use serde_json::{Value, json};

use super::error::CliError;
use super::exit_code::ExitCode;
use super::printer::Printer;
use super::table::Table;
use super::target::Target;

/// Lists the certificates of this machine
#[derive(Debug, Args)]
pub struct Arguments {
    /// `certs_dir` of flux.yaml
    #[arg(long, value_name = "DIR", default_value = "/etc/flux/certs")]
    certs_dir: PathBuf,
}

/// Directories below `certs_dir` that are looked into; `agents/<id>` is the deepest.
const MAX_DEPTH: usize = 3;
/// A chain of certificates is far smaller.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Runs the command.
///
/// # Errors
/// The directory cannot be read.
pub fn run(arguments: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let mut certificates = Vec::new();
    collect(&arguments.certs_dir, MAX_DEPTH, &mut certificates)?;
    certificates.sort_by_key(|certificate| certificate["file"].as_str().map(str::to_owned));
    Printer::new(target.json).show(&Value::Array(certificates), table)?;
    Ok(ExitCode::Ok)
}

fn collect(directory: &Path, depth: usize, found: &mut Vec<Value>) -> anyhow::Result<()> {
    let reading = || format!("read {}", directory.display());
    for entry in std::fs::read_dir(directory).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        let (path, kind) = (entry.path(), entry.file_type().with_context(reading)?);
        if kind.is_dir() && depth > 0 {
            collect(&path, depth - 1, found)?;
        } else if kind.is_file() && is_certificate(&path) {
            found.extend(read(&path));
        }
    }
    Ok(())
}

fn is_certificate(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    (name.ends_with(".pem") || name.ends_with(".crt")) && !name.contains("key")
}

/// `None` for what is no certificate; an unreadable one is listed with its error.
fn read(path: &Path) -> Option<Value> {
    let file = path.display().to_string();
    if path
        .metadata()
        .is_ok_and(|metadata| metadata.len() > MAX_FILE_BYTES)
    {
        return None;
    }
    match std::fs::read(path) {
        Ok(bytes) => X509::from_pem(&bytes).ok().map(|x509| facts(&file, &x509)),
        Err(error) => Some(json!({ "file": file, "subject": format!("cannot be read: {error}") })),
    }
}

fn facts(file: &str, x509: &X509) -> Value {
    let days = Asn1Time::days_from_now(0)
        .and_then(|now| now.diff(x509.not_after()))
        .map(|left| left.days)
        .ok();
    json!({
        "file": file,
        "subject": name(x509.subject_name()),
        "issuer": name(x509.issuer_name()),
        "not_after": x509.not_after().to_string(),
        "days_left": days,
    })
}

fn name(name: &openssl::x509::X509NameRef) -> String {
    let parts: Vec<String> = name
        .entries()
        .filter_map(|entry| {
            let key = entry.object().nid().short_name().ok()?;
            Some(format!("{key}={}", entry.data().to_string().ok()?))
        })
        .collect();
    parts.join(", ")
}

fn table(certificates: &Value) -> Table {
    Table::of(
        certificates,
        &[
            ("SUBJECT", "subject"),
            ("ISSUER", "issuer"),
            ("DAYS LEFT", "days_left"),
            ("NOT AFTER", "not_after"),
            ("FILE", "file"),
        ],
    )
}
