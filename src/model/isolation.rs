//! How far an execution is kept apart from the rest of its machine, as a function may ask for it.
//!
//! Each question has a strict answer and a loose one. A function names answers; what it does not
//! name is the agent's to say. See `policy::isolation` for which answers an agent accepts.

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
    /// As whom.
    pub user: Option<UserIsolation>,
    /// On which network.
    pub network: Option<NetworkIsolation>,
    /// With which files.
    pub files: Option<FileIsolation>,
    /// With which system calls.
    pub syscalls: Option<SyscallIsolation>,
}

/// What holds for an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Isolation {
    /// As whom.
    pub user: UserIsolation,
    /// On which network.
    pub network: NetworkIsolation,
    /// With which files.
    pub files: FileIsolation,
    /// With which system calls.
    pub syscalls: SyscallIsolation,
}

impl UserIsolation {
    /// Every answer, the strict one first.
    pub const ALL: [UserIsolation; 2] = [UserIsolation::Own, UserIsolation::Shared];

    /// `own` or `shared`.
    pub const fn as_str(self) -> &'static str {
        match self {
            UserIsolation::Own => "own",
            UserIsolation::Shared => "shared",
        }
    }
}

impl NetworkIsolation {
    /// Every answer, the strict one first.
    pub const ALL: [NetworkIsolation; 2] = [NetworkIsolation::None, NetworkIsolation::Host];

    /// `none` or `host`.
    pub const fn as_str(self) -> &'static str {
        match self {
            NetworkIsolation::None => "none",
            NetworkIsolation::Host => "host",
        }
    }
}

impl FileIsolation {
    /// Every answer, the strict one first.
    pub const ALL: [FileIsolation; 2] = [FileIsolation::Strict, FileIsolation::Open];

    /// `strict` or `open`.
    pub const fn as_str(self) -> &'static str {
        match self {
            FileIsolation::Strict => "strict",
            FileIsolation::Open => "open",
        }
    }
}

impl SyscallIsolation {
    /// Every answer, the strict one first.
    pub const ALL: [SyscallIsolation; 2] = [SyscallIsolation::Filtered, SyscallIsolation::Open];

    /// `filtered` or `open`.
    pub const fn as_str(self) -> &'static str {
        match self {
            SyscallIsolation::Filtered => "filtered",
            SyscallIsolation::Open => "open",
        }
    }
}
