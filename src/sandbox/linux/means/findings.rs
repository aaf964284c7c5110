//! What was found out about this machine while a sandbox was opened: each part of containment is
//! either enforced or missing with a reason that somebody can act on.

use crate::sandbox::{Enforced, Missing, SandboxError};

/// Every [`Enforced`] once, in the one list or the other, when all is inspected.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Findings {
    pub enforced: Vec<Enforced>,
    pub missing: Vec<Missing>,
}

impl Findings {
    pub(in crate::sandbox) fn note(
        &mut self,
        what: Enforced,
        works: bool,
        reason: impl FnOnce() -> String,
    ) {
        if works {
            self.have(what);
        } else {
            self.miss(what, reason());
        }
    }

    pub(in crate::sandbox) fn miss(&mut self, what: Enforced, reason: String) {
        self.missing.push(Missing { what, reason });
    }

    pub(in crate::sandbox) fn have(&mut self, what: Enforced) {
        self.enforced.push(what);
    }

    /// # Errors
    /// Something of [`Enforced::ISOLATION`] is missing.
    pub(in crate::sandbox) fn demand_isolation(&self) -> Result<(), SandboxError> {
        let missing: Vec<Missing> = self
            .missing
            .iter()
            .filter(|missing| Enforced::ISOLATION.contains(&missing.what))
            .cloned()
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(SandboxError::NotIsolated { missing })
    }
}
