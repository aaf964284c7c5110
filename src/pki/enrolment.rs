//! How a new agent and the control plane prove a shared secret to each other, over a connection
//! that proves nothing.
//!
//! The agent sends its id, its request for a certificate and HMAC-SHA256(secret, both). The
//! control plane answers a body and HMAC-SHA256(secret, the request's proof and the body): the
//! answer cannot be forged, and an answer to an earlier request is none to this one. Whoever
//! listens learns nothing secret; whoever sits between can only break the enrolment.
//!
//! Pure functions: that a token is used once and in time is its keeper's duty.

use std::collections::BTreeMap;

use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use openssl::x509::X509;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::authority::fingerprint;
use super::constant_time::constant_time_eq;
use super::error::PkiError;
use super::issue::{Csr, dns_names};
use super::token::{EnrolmentToken, InvalidToken, Secret, TokenId, hex};
use crate::model::ids::{AgentId, InvalidId};
use crate::wire::names::agent_name;

const REQUEST_LABEL: &str = "flux enrolment request 1";
const ANSWER_LABEL: &str = "flux enrolment answer 1";

/// What the agent sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolRequest {
    token_id: String,
    agent_id: String,
    csr: String,
    mac: String,
}

/// What the control plane answers: `body` is the JSON of an [`Enrolled`], as a text, because
/// the proof is over its exact bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EnrolAnswer {
    body: String,
    mac: String,
}

/// What a new agent gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Enrolled {
    /// Its certificate, PEM.
    pub certificate: String,
    /// The CA's certificate, PEM.
    pub ca: String,
    /// What else it needs to know to start, by the names of its configuration file.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
}

/// Why an enrolment fails.
#[derive(Debug, Error)]
pub enum EnrolmentError {
    /// The request's token id is none.
    #[error(transparent)]
    Token(#[from] InvalidToken),
    /// The request's agent id breaks the rule.
    #[error(transparent)]
    Agent(#[from] InvalidId),
    /// Who sent this does not know the secret, or it was changed on the way.
    #[error("the proof of the token's secret is wrong")]
    Proof,
    /// The request, or OpenSSL.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The proven body is not of the expected shape.
    #[error("the answer cannot be understood")]
    Body(#[from] serde_json::Error),
    /// The answer's CA or certificate is no certificate.
    #[error("the answer's {part} is no PEM certificate")]
    Certificate {
        /// `CA` or `certificate`.
        part: &'static str,
    },
    /// The answer's CA is not the token's.
    #[error("the answer's CA is not the one that the token names")]
    Ca,
    /// The answer's certificate is by another CA, for another key, or for another agent.
    #[error("the answer's certificate is {reason}")]
    Foreign {
        /// What does not fit.
        reason: &'static str,
    },
}

impl EnrolRequest {
    /// The request of a new agent.
    ///
    /// # Errors
    /// OpenSSL's reasons, or a `csr` that is no text.
    pub fn new(
        token: &EnrolmentToken,
        agent: &AgentId,
        csr_pem: &[u8],
    ) -> Result<EnrolRequest, EnrolmentError> {
        let csr = String::from_utf8_lossy(csr_pem).into_owned();
        let token_id = token.id.to_string();
        let mac = request_mac(&token.secret, &token_id, agent.as_str(), &csr)?;
        Ok(EnrolRequest {
            token_id,
            agent_id: agent.to_string(),
            csr,
            mac,
        })
    }

    /// Whose secret is to be looked up.
    ///
    /// # Errors
    /// A text that is no id.
    pub(crate) fn token_id(&self) -> Result<TokenId, EnrolmentError> {
        Ok(self.token_id.parse()?)
    }

    /// The agent that is to be enrolled and its checked request, once the proof is right.
    ///
    /// # Errors
    /// [`EnrolmentError::Proof`] before anything else is looked at.
    pub(crate) fn verify(&self, secret: &Secret) -> Result<(AgentId, Csr), EnrolmentError> {
        let expected = request_mac(secret, &self.token_id, &self.agent_id, &self.csr)?;
        if !constant_time_eq(self.mac.as_bytes(), expected.as_bytes()) {
            return Err(EnrolmentError::Proof);
        }
        Ok((
            AgentId::new(&self.agent_id)?,
            Csr::from_pem(self.csr.as_bytes())?,
        ))
    }
}

impl EnrolAnswer {
    /// For the control plane, after [`EnrolRequest::verify`].
    ///
    /// # Errors
    /// OpenSSL's reasons.
    pub(crate) fn new(
        secret: &Secret,
        request: &EnrolRequest,
        enrolled: &Enrolled,
    ) -> Result<EnrolAnswer, EnrolmentError> {
        let body = serde_json::to_string(enrolled)?;
        let mac = answer_mac(secret, request, &body)?;
        Ok(EnrolAnswer { body, mac })
    }

    /// For the agent: what it got, once everything fits together. `key_pem` is its own key.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub(crate) fn open(
        &self,
        token: &EnrolmentToken,
        request: &EnrolRequest,
        key_pem: &[u8],
    ) -> Result<Enrolled, EnrolmentError> {
        let expected = answer_mac(&token.secret, request, &self.body)?;
        if !constant_time_eq(self.mac.as_bytes(), expected.as_bytes()) {
            return Err(EnrolmentError::Proof);
        }
        let enrolled: Enrolled = serde_json::from_str(&self.body)?;
        check(&enrolled, token, &AgentId::new(&request.agent_id)?, key_pem)?;
        Ok(enrolled)
    }
}

fn check(
    enrolled: &Enrolled,
    token: &EnrolmentToken,
    agent: &AgentId,
    key_pem: &[u8],
) -> Result<(), EnrolmentError> {
    let ca = certificate("CA", &enrolled.ca)?;
    if fingerprint(&ca)? != token.ca {
        return Err(EnrolmentError::Ca);
    }
    let own = certificate("certificate", &enrolled.certificate)?;
    let action = "check the new certificate";
    let ca_key = ca.public_key().map_err(PkiError::crypto(action))?;
    let own_key = own.public_key().map_err(PkiError::crypto(action))?;
    let key = PKey::private_key_from_pem(key_pem).map_err(PkiError::crypto(action))?;
    let reason = if !own.verify(&ca_key).map_err(PkiError::crypto(action))? {
        "by another CA"
    } else if !own_key.public_eq(&key) {
        "for another key"
    } else if dns_names(&own) != [agent_name(agent)] {
        "for another agent"
    } else {
        return Ok(());
    };
    Err(EnrolmentError::Foreign { reason })
}

fn certificate(part: &'static str, pem: &str) -> Result<X509, EnrolmentError> {
    X509::from_pem(pem.as_bytes()).map_err(|_| EnrolmentError::Certificate { part })
}

fn request_mac(
    secret: &Secret,
    token_id: &str,
    agent_id: &str,
    csr: &str,
) -> Result<String, PkiError> {
    mac(secret, &[REQUEST_LABEL, token_id, agent_id, csr])
}

fn answer_mac(secret: &Secret, request: &EnrolRequest, body: &str) -> Result<String, PkiError> {
    mac(secret, &[ANSWER_LABEL, &request.mac, body])
}

/// Each part is preceded by its length: no two lists of parts are the same bytes.
fn mac(secret: &Secret, parts: &[&str]) -> Result<String, PkiError> {
    let sign = || {
        let key = PKey::hmac(secret.as_bytes())?;
        let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
        for part in parts {
            signer.update(&(part.len() as u64).to_be_bytes())?;
            signer.update(part.as_bytes())?;
        }
        signer.sign_to_vec()
    };
    sign()
        .map(|bytes| hex(&bytes))
        .map_err(PkiError::crypto("compute a proof"))
}

#[cfg(test)]
mod tests {
    use super::super::authority::Authority;
    use super::super::join::{KeyAndRequest, key_and_request};
    use super::*;

    struct Fixture {
        _directory: tempfile::TempDir,
        authority: Authority,
        token: EnrolmentToken,
        agent: AgentId,
        own: KeyAndRequest,
        request: EnrolRequest,
    }

    fn fixture() -> Fixture {
        let directory = tempfile::tempdir().expect("tempdir");
        let authority = Authority::open_or_create(directory.path()).expect("authority");
        let fingerprint = authority.fingerprint().expect("fingerprint");
        let token = EnrolmentToken::generate(fingerprint).expect("token");
        let agent = AgentId::new("agent-1").expect("id");
        let own = key_and_request(&agent).expect("request");
        let request = EnrolRequest::new(&token, &agent, &own.request).expect("request");
        Fixture {
            _directory: directory,
            authority,
            token,
            agent,
            own,
            request,
        }
    }

    impl Fixture {
        fn enrolled(&self, agent: &AgentId, request: &[u8]) -> Enrolled {
            self.issued(agent, &Csr::from_pem(request).expect("csr"))
        }

        fn issued(&self, agent: &AgentId, csr: &Csr) -> Enrolled {
            let certificate = self.authority.issue_agent(agent, csr).expect("certificate");
            Enrolled {
                certificate: String::from_utf8(certificate).expect("pem"),
                ca: String::from_utf8(self.authority.ca_pem().to_vec()).expect("pem"),
                settings: BTreeMap::from([("port".into(), "50052".into())]),
            }
        }

        fn answer(&self, enrolled: &Enrolled) -> EnrolAnswer {
            EnrolAnswer::new(&self.token.secret, &self.request, enrolled).expect("answer")
        }

        fn open(&self, answer: &EnrolAnswer) -> Result<Enrolled, EnrolmentError> {
            answer.open(&self.token, &self.request, &self.own.key)
        }
    }

    #[test]
    fn an_agent_with_the_token_gets_its_certificate() {
        let f = fixture();
        assert_eq!(f.request.token_id().expect("id"), f.token.id);
        let (agent, csr) = f.request.verify(&f.token.secret).expect("proof");
        assert_eq!(agent, f.agent);
        let enrolled = f.issued(&agent, &csr);
        assert_eq!(f.open(&f.answer(&enrolled)).expect("fits"), enrolled);
    }

    #[test]
    fn the_secret_is_in_neither_message() {
        let f = fixture();
        let answer = f.answer(&f.enrolled(&f.agent, &f.own.request));
        let sent = format!(
            "{}{}",
            serde_json::to_string(&f.request).expect("json"),
            serde_json::to_string(&answer).expect("json")
        );
        assert!(!sent.contains(&f.token.secret.reveal()));
    }

    #[test]
    fn a_request_that_was_changed_or_made_without_the_secret_proves_nothing() {
        let f = fixture();
        let other = EnrolmentToken::generate(f.token.ca).expect("token");
        assert!(matches!(
            f.request.verify(&other.secret),
            Err(EnrolmentError::Proof)
        ));
        let foreign = key_and_request(&f.agent).expect("request").request;
        let changes: [fn(&mut EnrolRequest, &[u8]); 4] = [
            |r, _| r.agent_id = "agent-2".into(),
            |r, csr| r.csr = String::from_utf8_lossy(csr).into_owned(),
            |r, _| r.token_id = "0".repeat(16),
            |r, _| r.mac.clear(),
        ];
        for change in changes {
            let mut request = f.request.clone();
            change(&mut request, &foreign);
            let verified = request.verify(&f.token.secret);
            assert!(
                matches!(verified, Err(EnrolmentError::Proof)),
                "{request:?}"
            );
        }
    }

    #[test]
    fn an_answer_without_the_secret_or_to_another_request_is_refused() {
        let f = fixture();
        let enrolled = f.enrolled(&f.agent, &f.own.request);
        let other = EnrolmentToken::generate(f.token.ca).expect("token");
        let forged = EnrolAnswer::new(&other.secret, &f.request, &enrolled).expect("answer");
        assert!(matches!(f.open(&forged), Err(EnrolmentError::Proof)));

        let mut changed = f.answer(&enrolled);
        changed.body = changed.body.replace("50052", "50053");
        assert!(matches!(f.open(&changed), Err(EnrolmentError::Proof)));

        let earlier_csr = key_and_request(&f.agent).expect("request").request;
        let earlier = EnrolRequest::new(&f.token, &f.agent, &earlier_csr).expect("request");
        let replayed = EnrolAnswer::new(&f.token.secret, &earlier, &enrolled).expect("answer");
        assert!(matches!(f.open(&replayed), Err(EnrolmentError::Proof)));
    }

    #[test]
    fn an_answer_must_be_for_this_agent_this_key_and_the_tokens_ca() {
        let f = fixture();
        let refusal = |enrolled: &Enrolled| {
            f.open(&f.answer(enrolled))
                .expect_err("foreign")
                .to_string()
        };
        let own = f.enrolled(&f.agent, &f.own.request);

        let foreign_key = key_and_request(&f.agent).expect("request").request;
        assert!(refusal(&f.enrolled(&f.agent, &foreign_key)).contains("another key"));

        let neighbour = AgentId::new("agent-2").expect("id");
        assert!(refusal(&f.enrolled(&neighbour, &f.own.request)).contains("another agent"));

        let stranger = fixture();
        let strange = stranger.enrolled(&f.agent, &f.own.request);
        assert!(refusal(&strange).contains("the token names"));
        let mixed = Enrolled {
            certificate: strange.certificate,
            ..own.clone()
        };
        assert!(refusal(&mixed).contains("another CA"));

        let empty = Enrolled {
            ca: String::new(),
            ..own
        };
        assert!(refusal(&empty).contains("no PEM certificate"));
    }
}
