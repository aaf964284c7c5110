//! What a person carries from `flux agent enroll` to `flux-agent join`: for whom, and the token.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::token::{EnrolmentToken, InvalidToken};
use crate::model::ids::{AgentId, InvalidId};

/// An agent's id and the token that was made for it; its text is `ID:TOKEN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Who may join with it.
    pub agent: AgentId,
    /// Works once.
    pub token: EnrolmentToken,
}

/// Why a text is no invitation. The text itself is never part of it: it holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidInvitation {
    /// No colon.
    #[error("expected ID:TOKEN, as flux agent enroll printed it")]
    Form,
    /// Before the colon.
    #[error(transparent)]
    Agent(#[from] InvalidId),
    /// After the colon.
    #[error(transparent)]
    Token(#[from] InvalidToken),
}

impl Invitation {
    /// The text form. It holds the secret: show it once and store it nowhere.
    pub(crate) fn reveal(&self) -> String {
        format!("{}:{}", self.agent, self.token.reveal())
    }
}

impl FromStr for Invitation {
    type Err = InvalidInvitation;

    fn from_str(text: &str) -> Result<Invitation, InvalidInvitation> {
        let (agent, token) = text.trim().split_once(':').ok_or(InvalidInvitation::Form)?;
        Ok(Invitation {
            agent: agent.parse()?,
            token: token.parse()?,
        })
    }
}

impl fmt::Display for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invitation of {}", self.agent)
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::Fingerprint;
    use super::*;

    #[test]
    fn an_invitation_reads_back_and_does_not_show_its_secret_by_accident() {
        let invitation = Invitation {
            agent: AgentId::new("agent-1.rack").expect("id"),
            token: EnrolmentToken::generate(Fingerprint::from_sha256([7; 32])).expect("token"),
        };
        let text = invitation.reveal();
        assert_eq!(text.parse(), Ok(invitation.clone()));
        let secret = invitation.token.secret.reveal();
        for shown in [invitation.to_string(), format!("{invitation:?}")] {
            assert!(!shown.contains(&secret), "{shown}");
        }
        assert_eq!("x".parse::<Invitation>(), Err(InvalidInvitation::Form));
        assert!(":a.b.c".parse::<Invitation>().is_err());
    }
}
