//! What containment can consist of, from the sandbox that enforces it to the API that lists it.

use std::fmt;

/// One thing that an agent enforces on every execution that does not ask for less, or on none.
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
    /// Limit to what the working directory holds: of each file by the kernel, of all by measuring or
    /// by a quota.
    Disk,
    /// That limit is a quota, which the kernel holds.
    DiskQuota,
    /// Only descriptors 0, 1 and 2 are open.
    Descriptors,
    /// Memory, environment and descriptors of other executions cannot be read, even those of the
    /// same user.
    ForeignMemory,
    /// Processes of other executions cannot be signalled, even those of the same user.
    ForeignSignals,
    /// A user for each function that no other function has.
    OwnUser,
    /// Only the files that the execution was given, and the system's to read.
    Files,
    /// No system calls that no function needs.
    Syscalls,
    /// No network but a loopback interface, for executions that ask for it.
    NetworkNone,
}

/// Something that is not enforced, and why, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The containment that functions lack here.
    pub what: Enforced,
    /// Why, and where it can be helped: how.
    pub reason: String,
}

impl Enforced {
    /// All of them.
    pub const ALL: [Enforced; 19] = [
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
        Enforced::DiskQuota,
        Enforced::Descriptors,
        Enforced::ForeignMemory,
        Enforced::ForeignSignals,
        Enforced::OwnUser,
        Enforced::Files,
        Enforced::Syscalls,
        Enforced::NetworkNone,
    ];

    /// What `require_isolation` insists on: everything that the oldest supported system (Debian 12:
    /// Linux 6.1 with Landlock, under systemd, with delegation) has. Signals are left out: the kernel
    /// can hold them since Linux 6.12, and a user of its own holds them on any. So is a quota, which takes
    /// a file system that was made for it: what is measured is a limit too.
    pub const ISOLATION: [Enforced; 17] = [
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
        Enforced::OwnUser,
        Enforced::Files,
        Enforced::Syscalls,
        Enforced::NetworkNone,
    ];

    /// The reverse of [`Enforced::as_str`].
    pub(crate) fn parse(text: &str) -> Option<Enforced> {
        Enforced::ALL.into_iter().find(|it| it.as_str() == text)
    }

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
            Enforced::DiskQuota => "disk_quota",
            Enforced::Descriptors => "descriptors",
            Enforced::ForeignMemory => "foreign_memory",
            Enforced::ForeignSignals => "foreign_signals",
            Enforced::OwnUser => "own_user",
            Enforced::Files => "files",
            Enforced::Syscalls => "syscalls",
            Enforced::NetworkNone => "network_none",
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
