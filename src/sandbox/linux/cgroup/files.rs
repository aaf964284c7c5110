//! Reading and writing a cgroup's files relative to its open directory: no path is built or walked.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{BorrowedFd, OwnedFd};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

/// Bytes of one file that are looked at. The longest are lists of processes.
const READ_MAX: u64 = 1024 * 1024;
/// Room for most files in one read.
const READ_AT_ONCE: usize = 2048;

/// The directory `name` in `parent`.
pub(super) fn open_directory(parent: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
    open(parent, name, OFlag::O_RDONLY | OFlag::O_DIRECTORY)
}

pub(super) fn open_for_writing(directory: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
    open(directory, name, OFlag::O_WRONLY)
}

pub(super) fn open_for_reading(directory: BorrowedFd<'_>, name: &str) -> io::Result<File> {
    open(directory, name, OFlag::O_RDONLY).map(File::from)
}

pub(super) fn read(directory: BorrowedFd<'_>, name: &str) -> io::Result<String> {
    let mut text = String::with_capacity(READ_AT_ONCE);
    open_for_reading(directory, name)?
        .take(READ_MAX)
        .read_to_string(&mut text)?;
    Ok(text)
}

/// One write: the kernel takes each as a whole command.
pub(super) fn write(directory: BorrowedFd<'_>, name: &str, value: &str) -> io::Result<()> {
    let mut file = File::from(open_for_writing(directory, name)?);
    file.write_all(value.as_bytes())
}

/// The number behind `key` in a file of `key number` lines.
pub(super) fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
        .and_then(|number| number.trim().parse().ok())
}

/// The sum of all `key=number` in a file of one line per device, such as `io.stat`.
pub(super) fn summed(text: &str, key: &str) -> u64 {
    text.split_ascii_whitespace()
        .filter_map(|field| field.strip_prefix(key)?.strip_prefix('='))
        .filter_map(|number| number.parse::<u64>().ok())
        .sum()
}

fn open(directory: BorrowedFd<'_>, name: &str, flags: OFlag) -> io::Result<OwnedFd> {
    Ok(openat(
        directory,
        name,
        flags | OFlag::O_CLOEXEC,
        Mode::empty(),
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_by_their_whole_key() {
        let events = "oom 3\noom_kill 2\noom_group_kill 1\n";
        assert_eq!(keyed(events, "oom_kill"), Some(2));
        assert_eq!(keyed(events, "oom"), Some(3));
        assert_eq!(keyed(events, "max"), None);
    }

    #[test]
    fn figures_of_all_devices_add_up() {
        let stat = "8:0 rbytes=100 wbytes=7 rios=1\n8:16 rbytes=20 wbytes=0\n";
        assert_eq!(summed(stat, "rbytes"), 120);
        assert_eq!(summed(stat, "wbytes"), 7);
        assert_eq!(summed("", "rbytes"), 0);
    }
}
