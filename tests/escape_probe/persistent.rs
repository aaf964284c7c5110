//! What the kernel keeps after its maker's end, without any file: System V's memory, queues and
//! semaphores, POSIX queues, keys.
//!
//! A function that can make them leaves memory behind that nobody is charged for, and speaks with
//! functions that it should not know of. Each is removed again.

use nix::errno::Errno;

use crate::attempt::{Attempt, Finding};
use crate::system::{address, c_string, call};
use crate::told::Told;

const NEW: usize = 0o1000 | 0o600;
const REMOVE: usize = libc::IPC_RMID as usize;
const BYTES: usize = 1 << 16;

/// See the module's text.
pub fn attempts(_told: &'static Told) -> Vec<Attempt> {
    vec![
        Attempt::new("persistent.shared_memory", || {
            made(call(libc::SYS_shmget, &[0, BYTES, NEW]), |id| {
                call(libc::SYS_shmctl, &[id, REMOVE, 0])
            })
        }),
        Attempt::new("persistent.message_queue", || {
            made(call(libc::SYS_msgget, &[0, NEW]), |id| {
                call(libc::SYS_msgctl, &[id, REMOVE, 0])
            })
        }),
        Attempt::new("persistent.semaphores", || {
            made(call(libc::SYS_semget, &[0, 1, NEW]), |id| {
                call(libc::SYS_semctl, &[id, 0, REMOVE, 0])
            })
        }),
        Attempt::new("persistent.posix_queue", posix_queue),
        Attempt::new("persistent.key", key),
        Attempt::new("persistent.listed_memory", || listed("/proc/sysvipc/shm")),
    ]
}

/// In the namespace of the machine, that is: one of its own goes with its last process.
fn made(result: nix::Result<usize>, remove: impl Fn(usize) -> nix::Result<usize>) -> Finding {
    match result {
        Ok(id) => {
            let _ = remove(id);
            in_own_namespace("made one")
        }
        Err(errno) => Finding::denied(errno),
    }
}

/// The number of the first ipc namespace is fixed (`PROC_IPC_INIT_INO`).
fn in_own_namespace(got: &str) -> Finding {
    let is_machines = std::fs::read_link("/proc/self/ns/ipc")
        .is_ok_and(|link| link.to_string_lossy() == "ipc:[4026531839]");
    Finding::holds(
        !is_machines,
        "it goes with the execution's own ipc namespace",
        format!("{got} that stays"),
    )
}

fn posix_queue() -> Finding {
    let name = c_string(&format!("flux-escape-{}", std::process::id()));
    let flags = (libc::O_CREAT | libc::O_EXCL | libc::O_RDWR) as usize;
    let name = address(name.as_bytes_with_nul());
    made(call(libc::SYS_mq_open, &[name, flags, 0o600, 0]), |_| {
        call(libc::SYS_mq_unlink, &[name])
    })
}

/// In the keyring of its user, which stays for three days.
fn key() -> Finding {
    const USER_KEYRING: usize = usize::MAX - 3;
    const UNLINK: usize = 9;
    let (kind, name) = (c_string("user"), c_string("flux-escape"));
    let value = b"kept";
    let arguments = [
        address(kind.as_bytes_with_nul()),
        address(name.as_bytes_with_nul()),
        address(value),
        value.len(),
        USER_KEYRING,
    ];
    match call(libc::SYS_add_key, &arguments) {
        Ok(key) => {
            let _ = call(libc::SYS_keyctl, &[UNLINK, key, USER_KEYRING]);
            Finding::Escaped("made one".to_owned())
        }
        Err(Errno::ENOSYS) => Finding::Denied("ENOSYS: the kernel has none, or says so".to_owned()),
        Err(errno) => Finding::denied(errno),
    }
}

/// What others have made.
fn listed(path: &str) -> Finding {
    let lines = std::fs::read_to_string(path).map_or(0, |text| text.lines().skip(1).count());
    Finding::holds(
        lines == 0,
        "nothing to be seen",
        format!("saw {lines} of others"),
    )
}
