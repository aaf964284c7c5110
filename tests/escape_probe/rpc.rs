//! The agent's own port: with no certificate, with one of its own making, with those that it finds.
//!
//! Speaks through the system's curl and openssl, so that this program links nothing. `rpc` is
//! `host:port`; `certificate=<label>:<certificate>:<key>` names files to try.

use std::path::PathBuf;

use crate::attempt::{Attempt, Finding, worst};
use crate::system::program;
use crate::told::Told;

/// A gRPC message of no bytes: flag and length (the gRPC protocol over HTTP/2).
const EMPTY_MESSAGE: [u8; 5] = [0; 5];
/// A harmless call that needs the same rights as all others.
const METHOD: &str = "flux.AgentService/HealthCheck";

/// See the module's text.
pub fn attempts(told: &'static Told) -> Vec<Attempt> {
    vec![
        Attempt::new("rpc.without_certificate", || ask(told, &[])),
        Attempt::new("rpc.with_own_certificate", || with_own(told)),
        Attempt::new("rpc.with_found_certificate", || with_found(told)),
        Attempt::new("rpc.without_tls", || without_tls(told)),
    ]
}

fn with_own(told: &Told) -> Finding {
    let (certificate, key) = (temporary("own.pem"), temporary("own.key"));
    let arguments = [
        "req",
        "-x509",
        "-nodes",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-days",
        "1",
        "-subj",
        "/CN=flux",
        "-keyout",
        &key,
        "-out",
        &certificate,
    ];
    match program("/usr/bin/openssl", &arguments) {
        Some((Some(0), _)) => ask(told, &["--cert", &certificate, "--key", &key]),
        other => Finding::Skipped(format!("openssl made no certificate: {other:?}")),
    }
}

fn with_found(told: &Told) -> Finding {
    let mut tried = Vec::new();
    for (label, files) in told.labelled("certificate") {
        let Some((certificate, key)) = files.split_once(':') else {
            continue;
        };
        tried.push((
            label.to_owned(),
            ask(told, &["--cert", certificate, "--key", key]),
        ));
    }
    if tried.is_empty() {
        return Finding::not_told("certificate");
    }
    worst(tried)
}

fn without_tls(told: &Told) -> Finding {
    let Some(address) = told.one("rpc") else {
        return Finding::not_told("rpc");
    };
    let url = format!("http://{address}/{METHOD}");
    by_curl(&["--http2-prior-knowledge", &url])
}

fn ask(told: &Told, identity: &[&str]) -> Finding {
    let Some(address) = told.one("rpc") else {
        return Finding::not_told("rpc");
    };
    let url = format!("https://{address}/{METHOD}");
    by_curl(&[identity, &["--insecure", "--http2", &url]].concat())
}

fn by_curl(arguments: &[&str]) -> Finding {
    let message = temporary("message");
    if let Err(error) = std::fs::write(&message, EMPTY_MESSAGE) {
        return Finding::Unclear(format!("no file for the message: {error}"));
    }
    let data = format!("@{message}");
    let common = [
        "--silent",
        "--show-error",
        "--include",
        "--max-time",
        "10",
        "--output",
        "-",
        "--header",
        "content-type: application/grpc",
        "--header",
        "te: trailers",
        "--data-binary",
        &data,
    ];
    match program("/usr/bin/curl", &[&common[..], arguments].concat()) {
        None => Finding::Skipped("there is no curl, or it cannot be executed".to_owned()),
        Some((_, printed)) if printed.starts_with("HTTP/") => {
            Finding::Escaped(format!("was answered: {}", first_line(&printed)))
        }
        Some((code, printed)) => Finding::Denied(format!("{code:?} {}", first_line(&printed))),
    }
}

fn first_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(120)
        .collect()
}

fn temporary(name: &str) -> String {
    let path: PathBuf = std::env::temp_dir().join(format!("rpc-{}-{name}", std::process::id()));
    path.to_string_lossy().into_owned()
}
