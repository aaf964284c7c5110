//! What is acknowledged stays: through kills, failing disks and full ones, and at the price of
//! an fsync only where one was promised.
//!
//! This binary has an `fdatasync` and an `fsync` of its own (`syncs`), which the SQLite inside it
//! calls instead of the C library's: so a test counts them, or makes them fail.

pub mod full_disk;
pub mod kill;
pub mod syncs;
pub mod values;
