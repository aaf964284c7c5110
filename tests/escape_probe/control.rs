//! The control plane's API: without a key, and with every word that looks like one.
//!
//! `control` is `host:port`; `words=<file>` are files that may hold the key.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use crate::attempt::{Attempt, Finding, worst};
use crate::system::others;
use crate::told::Told;

const TIMEOUT: Duration = Duration::from_secs(5);
/// Words that are tried.
const MAX_WORDS: usize = 500;
/// Everything that only a key may open; `x` is no function, so nothing happens where it is open.
const ROUTES: [(&str, &str); 12] = [
    ("GET", "/agents"),
    ("GET", "/functions"),
    ("GET", "/executions"),
    ("GET", "/resources"),
    ("GET", "/metrics"),
    ("POST", "/execute/x"),
    ("POST", "/execute/x/async"),
    ("PUT", "/deploy/x"),
    ("DELETE", "/functions/x"),
    ("DELETE", "/agents/x"),
    ("POST", "/agents/register"),
    ("POST", "/agents/enroll"),
];

/// See the module's text.
pub fn attempts(told: &'static Told) -> Vec<Attempt> {
    vec![
        Attempt::new("control.without_key", || {
            worst(
                ROUTES.map(|(method, path)| {
                    (format!("{method} {path}"), ask(told, method, path, None))
                }),
            )
        }),
        Attempt::new("control.with_empty_key", || {
            ask(told, "GET", "/agents", Some(""))
        }),
        Attempt::new("control.with_found_key", || with_found(told)),
    ]
}

fn with_found(told: &Told) -> Finding {
    let words = words(told);
    let number = words.len();
    for word in words.into_iter().take(MAX_WORDS) {
        let finding = ask(told, "GET", "/agents", Some(&word));
        if !matches!(finding, Finding::Denied(_)) {
            return finding;
        }
    }
    Finding::Denied(format!("none of {number} words opened it"))
}

/// From its own environment, the told files, and what others show of themselves. Not from its own
/// arguments: there stands what it was told to look for.
fn words(told: &Told) -> Vec<String> {
    let shown = others().into_iter().flat_map(|pid| {
        ["environ", "cmdline"].map(|name| PathBuf::from(format!("/proc/{pid}/{name}")))
    });
    let own = ["/proc/self/environ".into()];
    let mut text: Vec<u8> = Vec::new();
    // What is likeliest first: not all words are tried.
    for path in told.all("words").map(Into::into).chain(own).chain(shown) {
        text.extend(fs::read(path).unwrap_or_default());
        text.push(b'\n');
    }
    let mut seen = BTreeSet::new();
    String::from_utf8_lossy(&text)
        .split(|c: char| c.is_whitespace() || c == '\0' || c == '=' || c == '"')
        .filter(|word| (8..=128).contains(&word.len()) && !word.contains('/') && word.is_ascii())
        .filter(|word| seen.insert((*word).to_owned()))
        .map(str::to_owned)
        .collect()
}

fn ask(told: &Told, method: &str, path: &str, key: Option<&str>) -> Finding {
    let Some(address) = told.one("control") else {
        return Finding::not_told("control");
    };
    let key = key.map_or_else(String::new, |key| format!("X-API-Key: {key}\r\n"));
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: flux\r\n{key}Content-Length: 0\r\nConnection: close\r\n\r\n"
    );
    match exchange(address, &request) {
        Ok(answer) => judge(&answer),
        Err(error) => Finding::Denied(format!("cannot be reached: {error}")),
    }
}

fn judge(answer: &str) -> Finding {
    match answer.split(' ').nth(1) {
        Some("401" | "403") => Finding::Denied("401".to_owned()),
        Some(status) => Finding::Escaped(format!("answered {status}")),
        None => Finding::Unclear(format!("answered {answer:?}")),
    }
}

fn exchange(address: &str, request: &str) -> std::io::Result<String> {
    let address = address
        .to_socket_addrs()?
        .next()
        .ok_or(std::io::ErrorKind::AddrNotAvailable)?;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = [0; 256];
    let bytes = stream.read(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..bytes]).into_owned())
}
