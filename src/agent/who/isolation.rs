//! What isolation a function gets on this agent: what it asks for, what agent.yaml grants, and what
//! the sandbox can enforce here.
//!
//! Refuses: running a function with another isolation than it asks for by name, in either direction.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use super::users::{NoUserLeft, OwnUser, Users};
use crate::config::isolation::AgentIsolation;
use crate::model::ids::FunctionName;
use crate::model::isolation::{
    FileIsolation, Isolation, IsolationRequest, Loosening, UserIsolation,
};
use crate::policy::isolation::{NotAllowed, resolve, unenforced};
use crate::sandbox::{Enforced, FileAccess, Identities, Identity, Missing, Sandbox};

#[derive(Debug)]
pub(crate) struct IsolationRules {
    defaults: Isolation,
    allow: Vec<Loosening>,
    enforced: Vec<Enforced>,
    missing: Vec<Missing>,
    shared: Option<Identity>,
    own: Option<Arc<Users>>,
}

/// What holds for one function.
#[derive(Debug)]
pub(crate) struct Containment {
    pub isolation: Isolation,
    /// As whom it runs; the agent's own user when there is none.
    pub identity: Option<Identity>,
    /// Keeps that user its own, for as long as anything runs as it.
    pub user: Option<Arc<OwnUser>>,
}

/// Why this agent does not run a function as it asks to be run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Unacceptable {
    /// It asks for less than it may have.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// It asks for more than this machine can give.
    #[error("{request} cannot be enforced on this agent: {reason}")]
    NotEnforced {
        request: &'static str,
        /// The sandbox's reason.
        reason: String,
    },
}

impl IsolationRules {
    /// `identities` are those that the sandbox was opened with.
    pub(crate) fn new(
        config: &AgentIsolation,
        sandbox: &Sandbox,
        identities: Option<Identities>,
    ) -> IsolationRules {
        let has_own = sandbox.enforced().contains(&Enforced::OwnUser);
        let own = identities
            .and_then(|identities| identities.own)
            .filter(|_| has_own);
        IsolationRules {
            defaults: config.defaults,
            allow: config.allow.clone(),
            enforced: sandbox.enforced().to_vec(),
            missing: sandbox.missing().to_vec(),
            shared: identities.map(|identities| identities.shared),
            own: own.map(|(first, last)| Users::new(first..=last)),
        }
    }

    /// What holds for every execution that does not ask for less.
    pub(crate) fn enforced(&self) -> &[Enforced] {
        &self.enforced
    }

    /// What does not, and why.
    pub(crate) fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// The answers that hold for a function that asks for `request`.
    ///
    /// # Errors
    /// [`Unacceptable`]: it is not to run here.
    pub(crate) fn decide(&self, request: &IsolationRequest) -> Result<Isolation, Unacceptable> {
        let isolation = resolve(request, self.defaults, &self.allow)?;
        match unenforced(request, &self.enforced).next() {
            None => Ok(isolation),
            Some(tightening) => Err(Unacceptable::NotEnforced {
                request: tightening.as_request(),
                reason: self.reason(tightening.enforced_as()),
            }),
        }
    }

    /// With its user: `held`, if the function has that one already.
    ///
    /// # Errors
    /// [`NoUserLeft`].
    pub(crate) fn contain(
        &self,
        function: &FunctionName,
        isolation: Isolation,
        held: Option<Arc<OwnUser>>,
    ) -> Result<Containment, NoUserLeft> {
        let user = match (isolation.user, &self.own) {
            (UserIsolation::Own, Some(users)) => Some(match held {
                Some(held) => held,
                None => Arc::new(users.take(function)?),
            }),
            (UserIsolation::Own, None) | (UserIsolation::Shared, _) => None,
        };
        let identity = self.shared.map(|shared| Identity {
            uid: user.as_ref().map_or(shared.uid, |user| user.uid()),
            ..shared
        });
        Ok(Containment {
            isolation,
            identity,
            user,
        })
    }

    /// Takes a user that a function had in an earlier run of this agent; `None` when it cannot be
    /// had any more.
    pub(crate) fn retake(&self, uid: u32) -> Option<Arc<OwnUser>> {
        self.own.as_ref()?.retake(uid).map(Arc::new)
    }

    fn reason(&self, what: Enforced) -> String {
        self.missing
            .iter()
            .find(|missing| missing.what == what)
            .map_or_else(
                || "this agent does not know how".to_owned(),
                |missing| missing.reason.clone(),
            )
    }
}

/// The files of an execution: its release to read, its directory, with the temporary one in it, to
/// write.
pub(crate) fn files(isolation: Isolation, release: &Path, cwd: &Path) -> FileAccess {
    let only = |path: &Path| vec![PathBuf::from(path)];
    match isolation.files {
        FileIsolation::Strict => FileAccess::Only {
            read: only(release),
            write: only(cwd),
        },
        FileIsolation::Open => FileAccess::Open,
    }
}

#[cfg(test)]
pub(in crate::agent) mod tests {
    use std::ops::RangeInclusive;

    use super::*;

    /// Those of an agent that allows shared users and has these for its functions.
    pub(in crate::agent) fn rules_with_users(own: RangeInclusive<u32>) -> IsolationRules {
        IsolationRules {
            allow: vec![Loosening::SharedUser],
            own: Some(Users::new(own)),
            ..rules(&[Enforced::User, Enforced::OwnUser], Some(SHARED))
        }
    }

    fn rules(enforced: &[Enforced], shared: Option<Identity>) -> IsolationRules {
        let missing = Enforced::ALL
            .into_iter()
            .filter(|it| !enforced.contains(it));
        let has_own = enforced.contains(&Enforced::OwnUser);
        IsolationRules {
            defaults: Isolation::DEFAULT,
            allow: Vec::new(),
            enforced: enforced.to_vec(),
            missing: missing
                .map(|what| Missing {
                    what,
                    reason: format!("no {what} here"),
                })
                .collect(),
            shared,
            own: has_own.then(|| Users::new(70_000..=70_000)),
        }
    }

    pub(in crate::agent) const SHARED: Identity = Identity { uid: 900, gid: 901 };

    fn name(text: &str) -> FunctionName {
        FunctionName::new(text).expect(text)
    }

    #[test]
    fn what_is_asked_for_by_name_and_cannot_be_enforced_is_refused_with_the_reason() {
        let rules = rules(&[Enforced::Files], None);
        let asked = IsolationRequest {
            files: Some(FileIsolation::Strict),
            ..IsolationRequest::default()
        };
        assert!(rules.decide(&asked).is_ok());
        let asked = IsolationRequest {
            user: Some(UserIsolation::Own),
            ..IsolationRequest::default()
        };
        let text = rules.decide(&asked).expect_err("refused").to_string();
        for part in ["isolation.user: own", "no own_user here"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn without_users_of_their_own_functions_share_one_and_the_agent_says_so() {
        let rules = rules(&[Enforced::User], Some(SHARED));
        let isolation = rules.decide(&IsolationRequest::default()).expect("runs");
        let containment = rules.contain(&name("f"), isolation, None).expect("runs");
        assert_eq!(containment.identity, Some(SHARED));
        assert!(containment.user.is_none());
        let missing = rules.missing();
        assert!(
            missing
                .iter()
                .any(|missing| missing.what == Enforced::OwnUser)
        );
    }

    #[test]
    fn a_user_is_kept_from_one_configuration_to_the_next_and_is_in_the_shared_group() {
        let rules = rules(&[Enforced::User, Enforced::OwnUser], Some(SHARED));
        let own = Isolation::DEFAULT;
        let first = rules.contain(&name("f"), own, None).expect("room");
        let expected = Identity {
            uid: 70_000,
            gid: 901,
        };
        assert_eq!(first.identity, Some(expected));
        let next = rules.contain(&name("f"), own, first.user.clone());
        assert_eq!(next.expect("the same").identity, Some(expected));
        assert!(
            rules.contain(&name("g"), own, None).is_err(),
            "none is left"
        );
        let shared = Isolation {
            user: UserIsolation::Shared,
            ..own
        };
        let sharing = rules.contain(&name("g"), shared, None).expect("runs");
        assert_eq!(sharing.identity, Some(SHARED));
    }
}
