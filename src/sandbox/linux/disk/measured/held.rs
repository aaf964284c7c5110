//! Files that have no name any more and are kept by a process of the execution: by a descriptor,
//! or by a mapping. Without them, a removed file would be the way around the limit.
//!
//! Refuses: to go on without an end, because names are not looked at meanwhile: of more than [`STEPS_MOST`]
//! a look sees a part, and each look begins with another process. What the agent may not look at is passed over,
//! and what ends on the way too.

use std::fs::{self, DirEntry, File, ReadDir};
use std::io::{BufRead, BufReader};
use std::iter;
use std::path::PathBuf;

use nix::sys::stat::{FileStat, stat};

/// Descriptors, mappings, threads and processes in one look: some tenths of a second.
const STEPS_MOST: usize = 65_536;

/// What these processes hold. Lazy: each item is one step, of which many find nothing. `turn` says with which
/// process it begins.
pub(super) fn files(
    mut processes: Vec<i32>,
    turn: usize,
) -> impl Iterator<Item = Option<FileStat>> {
    if let Some(first) = turn.checked_rem(processes.len()) {
        processes.rotate_left(first);
    }
    let links = processes.into_iter().flat_map(links).take(STEPS_MOST);
    // Gone: closed or unmapped since it was listed.
    links.map(|link| stat(&link?).ok())
}

/// Those in `/proc` that lead to the files themselves, whatever their names were.
/// What cannot be opened has ended, or is not for the agent to see.
fn links(pid: i32) -> impl Iterator<Item = Option<PathBuf>> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let descriptors = threads
        .into_iter()
        .flatten()
        .flatten()
        .flat_map(move |thread| of_thread(pid, &thread));
    let maps = File::open(format!("/proc/{pid}/maps"));
    let mappings = maps
        .into_iter()
        .flat_map(|maps| BufReader::new(maps).split(b'\n'))
        .map_while(Result::ok)
        .map(move |line| mapping(pid, &line));
    iter::once(None).chain(descriptors).chain(mappings)
}

fn of_thread(pid: i32, thread: &DirEntry) -> impl Iterator<Item = Option<PathBuf>> + use<> {
    let links = descriptors(pid, thread).into_iter().flatten().flatten();
    iter::once(None).chain(links.map(|link| Some(link.path())))
}

/// Those of a thread, unless they are the process's own, which its first thread shows.
fn descriptors(pid: i32, thread: &DirEntry) -> Option<ReadDir> {
    let number = thread.file_name().to_str()?.parse().ok()?;
    if number != pid && has_same_descriptors(pid, number) {
        return None;
    }
    fs::read_dir(thread.path().join("fd")).ok()
}

/// A thread can take its descriptors apart from those of the others (unshare(2), CLONE_FILES).
fn has_same_descriptors(pid: i32, thread: i32) -> bool {
    /// Of `enum kcmp_type` in linux/kcmp.h.
    const KCMP_FILES: i32 = 2;
    // SAFETY: no memory is involved. Where it is missing or refused, both are looked at.
    unsafe { libc::syscall(libc::SYS_kcmp, pid, thread, KCMP_FILES, 0, 0) == 0 }
}

/// Of a line of `maps` (proc_pid_maps(5)) whose file is removed. The link in `map_files` is named by the same
/// addresses, without the zeros that `maps` may put before them.
fn mapping(pid: i32, line: &[u8]) -> Option<PathBuf> {
    let rest = line.strip_suffix(b" (deleted)")?;
    let range = rest.split(|&byte| byte == b' ').next()?;
    let (start, end) = std::str::from_utf8(range).ok()?.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    let (start, end) = (number(start)?, number(end)?);
    Some(format!("/proc/{pid}/map_files/{start:x}-{end:x}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_ends_however_much_is_held_and_each_begins_with_another_process() {
        let own = std::process::id() as i32;
        assert_eq!(files(vec![own; STEPS_MOST], 0).count(), STEPS_MOST);
        // One step for the process that is gone, one for ours, one for its first thread.
        let nothing = |turn| {
            files(vec![own, -1], turn)
                .take_while(Option::is_none)
                .count()
        };
        assert_eq!([0, 1, 2].map(nothing), [2, 3, 2]);
        assert_eq!(files(Vec::new(), 3).count(), 0);
    }

    #[test]
    fn only_what_is_mapped_and_removed_has_a_link() {
        let line = b"00400000-7f12345000 rw-s 00000000 08:01 131 /a \xff b (deleted)";
        let link = PathBuf::from("/proc/7/map_files/400000-7f12345000");
        assert_eq!(mapping(7, line), Some(link));
        let line = b"00400000-00401000 rw-s 00000000 08:01 131 /a";
        assert_eq!(mapping(7, line), None);
        assert_eq!(mapping(7, b" (deleted)"), None);
    }
}
