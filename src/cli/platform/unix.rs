//! Terminals and files on Unix, as the command line needs them.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::PermissionsExt;

use anyhow::Context as _;
use nix::sys::stat::fstat;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

use crate::cli::error::CliError;

/// Keeps the terminal from showing what is typed, until it is dropped.
pub(super) struct HiddenInput(Termios);

impl HiddenInput {
    pub(super) fn start() -> Result<HiddenInput, CliError> {
        let before = tcgetattr(io::stdin()).context("cannot ask the terminal for its state")?;
        let mut hidden = before.clone();
        hidden.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &hidden).context("cannot hide the input")?;
        Ok(HiddenInput(before))
    }
}

impl Drop for HiddenInput {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that has gone.
        let _ = tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &self.0);
    }
}

/// Which stream standard error is, as `JOURNAL_STREAM` names it: device and inode.
pub(super) fn standard_error() -> Option<String> {
    let status = fstat(io::stderr()).ok()?;
    Some(format!("{}:{}", status.st_dev, status.st_ino))
}

pub(super) fn is_executable(metadata: &Metadata) -> bool {
    metadata.permissions().mode() & 0o111 != 0
}
