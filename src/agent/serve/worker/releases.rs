//! Functions as they come and go: their configurations, and the archives with their code.

use std::io::Read;

use super::refusals::function_error;
use crate::agent::functions::Functions;
use crate::agent::serve::worker_api::WorkerError;
use crate::model::ids::FunctionName;
use crate::wire::error::ErrorKind;
use crate::wire::function::{ReceivedConfig, ReleaseHeader};

/// Bytes of an archive that are moved at once.
const COPY_BYTES: usize = 256 << 10;

/// Gives a remark for people.
///
/// # Errors
/// `Invalid`, `NoUserLeft`, `Storage`.
pub(super) fn register(
    functions: &Functions,
    config: ReceivedConfig,
) -> Result<String, WorkerError> {
    let name = config.config.name.clone();
    functions
        .register(config)
        .map(|function| function.remark())
        .map_err(|error| function_error(&name, error))
}

/// Reads the archive to its end. Gives a remark for people.
///
/// # Errors
/// `ArchiveRefused` also when reading fails; `FunctionNotFound`, `NoUserLeft`, `Storage`.
pub(super) fn install(
    functions: &Functions,
    header: ReleaseHeader,
    archive: &mut dyn Read,
) -> Result<String, WorkerError> {
    let name = header.function;
    let failed = |error| function_error(&name, error);
    let mut incoming = functions.receive().map_err(failed)?;
    let mut piece = vec![0; COPY_BYTES];
    loop {
        let count = archive
            .read(&mut piece)
            .map_err(|error| WorkerError::new(ErrorKind::ArchiveRefused, &name).because(error))?;
        if count == 0 {
            break;
        }
        incoming
            .write(&piece[..count])
            .map_err(|error| failed(error.into()))?;
    }
    let mut archive = incoming
        .finish(&header.code.digest, header.size_bytes)
        .map_err(|error| failed(error.into()))?;
    functions
        .install(&name, &header.code, header.config, &mut archive)
        .map(|function| function.remark())
        .map_err(failed)
}

/// An unknown function is no error.
///
/// # Errors
/// `Storage`.
pub(super) fn remove(functions: &Functions, function: &FunctionName) -> Result<(), WorkerError> {
    functions
        .remove(function)
        .map(drop)
        .map_err(|error| function_error(function, error))
}
