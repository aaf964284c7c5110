//! The disk limit of one run, by whichever way holds it.

use std::time::Instant;

use super::limit::{Excess, Limit};
use super::{measured, project};
use crate::model::isolation::SyscallIsolation;
use crate::sandbox::Spec;

/// While it runs.
pub(in super::super) struct DiskWatch<'a> {
    quota: Option<project::Looks<'a>>,
    measured: Option<measured::Looks<'a>>,
}

impl<'a> DiskWatch<'a> {
    pub(in super::super) fn new(spec: &'a Spec, now: Instant) -> DiskWatch<'a> {
        DiskWatch {
            quota: project::Looks::new(spec, now),
            measured: match is_held_by_quota(spec) {
                true => None,
                false => measured::Looks::new(spec, now),
            },
        }
    }

    /// When to call [`DiskWatch::look`] again; never, if there is no limit.
    pub(in super::super) fn due(&self) -> Option<Instant> {
        let quota = self.quota.as_ref().map(project::Looks::due);
        let measured = self.measured.as_ref().map(measured::Looks::due);
        quota.into_iter().chain(measured).min()
    }

    /// Looks, where it is time to; `processes` are those of the tree. Says what is too much.
    pub(in super::super) fn look(
        &mut self,
        now: Instant,
        processes: impl Fn() -> Vec<i32>,
    ) -> Option<Excess> {
        let quota = self.quota.as_mut().filter(|looks| now >= looks.due());
        let refused = quota.and_then(|looks| looks.look(now));
        let measured = self.measured.as_mut().filter(|looks| now >= looks.due());
        refused.or_else(|| measured.and_then(|looks| looks.look(processes)))
    }

    /// The most that was found at once, in bytes; `None` where there was no look.
    pub(in super::super) fn peak(&self) -> Option<u64> {
        let quota = self.quota.as_ref().and_then(project::Looks::peak);
        let measured = self.measured.as_ref().and_then(measured::Looks::peak);
        quota.max(measured)
    }
}

/// When nothing of it runs any more, and all that it left is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct AtTheEnd {
    /// The most that was found at once, in bytes, then or before.
    pub peak: Option<u64>,
    /// What is too much.
    excess: Option<Excess>,
}

impl AtTheEnd {
    /// `peak` is the watch's.
    pub(in super::super) fn look(spec: &Spec, peak: Option<u64>) -> AtTheEnd {
        let limit = spec.limits.disk.map(Limit::new);
        let looked = spec.project.as_deref().map(|project| project.look(limit));
        match looked {
            Some(Ok((bytes, excess))) => AtTheEnd {
                peak: peak.max(Some(bytes)),
                excess,
            },
            Some(Err(error)) => {
                log::warn!("failed to ask for a quota: {error}");
                AtTheEnd { peak, excess: None }
            }
            None => AtTheEnd { peak, excess: None },
        }
    }

    /// What a program that failed has failed of: it is over the limit, or was ended because one of its files
    /// came to it. Not to be asked of one that succeeded: whatever it was refused, it knew how to go on.
    pub(in super::super) fn cause(&self, spec: &Spec, was_at_file_limit: bool) -> Option<Excess> {
        match self.excess {
            None if was_at_file_limit => measured::reached(spec),
            excess => excess,
        }
    }
}

/// With all system calls a function can take its files out of their project.
fn is_held_by_quota(spec: &Spec) -> bool {
    match spec.syscalls {
        SyscallIsolation::Filtered => spec.project.is_some(),
        SyscallIsolation::Open => false,
    }
}
