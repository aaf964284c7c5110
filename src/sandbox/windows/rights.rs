//! What a process may by itself, on Windows: nothing here corresponds to capabilities, or to rules for
//! files.

/// There are no capabilities to shed here.
pub(crate) fn shed_bounding_set() {}

/// There are no rules for files here.
pub(crate) fn default_system_paths() -> Vec<std::path::PathBuf> {
    Vec::new()
}
