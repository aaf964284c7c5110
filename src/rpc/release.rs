//! Sending an archive: in pieces, as fast as the agent takes them; in one message to an agent
//! that knows no pieces.

use std::io::{self, ErrorKind, Read};

use futures_executor::block_on;
use futures_util::SinkExt;
use grpcio::{CallOption, ClientCStreamSender, WriteFlags};

use super::client::{AgentClient, Patience, acknowledged};
use super::error::RpcError;
use super::limits::{MAX_DEPLOY_BYTES, RELEASE_CHUNK_BYTES, RELEASE_DEADLINE};
use crate::model::function::{Code, FunctionConfig};
use crate::model::ids::FunctionName;
use crate::wire::function::{config_to_proto, header_to_proto};
use crate::wire::proto::{self, AgentServiceClient, release_chunk::Part};

/// What is sent beside the archive.
#[derive(Debug, Clone, Copy)]
pub struct OutgoingRelease<'a> {
    /// Known to the agent, unless `config` comes along.
    pub function: &'a FunctionName,
    /// The digest is of the archive as it is sent.
    pub code: &'a Code,
    /// Of the archive.
    pub size_bytes: u64,
    /// To come into force with the code.
    pub config: Option<&'a FunctionConfig>,
}

enum Sent {
    Whole,
    /// The agent ended the call before it had everything; its status says why.
    Stopped,
}

impl AgentClient {
    /// Sends a release and returns once the agent has it in force, with its remark for people, which
    /// is empty mostly. `open` gives the archive from its start; it is called again when the agent
    /// knows no pieces.
    ///
    /// # Errors
    /// See [`RpcError`]; [`RpcError::TooLarge`] when a legacy agent cannot take it in one
    /// message.
    pub fn push_release<R: Read>(
        &self,
        release: &OutgoingRelease<'_>,
        open: impl Fn() -> io::Result<R>,
    ) -> Result<String, RpcError> {
        match self.push_pieces(release, open().map_err(RpcError::Source)?) {
            Err(RpcError::Unimplemented) => {
                self.deploy_whole(release, open().map_err(RpcError::Source)?)
            }
            result => result,
        }
    }

    fn push_pieces(
        &self,
        release: &OutgoingRelease<'_>,
        archive: impl Read,
    ) -> Result<String, RpcError> {
        self.ready(Patience::UntilBound)?;
        let option = CallOption::default().timeout(RELEASE_DEADLINE);
        let (mut sink, answer) = self
            .stub()
            .push_release_opt(option)
            .map_err(RpcError::of_start)?;
        // Dropping the sink unclosed cancels the call: the agent discards what it got.
        let sent = send(&mut sink, release, archive).map_err(RpcError::Source)?;
        if let Sent::Whole = sent {
            // A failure to close is a failure of the call, which the answer tells.
            let _ = block_on(sink.close());
        }
        let answer = block_on(answer).map_err(RpcError::of_call)?;
        acknowledged(answer.success, answer.message)?;
        Ok(answer.remark)
    }

    fn deploy_whole(
        &self,
        release: &OutgoingRelease<'_>,
        archive: impl Read,
    ) -> Result<String, RpcError> {
        let mut code_archive = Vec::new();
        let limit = MAX_DEPLOY_BYTES;
        archive
            .take(limit as u64 + 1)
            .read_to_end(&mut code_archive)
            .map_err(RpcError::Source)?;
        if code_archive.len() > limit {
            let bytes = usize::try_from(release.size_bytes).unwrap_or(usize::MAX);
            return Err(RpcError::TooLarge { bytes, limit });
        }
        let package = proto::DeploymentPackage {
            function_name: release.function.to_string(),
            code_archive,
            config: release.config.map(config_to_proto),
        };
        let start = AgentServiceClient::deploy_function_async_opt;
        let answer = self.unary(start, &package, RELEASE_DEADLINE)?;
        acknowledged(answer.success, answer.message)?;
        Ok(answer.remark)
    }
}

fn send(
    sink: &mut ClientCStreamSender<proto::ReleaseChunk>,
    release: &OutgoingRelease<'_>,
    mut archive: impl Read,
) -> io::Result<Sent> {
    let header = header_to_proto(
        release.function,
        release.code,
        release.size_bytes,
        release.config,
    );
    let mut part = Part::Header(header);
    loop {
        let chunk = proto::ReleaseChunk { part: Some(part) };
        // Waits until the transport has room: this is the flow control.
        if block_on(sink.send((chunk, WriteFlags::default()))).is_err() {
            return Ok(Sent::Stopped);
        }
        let data = piece(&mut archive)?;
        if data.is_empty() {
            return Ok(Sent::Whole);
        }
        part = Part::Data(data);
    }
}

fn piece(archive: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut data = vec![0; RELEASE_CHUNK_BYTES];
    let mut filled = 0;
    while filled < data.len() {
        match archive.read(&mut data[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    data.truncate(filled);
    Ok(data)
}
