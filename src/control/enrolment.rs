//! How a worker that a person sets up gets its certificate: a one-time token for an agent id,
//! redeemed with a signing request whose key never leaves the worker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::error::ControlError;
use crate::base::clock::Timestamp;
use crate::model::ids::AgentId;
use crate::pki::enrolment::{EnrolAnswer, EnrolRequest, Enrolled};
use crate::pki::invitation::Invitation;
use crate::pki::{Authority, EnrolmentToken, Secret};
use crate::store::{self, Store};

/// How long a token works: long enough to walk to the other machine, short enough that one
/// forgotten in a shell's history is worth nothing.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// Absent where certificates are turned off.
pub struct Enrolment {
    authority: Option<Arc<Authority>>,
    store: Arc<dyn Store>,
    agent_port: u16,
}

impl Enrolment {
    /// `agent_port`: proposed to agents for their configuration.
    pub fn new(
        authority: Option<Arc<Authority>>,
        store: Arc<dyn Store>,
        agent_port: u16,
    ) -> Enrolment {
        Enrolment {
            authority,
            store,
            agent_port,
        }
    }

    /// An invitation for `agent` as text, and until when it works.
    ///
    /// # Errors
    /// Without certificates; the store's.
    pub fn enroll(&self, agent: &AgentId) -> Result<(String, Timestamp), ControlError> {
        let token = EnrolmentToken::generate(self.authority()?.fingerprint()?)?;
        let now = Timestamp::now();
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
        Ok((invitation.reveal(), expires_at))
    }

    /// Whether a token of that id waits to be redeemed.
    ///
    /// # Errors
    /// See [`Enrolment::join`].
    pub fn expect_token(&self, id: &str) -> Result<(), ControlError> {
        self.authority()?;
        match self.store.peek_token(id, Timestamp::now())? {
            Some(_) => Ok(()),
            None => Err(ControlError::TokenRefused),
        }
    }

    /// Redeems a token. A request that is not sound leaves the token usable.
    ///
    /// # Errors
    /// An unknown, used or expired token; a request that was not made with it; the store's.
    pub fn join(&self, request: &EnrolRequest) -> Result<EnrolAnswer, ControlError> {
        let authority = self.authority()?;
        let now = Timestamp::now();
        let id = request.token_id()?.to_string();
        let stored = self
            .store
            .peek_token(&id, now)?
            .ok_or(ControlError::TokenRefused)?;
        let secret = std::str::from_utf8(&stored.secret)
            .ok()
            .and_then(|text| Secret::parse(text).ok())
            .ok_or(ControlError::TokenRefused)?;
        let (agent, csr) = request.verify(&secret)?;
        // Taken before the certificate is made: whatever fails after that, it works only once.
        let taken = self.store.take_token(&id, now)?;
        if agent != stored.agent || taken.is_none() {
            return Err(ControlError::TokenRefused);
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

    fn authority(&self) -> Result<&Authority, ControlError> {
        self.authority.as_deref().ok_or(ControlError::PkiDisabled)
    }
}
