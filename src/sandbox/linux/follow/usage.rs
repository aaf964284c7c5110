//! What an execution used, from the kernel's figures for its leader and its cgroup.

use super::leader::Counted;
use super::tree::Tree;
use crate::model::execution::Usage;

/// Unit of the block counters in rusage (getrusage(2)).
const BLOCK_BYTES: u64 = 512;

/// To be called when the tree is dead and its cgroup is still there.
pub(in crate::sandbox) fn of(counted: &Counted, tree: &Tree<'_>) -> Usage {
    let mut usage = Usage {
        cpu: counted.cpu,
        max_rss_bytes: own_peak(counted).unwrap_or(0) * 1024,
        io_read_bytes: counted.blocks_read * BLOCK_BYTES,
        io_write_bytes: counted.blocks_written * BLOCK_BYTES,
        max_disk_bytes: None,
    };
    tree.add_usage(&mut usage);
    usage
}

/// The leader's peak in KiB, if it is its own. A child starts in the agent's memory, and exec
/// adds that memory's peak to the child's account (exec_mmap in fs/exec.c): a figure that is not above
/// the agent's own peak says nothing about the program.
fn own_peak(counted: &Counted) -> Option<u64> {
    // SAFETY: all zeros is a rusage.
    let mut agent: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `agent` outlives the call, which cannot fail with these arguments.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut agent) };
    (counted.max_rss_kib > agent.ru_maxrss as u64).then_some(counted.max_rss_kib)
}
