//! Starts the real programs in directories and on ports of their own, talks to them as a user
//! does, and ends them with the test.
//!
//! Everything that waits here waits for a condition with a deadline. A daemon that logs a panic
//! or ends when it should not fails the test that started it.

pub mod archive;
pub mod cgroup;
pub mod client;
pub mod daemon;
pub mod events;
pub mod fleet;
pub mod notes;
pub mod process;
pub mod raw;
pub mod shared;
pub mod waiting;

pub use archive::{archive_of, function_yaml, script_archive};
pub use client::{Api, Reply};
pub use daemon::Daemon;
pub use events::Event;
pub use fleet::{AgentOptions, Fleet, FleetOptions, OPEN_FILES};
pub use shared::Shared;
pub use waiting::{DEADLINE, eventually, pause};
