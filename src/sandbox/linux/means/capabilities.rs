//! Which capabilities this process can take from its children.

use std::fs;

/// Capability that lets a process drop others from its bounding set (capabilities(7)).
const CAP_SETPCAP: u32 = 8;
/// Capability that lets a process become any other user.
pub(in crate::sandbox) const CAP_SETUID: u32 = 7;
/// To make namespaces, among much else.
pub(in crate::sandbox) const CAP_SYS_ADMIN: u32 = 21;

/// Those that let a process see what another user's holds: into directories whatever their mode
/// (CAP_DAC_OVERRIDE or CAP_DAC_READ_SEARCH), its descriptors (CAP_SYS_PTRACE), and its mappings
/// (CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE). One of each is needed.
const TO_SEE_ALL: [&[u32]; 3] = [&[1, 2], &[19], &[21, 40]];

/// Whether nothing that an execution holds on disk can be hidden from this process.
pub(in crate::sandbox) fn sees_all() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = field(&status, "CapEff:").unwrap_or(0);
    TO_SEE_ALL
        .iter()
        .all(|one_of| one_of.iter().any(|bit| effective & (1 << bit) != 0))
}

/// What the bounding set holds and may be dropped, one bit each; `None` without the right to drop
/// any of them.
pub(in crate::sandbox) fn droppable() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let effective = field(&status, "CapEff:")?;
    let bounding = field(&status, "CapBnd:")?;
    (effective & (1 << CAP_SETPCAP) != 0).then_some(bounding)
}

/// Empties the bounding set of the calling thread, and so of every thread and process that comes
/// from it; without the right to, it stays. To be called at the start of a process, before its
/// threads: a set that is empty already need not be emptied anew for every execution, one
/// capability and one copy of the credentials at a time. The process itself keeps what it has.
pub fn shed_bounding_set() {
    let Some(held) = droppable() else { return };
    for capability in (0..64).filter(|bit| held & (1 << bit) != 0) {
        // SAFETY: prctl(2) with PR_CAPBSET_DROP takes one integer and touches no memory of ours.
        let dropped = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        if dropped != 0 {
            // Whatever stays is taken from each child, as before.
            return;
        }
    }
}

/// Whether this process can use `capability` now.
pub(in crate::sandbox) fn has(capability: u32) -> bool {
    fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| field(&status, "CapEff:"))
        .is_some_and(|effective| effective & (1 << capability) != 0)
}

/// Whether this process has any capability that a child would inherit over an exec.
pub(in crate::sandbox) fn has_none() -> bool {
    fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| field(&status, "CapPrm:"))
        == Some(0)
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capability_sets_are_read_from_the_status() {
        let status = "Name:\tx\nCapPrm:\t000001ffffffffff\nCapBnd:\t0000000000000100\n";
        assert_eq!(field(status, "CapBnd:"), Some(0x100));
        assert_eq!(field(status, "CapPrm:"), Some(0x1ff_ffff_ffff));
        assert_eq!(field(status, "CapEff:"), None);
    }
}
