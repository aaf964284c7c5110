//! System calls that no function needs: doors into the kernel.
//!
//! Calls that change the machine get arguments that the kernel refuses after it has looked at the
//! caller's rights: its error says whether they were there.

use nix::errno::Errno;

use crate::attempt::{Attempt, Finding, worst};
use crate::system::{address, address_mut, c_string, call};
use crate::told::Told;

/// One of them: name, number, arguments, and the errors that only those get who may.
pub struct Gate(&'static str, libc::c_long, [usize; 6], &'static [Errno]);

const NOWHERE: usize = 1;
const NEW_KEY_RING: usize = usize::MAX - 2;

/// Without effect where they succeed, or ended with the attempt's process.
pub const GATES: [Gate; 23] = [
    Gate(
        "bpf",
        libc::SYS_bpf,
        [usize::MAX, 0, 0, 0, 0, 0],
        &[Errno::EINVAL],
    ),
    Gate(
        "userfaultfd",
        libc::SYS_userfaultfd,
        [1, 0, 0, 0, 0, 0],
        &[],
    ),
    Gate(
        "io_uring",
        libc::SYS_io_uring_setup,
        [1, NOWHERE, 0, 0, 0, 0],
        &[Errno::EFAULT],
    ),
    Gate(
        "keyctl",
        libc::SYS_keyctl,
        [0, NEW_KEY_RING, 1, 0, 0, 0],
        &[],
    ),
    Gate(
        "add_key",
        libc::SYS_add_key,
        [NOWHERE, NOWHERE, 0, 0, NEW_KEY_RING, 0],
        &[Errno::EFAULT],
    ),
    Gate(
        "request_key",
        libc::SYS_request_key,
        [NOWHERE, NOWHERE, 0, 0, 0, 0],
        &[Errno::EFAULT],
    ),
    Gate(
        "perf_event_open",
        libc::SYS_perf_event_open,
        [NOWHERE, 0, 0, 0, 0, 0],
        &[Errno::EFAULT],
    ),
    Gate(
        "init_module",
        libc::SYS_init_module,
        [NOWHERE, 0, NOWHERE, 0, 0, 0],
        &[Errno::EFAULT, Errno::ENOEXEC],
    ),
    Gate(
        "finit_module",
        libc::SYS_finit_module,
        [usize::MAX, NOWHERE, 0, 0, 0, 0],
        &[Errno::EBADF, Errno::EFAULT, Errno::EINVAL],
    ),
    Gate(
        "delete_module",
        libc::SYS_delete_module,
        [NOWHERE, 0, 0, 0, 0, 0],
        &[Errno::EFAULT, Errno::ENOENT],
    ),
    Gate(
        "kexec_load",
        libc::SYS_kexec_load,
        [0, 0, 0, 0xffff, 0, 0],
        &[Errno::EINVAL],
    ),
    Gate(
        "reboot",
        libc::SYS_reboot,
        [0, 0, 0, 0, 0, 0],
        &[Errno::EINVAL],
    ),
    Gate(
        "swapon",
        libc::SYS_swapon,
        [NOWHERE, 0, 0, 0, 0, 0],
        &[Errno::EFAULT],
    ),
    Gate(
        "swapoff",
        libc::SYS_swapoff,
        [NOWHERE, 0, 0, 0, 0, 0],
        &[Errno::EFAULT],
    ),
    Gate(
        "acct",
        libc::SYS_acct,
        [NOWHERE, 0, 0, 0, 0, 0],
        &[Errno::EFAULT],
    ),
    Gate(
        "pivot_root",
        libc::SYS_pivot_root,
        [NOWHERE, NOWHERE, 0, 0, 0, 0],
        &[Errno::EFAULT],
    ),
    Gate(
        "fsopen",
        libc::SYS_fsopen,
        [NOWHERE, 0, 0, 0, 0, 0],
        &[Errno::EFAULT],
    ),
    Gate(
        "open_tree",
        libc::SYS_open_tree,
        [usize::MAX, NOWHERE, 1, 0, 0, 0],
        &[Errno::EFAULT, Errno::EBADF],
    ),
    Gate(
        "move_mount",
        libc::SYS_move_mount,
        [usize::MAX, NOWHERE, usize::MAX, NOWHERE, 0, 0],
        &[Errno::EFAULT, Errno::EBADF],
    ),
    Gate(
        "sethostname",
        libc::SYS_sethostname,
        [NOWHERE, 4, 0, 0, 0, 0],
        &[Errno::EFAULT],
    ),
    Gate(
        "setdomainname",
        libc::SYS_setdomainname,
        [NOWHERE, 4, 0, 0, 0, 0],
        &[Errno::EFAULT],
    ),
    Gate(
        "fanotify_init",
        libc::SYS_fanotify_init,
        [0x200, 0, 0, 0, 0, 0],
        &[],
    ),
    Gate("kcmp", libc::SYS_kcmp, [1, 1, 0, 0, 0, 0], &[]),
];

/// See the module's text.
pub fn attempts(_told: &'static Told) -> Vec<Attempt> {
    GATES
        .iter()
        .map(|gate| Attempt::new(format!("call.{}", gate.0), || gate.knock()))
        .chain([
            Attempt::new("call.chroot", || {
                let here = c_string("/");
                Finding::of(
                    call(libc::SYS_chroot, &[address(here.to_bytes())]),
                    "has another root",
                )
            }),
            Attempt::new("call.mount", mount),
            Attempt::new("call.open_by_handle_at", open_by_handle),
            Attempt::new("call.umount", || {
                // No mount, so that nothing is taken away where it may be.
                let path = c_string("/etc");
                let result = call(libc::SYS_umount2, &[address(path.as_bytes_with_nul()), 0]);
                Finding::of_senseless(result, &[Errno::EINVAL], "may unmount")
            }),
            Attempt::new("call.clock", || {
                // struct timex: ADJ_TICK, and a length of a tick that no clock can have.
                let mut request = [0u64; 32];
                request[0] = 0x4000;
                let result = call(libc::SYS_adjtimex, &[address_mut(&mut request)]);
                Finding::of_senseless(result, &[Errno::EINVAL], "may set the clock")
            }),
            Attempt::new("call.rare_sockets", rare_sockets),
            Attempt::new("call.real_time", real_time),
            Attempt::new("call.outlive_memory_pressure", spare_oneself),
        ])
        .collect()
}

impl Gate {
    /// By another number too, for processors that have several.
    pub fn knock_at(&self, other: libc::c_long) -> (String, Finding) {
        let Gate(name, number, arguments, errors) = self;
        let result = call(number | other, arguments);
        (
            (*name).to_owned(),
            Finding::of_senseless(result, errors, "went through"),
        )
    }

    fn knock(&self) -> Finding {
        let Gate(name, number, arguments, errors) = self;
        match call(*number, arguments) {
            Err(Errno::ENOSYS) => {
                Finding::Denied("ENOSYS: the kernel has none, or says so".to_owned())
            }
            result => Finding::of_senseless(result, errors, &format!("may call {name}")),
        }
    }
}

/// A kind of file system that there is not: known only after the right was looked for.
fn mount() -> Finding {
    let (source, target, kind) = (c_string("none"), c_string("/"), c_string("no-such-kind"));
    let arguments = [&source, &target, &kind].map(|text| address(text.as_bytes_with_nul()));
    let result = call(libc::SYS_mount, &arguments);
    Finding::of_senseless(result, &[Errno::ENODEV], "may mount")
}

/// A file by its number on the disk, past every directory that would refuse it.
fn open_by_handle() -> Finding {
    const BYTES: u32 = 128;
    // struct file_handle: the handle's size, its type, the handle.
    let mut handle = [0u32; 2 + BYTES as usize / 4];
    handle[0] = BYTES;
    let (mut mount, path) = (0i32, c_string("/etc/passwd"));
    let here = libc::AT_FDCWD as usize;
    let path = address(path.as_bytes_with_nul());
    let arguments = [
        here,
        path,
        address_mut(&mut handle),
        address_mut(&mut mount),
        0,
    ];
    let opened = call(libc::SYS_name_to_handle_at, &arguments)
        .and_then(|_| call(libc::SYS_open_by_handle_at, &[here, address(&handle), 0]));
    Finding::of(opened, "opened a file by its number")
}

/// Protocols that have brought the kernel more bugs than users.
fn rare_sockets() -> Finding {
    let kinds = [
        ("raw", libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP),
        ("packet", libc::AF_PACKET, libc::SOCK_RAW, 0),
        (
            "netfilter",
            libc::AF_NETLINK,
            libc::SOCK_RAW,
            libc::NETLINK_NETFILTER,
        ),
        ("crypto", libc::AF_ALG, libc::SOCK_SEQPACKET, 0),
        ("vsock", libc::AF_VSOCK, libc::SOCK_STREAM, 0),
        ("bluetooth", libc::AF_BLUETOOTH, libc::SOCK_RAW, 1),
        ("tipc", libc::AF_TIPC, libc::SOCK_STREAM, 0),
        ("can", libc::AF_CAN, libc::SOCK_RAW, 1),
        ("x25", libc::AF_X25, libc::SOCK_SEQPACKET, 0),
    ];
    worst(kinds.map(|(name, family, kind, protocol)| {
        let result = call(
            libc::SYS_socket,
            &[family as usize, kind as usize, protocol as usize],
        );
        (name.to_owned(), Finding::of(result, "has one"))
    }))
}

/// Before everybody else on the processors.
fn real_time() -> Finding {
    let priority = [1u32];
    let set = call(
        libc::SYS_sched_setscheduler,
        &[0, libc::SCHED_FIFO as usize, address(&priority)],
    );
    let class = (1usize << 13) | 4;
    worst([
        (
            "processor".to_owned(),
            Finding::of(set, "is before all others"),
        ),
        (
            "nice".to_owned(),
            Finding::of(
                call(libc::SYS_setpriority, &[0, 0, usize::MAX]),
                "is nicer to itself",
            ),
        ),
        (
            "disk".to_owned(),
            Finding::of(
                call(libc::SYS_ioprio_set, &[1, 0, class]),
                "is before all others",
            ),
        ),
    ])
}

/// By a lower score for the one whom the kernel kills.
fn spare_oneself() -> Finding {
    Finding::of_io(
        std::fs::write("/proc/self/oom_score_adj", "-1000"),
        "is spared",
    )
}
