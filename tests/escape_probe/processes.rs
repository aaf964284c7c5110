//! What others are doing: their memory, environment, descriptors, and that they are there at all.
//!
//! `agent_pid`, `victim_pid` and `control_pid` are told, and `victim_address`: where in the
//! victim's memory its secret is. `processes=hidden` says that the agent's unit hides them
//! (systemd's `ProtectProc=invisible`): the kernel alone shows everybody's arguments to everybody.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::errno::Errno;

use crate::attempt::{Attempt, Finding, worst};
use crate::system::{address, address_mut, call, others};
use crate::told::Told;

/// How the victim's secrets begin.
pub const MARK: &str = "flux-victim-secret-";
/// Files below `/proc/<pid>` that hold what a process knows.
const FILES: [&str; 7] = ["environ", "maps", "mem", "auxv", "stack", "io", "syscall"];
/// Links below `/proc/<pid>` that lead into its view of the system.
const LINKS: [&str; 3] = ["root", "cwd", "exe"];
const DIRECTORIES: [&str; 3] = ["fd", "fdinfo", "map_files"];
/// Of `prlimit64`.
const NO_NEW_LIMIT: usize = 0;

/// Name, and how it is done to a process.
type Way = (&'static str, fn(i32) -> Finding);

/// See the module's text.
pub fn attempts(told: &'static Told) -> Vec<Attempt> {
    let mut all = Vec::new();
    let known = [
        ("agent", told.pid("agent_pid")),
        ("victim", told.pid("victim_pid")),
        ("control", told.pid("control_pid")),
        ("init", Some(1)),
    ];
    for (who, pid) in known {
        let Some(pid) = pid else {
            all.push(Attempt::new(format!("process.{who}"), move || {
                Finding::not_told(&format!("{who}_pid"))
            }));
            continue;
        };
        all.extend(attempts_on(who, pid));
    }
    all.push(Attempt::new("process.victim_secret_in_memory", || {
        secret_in_memory(told)
    }));
    all.push(Attempt::new("process.any_environment", any_environment));
    all.push(Attempt::new(
        "process.command_lines_of_others",
        || match told.one("processes") {
            Some("hidden") => command_lines(),
            Some(_) | None => Finding::Skipped("the machine shows everybody's".to_owned()),
        },
    ));
    all
}

fn attempts_on(who: &'static str, pid: i32) -> Vec<Attempt> {
    let mut all = Vec::new();
    for name in FILES {
        all.push(Attempt::new(format!("process.{who}_{name}"), move || {
            read(pid, name)
        }));
    }
    for name in LINKS {
        all.push(Attempt::new(format!("process.{who}_{name}"), move || {
            follow(pid, name)
        }));
    }
    for name in DIRECTORIES {
        all.push(Attempt::new(format!("process.{who}_{name}"), move || {
            Finding::of_io(
                fs::read_dir(format!("/proc/{pid}/{name}"))
                    .and_then(|mut entries| entries.next().transpose()),
                "listed it",
            )
        }));
    }
    let calls: [Way; 6] = [
        ("ptrace", trace),
        ("process_vm", process_vm),
        ("pidfd_getfd", take_descriptor),
        ("prlimit", prlimit),
        ("priority", reprioritise),
        ("affinity", move_to_processor),
    ];
    all.extend(
        calls.map(|(name, make)| Attempt::new(format!("process.{who}_{name}"), move || make(pid))),
    );
    all
}

fn read(pid: i32, name: &str) -> Finding {
    let path = format!("/proc/{pid}/{name}");
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) => return Finding::Denied(error.to_string()),
    };
    let mut first = [0; 16];
    match file.read_at(&mut first, 0) {
        Ok(0) => Finding::Denied("opened, and empty".to_owned()),
        Ok(_) => Finding::Escaped(format!("read {path}")),
        // Nothing is mapped at 0: who opens `mem` may read the rest.
        Err(_) if name == "mem" => Finding::Escaped(format!("opened {path}")),
        Err(error) => Finding::Denied(error.to_string()),
    }
}

fn follow(pid: i32, name: &str) -> Finding {
    let path = format!("/proc/{pid}/{name}");
    Finding::of_io(fs::read_link(&path), "saw where it leads")
}

/// PTRACE_SEIZE does not stop it, and this child's end lets it go.
fn trace(pid: i32) -> Finding {
    let result = call(
        libc::SYS_ptrace,
        &[libc::PTRACE_SEIZE as usize, pid as usize],
    );
    Finding::of(result, "traces it")
}

/// Address 1 is never mapped: EFAULT comes after the right to read was found.
fn process_vm(pid: i32) -> Finding {
    read_memory(pid, 1, &mut [0]).map_or_else(
        |errno| Finding::of_senseless(Err(errno), &[Errno::EFAULT], "may read its memory"),
        |_| Finding::Escaped("read its memory".to_owned()),
    )
}

fn read_memory(pid: i32, from: usize, into: &mut [u8]) -> nix::Result<usize> {
    let local = [address_mut(into), into.len()];
    let remote = [from, into.len()];
    call(
        libc::SYS_process_vm_readv,
        &[pid as usize, address(&local), 1, address(&remote), 1, 0],
    )
}

fn secret_in_memory(told: &Told) -> Finding {
    let (Some(pid), Some(at)) = (told.pid("victim_pid"), told.number("victim_address")) else {
        return Finding::not_told("victim_pid and victim_address");
    };
    let mut bytes = [0; 64];
    let by_call = read_memory(pid, at as usize, &mut bytes).map_err(|errno| errno.to_string());
    let by_file = File::open(format!("/proc/{pid}/mem"))
        .and_then(|file| file.read_at(&mut bytes, at))
        .map_err(|error| error.to_string());
    if bytes.starts_with(MARK.as_bytes()) {
        return Finding::Escaped("read the victim's secret".to_owned());
    }
    match (by_call, by_file) {
        (Err(call), Err(file)) => Finding::Denied(format!("process_vm_readv {call}, mem {file}")),
        other => Finding::Unclear(format!("read something else: {other:?}")),
    }
}

fn take_descriptor(pid: i32) -> Finding {
    match call(libc::SYS_pidfd_open, &[pid as usize, 0]) {
        Ok(pidfd) => Finding::of(
            call(libc::SYS_pidfd_getfd, &[pidfd, 1, 0]),
            "has its output",
        ),
        Err(errno) => Finding::denied(errno),
    }
}

fn prlimit(pid: i32) -> Finding {
    let mut old = [0u64; 2];
    let arguments = [
        pid as usize,
        libc::RLIMIT_NOFILE as usize,
        NO_NEW_LIMIT,
        address_mut(&mut old),
    ];
    Finding::of(call(libc::SYS_prlimit64, &arguments), "read its limits")
}

/// To what it is already.
fn reprioritise(pid: i32) -> Finding {
    let which = libc::PRIO_PROCESS as usize;
    let result = call(libc::SYS_getpriority, &[which, pid as usize])
        // The kernel answers 20 - nice.
        .and_then(|value| {
            call(
                libc::SYS_setpriority,
                &[which, pid as usize, 20usize.wrapping_sub(value)],
            )
        });
    Finding::of(result, "set its priority")
}

/// To those it has already.
fn move_to_processor(pid: i32) -> Finding {
    let mut mask = [0u64; 16];
    let arguments = [pid as usize, size_of_val(&mask), address_mut(&mut mask)];
    let result = call(libc::SYS_sched_getaffinity, &arguments)
        .and_then(|_| call(libc::SYS_sched_setaffinity, &arguments));
    Finding::of(result, "chose its processors")
}

/// The victim's secret in anybody's environment: who looks for secrets does not need a number.
fn any_environment() -> Finding {
    let readable: Vec<i32> = others()
        .into_iter()
        .filter(|pid| fs::read(format!("/proc/{pid}/environ")).is_ok_and(|bytes| !bytes.is_empty()))
        .collect();
    Finding::holds(
        readable.is_empty(),
        "no environment but its own",
        format!("read the environment of {readable:?}"),
    )
}

/// Arguments of a call are its caller's.
fn command_lines() -> Finding {
    let own = std::process::id().to_string();
    let seen = others()
        .into_iter()
        .filter(|pid| pid.to_string() != own)
        .map(|pid| {
            (
                pid,
                fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default(),
            )
        })
        .filter(|(_, line)| !line.is_empty());
    worst(
        seen.map(|(pid, line)| {
            let text = String::from_utf8_lossy(&line).replace('\0', " ");
            let text: String = text.chars().take(80).collect();
            (
                pid.to_string(),
                Finding::Escaped(format!("its arguments: {text}")),
            )
        })
        .chain([(
            "all of /proc".to_owned(),
            Finding::Denied(format!(
                "is without command lines: {}",
                Path::new("/proc").is_dir()
            )),
        )]),
    )
}
