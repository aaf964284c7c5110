//! The end of one run, asked for from other threads, on Windows. There is no run yet.

use crate::sandbox::{SandboxError, StopReason};

/// Ends one run from other threads.
#[derive(Debug, Clone)]
pub(crate) struct Control {
    never: std::convert::Infallible,
}

impl Control {
    /// One that nobody has stopped.
    ///
    /// # Errors
    /// Always, until there is a sandbox.
    pub(crate) fn new() -> Result<Control, SandboxError> {
        Err(SandboxError::Unsupported { system: "Windows" })
    }

    /// Ends the run; the first reason stays.
    pub(crate) fn stop(&self, _reason: StopReason) {
        match self.never {}
    }

    /// The first reason, when there is one.
    pub(crate) fn stopped(&self) -> Option<StopReason> {
        match self.never {}
    }
}
