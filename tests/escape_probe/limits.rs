//! More than its share: processes, processor time, descriptors, file size, locked memory, core dumps.
//!
//! What the limits are is told; one that is not told is none here. What ends an execution (memory, disk,
//! output, time) is in `takes`.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeValLike;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};

use crate::attempt::{Attempt, Finding};
use crate::system::{address, address_mut, call, exit_now, fork, in_child, pause};
use crate::told::Told;

/// How long processor time is measured: many of the kernel's 100 ms periods.
const MEASURED: Duration = Duration::from_secs(2);
/// What a measured share may be over the limit: the last period of each process, and noise.
const TOLERANCE: f64 = 1.25;
/// More children than the limit, if it did not hold.
const BEYOND: u64 = 50;

/// Name, the argument that says the limit, what is done about it.
type Numbered = (&'static str, &'static str, fn(u64) -> Finding);

/// See the module's text.
pub fn attempts(told: &'static Told) -> Vec<Attempt> {
    let numbered: [Numbered; 4] = [
        ("limit.processes", "pids", processes),
        ("limit.processor", "cpu_millicores", processor),
        ("limit.descriptors", "open_files", descriptors),
        ("limit.file_size", "file_size", file_size),
    ];
    numbered
        .into_iter()
        .map(|(name, key, make)| {
            Attempt::new(name, move || match told.number(key) {
                Some(limit) => make(limit),
                None => Finding::not_told(key),
            })
        })
        .chain([
            Attempt::new("limit.core_dumps", core_dump),
            Attempt::new("limit.raised_again", raise),
        ])
        .collect()
}

/// Bounded: no machine suffers from these.
fn processes(limit: u64) -> Finding {
    let mut children = Vec::new();
    let mut refused = None;
    while (children.len() as u64) < limit + BEYOND {
        match fork() {
            Ok(ForkResult::Child) => {
                pause(60_000);
                exit_now(0)
            }
            Ok(ForkResult::Parent { child }) => children.push(child),
            Err(errno) => {
                refused = Some(errno);
                break;
            }
        }
    }
    let made = children.len();
    end(&children);
    match refused {
        Some(errno) => Finding::holds(
            made as u64 <= limit,
            format!("{errno:?} after {made} of {limit}"),
            format!("made {made} of {limit}"),
        ),
        None => Finding::Escaped(format!("made {made} where {limit} is the limit")),
    }
}

fn end(children: &[Pid]) {
    for child in children {
        let _ = kill(*child, Signal::SIGKILL);
    }
    for child in children {
        let _ = waitpid(*child, None);
    }
}

/// As many processes as the machine has processors, and one more, all busy.
fn processor(limit_millicores: u64) -> Finding {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let began = Instant::now();
    let children: Vec<Pid> = (0..=processors)
        .filter_map(|_| match fork() {
            Ok(ForkResult::Child) => {
                while began.elapsed() < MEASURED {}
                exit_now(0)
            }
            Ok(ForkResult::Parent { child }) => Some(child),
            Err(_) => None,
        })
        .collect();
    for child in &children {
        let _ = waitpid(*child, None);
    }
    let elapsed = began.elapsed().as_secs_f64();
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else {
        return Finding::Unclear("the time used cannot be read".to_owned());
    };
    let used =
        (usage.user_time().num_milliseconds() + usage.system_time().num_milliseconds()) as f64;
    let share = used / elapsed;
    Finding::holds(
        share <= limit_millicores as f64 * TOLERANCE,
        format!("{share:.0} of {limit_millicores} millicores"),
        format!("used {share:.0} millicores where {limit_millicores} is the limit"),
    )
}

fn descriptors(limit: u64) -> Finding {
    let mut open = Vec::new();
    while (open.len() as u64) < limit + BEYOND {
        match File::open("/dev/null") {
            Ok(file) => open.push(file),
            Err(error) if error.raw_os_error() == Some(libc::EMFILE) => {
                return Finding::Denied(format!("{error} after {}", open.len()));
            }
            Err(error) => return Finding::Unclear(error.to_string()),
        }
    }
    Finding::Escaped(format!("opened {} where {limit} is the limit", open.len()))
}

/// One byte at the limit, which makes a file that is larger without using the disk.
fn file_size(limit: u64) -> Finding {
    let path = std::env::temp_dir().join("too-large");
    let end = in_child(|| {
        use std::os::unix::fs::FileExt;
        let written = File::create(&path).and_then(|file| file.write_at(b"x", limit));
        i32::from(written.is_err())
    });
    let _ = std::fs::remove_file(std::env::temp_dir().join("too-large"));
    match end {
        Ok(WaitStatus::Exited(_, 0)) => Finding::Escaped(format!("a file beyond {limit} bytes")),
        end => Finding::Denied(format!("{end:?}")),
    }
}

/// A dump would hold what the function knows, in a directory of the system or of its own. Where dumps go
/// to a program, the kernel does not ask whether the limit is 0, but whether it is 1 (core(5)).
fn core_dump() -> Finding {
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    let limit = getrlimit(Resource::RLIMIT_CORE).map_or(u64::MAX, |(_, hard)| hard);
    let end = in_child(|| {
        let _ = std::io::stdout().flush();
        std::process::abort()
    });
    let is_dumped = matches!(end, Ok(WaitStatus::Signaled(_, _, true)));
    Finding::holds(
        !is_dumped && limit == 1,
        format!("{end:?}, limit {limit}, pattern {}", pattern.trim()),
        format!(
            "dumped ({is_dumped}), limit {limit}, pattern {}",
            pattern.trim()
        ),
    )
}

fn raise() -> Finding {
    let kinds = [
        ("open files", libc::RLIMIT_NOFILE),
        ("core", libc::RLIMIT_CORE),
        ("locked memory", libc::RLIMIT_MEMLOCK),
        ("queues", libc::RLIMIT_MSGQUEUE),
        ("nice", libc::RLIMIT_NICE),
        ("real time", libc::RLIMIT_RTPRIO),
    ];
    crate::attempt::worst(kinds.map(|(name, resource)| {
        let mut limits = [0u64; 2];
        let read = call(
            libc::SYS_prlimit64,
            &[0, resource as usize, 0, address_mut(&mut limits)],
        );
        limits[1] = limits[1].saturating_add(1);
        let raised = read.and_then(|_| {
            call(
                libc::SYS_prlimit64,
                &[0, resource as usize, address(&limits), 0],
            )
        });
        let finding = match raised {
            Err(Errno::EPERM) => Finding::Denied("EPERM".to_owned()),
            _ if limits[1] == u64::MAX => Finding::Denied("has none to raise".to_owned()),
            result => Finding::of(result, "raised it"),
        };
        (name.to_owned(), finding)
    }))
}
