//! How far a function is kept apart: what it asks for against what its agent grants and can.
//!
//! A function may always ask for more than its agent's default. Less than the default it gets only
//! where the agent's configuration allows that by name: what is not allowed is refused, and neither
//! run loosely nor silently made stricter than its author believes.

use thiserror::Error;

use crate::model::enforced::Enforced;
use crate::model::isolation::{
    FileIsolation, Isolation, IsolationRequest, Loosening, NetworkIsolation, SyscallIsolation,
    Tightening, UserIsolation,
};

/// A function asks for less isolation than its agent lets it have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", refusals(which))]
pub(crate) struct NotAllowed {
    /// What it may not have; never empty.
    pub which: Vec<Loosening>,
}

/// What holds for a function that asks for `request` on an agent with these `defaults` that allows
/// these loosenings.
///
/// # Errors
/// Every answer that is looser than the default and not allowed.
pub(crate) fn resolve(
    request: &IsolationRequest,
    defaults: Isolation,
    allowed: &[Loosening],
) -> Result<Isolation, NotAllowed> {
    let holds = Isolation {
        user: request.user.unwrap_or(defaults.user),
        network: request.network.unwrap_or(defaults.network),
        files: request.files.unwrap_or(defaults.files),
        syscalls: request.syscalls.unwrap_or(defaults.syscalls),
    };
    let given = loosenings(&defaults);
    let which: Vec<Loosening> = loosenings(&holds)
        .into_iter()
        .zip(given)
        .filter_map(|(loose, by_default)| loose.filter(|_| by_default.is_none()))
        .filter(|loosening| !allowed.contains(loosening))
        .collect();
    if which.is_empty() {
        return Ok(holds);
    }
    Err(NotAllowed { which })
}

/// What a function asks for by name and an agent that enforces `enforced` cannot give it.
pub(crate) fn unenforced(
    request: &IsolationRequest,
    enforced: &[Enforced],
) -> impl Iterator<Item = Tightening> {
    request
        .tightenings()
        .filter(|tightening| !enforced.contains(&tightening.enforced_as()))
}

/// In the order of the questions: the loose answer, where it is that.
fn loosenings(isolation: &Isolation) -> [Option<Loosening>; 4] {
    [
        match isolation.user {
            UserIsolation::Own => None,
            UserIsolation::Shared => Some(Loosening::SharedUser),
        },
        match isolation.network {
            NetworkIsolation::None => None,
            NetworkIsolation::Host => Some(Loosening::HostNetwork),
        },
        match isolation.files {
            FileIsolation::Strict => None,
            FileIsolation::Open => Some(Loosening::OpenFiles),
        },
        match isolation.syscalls {
            SyscallIsolation::Filtered => None,
            SyscallIsolation::Open => Some(Loosening::OpenSyscalls),
        },
    ]
}

fn refusals(which: &[Loosening]) -> String {
    let refusals: Vec<_> = which
        .iter()
        .map(|loosening| {
            format!(
                "{} is not allowed on this agent: isolation.allow in its agent.yaml does not name {}",
                loosening.as_request(),
                loosening.as_str()
            )
        })
        .collect();
    refusals.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One question, of which the other three are strict: (asked for, by default, allowed) → loose?
    /// `None` is a refusal. Written out whole.
    #[rustfmt::skip]
    const CELLS: [(Option<bool>, bool, bool, Option<bool>); 12] = [
        // asked       default  allowed  holds        (true: loose)
        (None,         false,   false,   Some(false)),
        (None,         false,   true,    Some(false)),
        (None,         true,    false,   Some(true)),
        (None,         true,    true,    Some(true)),
        (Some(false),  false,   false,   Some(false)),
        (Some(false),  false,   true,    Some(false)),
        (Some(false),  true,    false,   Some(false)),
        (Some(false),  true,    true,    Some(false)),
        (Some(true),   false,   false,   None),
        (Some(true),   false,   true,    Some(true)),
        (Some(true),   true,    false,   Some(true)),
        (Some(true),   true,    true,    Some(true)),
    ];

    const STRICT: Isolation = Isolation {
        network: NetworkIsolation::None,
        ..Isolation::DEFAULT
    };

    fn with(mut isolation: Isolation, question: Loosening, loose: bool) -> Isolation {
        let index = usize::from(loose);
        match question {
            Loosening::SharedUser => isolation.user = UserIsolation::ALL[index],
            Loosening::HostNetwork => isolation.network = NetworkIsolation::ALL[index],
            Loosening::OpenFiles => isolation.files = FileIsolation::ALL[index],
            Loosening::OpenSyscalls => isolation.syscalls = SyscallIsolation::ALL[index],
        }
        isolation
    }

    fn asking(question: Loosening, loose: Option<bool>) -> IsolationRequest {
        let index = loose.map(usize::from);
        let mut request = IsolationRequest::default();
        match question {
            Loosening::SharedUser => request.user = index.map(|i| UserIsolation::ALL[i]),
            Loosening::HostNetwork => request.network = index.map(|i| NetworkIsolation::ALL[i]),
            Loosening::OpenFiles => request.files = index.map(|i| FileIsolation::ALL[i]),
            Loosening::OpenSyscalls => {
                request.syscalls = index.map(|i| SyscallIsolation::ALL[i]);
            }
        }
        request
    }

    #[test]
    fn every_cell_of_every_question_is_as_written_here() {
        for question in Loosening::ALL {
            for (asked, default, allowed, expected) in CELLS {
                let allowed: Vec<_> = allowed.then_some(question).into_iter().collect();
                let defaults = with(STRICT, question, default);
                let holds = resolve(&asking(question, asked), defaults, &allowed);
                let expected =
                    expected
                        .map(|loose| with(STRICT, question, loose))
                        .ok_or(NotAllowed {
                            which: vec![question],
                        });
                assert_eq!(
                    holds, expected,
                    "{question:?} {asked:?} {default} {allowed:?}"
                );
            }
        }
    }

    #[test]
    fn an_allowance_for_one_question_is_none_for_another() {
        for question in Loosening::ALL {
            let others: Vec<_> = Loosening::ALL
                .into_iter()
                .filter(|other| *other != question)
                .collect();
            let refused = resolve(&asking(question, Some(true)), STRICT, &others);
            assert_eq!(
                refused,
                Err(NotAllowed {
                    which: vec![question]
                })
            );
        }
    }

    #[test]
    fn a_refusal_names_every_key_its_value_and_the_setting_that_would_allow_it() {
        let all = IsolationRequest {
            user: Some(UserIsolation::Shared),
            network: Some(NetworkIsolation::Host),
            files: Some(FileIsolation::Open),
            syscalls: Some(SyscallIsolation::Open),
        };
        let refused = resolve(&all, STRICT, &[Loosening::HostNetwork]).expect_err("refused");
        let text = refused.to_string();
        for part in [
            "isolation.user: shared",
            "shared_user",
            "isolation.files: open",
            "open_files",
            "isolation.syscalls: open",
            "open_syscalls",
            "isolation.allow in its agent.yaml",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("network"), "{text}");
    }

    #[test]
    fn only_strict_answers_that_are_asked_for_by_name_must_be_enforced() {
        let all = IsolationRequest {
            user: Some(UserIsolation::Own),
            network: Some(NetworkIsolation::None),
            files: Some(FileIsolation::Strict),
            syscalls: Some(SyscallIsolation::Filtered),
        };
        assert_eq!(unenforced(&IsolationRequest::default(), &[]).count(), 0);
        assert_eq!(unenforced(&all, &[]).count(), 4);
        let most = [
            Enforced::User,
            Enforced::OwnUser,
            Enforced::Files,
            Enforced::Syscalls,
        ];
        let short: Vec<_> = unenforced(&all, &most).collect();
        assert_eq!(short, [Tightening::NoNetwork]);
        for question in Loosening::ALL {
            let loose = asking(question, Some(true));
            assert_eq!(unenforced(&loose, &[]).count(), 0, "{question:?}");
        }
    }
}
