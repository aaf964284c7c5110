//! What the child does between clone and exec. **Read this before changing a line here.**
//!
//! The child shares the memory of the agent (CLONE_VM) while the thread that made it is suspended
//! (CLONE_VFORK) and all other threads run on. So in this file:
//! - no allocation and no locks: another thread may hold the allocator's or any other lock, and
//!   nothing here could ever wait for it; no logging, no formatting;
//! - no panic: no indexing, no unwrap, no arithmetic that could overflow; the panic machinery
//!   allocates and locks;
//! - no libc and no std that makes system calls: their errno and their thread-local storage are
//!   the suspended thread's. Raw system calls only, through [`call`];
//! - no memory is written but [`Plan::failure`] and this stack;
//! - no return: it ends in exec or exit, and exit is the raw call, which runs no handlers.
//!
//! Everything the child needs has been computed by the parent and stands in the [`Plan`].

use std::ffi::{c_char, c_int, c_long, c_short};
use std::ptr;

use crate::sandbox::platform::arch;

/// What to do; made and kept alive by the suspended parent.
#[derive(Debug)]
pub(in crate::sandbox) struct Plan {
    /// `cgroup.procs` of the cgroup to join; negative when the clone has placed the child, or when there
    /// is none.
    pub cgroup_procs: c_int,
    /// The clone has given it a network of its own, whose loopback interface is down.
    pub own_network: bool,
    /// The agent is spared when the machine runs out of memory; what it starts is not to be.
    pub reset_oom_score: bool,
    /// Resource and both its limits.
    pub rlimits: [Option<(u32, u64)>; RLIMITS],
    /// Capabilities to take out of the bounding set, one bit each.
    pub bounding_drop: u64,
    /// The user and group to become, when there is one.
    pub uid_gid: Option<(u32, u32)>,
    /// A Landlock ruleset to enter; negative when there is none.
    pub landlock: c_int,
    /// A filter of system calls to enter, when there is one.
    pub syscalls: Option<libc::sock_fprog>,
    /// Become descriptors 0, 1, 2. None of them is one of these numbers.
    pub stdio: [c_int; 3],
    /// The agent's process id.
    pub parent: c_int,
    /// All three end in NUL, the lists in a null pointer.
    pub cwd: *const c_char,
    pub program: *const c_char,
    pub argv: *const *const c_char,
    pub envp: *const *const c_char,
    /// Written by the child before it gives up.
    pub failure: Option<Failure>,
}

/// Limits that a plan can set.
pub(in crate::sandbox) const RLIMITS: usize = 3;

/// Where the child gave up, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) struct Failure {
    pub stage: Stage,
    pub errno: c_int,
}

/// What the child was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Stage {
    Session,
    Cgroup,
    Loopback,
    OomScore,
    Keyring,
    Rlimit,
    Groups,
    Gid,
    Uid,
    NoNewPrivs,
    Landlock,
    Stdio,
    Descriptors,
    WorkingDirectory,
    ParentDeath,
    Syscalls,
    Exec,
}

/// Files that functions make are their user's alone: they may hold secrets, and what others should
/// read a function can open up itself.
const UMASK: usize = 0o077;
/// Descriptors closed one by one where close_range(2) is missing (before Linux 5.9).
const CLOSE_BY_HAND: c_int = 65_536;
/// As shells report "found, but cannot be executed" and worse. Nobody sees it: the parent reads the
/// failure instead.
const EXIT_CODE: usize = 127;

/// Where the child begins, on its own stack.
///
/// # Safety
/// `plan` is a whole [`Plan`] that stays until the exec or exit of this process.
pub(in crate::sandbox) unsafe extern "C" fn start(plan: *mut ()) -> ! {
    let plan = plan.cast::<Plan>();
    // SAFETY: by the contract it is valid, and its only other user is suspended.
    let failure = prepare_and_exec(unsafe { &*plan });
    // SAFETY: as above; the shared reference is gone.
    unsafe { (*plan).failure = Some(failure) };
    loop {
        call(libc::SYS_exit_group, [EXIT_CODE, 0, 0, 0, 0, 0]);
    }
}

/// Returns only when something failed.
fn prepare_and_exec(plan: &Plan) -> Failure {
    match prepare(plan) {
        Ok(()) => Failure {
            stage: Stage::Exec,
            errno: exec(plan),
        },
        Err(failure) => failure,
    }
}

fn prepare(plan: &Plan) -> Result<(), Failure> {
    check(Stage::Session, libc::SYS_setsid, [0; 6])?;
    join_cgroup(plan)?;
    bring_up_loopback(plan)?;
    reset_signal_dispositions();
    reset_oom_score(plan)?;
    leave_keyring(plan)?;
    set_rlimits(plan)?;
    drop_privileges(plan)?;
    check(
        Stage::WorkingDirectory,
        libc::SYS_chdir,
        one(plan.cwd.expose_provenance()),
    )?;
    call(libc::SYS_umask, one(UMASK));
    check(
        Stage::NoNewPrivs,
        libc::SYS_prctl,
        [libc::PR_SET_NO_NEW_PRIVS as usize, 1, 0, 0, 0, 0],
    )?;
    if plan.landlock >= 0 {
        check(
            Stage::Landlock,
            libc::SYS_landlock_restrict_self,
            one(plan.landlock as usize),
        )?;
    }
    place_stdio(plan)?;
    close_the_rest()?;
    die_with_parent(plan)?;
    // Last of all that can fail, so that the list need not leave anything to the lines above. What
    // follows passes the filter. Without CAP_SYS_ADMIN, which is gone, it takes no_new_privs.
    filter_syscalls(plan)?;
    unblock_signals();
    Ok(())
}

/// "0" means the writing process (cgroups(7)).
fn join_cgroup(plan: &Plan) -> Result<(), Failure> {
    if plan.cgroup_procs < 0 {
        return Ok(());
    }
    let zero = b"0";
    check(
        Stage::Cgroup,
        libc::SYS_write,
        [
            plan.cgroup_procs as usize,
            zero.as_ptr().expose_provenance(),
            zero.len(),
            0,
            0,
            0,
        ],
    )
}

/// `struct ifreq` (netdevice(7)), with flags.
#[repr(C)]
struct InterfaceFlags {
    name: [u8; libc::IFNAMSIZ],
    flags: c_short,
    rest: [u8; 22],
}

/// Before the privileges are dropped: it takes CAP_NET_ADMIN over the new network.
fn bring_up_loopback(plan: &Plan) -> Result<(), Failure> {
    if !plan.own_network {
        return Ok(());
    }
    let kind = (libc::SOCK_DGRAM | libc::SOCK_CLOEXEC) as usize;
    let socket = call(libc::SYS_socket, [libc::AF_INET as usize, kind, 0, 0, 0, 0]);
    if socket < 0 {
        return Err(failure(Stage::Loopback, socket));
    }
    let up = InterfaceFlags {
        name: *b"lo\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        flags: libc::IFF_UP as c_short,
        rest: [0; 22],
    };
    let request = ptr::from_ref(&up).expose_provenance();
    check(
        Stage::Loopback,
        libc::SYS_ioctl,
        [
            socket as usize,
            libc::SIOCSIFFLAGS as usize,
            request,
            0,
            0,
            0,
        ],
    )?;
    call(libc::SYS_close, one(socket as usize));
    Ok(())
}

/// Before the privileges are dropped: with CAP_SYS_RESOURCE the score becomes the least that the program
/// itself can set later (fs/proc/base.c, `__set_oom_adj`). Of a child made with CLONE_VFORK the kernel
/// changes this one process, not all that share its memory.
fn reset_oom_score(plan: &Plan) -> Result<(), Failure> {
    if !plan.reset_oom_score {
        return Ok(());
    }
    let path = c"/proc/self/oom_score_adj".as_ptr().expose_provenance();
    let flags = (libc::O_WRONLY | libc::O_CLOEXEC) as usize;
    let at = libc::AT_FDCWD as usize;
    let file = call(libc::SYS_openat, [at, path, flags, 0, 0, 0]);
    if file < 0 {
        return Err(failure(Stage::OomScore, file));
    }
    let zero = b"0";
    let text = zero.as_ptr().expose_provenance();
    let arguments = [file as usize, text, zero.len(), 0, 0, 0];
    check(Stage::OomScore, libc::SYS_write, arguments)?;
    call(libc::SYS_close, one(file as usize));
    Ok(())
}

/// What is in the agent's session keyring is every descendant's to read and to add to (session-keyring(7)).
/// Only where no filter refuses the calls. As root, whose keys are not counted against the function's.
fn leave_keyring(plan: &Plan) -> Result<(), Failure> {
    if plan.syscalls.is_some() {
        return Ok(());
    }
    let join_new = [libc::KEYCTL_JOIN_SESSION_KEYRING as usize, 0, 0, 0, 0, 0];
    match call(libc::SYS_keyctl, join_new) {
        // A kernel without keys, or a filter around the agent that holds its children as well.
        result if result == -(libc::ENOSYS as isize) || result == -(libc::EPERM as isize) => Ok(()),
        result if result < 0 => Err(failure(Stage::Keyring, result)),
        _ => Ok(()),
    }
}

/// CLONE_CLEAR_SIGHAND resets handlers, but leaves ignored what the agent ignores, such as SIGPIPE;
/// the plain clone resets nothing. SIGKILL and SIGSTOP refuse, and need no reset.
fn reset_signal_dispositions() {
    // The kernel's sigaction: handler (SIG_DFL is 0), flags, restorer, mask.
    let default = [0u64; 4];
    for signal in 1..=64 {
        call(
            libc::SYS_rt_sigaction,
            [
                signal,
                default.as_ptr().expose_provenance(),
                0,
                size_of::<u64>(),
                0,
                0,
            ],
        );
    }
}

fn set_rlimits(plan: &Plan) -> Result<(), Failure> {
    for (resource, value) in plan.rlimits.iter().flatten() {
        let limit = [*value, *value];
        let arguments = [
            0,
            *resource as usize,
            limit.as_ptr().expose_provenance(),
            0,
            0,
            0,
        ];
        check(Stage::Rlimit, libc::SYS_prlimit64, arguments)?;
    }
    Ok(())
}

/// Groups before user: after it the right to change groups is gone. Becoming another user than
/// root empties the effective, permitted and ambient sets (capabilities(7)); without a change, the
/// ambient set is emptied here and the exec computes the rest from the bounding set.
fn drop_privileges(plan: &Plan) -> Result<(), Failure> {
    for capability in 0..64usize {
        if plan.bounding_drop & (1 << capability) != 0 {
            // Refused without CAP_SETPCAP; the parent asks for it only where it has that.
            call(
                libc::SYS_prctl,
                [libc::PR_CAPBSET_DROP as usize, capability, 0, 0, 0, 0],
            );
        }
    }
    // EINVAL before Linux 4.3, which has no ambient set.
    let clear_ambient = [
        libc::PR_CAP_AMBIENT as usize,
        libc::PR_CAP_AMBIENT_CLEAR_ALL as usize,
        0,
        0,
        0,
        0,
    ];
    call(libc::SYS_prctl, clear_ambient);
    if let Some((uid, gid)) = plan.uid_gid {
        let (uid, gid) = (uid as usize, gid as usize);
        check(Stage::Groups, libc::SYS_setgroups, [0; 6])?;
        check(Stage::Gid, libc::SYS_setresgid, [gid, gid, gid, 0, 0, 0])?;
        check(Stage::Uid, libc::SYS_setresuid, [uid, uid, uid, 0, 0, 0])?;
    }
    Ok(())
}

fn place_stdio(plan: &Plan) -> Result<(), Failure> {
    for (target, source) in plan.stdio.iter().enumerate() {
        check(
            Stage::Stdio,
            libc::SYS_dup3,
            [*source as usize, target, 0, 0, 0, 0],
        )?;
    }
    Ok(())
}

fn close_the_rest() -> Result<(), Failure> {
    let result = call(libc::SYS_close_range, [3, c_int::MAX as usize, 0, 0, 0, 0]);
    if result == 0 {
        return Ok(());
    }
    if result != -(libc::ENOSYS as isize) {
        return Err(failure(Stage::Descriptors, result));
    }
    for descriptor in 3..CLOSE_BY_HAND {
        call(libc::SYS_close, one(descriptor as usize));
    }
    Ok(())
}

/// After the change of user, which would clear it. The agent may have died before it was set: then
/// this process has another parent by now.
fn die_with_parent(plan: &Plan) -> Result<(), Failure> {
    let arguments = [
        libc::PR_SET_PDEATHSIG as usize,
        libc::SIGKILL as usize,
        0,
        0,
        0,
        0,
    ];
    check(Stage::ParentDeath, libc::SYS_prctl, arguments)?;
    if call(libc::SYS_getppid, [0; 6]) != plan.parent as isize {
        return Err(Failure {
            stage: Stage::ParentDeath,
            errno: libc::ESRCH,
        });
    }
    Ok(())
}

fn filter_syscalls(plan: &Plan) -> Result<(), Failure> {
    let Some(program) = &plan.syscalls else {
        return Ok(());
    };
    let arguments = [
        libc::SECCOMP_SET_MODE_FILTER as usize,
        0,
        ptr::from_ref(program).expose_provenance(),
        0,
        0,
        0,
    ];
    check(Stage::Syscalls, libc::SYS_seccomp, arguments)
}

/// The parent blocked them all around the clone; every disposition is the default by now.
fn unblock_signals() {
    let none = 0u64;
    let arguments = [
        libc::SIG_SETMASK as usize,
        ptr::from_ref(&none).expose_provenance(),
        0,
        size_of::<u64>(),
        0,
        0,
    ];
    call(libc::SYS_rt_sigprocmask, arguments);
}

/// The error, because on success there is nobody to return to.
fn exec(plan: &Plan) -> c_int {
    let arguments = [
        plan.program.expose_provenance(),
        plan.argv.expose_provenance(),
        plan.envp.expose_provenance(),
        0,
        0,
        0,
    ];
    failure(Stage::Exec, call(libc::SYS_execve, arguments)).errno
}

fn check(stage: Stage, number: c_long, arguments: [usize; 6]) -> Result<(), Failure> {
    match call(number, arguments) {
        result if result < 0 => Err(failure(stage, result)),
        _ => Ok(()),
    }
}

fn failure(stage: Stage, result: isize) -> Failure {
    Failure {
        stage,
        errno: result.wrapping_neg() as c_int,
    }
}

const fn one(argument: usize) -> [usize; 6] {
    [argument, 0, 0, 0, 0, 0]
}

fn call(number: c_long, arguments: [usize; 6]) -> isize {
    // SAFETY: private to this file, whose calls change only this process, and pass as pointers
    // only what the plan or the caller's own frame keeps alive.
    unsafe { arch::syscall(number, arguments) }
}
