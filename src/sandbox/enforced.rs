//! What containment can consist of.

use std::fmt;

/// One thing that is either enforced on every execution of this sandbox or on none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Enforced {
    /// The tree is one cgroup, which the kernel ends as a whole: no process can leave it.
    CgroupKill,
    /// Memory limit for the whole tree.
    Memory,
    /// No swapping: the memory limit is the limit.
    Swap,
    /// Processor time limit for the whole tree.
    Cpu,
    /// Limit to processes and threads of the tree.
    Pids,
    /// A user and group other than the agent's.
    User,
    /// No capabilities, and none in the bounding set.
    Capabilities,
    /// Set-user-id programs and file capabilities give nothing.
    NoNewPrivs,
    /// A session of its own, without a terminal.
    Session,
    /// Limits to open files, file size, and no core dumps.
    Rlimits,
    /// Limit to what the working directory holds: of each file by the kernel, of all by measuring.
    Disk,
    /// Only descriptors 0, 1 and 2 are open.
    Descriptors,
    /// Memory, environment and descriptors of other executions cannot be read, even those of the
    /// same user.
    ForeignMemory,
    /// Processes of other executions cannot be signalled, even those of the same user.
    ForeignSignals,
}

/// Something that is not enforced, and why, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What.
    pub what: Enforced,
    /// Why, and where it can be helped: how.
    pub reason: String,
}

impl Enforced {
    /// All of them.
    pub const ALL: [Enforced; 14] = [
        Enforced::CgroupKill,
        Enforced::Memory,
        Enforced::Swap,
        Enforced::Cpu,
        Enforced::Pids,
        Enforced::User,
        Enforced::Capabilities,
        Enforced::NoNewPrivs,
        Enforced::Session,
        Enforced::Rlimits,
        Enforced::Disk,
        Enforced::Descriptors,
        Enforced::ForeignMemory,
        Enforced::ForeignSignals,
    ];

    /// What `require_isolation` insists on: everything that the oldest supported system (Linux 6.1
    /// under systemd, with delegation) has. The separation from other executions needs newer
    /// kernels or configurations and is a gain where it is there.
    pub const ISOLATION: [Enforced; 12] = [
        Enforced::CgroupKill,
        Enforced::Memory,
        Enforced::Swap,
        Enforced::Cpu,
        Enforced::Pids,
        Enforced::User,
        Enforced::Capabilities,
        Enforced::NoNewPrivs,
        Enforced::Session,
        Enforced::Rlimits,
        Enforced::Disk,
        Enforced::Descriptors,
    ];

    /// As it stands in the agent's status.
    pub const fn as_str(self) -> &'static str {
        match self {
            Enforced::CgroupKill => "cgroup_kill",
            Enforced::Memory => "memory",
            Enforced::Swap => "swap",
            Enforced::Cpu => "cpu",
            Enforced::Pids => "pids",
            Enforced::User => "user",
            Enforced::Capabilities => "capabilities",
            Enforced::NoNewPrivs => "no_new_privs",
            Enforced::Session => "session",
            Enforced::Rlimits => "rlimits",
            Enforced::Disk => "disk",
            Enforced::Descriptors => "descriptors",
            Enforced::ForeignMemory => "foreign_memory",
            Enforced::ForeignSignals => "foreign_signals",
        }
    }
}

impl fmt::Display for Enforced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.what, self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_name_is_its_own_and_isolation_is_a_part_of_all() {
        let names: HashSet<_> = Enforced::ALL.iter().map(|it| it.as_str()).collect();
        assert_eq!(names.len(), Enforced::ALL.len());
        assert!(
            Enforced::ISOLATION
                .iter()
                .all(|it| Enforced::ALL.contains(it))
        );
    }
}
