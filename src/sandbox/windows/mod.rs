//! The contract of a platform, and the place of the Windows one. It opens nothing yet: an agent
//! on Windows says so at start instead of running functions uncontained.
//!
//! Meant: a job object per execution (`CreateJobObject`, `JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE`,
//! memory, processor rate and active process limits), the process started in it by
//! `PROC_THREAD_ATTRIBUTE_JOB_LIST` so that there is no moment outside, two overlapped pipes and
//! an event in one `WaitForMultipleObjects`, the tree ended by `TerminateJobObject` and confirmed
//! by the job's completion port.

mod control;
mod projects;
mod rights;
mod sandbox;

pub(crate) use control::Control;
pub(crate) use projects::{Project, Projects};
pub(crate) use rights::{default_system_paths, shed_bounding_set};
pub(crate) use sandbox::Sandbox;
