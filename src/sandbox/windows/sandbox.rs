//! Opens and runs, on Windows. Refuses to open: nothing could ask for more of it.

use super::control::Control;
use super::projects::Projects;
use crate::sandbox::{Enforced, Missing, Outcome, OutputSink, SandboxConfig, SandboxError, Spec};

/// What runs processes contained. There is none: [`Sandbox::open`] always refuses.
#[derive(Debug)]
pub struct Sandbox {
    never: std::convert::Infallible,
}

impl Sandbox {
    /// Finds out what can be enforced here.
    ///
    /// # Errors
    /// Always, until there is one.
    pub fn open(_config: SandboxConfig) -> Result<Sandbox, SandboxError> {
        Err(SandboxError::Unsupported { system: "Windows" })
    }

    /// What every execution is held to.
    pub fn enforced(&self) -> &[Enforced] {
        match self.never {}
    }

    /// What is not enforced, and why.
    pub fn missing(&self) -> &[Missing] {
        match self.never {}
    }

    /// Makes starts from this thread cheaper, where something can be given up for that.
    ///
    /// # Errors
    /// Never reached.
    pub fn contain_thread(&self) -> std::io::Result<()> {
        match self.never {}
    }

    /// What gives working directories quotas, where there is something.
    pub fn projects(&self) -> Option<&Projects> {
        match self.never {}
    }

    /// Ends what an earlier agent process left running.
    ///
    /// # Errors
    /// Never reached.
    pub fn clear_leftovers(&self) -> Result<usize, SandboxError> {
        match self.never {}
    }

    /// Runs one process to its end, on the calling thread.
    pub fn run(&self, _spec: &Spec, _control: &Control, _output: &mut dyn OutputSink) -> Outcome {
        match self.never {}
    }
}
