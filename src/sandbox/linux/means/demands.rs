//! Whether a specification asks for what this sandbox gives: nothing runs as a user that nobody
//! configured, and nothing that asks for less network gets more.

use thiserror::Error;

use crate::model::isolation::{NetworkIsolation, SyscallIsolation};
use crate::sandbox::platform::seccomp;
use crate::sandbox::{Identities, Identity, Spec};

/// What holds for all specifications of one sandbox.
#[derive(Debug)]
pub(in crate::sandbox) struct Demands {
    pub identities: Option<Identities>,
    /// Why executions cannot have a network of their own, if they cannot.
    pub no_network: Option<String>,
}

/// Why a specification is not run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(in crate::sandbox) enum Refusal {
    #[error("no execution may run as root or in its group")]
    Root,
    #[error("the execution names no user, and none runs as this agent's own")]
    NoUser,
    #[error("user {uid} in group {gid} is not one of those that this agent has for executions")]
    Stranger { uid: u32, gid: u32 },
    #[error(
        "the execution asks for no network, and one of its own cannot be made for it here: {reason}"
    )]
    NoNetwork { reason: String },
    #[error(
        "the execution asks for all system calls, but the thread that would start it has given some up"
    )]
    ContainedThread,
}

impl Demands {
    pub(in crate::sandbox) fn check(&self, spec: &Spec) -> Result<(), Refusal> {
        self.check_identity(spec.identity)?;
        if spec.syscalls == SyscallIsolation::Open && seccomp::is_thread_contained() {
            return Err(Refusal::ContainedThread);
        }
        match (&self.no_network, spec.network) {
            (Some(reason), NetworkIsolation::None) => Err(Refusal::NoNetwork {
                reason: reason.clone(),
            }),
            (None, NetworkIsolation::None) | (_, NetworkIsolation::Host) => Ok(()),
        }
    }

    fn check_identity(&self, identity: Option<Identity>) -> Result<(), Refusal> {
        match (self.identities, identity) {
            (_, Some(Identity { uid: 0, .. } | Identity { gid: 0, .. })) => Err(Refusal::Root),
            (Some(_), None) => Err(Refusal::NoUser),
            (None, None) => Ok(()),
            (Some(identities), Some(identity)) if identities.have(identity) => Ok(()),
            (_, Some(Identity { uid, gid })) => Err(Refusal::Stranger { uid, gid }),
        }
    }
}

impl Identities {
    fn have(&self, identity: Identity) -> bool {
        let own = |(first, last)| (first..=last).contains(&identity.uid);
        identity.gid == self.shared.gid
            && (identity.uid == self.shared.uid || self.own.is_some_and(own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARED: Identity = Identity { uid: 900, gid: 901 };

    #[test]
    fn only_configured_users_run_anything() {
        let demands = Demands {
            identities: Some(Identities {
                shared: SHARED,
                own: Some((60_000, 60_009)),
            }),
            no_network: None,
        };
        let of = |uid, gid| Some(Identity { uid, gid });
        for (identity, expected) in [
            (Some(SHARED), Ok(())),
            (of(60_000, 901), Ok(())),
            (of(60_009, 901), Ok(())),
            (of(60_010, 901), Err((60_010, 901))),
            (of(60_000, 60_000), Err((60_000, 60_000))),
            (of(1, 901), Err((1, 901))),
        ] {
            let expected = expected.map_err(|(uid, gid)| Refusal::Stranger { uid, gid });
            assert_eq!(demands.check_identity(identity), expected);
        }
        assert_eq!(demands.check_identity(None), Err(Refusal::NoUser));
        for root in [of(0, 901), of(900, 0), of(0, 0)] {
            assert_eq!(demands.check_identity(root), Err(Refusal::Root));
        }
    }

    #[test]
    fn without_configured_users_the_agents_own_is_the_only_one() {
        let demands = Demands {
            identities: None,
            no_network: None,
        };
        assert_eq!(demands.check_identity(None), Ok(()));
        let (uid, gid) = (SHARED.uid, SHARED.gid);
        assert_eq!(
            demands.check_identity(Some(SHARED)),
            Err(Refusal::Stranger { uid, gid })
        );
    }
}
