//! Which system calls an execution does not have, and why. Everything else passes: functions are any
//! program, so this takes away what none needs instead of listing what all may.
//!
//! Compared with Docker's default profile and systemd's `@system-service`. Where those refuse what
//! needs a capability anyway, so does this: the kernel's check is then the second line, not the only
//! one. Refused calls answer EPERM, as the kernel does for want of a right, and where programs look for
//! another errno before they try something else, that one.

use std::ffi::c_long;

use super::super::arch;
use super::program::{Answer, Case, upper};

/// Code in the kernel, another kernel, or none.
const KERNEL: &[c_long] = &[
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_bpf,
];
/// The machine's state: its clock, name, swap, accounting, log, terminals. `adjtimex` and
/// `clock_adjtime` stay: programs read the clock's precision with them, and setting needs a capability.
const MACHINE: &[c_long] = &[
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_vhangup,
];
/// What holds an execution to its disk limit. `file_setattr` (Linux 6.17), which libc does not name yet and
/// has one number on all processors, moves a file to another project, as an ioctl below does.
const QUOTAS: &[c_long] = &[libc::SYS_quotactl, libc::SYS_quotactl_fd, 469];
/// Another view of the file tree, by the old calls and the new ones.
const MOUNTS: &[c_long] = &[
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    // open_tree_attr (Linux 6.15), which libc does not name yet; one number on all processors.
    467,
];
/// Into namespaces of others. Making new ones is looked at below, by flags.
const NAMESPACES: &[c_long] = &[libc::SYS_setns];
/// Other processes' memory, descriptors and secrets. `process_madvise` stays: allocators give
/// their own memory back with it, and others' is held by the check that ptrace has.
const OTHERS: &[c_long] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
];
/// Keyrings know users, not executions, and outlive both.
const KEYS: &[c_long] = &[libc::SYS_add_key, libc::SYS_request_key, libc::SYS_keyctl];
/// Objects of System V and POSIX queues belong to no process: they would outlive the execution, with
/// memory that no limit counts any more.
const LEFTOVERS: &[c_long] = &[
    libc::SYS_shmget,
    libc::SYS_semget,
    libc::SYS_msgget,
    libc::SYS_mq_open,
];
/// Large interfaces that kernel exploits are made of. Runtimes that know io_uring (libuv, Tokio)
/// go on without it, as they do where an administrator switched it off.
const EXPLOITED: &[c_long] = &[
    libc::SYS_userfaultfd,
    libc::SYS_perf_event_open,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_fanotify_init,
];
/// Files by number, past every directory's mode and past Landlock's paths.
const HANDLES: &[c_long] = &[libc::SYS_open_by_handle_at];
/// What programs stopped using decades ago. Each processor adds its own.
const OBSOLETE: &[c_long] = &[libc::SYS_lookup_dcookie, libc::SYS_nfsservctl];

const REFUSED: &[&[c_long]] = &[
    KERNEL,
    MACHINE,
    QUOTAS,
    MOUNTS,
    NAMESPACES,
    OTHERS,
    KEYS,
    LEFTOVERS,
    EXPLOITED,
    HANDLES,
    OBSOLETE,
    arch::REFUSED,
];

/// A new user namespace gives its maker every capability inside, and with that the parts of the kernel
/// in which most local exploits were found. CLONE_NEWTIME (0x80) is none of clone's: its bits are
/// the exit signal there.
const NEW_NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;
const CLONE_NEWTIME: u32 = 0x80;

/// Files and the network, as libraries use them: getaddrinfo and Go's net ask the routing protocol
/// of netlink (0). Other families (AF_ALG, AF_VSOCK, AF_PACKET, AF_KEY, AF_RDS, AF_TIPC, …) load
/// seldom-used code into the kernel by merely being asked for.
const SOCKETS: &[Case] = &[
    &[(0, libc::AF_UNIX as u32)],
    &[(0, libc::AF_INET as u32)],
    &[(0, libc::AF_INET6 as u32)],
    &[
        (0, libc::AF_NETLINK as u32),
        (2, libc::NETLINK_ROUTE as u32),
    ],
];
/// Input put into a terminal (TIOCSTI), a console's selection (TIOCLINUX), other line disciplines
/// (TIOCSETD): ways out to whoever reads that terminal, and into seldom-used code. An owner's ways to take a
/// file out of its project, or what will be made in a directory. And what makes of a directory a part of the
/// file system that others cannot empty: a project of XFS or ext4, or a subvolume of btrfs that can only
/// be read. (The forms for 32 bits are answered to 32-bit programs alone, which end before.)
const CONTROLS: &[Case] = &[
    &[(1, libc::TIOCSTI as u32)],
    &[(1, libc::TIOCLINUX as u32)],
    &[(1, libc::TIOCSETD as u32)],
    // FS_IOC_FSSETXATTR and FS_IOC_SETFLAGS, in linux/fs.h.
    &[(1, 0x401c_5820)],
    &[(1, 0x4008_6602)],
    // BTRFS_IOC_SNAP_CREATE, _SUBVOL_CREATE, their second versions, _SUBVOL_SETFLAGS, in linux/btrfs.h.
    &[(1, 0x5000_9401)],
    &[(1, 0x5000_940e)],
    &[(1, 0x5000_9417)],
    &[(1, 0x5000_9418)],
    &[(1, 0x4008_941a)],
];
/// A process's own limits, and others' to read. By changing one it would end other executions of its user
/// (RLIMIT_CPU) as surely as by the signals that Landlock holds in.
const LIMITS: &[Case] = &[&[(0, 0)], &[(2, 0), (upper(2), 0)]];
/// Linux, its 32-bit face, both with an old version's number, and the question. Others make memory
/// executable or map the zero page.
const PERSONALITIES: &[Case] = &[
    &[(0, 0)],
    &[(0, 0x8)],
    &[(0, 0x2_0000)],
    &[(0, 0x2_0008)],
    &[(0, u32::MAX)],
];

/// What each call is answered with.
type Answers = Vec<(c_long, Answer)>;

/// Each call that does not simply pass, once.
pub(super) fn answers() -> Answers {
    let refused = REFUSED.iter().copied().flatten();
    let mut answers: Answers = refused
        .map(|&call| (call, Answer::Refuse(libc::EPERM)))
        .collect();
    answers.extend(looked_at());
    answers
}

/// What a thread that starts and follows executions calls itself: it makes processes, in networks of
/// their own too, asks whether a function's threads share their descriptors, and gives directories projects
/// and these their limits.
const OF_THREADS: [c_long; 5] = [
    libc::SYS_clone3,
    libc::SYS_clone,
    libc::SYS_kcmp,
    libc::SYS_ioctl,
    libc::SYS_quotactl_fd,
];

/// All of them: those that such threads do without as well, and the rest.
pub(super) fn parts() -> (Answers, Answers) {
    answers()
        .into_iter()
        .partition(|(call, _)| !OF_THREADS.contains(call))
}

/// Those that depend on their arguments.
fn looked_at() -> [(c_long, Answer); 8] {
    let sockets = Answer::AllowOnly(SOCKETS, libc::EAFNOSUPPORT);
    [
        // Its flags are behind a pointer, where a filter cannot look; libc then takes clone.
        (libc::SYS_clone3, Answer::Refuse(libc::ENOSYS)),
        (
            libc::SYS_clone,
            Answer::RefuseBits(0, NEW_NAMESPACES, libc::EPERM),
        ),
        (
            libc::SYS_unshare,
            Answer::RefuseBits(0, NEW_NAMESPACES | CLONE_NEWTIME, libc::EPERM),
        ),
        (libc::SYS_socket, sockets),
        (libc::SYS_socketpair, sockets),
        (libc::SYS_ioctl, Answer::RefuseThese(CONTROLS, libc::EPERM)),
        (libc::SYS_prlimit64, Answer::AllowOnly(LIMITS, libc::EPERM)),
        (
            libc::SYS_personality,
            Answer::AllowOnly(PERSONALITIES, libc::EPERM),
        ),
    ]
}
