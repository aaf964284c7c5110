//! `flux deploy`: registers the function of a directory and uploads its code.
//!
//! Checks, before anything is sent, what would fail on an agent later: the YAML, and that the handler
//! is there and executable. A line `# build: COMMAND` in function.yaml is shown, never run.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use ureq::http::Method;

use super::pack::directory::Package;
use crate::base::causes::with_causes;
use crate::cli::client::call::Call;
use crate::cli::client::distribution;
use crate::cli::client::document::Document;
use crate::cli::client::http::Client;
use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::{self, Printer};
use crate::config::function::{MAX_FUNCTION_YAML_BYTES, parse_function_yaml};
use crate::contract::function::Distribution;
use crate::model::function::FunctionConfig;
use crate::model::ids::FunctionName;

/// Registers the function in a directory and deploys its code
#[derive(Debug, Args)]
#[command(
    after_help = "Everything in the directory is deployed except function.yaml, version control, target, \
__pycache__, and what .fluxignore names (a name or a path on each line, with * for any text). \
Build compiled functions first: a line `# build: COMMAND` in function.yaml says how."
)]
pub(crate) struct Arguments {
    /// Holds function.yaml and the code
    #[arg(default_value = ".")]
    directory: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let yaml = read_yaml(&arguments.directory)?;
    let config = parse(&arguments.directory, &yaml)?;
    let package = Package::collect(&arguments.directory)?;
    check_handler(&package, &config, &yaml)?;
    let mut archive = tempfile::tempfile().context("cannot create a temporary file")?;
    package.write(&mut archive)?;
    let client = target.client()?;
    let answer = Answer {
        registered: register(&client, &yaml)?,
        deployed: upload(&client, &config.name, archive)?,
    };
    let deployed = &answer.deployed;
    Printer::new(target.json).show(&answer, |answer| distribution::table(&answer.deployed))?;
    distribution::note_failures(deployed);
    if deployed.total_agents == 0 {
        printer::note(&format!(
            "{} is stored; agents get it when they join",
            config.name
        ));
    }
    Ok(distribution::exit_code(deployed))
}

/// What `--json` shows: the answers to both requests.
#[derive(Serialize)]
struct Answer {
    deployed: Document<Distribution>,
    registered: Document<Distribution>,
}

fn read_yaml(directory: &Path) -> Result<String, CliError> {
    let path = directory.join("function.yaml");
    let mut yaml = String::new();
    File::open(&path)
        .and_then(|file| {
            file.take(MAX_FUNCTION_YAML_BYTES as u64 + 1)
                .read_to_string(&mut yaml)
        })
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(yaml)
}

fn parse(directory: &Path, yaml: &str) -> Result<FunctionConfig, CliError> {
    parse_function_yaml(yaml.as_bytes()).map_err(|error| {
        let path = directory.join("function.yaml");
        CliError::usage(
            format!("{}: {}", path.display(), with_causes(&error)),
            "conf/example.function.yaml explains every key",
        )
    })
}

fn check_handler(package: &Package, config: &FunctionConfig, yaml: &str) -> Result<(), CliError> {
    let handler = config.handler.as_str();
    let Some(file) = package.files().iter().find(|file| file.name == handler) else {
        return Err(CliError::usage(
            format!("the handler {handler} is not one of the files to deploy"),
            match build_hint(yaml) {
                Some(command) => format!("build it first: {command}"),
                None => "does .fluxignore name it, or is it not built yet?".to_owned(),
            },
        ));
    };
    if file.is_executable {
        return Ok(());
    }
    Err(CliError::usage(
        format!("the handler {handler} is not executable"),
        format!("chmod +x {handler}"),
    ))
}

fn build_hint(yaml: &str) -> Option<&str> {
    yaml.lines()
        .find_map(|line| line.trim().strip_prefix("# build:"))
        .map(str::trim)
}

fn register(client: &Client, yaml: &str) -> Result<Document<Distribution>, CliError> {
    let call = Call::new(Method::PUT, "/functions").header("content-type", "application/yaml");
    client.json(call, yaml.as_bytes())
}

fn upload(
    client: &Client,
    name: &FunctionName,
    mut archive: File,
) -> Result<Document<Distribution>, CliError> {
    let length = archive
        .metadata()
        .context("cannot measure the archive")?
        .len();
    archive.rewind().context("cannot rewind the archive")?;
    let bar = progress(length);
    let call =
        Call::new(Method::PUT, format!("/deploy/{name}")).header("content-type", "application/zip");
    let result = client.upload(call, bar.wrap_read(archive), length);
    bar.finish_and_clear();
    result
}

/// Shown on a terminal only.
fn progress(length: u64) -> ProgressBar {
    let target = if io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    if let Ok(style) = ProgressStyle::with_template("uploading [{bar:30}] {bytes}/{total_bytes}") {
        bar.set_style(style);
    }
    bar
}
