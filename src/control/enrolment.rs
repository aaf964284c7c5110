//! How a worker that a person sets up gets its certificate: a one-time token for an agent id,
//! redeemed with a signing request whose key never leaves the worker.

use std::sync::Arc;
use std::time::Duration;

use super::error::ControlError;
use crate::base::clock::Timestamp;
use crate::model::ids::AgentId;
use crate::pki::Authority;
use crate::pki::enrolment::{self, EnrolmentError, JoinRequest, JoinResponse, Token};
use crate::store::{EnrolmentToken, Store};

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
    /// `agent_port`: proposed to agents in their configuration.
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

    /// A token for `agent`, and until when it works.
    ///
    /// # Errors
    /// Without certificates; the store's.
    pub fn enroll(&self, agent: &AgentId) -> Result<(String, Timestamp), ControlError> {
        let authority = self.authority()?;
        let token = Token::generate(authority.fingerprint())?;
        let expires_at = Timestamp::now().after(TOKEN_LIFETIME);
        self.store.put_token(&EnrolmentToken {
            id: token.id().to_owned(),
            agent: agent.clone(),
            secret: token.secret().to_vec(),
            expires_at,
        })?;
        Ok((token.to_text(), expires_at))
    }

    /// Redeems a token. A request that is not sound leaves the token usable.
    ///
    /// # Errors
    /// An unknown, used or expired token; a request that was not made with it; the store's.
    pub fn join(&self, request: &JoinRequest) -> Result<JoinResponse, ControlError> {
        let authority = self.authority()?;
        let now = Timestamp::now();
        let token = self
            .store
            .peek_token(&request.token_id, now)?
            .ok_or(EnrolmentError::UnknownToken)?;
        let csr = enrolment::verify_request(request, &token.secret)?;
        // Taken before the certificate is made: whatever fails after that, it works only once.
        self.store
            .take_token(&request.token_id, now)?
            .ok_or(EnrolmentError::UnknownToken)?;
        let certificate = authority.issue_agent(&token.agent, &csr)?;
        log::info!("agent {}: joined with its token", token.agent);
        Ok(enrolment::respond(
            &token.secret,
            token.agent.clone(),
            certificate,
            authority.ca_pem(),
            self.agent_port,
        )?)
    }

    fn authority(&self) -> Result<&Authority, ControlError> {
        self.authority.as_deref().ok_or(ControlError::PkiDisabled)
    }
}
