//! Releases as they come in: whole in one message from a legacy control plane, in pieces from others.

use openssl::sha::sha256;

use super::fields::{function_name, invalid};
use crate::agent::serve::worker_api::{Worker, WorkerError};
use crate::model::function::Code;
use crate::model::ids::Digest;
use crate::rpc::serve::Pushed;
use crate::wire;
use crate::wire::error::ErrorKind;
use crate::wire::function::ReleaseHeader;
use crate::wire::proto;

/// The header that a legacy control plane does not send, and the archive.
pub(super) fn unpacked(
    request: proto::DeploymentPackage,
) -> Result<(ReleaseHeader, Vec<u8>), WorkerError> {
    let archive = request.code_archive;
    let header = ReleaseHeader {
        function: function_name(&request.function_name)?,
        code: Code {
            version: 0,
            digest: Digest::from_sha256(sha256(&archive)),
        },
        size_bytes: archive.len() as u64,
        config: request
            .config
            .map(wire::function::config_from_proto)
            .transpose()
            .map_err(invalid)?,
    };
    Ok((header, archive))
}

/// Answers a release that comes in pieces, once it is in force.
pub(super) fn receive(worker: &dyn Worker, mut pushed: Pushed) {
    let archive = &mut pushed.archive;
    let result = archive
        .header()
        .map_err(|error| WorkerError::new(ErrorKind::Invalid, "release").because(error))
        .and_then(|header| wire::function::header_from_proto(header).map_err(invalid))
        .and_then(|header| worker.install_release(header, archive))
        .map(deployed);
    pushed.answer(result.map_err(|error| error.to_refusal()));
}

/// The answer to a release that is in force.
pub(super) fn deployed(remark: String) -> proto::DeploymentAck {
    proto::DeploymentAck {
        success: true,
        message: "deployed".to_owned(),
        remark,
    }
}
