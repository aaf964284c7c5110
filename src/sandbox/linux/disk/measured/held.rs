//! Files that have no name any more and are kept by a process of the execution: by a descriptor,
//! or by a mapping. Without them, a removed file would be the way around the limit.
//!
//! Refuses: to decide what is too much, and to go on without an end, because names are not looked at
//! meanwhile: of more than [`STEPS_MOST`] each look sees a part, and the next one goes on after it. What the
//! agent may not look at is passed over, and what ends on the way too. One step is one descriptor,
//! mapping or thread.

use std::cmp::Reverse;
use std::fs::{self, DirEntry, File, ReadDir};
use std::io::{BufRead, BufReader, Split};
use std::path::Path;

use nix::sys::stat::stat;

use super::super::limit::Excess;
use super::tally::Tally;
use super::walk::Progress;

/// In one look: some tenths of a second.
const STEPS_MOST: u32 = 65_536;

/// Where it is in the processes of a tree.
pub(super) struct Held {
    steps_left: u32,
    /// The process that is looked at.
    current: i32,
    /// Not looked at yet.
    processes: Vec<i32>,
    /// Of the current process, those that are not looked at yet.
    threads: Option<(i32, ReadDir)>,
    /// Of the current thread.
    descriptors: Option<ReadDir>,
    /// Of the current process.
    mappings: Option<(i32, Split<BufReader<File>>)>,
}

impl Held {
    /// Of these processes, beginning with those after `last`, at which an earlier look has stopped.
    pub(super) fn new(processes: Vec<i32>, last: Option<i32>) -> Held {
        Held::within(STEPS_MOST, processes, last)
    }

    fn within(steps: u32, mut processes: Vec<i32>, last: Option<i32>) -> Held {
        // Taken from the end.
        processes.sort_unstable_by_key(|&pid| (last.is_some_and(|last| pid > last), Reverse(pid)));
        Held {
            steps_left: steps,
            current: 0,
            processes,
            threads: None,
            descriptors: None,
            mappings: None,
        }
    }

    /// # Errors
    /// That there is too much; the look is then over.
    pub(super) fn step(&mut self, tally: &mut Tally) -> Result<Progress, Excess> {
        let Some(left) = self.steps_left.checked_sub(1) else {
            return Ok(Progress::Done);
        };
        self.steps_left = left;
        if let Some(descriptors) = &mut self.descriptors {
            match descriptors.next() {
                Some(Ok(entry)) => add(&entry.path(), tally)?,
                Some(Err(_)) | None => self.descriptors = None,
            }
        } else if let Some((pid, threads)) = &mut self.threads {
            match threads.next() {
                Some(Ok(thread)) => self.descriptors = descriptors(*pid, &thread),
                Some(Err(_)) | None => self.threads = None,
            }
        } else if let Some((pid, mappings)) = &mut self.mappings {
            match mappings.next() {
                Some(Ok(line)) => add_mapping(*pid, &line, tally)?,
                Some(Err(_)) | None => self.mappings = None,
            }
        } else if let Some(pid) = self.processes.pop() {
            self.open(pid);
        } else {
            return Ok(Progress::Done);
        }
        Ok(Progress::More)
    }

    /// The process at which it had to stop, if it had to.
    pub(super) fn stopped_at(&self) -> Option<i32> {
        (self.steps_left == 0).then_some(self.current)
    }

    /// What cannot be opened has ended, or is not for the agent to see.
    fn open(&mut self, pid: i32) {
        self.current = pid;
        let threads = fs::read_dir(format!("/proc/{pid}/task"));
        self.threads = threads.ok().map(|threads| (pid, threads));
        let maps = File::open(format!("/proc/{pid}/maps"));
        self.mappings = maps
            .ok()
            .map(|maps| (pid, BufReader::new(maps).split(b'\n')));
    }
}

/// `path` is one of the links in `/proc` that lead to the file itself, whatever its name was.
fn add(path: &Path, tally: &mut Tally) -> Result<(), Excess> {
    match stat(path) {
        Ok(stat) => tally.add_held(&stat),
        // Closed or unmapped since it was listed.
        Err(_) => Ok(()),
    }
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

/// One line of `maps` (proc_pid_maps(5)). The link in `map_files` is named by the same addresses,
/// without the zeros that `maps` may put before them.
fn add_mapping(pid: i32, line: &[u8], tally: &mut Tally) -> Result<(), Excess> {
    match range_if_removed(line) {
        Some((start, end)) => {
            let link = format!("/proc/{pid}/map_files/{start:x}-{end:x}");
            add(Path::new(&link), tally)
        }
        None => Ok(()),
    }
}

fn range_if_removed(line: &[u8]) -> Option<(u64, u64)> {
    let rest = line.strip_suffix(b" (deleted)")?;
    let range = rest.split(|&byte| byte == b' ').next()?;
    let (start, end) = std::str::from_utf8(range).ok()?.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some((number(start)?, number(end)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::Mib;
    use crate::sandbox::platform::disk::Limit;

    /// Steps until it says that it is done.
    fn steps(held: &mut Held) -> u32 {
        let root = stat("/").expect("the root");
        let mut tally = Tally::new(Limit::new(Mib(1 << 20)), u32::MAX, &root);
        let mut is_more = |held: &mut Held| held.step(&mut tally).expect("room") == Progress::More;
        (0..).find(|_| !is_more(held)).expect("an end")
    }

    #[test]
    fn a_look_ends_however_much_is_held_and_the_next_goes_on_with_the_others() {
        let own = std::process::id() as i32;
        let null = File::open("/dev/null").expect("/dev/null");
        let _descriptors: Vec<File> = (0..50)
            .map(|_| null.try_clone().expect("one more"))
            .collect();
        let mut short = Held::within(20, vec![own], None);
        assert_eq!(steps(&mut short), 20);
        assert_eq!(short.stopped_at(), Some(own));
        let mut whole = Held::new(vec![own], None);
        assert!(steps(&mut whole) > 50);
        assert_eq!(whole.stopped_at(), None);
        // Who is looked at first stands last.
        let order = |last| Held::within(1, vec![5, 3, 9, 7], last).processes;
        assert_eq!(order(None), [9, 7, 5, 3]);
        assert_eq!(order(Some(5)), [5, 3, 9, 7]);
        assert_eq!(order(Some(9)), [9, 7, 5, 3]);
    }

    #[test]
    fn only_what_is_mapped_and_removed_has_a_range() {
        let line = b"00400000-7f12345000 rw-s 00000000 08:01 131 /a \xff b (deleted)";
        assert_eq!(range_if_removed(line), Some((0x40_0000, 0x7f_1234_5000)));
        assert_eq!(
            range_if_removed(b"00400000-00401000 rw-s 00000000 08:01 131 /a"),
            None
        );
        assert_eq!(range_if_removed(b" (deleted)"), None);
    }
}
