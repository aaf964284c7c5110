//! `flux init`: writes a new function's directory, ready to deploy.
//!
//! Refuses to write into a directory that is there already.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::base::atomic_file;
use crate::cli::client::names;
use crate::cli::client::target::Target;
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer::Printer;

/// Writes a new function's directory, ready to deploy
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The name of the function and of its directory
    name: String,
    /// What it is written in
    #[arg(long, value_enum, default_value_t = Language::Sh)]
    lang: Language,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    /// POSIX shell
    Sh,
    /// Python 3
    Python,
    /// Rust, built with cargo
    Rust,
    /// Go
    Go,
}

/// What `--json` shows.
#[derive(Serialize)]
struct Written<'a> {
    directory: &'a str,
    files: Vec<String>,
}

/// A file's name, its text, in which `{name}` stands for the function's name, and whether it is
/// executable.
type Template = (&'static str, &'static str, bool);

pub(crate) fn run(arguments: &Arguments, target: &Target) -> Result<ExitCode, CliError> {
    let name = names::function(&arguments.name)?;
    let directory = PathBuf::from(name.as_str());
    create(&directory)?;
    let mut written = Vec::new();
    for (path, text, is_executable) in arguments.lang.files() {
        let path = directory.join(path);
        let text = text.replace("{name}", name.as_str());
        let mode = if *is_executable { 0o755 } else { 0o644 };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot create {}", parent.display()))?;
        }
        atomic_file::write(&path, text.as_bytes(), mode).map_err(anyhow::Error::new)?;
        written.push(path.display().to_string());
    }
    let answer = Written {
        directory: name.as_str(),
        files: written,
    };
    let line = format!("wrote {name}/; its README.md says how to deploy it");
    Printer::new(target.json).show_line(&answer, &line)?;
    Ok(ExitCode::Ok)
}

fn create(directory: &Path) -> Result<(), CliError> {
    match fs::create_dir(directory) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(CliError::usage(
            format!("{} is there already", directory.display()),
            "choose another name, or remove the directory",
        )),
        Err(error) => Err(anyhow::Error::new(error)
            .context(format!("cannot create {}", directory.display()))
            .into()),
    }
}

impl Language {
    const fn files(self) -> &'static [Template] {
        match self {
            Language::Sh => &[
                (
                    "function.yaml",
                    include_str!("templates/sh/function.yaml"),
                    false,
                ),
                ("run.sh", include_str!("templates/sh/run.sh"), true),
                ("README.md", include_str!("templates/sh/README.md"), false),
            ],
            Language::Python => &[
                (
                    "function.yaml",
                    include_str!("templates/python/function.yaml"),
                    false,
                ),
                ("main.py", include_str!("templates/python/main.py"), true),
                (
                    "README.md",
                    include_str!("templates/python/README.md"),
                    false,
                ),
            ],
            Language::Rust => &[
                (
                    "function.yaml",
                    include_str!("templates/rust/function.yaml"),
                    false,
                ),
                (
                    "Cargo.toml",
                    include_str!("templates/rust/Cargo.toml.txt"),
                    false,
                ),
                (
                    "src/main.rs",
                    include_str!("templates/rust/main.rs.txt"),
                    false,
                ),
                (
                    ".fluxignore",
                    include_str!("templates/rust/fluxignore.txt"),
                    false,
                ),
                ("README.md", include_str!("templates/rust/README.md"), false),
            ],
            Language::Go => &[
                (
                    "function.yaml",
                    include_str!("templates/go/function.yaml"),
                    false,
                ),
                ("go.mod", include_str!("templates/go/go.mod.txt"), false),
                ("main.go", include_str!("templates/go/main.go.txt"), false),
                (
                    ".fluxignore",
                    include_str!("templates/go/fluxignore.txt"),
                    false,
                ),
                ("README.md", include_str!("templates/go/README.md"), false),
            ],
        }
    }
}
