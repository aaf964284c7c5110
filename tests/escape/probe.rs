//! The probe as a program and as a function's archive.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::harness::archive::archive_of;

/// Beside the handler, for attempts on the release: see `release.rs` of the probe.
pub const BESIDE: &str = "data.txt";

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

/// The probe as the handler `run`. Made once: packing it takes seconds in a debug build.
pub fn archive() -> &'static [u8] {
    static ARCHIVE: OnceLock<Vec<u8>> = OnceLock::new();
    ARCHIVE.get_or_init(|| {
        let program = std::fs::read(program()).expect("the probe");
        archive_of(&[
            ("run", &program, true),
            (BESIDE, b"of the release\n", false),
        ])
    })
}
