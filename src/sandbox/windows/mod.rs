//! The contract of a platform, and the place of the Windows one. It opens nothing yet: an agent
//! on Windows says so at start instead of running functions uncontained.
//!
//! Meant: a job object per execution (`CreateJobObject`, `JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE`,
//! memory, processor rate and active process limits), the process started in it by
//! `PROC_THREAD_ATTRIBUTE_JOB_LIST` so that there is no moment outside, two overlapped pipes and
//! an event in one `WaitForMultipleObjects`, the tree ended by `TerminateJobObject` and confirmed
//! by the job's completion port.

use super::{
    Enforced, Missing, Outcome, OutputSink, SandboxConfig, SandboxError, Spec, StopReason,
};

/// There are no capabilities to shed here.
pub fn shed_bounding_set() {}

/// There are no rules for files here.
pub fn default_system_paths() -> Vec<std::path::PathBuf> {
    Vec::new()
}

/// What runs executions, once it is there.
#[derive(Debug)]
pub struct Sandbox {
    never: std::convert::Infallible,
}

/// Ends one run from other threads.
#[derive(Debug, Clone)]
pub struct Control {
    never: std::convert::Infallible,
}

/// What gives working directories quotas.
#[derive(Debug, Clone)]
pub struct Projects {
    never: std::convert::Infallible,
}

/// The quota of one working directory.
#[derive(Debug)]
pub struct Project {
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

impl Control {
    /// One that nobody has stopped.
    ///
    /// # Errors
    /// Always, until there is a sandbox.
    pub fn new() -> Result<Control, SandboxError> {
        Err(SandboxError::Unsupported { system: "Windows" })
    }

    /// Ends the run; the first reason stays.
    pub fn stop(&self, _reason: StopReason) {
        match self.never {}
    }

    /// The first reason, when there is one.
    pub fn stopped(&self) -> Option<StopReason> {
        match self.never {}
    }
}
