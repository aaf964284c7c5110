//! Where the control plane keeps its files when flux.yaml does not say.

use std::path::PathBuf;

pub(super) fn default_state_dir() -> PathBuf {
    PathBuf::from("/var/lib/flux")
}

pub(super) fn default_certs_dir() -> PathBuf {
    PathBuf::from("/etc/flux/certs")
}
