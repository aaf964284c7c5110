//! What `/proc` tells about processes (proc_pid_stat(5), proc_pid_environ(5)).

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// One line of the process table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) struct Process {
    pub pid: i32,
    pub parent: i32,
    pub session: i32,
    /// A zombie, or about to be none, with all of its threads.
    pub is_dead: bool,
    /// Clock ticks from the system's start: with the pid, one process for ever.
    pub started: u64,
}

/// Bytes of an environment that are looked at. The agent bounds what it gives (32 KiB by
/// contract) and puts its own names in it; a process that changes its environment can make it longer.
const ENVIRON_MAX: u64 = 256 * 1024;

/// All that there are, except those that end during the listing.
///
/// # Errors
/// `/proc` cannot be read.
pub(in crate::sandbox) fn processes() -> io::Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let pid = name.to_str().and_then(|name| name.parse().ok());
        found.extend(pid.and_then(process));
    }
    Ok(found)
}

/// One process, if it exists.
pub(in crate::sandbox) fn process(pid: i32) -> Option<Process> {
    // Not text: the program's name in it can be any bytes.
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// `TMPDIR` in the environment with which `pid` executed its program.
pub(in crate::sandbox) fn tmpdir(pid: i32) -> Option<PathBuf> {
    let mut environ = Vec::new();
    // Unreadable: it has ended, or is another user's and none of ours.
    let file = fs::File::open(format!("/proc/{pid}/environ")).ok()?;
    file.take(ENVIRON_MAX).read_to_end(&mut environ).ok()?;
    environ
        .split(|&byte| byte == 0)
        .find_map(|entry| entry.strip_prefix(b"TMPDIR="))
        .map(|value| PathBuf::from(OsStr::from_bytes(value)))
}

fn parse_stat(stat: &[u8]) -> Option<Process> {
    // The name stands in parentheses and may contain some itself.
    let name_starts = stat.iter().position(|&byte| byte == b'(')?;
    let name_ends = stat.iter().rposition(|&byte| byte == b')')?;
    let pid = std::str::from_utf8(stat.get(..name_starts)?).ok()?;
    let rest = std::str::from_utf8(stat.get(name_ends + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    // From the third field on: state, ppid, pgrp, session, …; threads is the 20th, starttime the 22nd.
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    let threads: u64 = fields.nth(13)?.parse().ok()?;
    let started = fields.nth(1)?.parse().ok()?;
    Some(Process {
        pid: pid.trim().parse().ok()?,
        parent,
        session,
        // The first thread alone can have ended, and shows as a zombie while the others run on.
        is_dead: matches!(state, "Z" | "X" | "x") && threads <= 1,
        started,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_full_of_parentheses_and_bytes_does_not_confuse_the_fields() {
        let mut stat =
            b"42 (a) Z 9 (\xff) R 7 42 41 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 ".to_vec();
        stat.extend_from_slice(b"987654 0 0\n");
        assert_eq!(
            parse_stat(&stat),
            Some(Process {
                pid: 42,
                parent: 7,
                session: 41,
                is_dead: false,
                started: 987_654,
            })
        );
        assert_eq!(parse_stat(b"42 (sh) Z"), None);
        assert_eq!(parse_stat(b""), None);
    }

    #[test]
    fn a_zombie_whose_threads_run_on_is_alive() {
        let stat = |threads: u8| {
            let line = format!("5 (x) Z 1 5 5 0 -1 0 0 0 0 0 0 0 0 0 20 0 {threads} 0 77 0");
            parse_stat(line.as_bytes()).expect("a process")
        };
        assert!(stat(1).is_dead);
        assert!(!stat(2).is_dead);
        assert_eq!(stat(2).started, 77);
    }

    #[test]
    fn this_process_is_found_alive_with_its_parent() {
        let own = process(std::process::id() as i32).expect("own entry");
        assert!(!own.is_dead);
        assert_eq!(own.parent, std::os::unix::process::parent_id() as i32);
        assert!(processes().expect("listing").contains(&own));
    }
}
