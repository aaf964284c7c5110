//! Python with PyPI's gRPC, made once by the scripts here and kept outside of the checkout.
//!
//! Invariants: a product's name carries the digest of all that decides what comes out, so a change makes another
//! one; it appears under that name whole or not at all (made aside, then renamed); one process makes at a time,
//! and the others wait for it. What a killed one left is removed by the next.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use crate::harness::process;
use crate::runner::skip;

/// For some 20 MB over a slow line.
const MAKING_LIMIT: Duration = Duration::from_secs(5 * 60);

/// What a script is run with.
pub struct Environment {
    python: PathBuf,
    /// The protocol's modules.
    stubs: PathBuf,
}

/// The one for all tests; skips the test where it cannot be had.
pub fn environment() -> &'static Environment {
    static MADE: OnceLock<Result<Environment, String>> = OnceLock::new();
    match MADE.get_or_init(make) {
        Ok(environment) => environment,
        Err(reason) => skip!("{reason}"),
    }
}

impl Environment {
    /// A script of this directory.
    pub fn command(&self, script: &str) -> Command {
        let mut command = process::command(&self.python);
        command
            .arg(here().join(script))
            .env("PYTHONPATH", &self.stubs)
            // Else the sources get directories of compiled ones.
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

fn make() -> Result<Environment, String> {
    let version = version()?;
    let recipe = [
        version.as_bytes(),
        &read(&here().join("requirements.txt")),
        &read(&here().join("make-environment")),
    ];
    let environment = made("environment", &recipe, |place| {
        let mut command = process::command(here().join("make-environment"));
        command.arg(place);
        command
    })?;
    let name = environment.as_os_str().as_encoded_bytes();
    let protocol = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/flux.proto");
    let recipe = [name, &read(&protocol), &read(&here().join("make-stubs"))];
    let stubs = made("stubs", &recipe, |place| {
        let mut command = process::command(here().join("make-stubs"));
        command.arg(place).arg(&environment);
        command
    })?;
    Ok(Environment {
        python: environment.join("bin/python"),
        stubs,
    })
}

/// Of the machine's Python, which an environment is tied to.
fn version() -> Result<String, String> {
    let mut command = process::command("python3");
    let asked = command
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("python3 cannot be started: {error}"))?;
    Ok(String::from_utf8_lossy(&asked.stdout).into_owned())
}

/// What the script makes of the recipe, from the cache if it is there.
fn made(
    name: &str,
    recipe: &[&[u8]],
    script: impl FnOnce(&Path) -> Command,
) -> Result<PathBuf, String> {
    let product = directory().join(format!("{name}-{}", digest(recipe)));
    if product.is_dir() {
        return Ok(product);
    }
    fs::create_dir_all(directory()).expect("the cache's directory");
    let lock = File::create(directory().join("lock")).expect("the cache's lock");
    lock.lock().expect("a lock on the cache");
    if product.is_dir() {
        return Ok(product);
    }
    let place = directory().join(format!("building-{name}"));
    if place.exists() {
        fs::remove_dir_all(&place).expect("what a killed one left");
    }
    match process::run_within(script(&place).stdin(Stdio::null()), MAKING_LIMIT) {
        Ok(ran) if ran.status == 0 => {}
        Ok(ran) => {
            let reason = ran
                .stderr
                .trim()
                .lines()
                .last()
                .unwrap_or("no reason given");
            return Err(format!(
                "Python's gRPC cannot be set up (is there a way to PyPI?): {reason}"
            ));
        }
        Err(_) => {
            return Err(format!(
                "Python's gRPC could not be set up within {MAKING_LIMIT:?}"
            ));
        }
    }
    fs::rename(&place, &product).expect("the finished product");
    Ok(product)
}

/// `$XDG_CACHE_HOME/flux/python`.
fn directory() -> PathBuf {
    env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .expect("XDG_CACHE_HOME or a home directory")
        .join("flux/python")
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/system/interop")
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Enough of a SHA-256 to tell recipes apart.
fn digest(recipe: &[&[u8]]) -> String {
    let mut hasher = openssl::sha::Sha256::new();
    for part in recipe {
        hasher.update(part);
        hasher.update(b"\0");
    }
    let digest = hasher.finish();
    digest[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
