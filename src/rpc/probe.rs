//! Who serves at an address: a bare TLS handshake, from which the agent's id is read, because a channel
//! has to know whom it goes to.

use std::fmt;
use std::io;
use std::time::Instant;

use openssl::error::ErrorStack;
use thiserror::Error;

use super::address::Address;
use super::error::RpcError;
use super::h2::dial::{self, DialError};
use super::h2::transport::{Opening, TransportError};
use super::tls::{TlsIdentity, names_of, unnamed};
use crate::model::ids::AgentId;
use crate::wire::names::agent_of;

/// Why nobody could be identified.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// No connection, or it broke, or it took too long.
    #[error("cannot connect to {address}")]
    Connect {
        /// As it was asked for.
        address: Address,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// What answers does not speak TLS, or its certificate is not under our CA.
    #[error("no trusted agent answers at {address}: {reason}")]
    Untrusted {
        /// As it was asked for.
        address: Address,
        /// OpenSSL's reason.
        reason: String,
    },
    /// Its certificate is under our CA, but it is none of an agent.
    #[error("what answers at {address} has no certificate of an agent")]
    NoAgent {
        /// As it was asked for.
        address: Address,
    },
    /// The address is none, there is no identity to show, or a plain agent did not answer.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// OpenSSL failed before anything was sent.
    #[error("cannot prepare a TLS connection")]
    Prepare(#[from] ErrorStack),
}

/// Reads the id from the certificate of what serves at `address`, once its chain is verified.
///
/// # Errors
/// See [`ProbeError`]; all of it until `deadline`, but for resolving a name.
pub fn probe_identity(
    address: &Address,
    identity: &TlsIdentity,
    deadline: Instant,
) -> Result<AgentId, ProbeError> {
    let unreachable = |source| ProbeError::Connect {
        address: address.clone(),
        source,
    };
    let untrusted = |error: &dyn fmt::Display| ProbeError::Untrusted {
        address: address.clone(),
        reason: error.to_string(),
    };
    let ssl = unnamed(identity)?;
    let shaken = dial::connect(address, deadline)
        .and_then(|socket| dial::shake_hands(&socket, Some(ssl), Opening::Connect, deadline));
    let transport = shaken.map_err(|error| match error {
        DialError::Connect(source) | DialError::Broke(source) => unreachable(source),
        DialError::Transport(TransportError::Setup(source)) => ProbeError::Prepare(source),
        // Has its cause in its text already.
        DialError::Transport(TransportError::Tls(error)) => untrusted(&error),
        DialError::Transport(error @ TransportError::Closed) => untrusted(&error),
        error @ (DialError::Session(_) | DialError::OtherName { .. } | DialError::Protocol) => {
            untrusted(&error)
        }
    })?;
    let names = transport.ssl().map(names_of).unwrap_or_default();
    match &names[..] {
        [name] => agent_of(name),
        _ => None,
    }
    .ok_or_else(|| ProbeError::NoAgent {
        address: address.clone(),
    })
}
