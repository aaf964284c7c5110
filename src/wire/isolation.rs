//! What a function asks for about its isolation, on the wire: words, and an empty one for what it
//! leaves to the agent.
//!
//! Refuses: a word that is not known here. It comes from a newer control plane, and whatever it
//! means, ignoring it would give the function less than it asks for.

use super::error::WireError;
use super::proto;
use crate::model::isolation::{
    FileIsolation, IsolationRequest, NetworkIsolation, SyscallIsolation, UserIsolation,
};

/// Encodes it for an agent.
pub(super) fn to_proto(request: &IsolationRequest) -> proto::IsolationRequest {
    let word = |word: Option<&'static str>| word.unwrap_or_default().to_owned();
    proto::IsolationRequest {
        user: word(request.user.map(UserIsolation::as_str)),
        network: word(request.network.map(NetworkIsolation::as_str)),
        files: word(request.files.map(FileIsolation::as_str)),
        syscalls: word(request.syscalls.map(SyscallIsolation::as_str)),
    }
}

/// From a control plane.
pub(super) fn from_proto(message: &proto::IsolationRequest) -> Result<IsolationRequest, WireError> {
    Ok(IsolationRequest {
        user: answer(
            "isolation.user",
            &message.user,
            UserIsolation::parse,
            "own or shared",
        )?,
        network: answer(
            "isolation.network",
            &message.network,
            NetworkIsolation::parse,
            "none or host",
        )?,
        files: answer(
            "isolation.files",
            &message.files,
            FileIsolation::parse,
            "strict or open",
        )?,
        syscalls: answer(
            "isolation.syscalls",
            &message.syscalls,
            SyscallIsolation::parse,
            "filtered or open",
        )?,
    })
}

fn answer<T>(
    field: &'static str,
    word: &str,
    parse: fn(&str) -> Option<T>,
    expected: &'static str,
) -> Result<Option<T>, WireError> {
    if word.is_empty() {
        return Ok(None);
    }
    let answer = parse(word).ok_or_else(|| WireError::word(field, word, expected))?;
    Ok(Some(answer))
}
