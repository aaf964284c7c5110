//! The probe as a program.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Built once for each run of the tests: cargo builds examples only when it is asked for all targets.
#[expect(clippy::disallowed_methods, reason = "tests start the real programs")]
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let mut build = Command::new(env!("CARGO"));
        build
            .args(["build", "--offline", "--quiet", "--example", "escape_probe"])
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        let status = build.status().expect("cargo");
        assert!(status.success(), "the probe does not build");
        let own = std::env::current_exe().expect("own path");
        // target/<profile>/deps/escape-<hash>
        let profile = own.ancestors().nth(2).expect("a target directory");
        profile.join("examples/escape_probe")
    })
}
