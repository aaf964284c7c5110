//! The probe as a function's archive.

use std::sync::OnceLock;

use super::program::program;
use crate::harness::archive::archive_of;

/// Beside the handler, for attempts on the release: see `release.rs` of the probe.
pub const BESIDE: &str = "data.txt";

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
