//! A handler's view on whether its client is still there.

use super::poller::{Poller, Registration};
use crate::base::cancel::Cancel;
use crate::base::causes::with_causes;

/// Made for each request, free until it is asked.
pub(in crate::http) struct Watch<'c> {
    pub(super) poller: &'c Poller,
    pub(super) registration: &'c Registration,
    pub(super) cancel: Option<Cancel>,
}

impl Watch<'_> {
    /// The request's one cancel. Costs an epoll_ctl(2) the first time.
    pub(in crate::http) fn client_gone(&mut self) -> Cancel {
        if let Some(cancel) = &self.cancel {
            return cancel.clone();
        }
        let cancel = self
            .poller
            .watch(self.registration)
            .unwrap_or_else(|error| {
                log::warn!("cannot watch for a client's end: {}", with_causes(&error));
                Cancel::never()
            });
        self.cancel.insert(cancel).clone()
    }
    /// Whether a cancel was asked for.
    pub(in crate::http) fn is_used(&self) -> bool {
        self.cancel.is_some()
    }
}
