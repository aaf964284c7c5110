//! Starts the real programs in directories and on ports of their own, talks to them as a user
//! does, and ends them with the test.
//!
//! Everything that waits here waits for a condition with a deadline. A daemon that logs a panic
//! or ends when it should not fails the test that started it.

#![allow(
    dead_code,
    unused_imports,
    clippy::print_stderr,
    reason = "each test file uses its own part of the harness; a failing one shows the logs"
)]

pub mod archive;
pub mod cgroup;
pub mod client;
pub mod daemon;
pub mod events;
pub mod fleet;
pub mod raw;
pub mod shared;

pub use archive::{archive_of, script_archive};
pub use client::{Api, Reply};
pub use daemon::Daemon;
pub use events::Event;
pub use fleet::{AgentOptions, Fleet, FleetOptions, OPEN_FILES};
pub use shared::Shared;

use std::time::{Duration, Instant};

/// Long enough for a loaded two-core machine; nothing ever waits this long when all is well.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Asks `probe` until it has an answer.
#[track_caller]
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        pause();
    }
}

/// Between two questions of [`eventually`].
#[expect(clippy::disallowed_methods, reason = "a test has no token to wait on")]
pub fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}

/// A function whose handler is a shell script.
pub fn function_yaml(name: &str, extra: &str) -> String {
    format!("name: {name}\nhandler: run\n{extra}")
}
