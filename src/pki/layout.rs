//! Where keys and certificates lie. The layout is shared with the legacy implementation.
//!
//! ```text
//! ca/ca.pem  ca/ca-key.pem  flux/flux.pem  flux/flux-key.pem
//! agents/<id>/agent.pem     agents/<id>/agent-key.pem (only where Flux made the agent's key)
//! ```

use std::path::{Path, PathBuf};

use crate::model::ids::AgentId;

/// Paths under one certificate directory.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub(super) struct PairPaths {
    pub directory: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Layout {
    /// Does not touch the disk.
    pub(crate) fn new(certs_dir: &Path) -> Layout {
        Layout {
            root: certs_dir.to_owned(),
        }
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The CA's certificate, which agents are given.
    pub(crate) fn ca_certificate(&self) -> PathBuf {
        self.ca().certificate
    }

    /// An agent's certificate.
    pub(crate) fn agent_certificate(&self, id: &AgentId) -> PathBuf {
        self.agent(id).certificate
    }

    /// An agent's key, where Flux made it.
    pub(crate) fn agent_key(&self, id: &AgentId) -> PathBuf {
        self.agent(id).key
    }

    pub(super) fn ca(&self) -> PairPaths {
        PairPaths::new(self.root.join("ca"), "ca")
    }

    pub(super) fn control(&self) -> PairPaths {
        PairPaths::new(self.root.join("flux"), "flux")
    }

    pub(super) fn agents(&self) -> PathBuf {
        self.root.join("agents")
    }

    pub(super) fn agent(&self, id: &AgentId) -> PairPaths {
        PairPaths::new(self.agents().join(id.as_str()), "agent")
    }
}

impl PairPaths {
    fn new(directory: PathBuf, stem: &str) -> PairPaths {
        PairPaths {
            certificate: directory.join(format!("{stem}.pem")),
            key: directory.join(format!("{stem}-key.pem")),
            directory,
        }
    }

    /// The same pair in another directory.
    pub(super) fn within(&self, directory: &Path) -> PairPaths {
        let moved = |path: &Path| directory.join(path.file_name().unwrap_or_default());
        PairPaths {
            certificate: moved(&self.certificate),
            key: moved(&self.key),
            directory: directory.to_owned(),
        }
    }
}
