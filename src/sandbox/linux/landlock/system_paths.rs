//! What of a Linux system any program may need to read and execute.
//!
//! Not among it: `/home`, `/root`, `/srv`, `/var`, `/tmp`, `/dev` (single devices are given apart),
//! `/boot`, `/media`, `/mnt`. `/dev/shm` is left out because what is put there outlives the execution
//! and no limit counts it; named POSIX semaphores (Python's `multiprocessing.Lock`) go with it.

use std::path::PathBuf;

const PATHS: [&str; 24] = [
    // Programs and libraries; most are links into /usr.
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/usr",
    "/opt",
    // Those of systems that keep them elsewhere.
    "/nix/store",
    "/gnu/store",
    "/snap",
    // Configuration, names, certificates. Secrets in it are kept by their mode.
    "/etc",
    "/var/lib/ca-certificates",
    // Where /etc/resolv.conf leads to, by who manages it.
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/run/connman",
    // Name lookups.
    "/run/nscd",
    // A process about itself and what is its user's; Landlock keeps other executions' off.
    "/proc",
    // How many processors and how much memory there is: runtimes size their pools by it.
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/sys/fs/cgroup",
    "/sys/kernel/mm/transparent_hugepage",
    "/sys/kernel/mm/hugepages",
];

/// Default of [`crate::sandbox::SandboxConfig::system_paths`].
pub fn default_system_paths() -> Vec<PathBuf> {
    PATHS.iter().map(PathBuf::from).collect()
}
