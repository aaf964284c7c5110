//! What is stored besides functions and agents.

use std::fmt;

use crate::base::clock::Timestamp;
use crate::model::ids::{AgentId, ExecutionId, FunctionName};

/// Which state of an agent or a function somebody has seen. One sequence for both: it counts up with
/// every write and every deletion, and none is ever used again, also not for something that is
/// deleted and comes back under its old name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub(super) u64);

/// Something as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored<T> {
    /// As it is at `revision`.
    pub value: T,
    /// The revision of the last write to it.
    pub revision: Revision,
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where an execution is that was handed over and of whose end nothing is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Of the call that was handed over.
    pub execution: ExecutionId,
    /// Who was given it.
    pub agent: AgentId,
    /// By its name, which may be deleted by now.
    pub function: FunctionName,
    /// When it was accepted.
    pub accepted_at: Timestamp,
}

/// The right to enrol one agent, once.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrolmentToken {
    /// Public part, by which it is found.
    pub id: String,
    /// The only agent it enrols.
    pub agent: AgentId,
    /// Kept as it is, because both sides prove that they know it (HMAC).
    pub secret: Vec<u8>,
    /// From here on it is worth nothing.
    pub expires_at: Timestamp,
}

impl fmt::Debug for EnrolmentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrolmentToken")
            .field("id", &self.id)
            .field("agent", &self.agent)
            .field("secret", &"…")
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_in_a_log_does_not_show_its_secret() {
        let token = EnrolmentToken {
            id: "t1".to_owned(),
            agent: AgentId::new("a1").expect("id"),
            secret: b"hunter2".to_vec(),
            expires_at: Timestamp::from_millis(1),
        };
        let text = format!("{token:?}");
        assert!(text.contains("t1") && !text.contains("hunter2"), "{text}");
        assert!(!text.contains(&format!("{:?}", token.secret)), "{text}");
    }
}
