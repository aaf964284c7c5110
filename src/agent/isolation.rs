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
    FileIsolation, Isolation, IsolationRequest, Loosening, MissingIsolation, UserIsolation,
};
use crate::policy::isolation::{NotAllowed, resolve, unenforced};
use crate::sandbox::{FileAccess, Identity, Missing, Sandbox};

/// See the module's text.
#[derive(Debug)]
pub struct IsolationRules {
    defaults: Isolation,
    allow: Vec<Loosening>,
    enforced: Vec<&'static str>,
    missing: Vec<Missing>,
    shared: Option<Identity>,
    own: Option<Arc<Users>>,
}

/// What holds for one function.
#[derive(Debug)]
pub struct Containment {
    /// The answers.
    pub isolation: Isolation,
    /// As whom it runs; the agent's own user when there is none.
    pub identity: Option<Identity>,
    /// Keeps that user its own, for as long as anything runs as it.
    pub user: Option<Arc<OwnUser>>,
}

/// Why this agent does not run a function as it asks to be run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unacceptable {
    /// It asks for less than it may have.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// It asks for more than this machine can give.
    #[error("{request} cannot be enforced on this agent: {reason}")]
    NotEnforced {
        /// What it asks for.
        request: &'static str,
        /// The sandbox's reason.
        reason: String,
    },
}

impl IsolationRules {
    /// `shared`: as whom functions run that have no user of their own; `own`: the users of those
    /// that have.
    pub fn new(
        config: &AgentIsolation,
        sandbox: &Sandbox,
        shared: Option<Identity>,
        own: Option<Arc<Users>>,
    ) -> IsolationRules {
        IsolationRules {
            defaults: config.defaults,
            allow: config.allow.clone(),
            enforced: sandbox.enforced().iter().map(|it| it.as_str()).collect(),
            missing: sandbox.missing().to_vec(),
            shared,
            own,
        }
    }

    /// In the words of the agent's status.
    pub fn enforced(&self) -> Vec<String> {
        self.enforced.iter().map(|&word| word.to_owned()).collect()
    }

    /// In the words of the agent's status.
    pub fn missing(&self) -> Vec<MissingIsolation> {
        let missing = self.missing.iter().map(|missing| MissingIsolation {
            what: missing.what.as_str().to_owned(),
            reason: missing.reason.clone(),
        });
        missing.collect()
    }

    /// The answers that hold for a function that asks for `request`.
    ///
    /// # Errors
    /// [`Unacceptable`]: it is not to run here.
    pub fn decide(&self, request: &IsolationRequest) -> Result<Isolation, Unacceptable> {
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
    pub fn contain(
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
    pub fn retake(&self, uid: u32) -> Option<Arc<OwnUser>> {
        self.own.as_ref()?.retake(uid).map(Arc::new)
    }

    fn reason(&self, word: &str) -> String {
        self.missing
            .iter()
            .find(|missing| missing.what.as_str() == word)
            .map_or_else(
                || "this agent does not know how".to_owned(),
                |missing| missing.reason.clone(),
            )
    }
}

/// The files of an execution: its release to read, its directory, with the temporary one in it, to
/// write.
pub fn files(isolation: Isolation, release: &Path, cwd: &Path) -> FileAccess {
    let only = |path: &Path| vec![PathBuf::from(path)];
    match isolation.files {
        FileIsolation::Strict => FileAccess::Only {
            read: only(release),
            write: only(cwd),
        },
        FileIsolation::Open => FileAccess::Open,
    }
}
