//! As whom functions are to run on this machine: the user that they share, and the users that each is
//! to have for itself. Whether those can be had is the sandbox's to find out.
//!
//! Refuses: root, and a range of users with the shared one in it. Where this process is not root there
//! are none, and functions run as the agent does.

use std::ops::RangeInclusive;

use nix::unistd::{Uid, User};
use thiserror::Error;

use crate::base::causes::with_causes;
use crate::sandbox::{Identities, Identity};

/// Who runs functions where `runner_user` does not exist.
const FALLBACK_USER: &str = "nobody";

/// Why nobody can run functions.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum RunnerError {
    /// Nobody to run functions as.
    #[error("neither user {0:?} nor {FALLBACK_USER:?} exists, and functions do not run as root")]
    NoRunner(String),
    /// Functions that share a user would be one function's own.
    #[error(
        "user {name:?} has the id {uid}, which is one of isolation.runner_uids ({first}-{last}): name other ids there"
    )]
    Shared {
        /// The shared user's name.
        name: String,
        uid: u32,
        first: u32,
        last: u32,
    },
}

/// Nobody else where this process is not root, for only root can switch.
///
/// # Errors
/// See [`RunnerError`].
pub(crate) fn find(
    name: &str,
    own: &RangeInclusive<u32>,
) -> Result<Option<Identities>, RunnerError> {
    find_for(Uid::effective(), name, own)
}

fn find_for(
    agent: Uid,
    name: &str,
    own: &RangeInclusive<u32>,
) -> Result<Option<Identities>, RunnerError> {
    if !agent.is_root() {
        return Ok(None);
    }
    let (name, shared) = shared(name)?;
    if own.contains(&shared.uid) {
        return Err(RunnerError::Shared {
            name,
            uid: shared.uid,
            first: *own.start(),
            last: *own.end(),
        });
    }
    Ok(Some(Identities {
        shared,
        own: Some((*own.start(), *own.end())),
    }))
}

fn shared(name: &str) -> Result<(String, Identity), RunnerError> {
    for candidate in [name, FALLBACK_USER] {
        match User::from_name(candidate) {
            Ok(Some(user)) => {
                if candidate != name {
                    log::warn!("user {name:?} does not exist: functions run as {candidate:?}");
                }
                let identity = Identity {
                    uid: user.uid.as_raw(),
                    gid: user.gid.as_raw(),
                };
                return Ok((candidate.to_owned(), identity));
            }
            Ok(None) => {}
            Err(error) => log::warn!(
                "user {candidate:?} cannot be looked up: {}",
                with_causes(&error)
            ),
        }
    }
    Err(RunnerError::NoRunner(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: Uid = Uid::from_raw(0);

    #[test]
    fn an_agent_that_is_not_root_runs_functions_as_itself() {
        let found = find_for(Uid::from_raw(1), "nobody", &(70_000..=70_999));
        assert_eq!(found, Ok(None));
    }

    #[test]
    fn root_and_the_shared_users_own_id_never_run_functions() {
        let found = find_for(ROOT, "nobody", &(70_000..=70_999)).expect("nobody exists");
        let shared = found.expect("root can switch").shared.uid;
        let error = find_for(ROOT, "nobody", &(shared..=shared)).expect_err("in the range");
        assert!(
            error.to_string().contains("isolation.runner_uids"),
            "{error}"
        );
        assert!(matches!(error, RunnerError::Shared { uid, .. } if uid == shared));
    }
}
