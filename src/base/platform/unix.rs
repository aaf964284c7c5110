//! Files on Unix: who may use them is in their permission bits, and directories have to be synced.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

pub(super) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode))
}

/// A file that is made with these options has permission bits `mode` from its first moment.
pub(super) fn make_with_mode(options: &mut OpenOptions, mode: u32) {
    options.mode(mode);
}

pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
