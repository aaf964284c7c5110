//! When the certificates under a directory end, for people and for alarms.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use openssl::asn1::{Asn1Time, Asn1TimeRef};

use super::error::PkiError;
use super::layout::Layout;
use super::material::load_certificate;
use crate::base::atomic_file::FileError;
use crate::base::clock::Timestamp;
use crate::model::ids::AgentId;

/// Whose certificate it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holder {
    /// The CA's own.
    Ca,
    /// The control plane's.
    Control,
    /// An agent's.
    Agent(AgentId),
}

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expiry {
    pub holder: Holder,
    pub path: PathBuf,
    /// The last moment at which it is valid.
    pub not_after: Timestamp,
}

/// All certificates under `certs_dir`: CA, control plane, agents by id. One that cannot be read
/// is an error in its place, not the end of the list.
///
/// # Errors
/// When the agents cannot be listed.
pub(crate) fn expiries(certs_dir: &Path) -> Result<Vec<Result<Expiry, PkiError>>, PkiError> {
    let layout = Layout::new(certs_dir);
    let mut holders = vec![
        (Holder::Ca, layout.ca().certificate),
        (Holder::Control, layout.control().certificate),
    ];
    for id in agents(&layout.agents())? {
        let path = layout.agent_certificate(&id);
        holders.push((Holder::Agent(id), path));
    }
    Ok(holders
        .into_iter()
        .filter_map(|(holder, path)| expiry(holder, path).transpose())
        .collect())
}

fn expiry(holder: Holder, path: PathBuf) -> Result<Option<Expiry>, PkiError> {
    let Some(certificate) = load_certificate(&path, "replace it, or remove it")? else {
        return Ok(None);
    };
    Ok(Some(Expiry {
        holder,
        not_after: timestamp(certificate.not_after())?,
        path,
    }))
}

fn agents(directory: &Path) -> Result<Vec<AgentId>, PkiError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(FileError::at("list", directory)(error).into()),
    };
    let mut ids = Vec::new();
    for entry in entries {
        let entry = entry.map_err(FileError::at("list", directory))?;
        // Whatever else lies there is no agent of ours.
        ids.extend(
            entry
                .file_name()
                .to_str()
                .and_then(|name| AgentId::new(name).ok()),
        );
    }
    ids.sort();
    Ok(ids)
}

fn timestamp(time: &Asn1TimeRef) -> Result<Timestamp, PkiError> {
    let difference = Asn1Time::from_unix(0)
        .and_then(|epoch| epoch.diff(time))
        .map_err(PkiError::crypto("read a certificate's end"))?;
    let seconds = i64::from(difference.days) * 86_400 + i64::from(difference.secs);
    Ok(Timestamp::from_millis(seconds * 1000))
}
