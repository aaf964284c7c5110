//! Terminals and files on Windows, as the command line needs them.

use std::fs::Metadata;

use crate::cli::error::CliError;

/// Hides nothing: what is typed is shown.
pub(super) struct HiddenInput;

impl HiddenInput {
    pub(super) fn start() -> Result<HiddenInput, CliError> {
        Ok(HiddenInput)
    }
}

/// No journal of systemd is there for it to be.
pub(super) fn standard_error() -> Option<String> {
    None
}

/// Windows has no such mark, so whatever is deployed from there counts as executable.
pub(super) fn is_executable(_: &Metadata) -> bool {
    true
}
