//! Opens and runs, on Windows. Refuses to open: nothing could ask for more of it.

use super::control::Control;
use super::projects::Projects;
use crate::sandbox::{Enforced, Missing, Outcome, OutputSink, SandboxConfig, SandboxError, Spec};

/// What runs processes contained. There is none: [`Sandbox::open`] always refuses.
#[derive(Debug)]
pub(crate) struct Sandbox {
    never: std::convert::Infallible,
}

impl Sandbox {
    /// Finds out what can be enforced here.
    ///
    /// # Errors
    /// Always, until there is one.
    pub(crate) fn open(_config: SandboxConfig) -> Result<Sandbox, SandboxError> {
        Err(SandboxError::Unsupported { system: "Windows" })
    }

    /// What every execution is held to.
    pub(crate) fn enforced(&self) -> &[Enforced] {
        match self.never {}
    }

    /// What is not enforced, and why.
    pub(crate) fn missing(&self) -> &[Missing] {
        match self.never {}
    }

    /// Makes starts from this thread cheaper, where something can be given up for that.
    ///
    /// # Errors
    /// Never reached.
    pub(crate) fn contain_thread(&self) -> std::io::Result<()> {
        match self.never {}
    }

    /// What gives working directories quotas, where there is something.
    pub(crate) fn projects(&self) -> Option<&Projects> {
        match self.never {}
    }

    /// Ends what an earlier agent process left running.
    ///
    /// # Errors
    /// Never reached.
    pub(crate) fn clear_leftovers(&self) -> Result<usize, SandboxError> {
        match self.never {}
    }

    /// Runs one process to its end, on the calling thread.
    pub(crate) fn run(
        &self,
        _spec: &Spec,
        _control: &Control,
        _output: &mut dyn OutputSink,
    ) -> Outcome {
        match self.never {}
    }
}
