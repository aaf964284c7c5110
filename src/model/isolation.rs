//! How far an execution is kept apart from the rest of its machine, as a function may ask for it.
//!
//! Each question has a strict answer and a loose one. A function names answers; what it does not
//! name is the agent's to say. See `policy::isolation` for which answers an agent accepts.

use super::enforced::Enforced;

/// As whom it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UserIsolation {
    /// A user that no other function of the agent has.
    Own,
    /// The one that all functions with this answer share.
    Shared,
}

/// Which network it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NetworkIsolation {
    /// Only a loopback interface of its own.
    None,
    /// The machine's.
    Host,
}

/// Which files it reaches, within what its user may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileIsolation {
    /// The system and its own release to read and execute, its own directories to write.
    Strict,
    /// Whatever its user may.
    Open,
}

/// Which system calls it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SyscallIsolation {
    /// All but those that no function needs.
    Filtered,
    /// All.
    Open,
}

/// What a function asks for; nothing of it says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct IsolationRequest {
    /// As whom it wants to run; the agent's default where absent.
    pub user: Option<UserIsolation>,
    /// Which network it wants; the agent's default where absent.
    pub network: Option<NetworkIsolation>,
    /// Which files it wants; the agent's default where absent.
    pub files: Option<FileIsolation>,
    /// Which system calls it may make; the agent's default where absent.
    pub syscalls: Option<SyscallIsolation>,
}

/// What holds for an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Isolation {
    pub user: UserIsolation,
    pub network: NetworkIsolation,
    pub files: FileIsolation,
    pub syscalls: SyscallIsolation,
}

impl UserIsolation {
    /// Every answer, the strict one first.
    pub(crate) const ALL: [UserIsolation; 2] = [UserIsolation::Own, UserIsolation::Shared];

    /// `own` or `shared`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            UserIsolation::Own => "own",
            UserIsolation::Shared => "shared",
        }
    }

    /// The reverse of [`UserIsolation::as_str`].
    pub(crate) fn parse(text: &str) -> Option<UserIsolation> {
        UserIsolation::ALL
            .into_iter()
            .find(|answer| answer.as_str() == text)
    }
}

impl NetworkIsolation {
    /// Every answer, the strict one first.
    pub(crate) const ALL: [NetworkIsolation; 2] = [NetworkIsolation::None, NetworkIsolation::Host];

    /// `none` or `host`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            NetworkIsolation::None => "none",
            NetworkIsolation::Host => "host",
        }
    }

    /// The reverse of [`NetworkIsolation::as_str`].
    pub(crate) fn parse(text: &str) -> Option<NetworkIsolation> {
        NetworkIsolation::ALL
            .into_iter()
            .find(|answer| answer.as_str() == text)
    }
}

impl FileIsolation {
    /// Every answer, the strict one first.
    pub(crate) const ALL: [FileIsolation; 2] = [FileIsolation::Strict, FileIsolation::Open];

    /// `strict` or `open`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            FileIsolation::Strict => "strict",
            FileIsolation::Open => "open",
        }
    }

    /// The reverse of [`FileIsolation::as_str`].
    pub(crate) fn parse(text: &str) -> Option<FileIsolation> {
        FileIsolation::ALL
            .into_iter()
            .find(|answer| answer.as_str() == text)
    }
}

impl SyscallIsolation {
    /// Every answer, the strict one first.
    pub(crate) const ALL: [SyscallIsolation; 2] =
        [SyscallIsolation::Filtered, SyscallIsolation::Open];

    /// `filtered` or `open`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            SyscallIsolation::Filtered => "filtered",
            SyscallIsolation::Open => "open",
        }
    }

    /// The reverse of [`SyscallIsolation::as_str`].
    pub(crate) fn parse(text: &str) -> Option<SyscallIsolation> {
        SyscallIsolation::ALL
            .into_iter()
            .find(|answer| answer.as_str() == text)
    }
}

impl Isolation {
    /// What an agent gives a function that asks for nothing, unless its configuration says
    /// otherwise. The network is the machine's, because most functions are there to use it.
    pub(crate) const DEFAULT: Isolation = Isolation {
        user: UserIsolation::Own,
        network: NetworkIsolation::Host,
        files: FileIsolation::Strict,
        syscalls: SyscallIsolation::Filtered,
    };
}

/// A loose answer, as an agent's configuration allows it by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Loosening {
    /// [`UserIsolation::Shared`].
    SharedUser,
    /// [`NetworkIsolation::Host`].
    HostNetwork,
    /// [`FileIsolation::Open`].
    OpenFiles,
    /// [`SyscallIsolation::Open`].
    OpenSyscalls,
}

impl Loosening {
    /// All of them.
    pub(crate) const ALL: [Loosening; 4] = [
        Loosening::SharedUser,
        Loosening::HostNetwork,
        Loosening::OpenFiles,
        Loosening::OpenSyscalls,
    ];

    /// As it stands in `isolation.allow`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Loosening::SharedUser => "shared_user",
            Loosening::HostNetwork => "host_network",
            Loosening::OpenFiles => "open_files",
            Loosening::OpenSyscalls => "open_syscalls",
        }
    }

    /// The reverse of [`Loosening::as_str`].
    pub(crate) fn parse(text: &str) -> Option<Loosening> {
        Loosening::ALL
            .into_iter()
            .find(|loosening| loosening.as_str() == text)
    }

    /// As it stands in a function's YAML.
    pub(crate) const fn as_request(self) -> &'static str {
        match self {
            Loosening::SharedUser => "isolation.user: shared",
            Loosening::HostNetwork => "isolation.network: host",
            Loosening::OpenFiles => "isolation.files: open",
            Loosening::OpenSyscalls => "isolation.syscalls: open",
        }
    }
}

/// A strict answer that a function asks for by name: it runs with it or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Tightening {
    /// [`UserIsolation::Own`].
    OwnUser,
    /// [`NetworkIsolation::None`].
    NoNetwork,
    /// [`FileIsolation::Strict`].
    StrictFiles,
    /// [`SyscallIsolation::Filtered`].
    FilteredSyscalls,
}

impl Tightening {
    /// What an agent that can hold it enforces.
    pub(crate) const fn enforced_as(self) -> Enforced {
        match self {
            Tightening::OwnUser => Enforced::OwnUser,
            Tightening::NoNetwork => Enforced::NetworkNone,
            Tightening::StrictFiles => Enforced::Files,
            Tightening::FilteredSyscalls => Enforced::Syscalls,
        }
    }

    /// As it stands in a function's YAML.
    pub(crate) const fn as_request(self) -> &'static str {
        match self {
            Tightening::OwnUser => "isolation.user: own",
            Tightening::NoNetwork => "isolation.network: none",
            Tightening::StrictFiles => "isolation.files: strict",
            Tightening::FilteredSyscalls => "isolation.syscalls: filtered",
        }
    }
}

impl IsolationRequest {
    /// The strict answers among what it asks for.
    pub(crate) fn tightenings(&self) -> impl Iterator<Item = Tightening> {
        let user = match self.user {
            Some(UserIsolation::Own) => Some(Tightening::OwnUser),
            Some(UserIsolation::Shared) | None => None,
        };
        let network = match self.network {
            Some(NetworkIsolation::None) => Some(Tightening::NoNetwork),
            Some(NetworkIsolation::Host) | None => None,
        };
        let files = match self.files {
            Some(FileIsolation::Strict) => Some(Tightening::StrictFiles),
            Some(FileIsolation::Open) | None => None,
        };
        let syscalls = match self.syscalls {
            Some(SyscallIsolation::Filtered) => Some(Tightening::FilteredSyscalls),
            Some(SyscallIsolation::Open) | None => None,
        };
        [user, network, files, syscalls].into_iter().flatten()
    }
}
