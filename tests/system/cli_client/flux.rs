//! The built binary, in an empty home and an empty environment.

use std::ffi::OsStr;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

pub const KEY: &str = "a-key-for-tests";

pub struct Flux {
    pub home: TempDir,
    url: Option<String>,
}

impl Flux {
    /// With address and key in the environment.
    pub fn at(url: String) -> Flux {
        Flux {
            url: Some(url),
            ..Flux::without_target()
        }
    }

    /// With neither.
    pub fn without_target() -> Flux {
        Flux {
            home: tempfile::tempdir().expect("tempdir"),
            url: None,
        }
    }

    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flux"));
        command
            .args(args)
            .current_dir(self.home.path())
            .env_clear()
            .env("HOME", self.home.path())
            .stdin(Stdio::null());
        if let Some(url) = &self.url {
            command.env("FLUX_URL", url).env("FLUX_API_KEY", KEY);
        }
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::new(self.command(args).output().expect("flux starts"))
    }

    /// While nobody reads its standard output.
    pub fn run_unread(&self, args: &[&str]) -> Ran {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = self.command(args);
        command.stdout(writer).stderr(Stdio::piped());
        Ran::new(command.output().expect("flux starts"))
    }

    pub fn run_with_stdin(&self, args: &[&str], stdin: &[u8]) -> Ran {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("flux starts");
        let mut input = child.stdin.take().expect("a pipe");
        // A usage error ends flux before it reads anything.
        if let Err(error) = input.write_all(stdin) {
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        }
        drop(input);
        Ran::new(child.wait_with_output().expect("flux ends"))
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.home.path().join(name)
    }

    /// A directory with a function that can be deployed.
    pub fn function_directory(&self) -> String {
        let directory = self.path("hello");
        std::fs::create_dir(&directory).expect("mkdir");
        write(
            &directory.join("function.yaml"),
            "name: hello\nhandler: run.sh\n",
            0o644,
        );
        write(&directory.join("run.sh"), "#!/bin/sh\necho hello\n", 0o755);
        directory.display().to_string()
    }
}

pub fn write(path: &Path, text: &str, mode: u32) {
    flux::base::atomic_file::write(path, text.as_bytes(), mode).expect("written");
}

#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    fn new(output: Output) -> Ran {
        Ran {
            code: output.status.code().unwrap_or_else(|| panic!("{output:?}")),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    #[track_caller]
    pub fn exits(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}
