//! Every way in which `flux` ends, as a shell sees it. docs/cli.md has the same table, and a test
//! compares them.

/// One variant for each meaning; [`ExitCode::number`] is the only place with numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// Done.
    Ok,
    /// `exec`: the function ran and exited by itself, with this code.
    Function(u8),
    /// The command failed: refused by the API, a bad file, a failed deploy.
    Failure,
    /// The command line is wrong.
    Usage,
    /// The control plane does not answer (EX_UNAVAILABLE of sysexits.h).
    Unreachable,
    /// `exec`: the execution ran into its timeout (the code of timeout(1)).
    TimedOut,
    /// `exec`: Flux failed and not the function: it refused, could not be reached, or lost the agent.
    FluxFailed,
    /// `exec`: the handler is there and cannot be started (a shell's code for that).
    NotStarted,
    /// `exec`: there is no such function (a shell's code for "command not found").
    NotFound,
    /// A signal ended this program or the function: 128 + its number (a shell's code for that).
    Signal(u8),
}

impl ExitCode {
    /// A cancelled execution ends like a program at which somebody pressed Ctrl-C.
    pub(crate) const CANCELLED: ExitCode = ExitCode::Signal(2);
    /// The kernel's kill at the memory limit.
    pub(crate) const OUT_OF_MEMORY: ExitCode = ExitCode::Signal(9);
    /// The agent's kill at the disk limit.
    pub(crate) const OUT_OF_DISK: ExitCode = ExitCode::Signal(9);
    /// Nobody reads stdout any more.
    pub(crate) const PIPE_CLOSED: ExitCode = ExitCode::Signal(13);

    /// What the process exits with.
    pub(crate) const fn number(self) -> u8 {
        match self {
            ExitCode::Ok => 0,
            ExitCode::Function(code) => code,
            ExitCode::Failure => 1,
            ExitCode::Usage => 2,
            ExitCode::Unreachable => 69,
            ExitCode::TimedOut => 124,
            ExitCode::FluxFailed => 125,
            ExitCode::NotStarted => 126,
            ExitCode::NotFound => 127,
            ExitCode::Signal(signal) => 128u8.saturating_add(signal),
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> std::process::ExitCode {
        std::process::ExitCode::from(code.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_in_the_documentation() {
        let documentation = include_str!("../../docs/cli.md");
        for code in [
            ExitCode::Ok,
            ExitCode::Failure,
            ExitCode::Usage,
            ExitCode::Unreachable,
            ExitCode::TimedOut,
            ExitCode::FluxFailed,
            ExitCode::NotStarted,
            ExitCode::NotFound,
        ] {
            let row = format!("\n| {} |", code.number());
            assert!(documentation.contains(&row), "{code:?}");
        }
        for code in [
            ExitCode::CANCELLED,
            ExitCode::OUT_OF_MEMORY,
            ExitCode::OUT_OF_DISK,
            ExitCode::PIPE_CLOSED,
        ] {
            assert!(
                documentation.contains(&code.number().to_string()),
                "{code:?}"
            );
        }
        assert_eq!(ExitCode::Signal(u8::MAX).number(), u8::MAX);
    }
}
