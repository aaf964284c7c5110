//! Where the control plane keeps its files when flux.yaml does not say.

use std::path::PathBuf;

pub(super) fn default_state_dir() -> PathBuf {
    program_data().join("state")
}

pub(super) fn default_certs_dir() -> PathBuf {
    program_data().join("certs")
}

fn program_data() -> PathBuf {
    std::env::var_os("PROGRAMDATA")
        .map_or_else(|| PathBuf::from("C:\\ProgramData"), PathBuf::from)
        .join("flux")
}
