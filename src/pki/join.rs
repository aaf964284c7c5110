//! An agent's side of joining: its key never leaves its machine, a request for a certificate does.

use std::fmt;

use super::authority::key_pem;
use super::error::PkiError;
use super::issue::{create_request, generate_key};
use crate::model::ids::AgentId;

/// A fresh key, and the request to have it signed; both PEM.
pub struct KeyAndRequest {
    /// The private key, which its maker keeps with mode 0600.
    pub key: Vec<u8>,
    /// The request, which goes to the control plane.
    pub request: Vec<u8>,
}

impl fmt::Debug for KeyAndRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyAndRequest").finish_non_exhaustive()
    }
}

/// For a new agent, or for one that renews its certificate with a new key.
///
/// # Errors
/// OpenSSL's reasons.
pub fn key_and_request(id: &AgentId) -> Result<KeyAndRequest, PkiError> {
    let key = generate_key()?;
    Ok(KeyAndRequest {
        key: key_pem(&key)?,
        request: create_request(&key, id.as_str())?,
    })
}
