//! Rights that it does not have: by asking for them, by another user's number, by namespaces of its own.

use std::process::ExitCode;

use nix::errno::Errno;

use crate::attempt::{Attempt, Finding, worst};
use crate::system::{address, c_string, call, program, status};
use crate::told::Told;

/// `_LINUX_CAPABILITY_VERSION_3`.
const CAPABILITY_VERSION: u32 = 0x2008_0522;
/// The first and the last namespace that `setns` is tried with.
const NAMESPACES: [&str; 7] = ["mnt", "pid", "net", "ipc", "uts", "user", "cgroup"];

/// See the module's text. `setuid` and `filecaps` are copies of this program that an administrator
/// has given rights.
pub fn attempts(told: &'static Told) -> Vec<Attempt> {
    vec![
        Attempt::new("privilege.become_root", become_root),
        Attempt::new("privilege.become_root_group", || {
            worst([
                (
                    "setresgid".to_owned(),
                    Finding::of(call(libc::SYS_setresgid, &[0, 0, 0]), "is group 0"),
                ),
                (
                    "setgroups".to_owned(),
                    Finding::of(
                        call(libc::SYS_setgroups, &[1, address(&[0u32])]),
                        "is in group 0",
                    ),
                ),
            ])
        }),
        Attempt::new("privilege.become_another_user", || {
            let other = told.number("victim_uid").unwrap_or(1) as usize;
            Finding::of(
                call(libc::SYS_setresuid, &[other, other, other]),
                "is another user",
            )
        }),
        Attempt::new("privilege.file_system_user", || {
            // Always answers with the old one; the second call says what became of it.
            let _ = call(libc::SYS_setfsuid, &[0]);
            let is = call(libc::SYS_setfsuid, &[usize::MAX]);
            Finding::holds(
                is != Ok(0),
                format!("stays {is:?}"),
                "acts as root on files",
            )
        }),
        Attempt::new("privilege.capset", capset),
        Attempt::new("privilege.ambient", ambient),
        Attempt::new("privilege.securebits", || {
            Finding::of(
                call(libc::SYS_prctl, &[libc::PR_SET_SECUREBITS as usize, 0]),
                "set them",
            )
        }),
        Attempt::new("privilege.new_privileges_again", || {
            Finding::of(
                call(
                    libc::SYS_prctl,
                    &[libc::PR_SET_NO_NEW_PRIVS as usize, 0, 0, 0, 0],
                ),
                "switched it off",
            )
        }),
        Attempt::new("privilege.user_namespace", || {
            Finding::of(
                unshare(libc::CLONE_NEWUSER),
                "is root in a namespace of its own",
            )
        }),
        Attempt::new("privilege.mount_in_user_namespace", mount_in_namespace),
        Attempt::new("privilege.clone_user_namespace", clone_user_namespace),
        Attempt::new("privilege.namespaces", namespaces),
        Attempt::new("privilege.join_namespaces", join_namespaces),
        Attempt::new("privilege.setuid_program", || by_program(told, "setuid")),
        Attempt::new("privilege.file_capabilities", || {
            by_program(told, "filecaps")
        }),
    ]
}

fn become_root() -> Finding {
    worst([
        (
            "setuid".to_owned(),
            Finding::of(call(libc::SYS_setuid, &[0]), "is root"),
        ),
        (
            "setreuid".to_owned(),
            Finding::of(call(libc::SYS_setreuid, &[0, 0]), "is root"),
        ),
        (
            "setresuid".to_owned(),
            Finding::of(call(libc::SYS_setresuid, &[0, 0, 0]), "is root"),
        ),
    ])
}

/// CAP_DAC_OVERRIDE, which would open every file.
fn capset() -> Finding {
    Finding::of(set_capabilities(), "may pass by every file's mode")
}

fn set_capabilities() -> nix::Result<usize> {
    const DAC_OVERRIDE: u32 = 1 << 1;
    let header = [CAPABILITY_VERSION, 0];
    // Effective, permitted and inheritable, twice 32 bits each.
    let one = [DAC_OVERRIDE, DAC_OVERRIDE, DAC_OVERRIDE, 0, 0, 0];
    call(libc::SYS_capset, &[address(&header), address(&one)])
}

/// Those that a program keeps over exec.
fn ambient() -> Finding {
    // Must be inheritable first.
    let _ = set_capabilities();
    let (set, raise) = (libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE);
    let raised = call(libc::SYS_prctl, &[set as usize, raise as usize, 1, 0, 0]);
    Finding::of(raised, "raised CAP_DAC_OVERRIDE")
}

fn mount_in_namespace() -> Finding {
    if let Err(errno) = unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) {
        return Finding::denied(errno);
    }
    let map = std::fs::write("/proc/self/uid_map", "0 0 1");
    let target = std::env::current_dir().unwrap_or_default();
    let (source, target, kind) = (
        c_string("none"),
        c_string(&target.to_string_lossy()),
        c_string("tmpfs"),
    );
    let arguments = [
        address(source.to_bytes()),
        address(target.to_bytes()),
        address(kind.to_bytes()),
        0,
        0,
    ];
    let mounted = call(libc::SYS_mount, &arguments);
    Finding::of(mounted, &format!("mounted (map: {map:?})"))
}

fn clone_user_namespace() -> Finding {
    let flags = (libc::CLONE_NEWUSER | libc::SIGCHLD) as usize;
    let result = call(libc::SYS_clone, &[flags, 0, 0, 0, 0]);
    if result == Ok(0) {
        crate::system::exit_now(0);
    }
    let by_clone3 = clone3_user_namespace();
    worst([
        ("clone".to_owned(), Finding::of(result, "started in one")),
        (
            "clone3".to_owned(),
            Finding::of(by_clone3, "started in one"),
        ),
    ])
}

/// Its flags stand in memory, where a filter cannot look.
fn clone3_user_namespace() -> nix::Result<usize> {
    let mut arguments = [0u64; 11];
    arguments[0] = libc::CLONE_NEWUSER as u64;
    arguments[4] = libc::SIGCHLD as u64;
    let result = call(
        libc::SYS_clone3,
        &[address(&arguments), size_of_val(&arguments)],
    );
    if result == Ok(0) {
        crate::system::exit_now(0);
    }
    result
}

fn namespaces() -> Finding {
    let kinds = [
        ("mount", libc::CLONE_NEWNS),
        ("network", libc::CLONE_NEWNET),
        ("processes", libc::CLONE_NEWPID),
        ("ipc", libc::CLONE_NEWIPC),
        ("names", libc::CLONE_NEWUTS),
        ("cgroups", libc::CLONE_NEWCGROUP),
    ];
    worst(kinds.map(|(name, flag)| (name.to_owned(), Finding::of(unshare(flag), "made one"))))
}

/// Those of process 1.
fn join_namespaces() -> Finding {
    use std::os::fd::AsRawFd;
    worst(NAMESPACES.map(|name| {
        let joined = match std::fs::File::open(format!("/proc/1/ns/{name}")) {
            Ok(file) => call(libc::SYS_setns, &[file.as_raw_fd() as usize, 0]),
            Err(error) => Err(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)),
        };
        (name.to_owned(), Finding::of(joined, "joined it"))
    }))
}

fn unshare(flags: libc::c_int) -> nix::Result<usize> {
    call(libc::SYS_unshare, &[flags as usize])
}

/// What this program says of itself when it was executed with rights of its own.
pub fn report_as_other_program() -> ExitCode {
    let uid = nix::unistd::geteuid();
    println!("{uid} {}", status("CapEff").unwrap_or_default());
    ExitCode::SUCCESS
}

fn by_program(told: &Told, which: &str) -> Finding {
    let Some(path) = told.one(which) else {
        return Finding::not_told(which);
    };
    let Some((_, printed)) = program(path, &["privileged"]) else {
        return Finding::Denied("cannot be executed at all".to_owned());
    };
    let (uid, capabilities) = printed.trim().split_once(' ').unwrap_or_default();
    let own = nix::unistd::getuid().to_string();
    // As root outside everything is the same before and after: then that it says so is the proof.
    let gained = uid != own || !capabilities.trim_start_matches('0').is_empty();
    Finding::holds(
        !gained && !uid.is_empty(),
        format!("runs as {uid} without capabilities"),
        format!("runs as {uid} with {capabilities:?}"),
    )
}
