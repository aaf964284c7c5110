//! Devices: the disk under the files, memory, consoles, and making them.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::attempt::{Attempt, Finding, worst};
use crate::system::{address, call};
use crate::told::Told;

/// An address that is never mapped.
const NOWHERE: usize = 1;
const MEMORY: [&str; 4] = ["/dev/mem", "/dev/port", "/dev/kmsg", "/dev/hpet"];
const TERMINALS: [&str; 6] = [
    "/dev/tty",
    "/dev/console",
    "/dev/tty0",
    "/dev/tty1",
    "/dev/ttyS0",
    "/dev/pts/0",
];

/// See the module's text.
pub fn attempts(_told: &'static Told) -> Vec<Attempt> {
    vec![
        Attempt::new("device.disk", || {
            worst(disks().into_iter().map(|(path, _)| open(&path)))
        }),
        Attempt::new("device.make_disk", make_disk),
        Attempt::new("device.make_memory", || make("memory", makedev(1, 1))),
        Attempt::new("device.memory", || {
            worst(MEMORY.map(|path| open(&PathBuf::from(path))))
        }),
        Attempt::new("device.terminal", || worst(TERMINALS.map(type_into))),
        Attempt::new("device.fuse", || worst([open(&PathBuf::from("/dev/fuse"))])),
        Attempt::new("device.virtual_machines", || {
            worst([open(&PathBuf::from("/dev/kvm"))])
        }),
        Attempt::new("device.tunnel", tunnel),
        Attempt::new("device.io_ports", || {
            Finding::of(call(io_port_call(), &[0x80, 1, 1]), "has one")
        }),
    ]
}

/// Block devices as the kernel lists them.
fn disks() -> Vec<(PathBuf, u64)> {
    let listed = fs::read_to_string("/proc/partitions").unwrap_or_default();
    let known = listed.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (major, minor) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let name = fields.nth(1)?;
        Some((PathBuf::from("/dev").join(name), makedev(major, minor)))
    });
    let root = fs::metadata("/")
        .map(|metadata| metadata.dev())
        .unwrap_or_default();
    known.chain([(PathBuf::from("/dev/root"), root)]).collect()
}

fn open(path: &std::path::Path) -> (String, Finding) {
    let opened = File::open(path).or_else(|_| OpenOptions::new().write(true).open(path));
    (
        path.display().to_string(),
        Finding::of_io(opened, "opened it"),
    )
}

/// The disk under a name of its own.
fn make_disk() -> Finding {
    worst(
        disks()
            .into_iter()
            .map(|(path, device)| (path.display().to_string(), make("disk", device))),
    )
}

fn make(name: &str, device: u64) -> Finding {
    let path = std::env::current_dir()
        .unwrap_or_default()
        .join(format!("{name}-{}", std::process::id()));
    let kind = if name == "disk" {
        SFlag::S_IFBLK
    } else {
        SFlag::S_IFCHR
    };
    let made = mknod(&path, kind, Mode::S_IRUSR, device);
    let opened = made.map(|()| File::open(&path).is_ok());
    let _ = fs::remove_file(&path);
    Finding::of(opened, "made it")
}

/// TIOCSTI puts words into a terminal as if they were typed: here from nowhere, to do no harm.
fn type_into(path: &str) -> (String, Finding) {
    let opened = OpenOptions::new().read(true).write(true).open(path);
    let finding = match opened {
        Ok(terminal) => {
            let typed = call(
                libc::SYS_ioctl,
                &[
                    terminal.as_raw_fd() as usize,
                    libc::TIOCSTI as usize,
                    NOWHERE,
                ],
            );
            Finding::Escaped(format!("opened it, TIOCSTI {typed:?}"))
        }
        Err(error) => Finding::Denied(error.to_string()),
    };
    (path.to_owned(), finding)
}

/// TUNSETIFF; the interface goes with the descriptor.
fn tunnel() -> Finding {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun");
    match opened {
        Ok(tun) => {
            let mut request = [0u8; 40];
            request[..8].copy_from_slice(b"fluxesc0");
            request[16] = 1;
            Finding::of(
                call(
                    libc::SYS_ioctl,
                    &[tun.as_raw_fd() as usize, 0x4004_54ca, address(&request)],
                ),
                "made an interface",
            )
        }
        Err(error) => Finding::Denied(error.to_string()),
    }
}

#[cfg(target_arch = "x86_64")]
fn io_port_call() -> libc::c_long {
    libc::SYS_ioperm
}

/// Processors without ports answer that there is no such call.
#[cfg(not(target_arch = "x86_64"))]
fn io_port_call() -> libc::c_long {
    -1
}
