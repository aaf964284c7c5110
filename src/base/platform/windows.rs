//! Files on Windows: they inherit the access lists of the state directory, and entries of directories
//! are durable without a call of their own.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

pub(super) fn set_mode(_: &File, _: u32) -> io::Result<()> {
    Ok(())
}

pub(super) fn make_with_mode(_: &mut OpenOptions, _: u32) {}

pub(super) fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}
