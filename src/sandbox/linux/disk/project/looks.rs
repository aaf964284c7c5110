//! Asks the kernel how much a running execution holds, from time to time.
//!
//! The limit is the kernel's to hold: a look only finds that it was reached, and what the peak is.

use std::time::{Duration, Instant};

use super::super::limit::{Excess, Limit};
use super::project::Project;
use crate::base::causes::with_causes;
use crate::sandbox::Spec;

/// Between two looks, which take a microsecond: how long an execution over its limit goes on being
/// refused, and how short a peak is not seen.
const INTERVAL: Duration = Duration::from_millis(250);

/// The looks at the directory of one execution.
pub(in super::super) struct Looks<'a> {
    project: &'a Project,
    limit: Option<Limit>,
    due: Instant,
    peak: Option<u64>,
    is_blind: bool,
}

impl<'a> Looks<'a> {
    /// `None` without a project.
    pub(in super::super) fn new(spec: &'a Spec, now: Instant) -> Option<Looks<'a>> {
        Some(Looks {
            project: spec.project.as_deref()?,
            limit: spec.limits.disk.map(Limit::new),
            due: now + INTERVAL,
            peak: None,
            is_blind: false,
        })
    }

    /// When to call [`Looks::look`] again.
    pub(in super::super) fn due(&self) -> Instant {
        self.due
    }

    /// The most that was found at once, in bytes.
    pub(in super::super) fn peak(&self) -> Option<u64> {
        self.peak
    }

    /// Says what is too much.
    pub(in super::super) fn look(&mut self, now: Instant) -> Option<Excess> {
        self.due = now + INTERVAL;
        match self.project.look(self.limit) {
            Ok((bytes, excess)) => {
                self.peak = self.peak.max(Some(bytes));
                excess
            }
            Err(error) => {
                if !self.is_blind {
                    let why = with_causes(&error);
                    log::warn!("a quota cannot be asked for and may not hold any more: {why}");
                }
                self.is_blind = true;
                None
            }
        }
    }
}
