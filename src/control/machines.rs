//! The machine that the control plane runs on, and the answers to calls about machines of a cloud. There is
//! no provider of a cloud: none is made, and none is there to be removed.

use std::convert::Infallible;

use thiserror::Error;

use crate::host::Host;
use crate::model::resources::NodeStatus;

pub(crate) struct Machines {
    host: Host,
}

/// No cloud provider is configured, so no machine can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no cloud provider is configured")]
pub(crate) struct NoProvider;

impl Machines {
    /// `host` is the control plane's.
    pub(crate) fn new(host: Host) -> Machines {
        Machines { host }
    }

    /// The figures of the control plane's machine.
    pub(crate) fn own(&self) -> NodeStatus {
        self.host.status(0, 0)
    }

    /// Makes the configured minimum of machines.
    ///
    /// # Errors
    /// [`NoProvider`], always.
    pub(crate) fn initialize(&self) -> Result<Infallible, NoProvider> {
        Err(NoProvider)
    }

    /// Ends all machines that Flux made; how many.
    pub(crate) fn remove_all(&self) -> u32 {
        0
    }
}
