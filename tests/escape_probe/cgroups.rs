//! Out of the cgroup that holds the execution, or into charge of it.
//!
//! Each mounted hierarchy is tried. A move that succeeds takes only the attempt's own child along.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use crate::attempt::{Attempt, Finding, worst};
use crate::system::{address, call, exit_now};
use crate::told::Told;

/// `CLONE_INTO_CGROUP`.
const INTO_CGROUP: u64 = 0x2_0000_0000;

/// See the module's text. `other_cgroup` is one of somebody else.
pub fn attempts(told: &'static Told) -> Vec<Attempt> {
    vec![
        Attempt::new("cgroup.join_root", || {
            worst(hierarchies().into_iter().map(|at| join(&at.mount)))
        }),
        Attempt::new("cgroup.join_parent", || {
            worst(
                hierarchies()
                    .into_iter()
                    .map(|at| join(at.own.parent().unwrap_or(&at.own))),
            )
        }),
        Attempt::new("cgroup.join_other", || match told.one("other_cgroup") {
            Some(other) => worst([join(Path::new(other))]),
            None => Finding::not_told("other_cgroup"),
        }),
        Attempt::new("cgroup.start_in_root", || {
            worst(hierarchies().into_iter().map(|at| start_in(&at.mount)))
        }),
        Attempt::new("cgroup.make_own", || {
            worst(hierarchies().into_iter().map(|at| make_below(&at.own)))
        }),
        Attempt::new("cgroup.make_in_root", || {
            worst(hierarchies().into_iter().map(|at| make_below(&at.mount)))
        }),
        Attempt::new("cgroup.rule_own", || {
            worst(hierarchies().into_iter().flat_map(|at| rule(&at.own)))
        }),
        Attempt::new("cgroup.rule_parent", || {
            worst(
                hierarchies()
                    .into_iter()
                    .flat_map(|at| rule(at.own.parent().unwrap_or(&at.own))),
            )
        }),
    ]
}

struct Hierarchy {
    mount: PathBuf,
    own: PathBuf,
}

/// Those that are mounted, with this process's place in each.
fn hierarchies() -> Vec<Hierarchy> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let cgroups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let (_, mount, kind, options) = (
                fields.next()?,
                fields.next()?,
                fields.next()?,
                fields.next()?,
            );
            let controllers: Vec<&str> = options.split(',').collect();
            let place = cgroups.lines().find_map(|line| {
                let mut parts = line.splitn(3, ':');
                let (_, names, place) = (parts.next()?, parts.next()?, parts.next()?);
                let is_it = match kind {
                    "cgroup2" => names.is_empty(),
                    "cgroup" => names
                        .split(',')
                        .all(|name| !name.is_empty() && controllers.contains(&name)),
                    _ => false,
                };
                is_it.then_some(place)
            })?;
            let mount = PathBuf::from(mount);
            let own = mount.join(place.trim_start_matches('/'));
            Some(Hierarchy { mount, own })
        })
        .collect()
}

fn join(directory: &Path) -> (String, Finding) {
    let procs = directory.join("cgroup.procs");
    let result = OpenOptions::new()
        .write(true)
        .open(&procs)
        .and_then(|mut file| file.write_all(b"0"));
    (shown(&procs), Finding::of_io(result, "moved there"))
}

/// clone3 checks the same rights by another way.
fn start_in(directory: &Path) -> (String, Finding) {
    use std::os::fd::AsRawFd;
    let opened = open(
        directory,
        OFlag::O_DIRECTORY | OFlag::O_RDONLY,
        Mode::empty(),
    );
    let directory_fd = match opened {
        Ok(fd) => fd,
        Err(errno) => return (shown(directory), Finding::denied(errno)),
    };
    // clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls,
    // set_tid, set_tid_size, cgroup.
    let mut arguments = [0u64; 11];
    arguments[0] = INTO_CGROUP;
    arguments[4] = libc::SIGCHLD as u64;
    arguments[10] = directory_fd.as_raw_fd() as u64;
    let result = call(
        libc::SYS_clone3,
        &[address(&arguments), size_of_val(&arguments)],
    );
    if result == Ok(0) {
        exit_now(0);
    }
    (shown(directory), Finding::of(result, "started there"))
}

fn make_below(directory: &Path) -> (String, Finding) {
    let path = directory.join(format!("flux-escape-{}", std::process::id()));
    let result = fs::create_dir(&path).and_then(|()| fs::remove_dir(&path));
    (shown(&path), Finding::of_io(result, "made one"))
}

/// Opened is proof enough.
fn rule(directory: &Path) -> Vec<(String, Finding)> {
    const FILES: [&str; 7] = [
        "memory.max",
        "memory.limit_in_bytes",
        "pids.max",
        "cpu.max",
        "cgroup.kill",
        "cgroup.freeze",
        "cgroup.subtree_control",
    ];
    FILES
        .iter()
        .map(|name| {
            let result = OpenOptions::new().write(true).open(directory.join(name));
            (
                format!("{} {name}", shown(directory)),
                Finding::of_io(result, "may write it"),
            )
        })
        .collect()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
