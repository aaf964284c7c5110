//! The place of the Windows platform.

mod sandbox;

pub use sandbox::{Control, Project, Projects, Sandbox, default_system_paths, shed_bounding_set};
