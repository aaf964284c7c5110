//! How a worker that a person sets up gets its certificate: a one-time token for an agent id,
//! redeemed with a signing request whose key never leaves the worker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::base::clock::{Clock, Timestamp};
use crate::model::ids::AgentId;
use crate::pki::enrolment::{self, EnrolAnswer, EnrolRequest, Enrolled};
use crate::pki::invitation::Invitation;
use crate::pki::{Authority, EnrolmentToken, PkiError, Secret};
use crate::store::{self, Store, StoreError};

/// How long a token works: long enough to walk to the other machine, short enough that one
/// forgotten in a shell's history is worth nothing.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// Absent where certificates are turned off.
pub(crate) struct Enrolment {
    authority: Option<Arc<Authority>>,
    store: Arc<dyn Store>,
    clock: Clock,
    agent_port: u16,
}

/// An invitation for an agent.
#[derive(Debug)]
pub(crate) struct Invited {
    pub agent: AgentId,
    /// To be given to `flux-agent join`; works once.
    pub token: String,
    /// Until when it works.
    pub expires_at: Timestamp,
}

/// Why nobody was enrolled.
#[derive(Debug, Error)]
pub(crate) enum EnrolmentError {
    /// Certificates are off, so there is nothing to enrol into.
    #[error("certificates are turned off by disable_grpc_tls")]
    PkiDisabled,
    /// A certificate could not be issued.
    #[error("no certificate could be issued")]
    Pki(#[from] PkiError),
    /// The token is unknown, used or expired.
    #[error("the token is unknown, was used already, or has expired")]
    TokenRefused,
    /// The request was not made with the token, or is not sound.
    #[error(transparent)]
    Unsound(#[from] enrolment::EnrolmentError),
    /// The store failed.
    #[error("the token cannot be looked up or kept")]
    Store(#[from] StoreError),
}

impl Enrolment {
    /// `agent_port`: proposed to agents for their configuration.
    pub(crate) fn new(
        authority: Option<Arc<Authority>>,
        store: Arc<dyn Store>,
        clock: Clock,
        agent_port: u16,
    ) -> Enrolment {
        Enrolment {
            authority,
            store,
            clock,
            agent_port,
        }
    }

    /// Makes a one-time token with which a worker can fetch its certificate.
    ///
    /// # Errors
    /// Without certificates; the store's.
    pub(crate) fn invite(&self, agent: &AgentId) -> Result<Invited, EnrolmentError> {
        let token = EnrolmentToken::generate(self.authority()?.fingerprint()?)?;
        let now = self.clock.now();
        let expires_at = now.after(TOKEN_LIFETIME);
        self.store.put_token(
            &store::EnrolmentToken {
                id: token.id.to_string(),
                agent: agent.clone(),
                secret: token.secret.reveal().into_bytes(),
                expires_at,
            },
            now,
        )?;
        let invitation = Invitation {
            agent: agent.clone(),
            token,
        };
        Ok(Invited {
            agent: agent.clone(),
            token: invitation.reveal(),
            expires_at,
        })
    }

    /// Whether a token of that id waits to be redeemed.
    ///
    /// # Errors
    /// See [`Enrolment::join`].
    pub(crate) fn expect_token(&self, id: &str) -> Result<(), EnrolmentError> {
        self.authority()?;
        match self.store.peek_token(id, self.clock.now())? {
            Some(_) => Ok(()),
            None => Err(EnrolmentError::TokenRefused),
        }
    }

    /// Redeems a token. A request that is not sound leaves the token usable.
    ///
    /// # Errors
    /// An unknown, used or expired token; a request that was not made with it; the store's.
    pub(crate) fn join(&self, request: &EnrolRequest) -> Result<EnrolAnswer, EnrolmentError> {
        let authority = self.authority()?;
        let now = self.clock.now();
        let id = request.token_id()?.to_string();
        let stored = self
            .store
            .peek_token(&id, now)?
            .ok_or(EnrolmentError::TokenRefused)?;
        let secret = std::str::from_utf8(&stored.secret)
            .ok()
            .and_then(|text| Secret::parse(text).ok())
            .ok_or(EnrolmentError::TokenRefused)?;
        let (agent, csr) = request.verify(&secret)?;
        // Taken before the certificate is made: whatever fails after that, it works only once.
        let taken = self.store.take_token(&id, now)?;
        if agent != stored.agent || taken.is_none() {
            return Err(EnrolmentError::TokenRefused);
        }
        let certificate = authority.issue_agent(&agent, &csr)?;
        log::info!("agent {agent}: joined with its token");
        let enrolled = Enrolled {
            certificate: String::from_utf8_lossy(&certificate).into_owned(),
            ca: String::from_utf8_lossy(authority.ca_pem()).into_owned(),
            settings: BTreeMap::from([("port".to_owned(), self.agent_port.to_string())]),
        };
        Ok(EnrolAnswer::new(&secret, request, &enrolled)?)
    }

    fn authority(&self) -> Result<&Authority, EnrolmentError> {
        self.authority.as_deref().ok_or(EnrolmentError::PkiDisabled)
    }
}
