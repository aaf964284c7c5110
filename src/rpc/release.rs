//! Sending an archive: in pieces, as fast as the agent takes them; in one message to an agent
//! that knows no pieces.

use std::io::{self, ErrorKind, Read};

use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use super::call::{Answered, Sending, cancel, one_answer, taken_down, understood};
use super::channel::Patience;
use super::client::{AgentClient, acknowledged};
use super::error::RpcError;
use super::grpc::framing::framed;
use super::h2::calls::{Answers, Calls};
use super::h2::link::Link;
use super::h2::session::StreamId;
use super::limits::{MAX_DEPLOY_BYTES, RELEASE_CHUNK_BYTES, RELEASE_DEADLINE};
use crate::model::function::{Code, FunctionConfig};
use crate::model::ids::FunctionName;
use crate::wire::function::{config_to_proto, header_to_proto};
use crate::wire::proto::{self, release_chunk::Part};

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

/// A call whose request streams out. Dropped before its answer, it is given up, and the agent discards what it
/// got.
struct Pushing<'a> {
    link: &'a Link<Calls>,
    stream: StreamId,
    answer: Receiver<Answered>,
    deadline: Instant,
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
        let channel = self.channel();
        let link = channel.ready(Patience::UntilBound)?;
        let (sender, answer) = bounded(1);
        let sending = Sending::new(channel, proto::PUSH_RELEASE).within(RELEASE_DEADLINE);
        let stream = sending.start(&link, None, Answers::One, one_answer(sender))?;
        let mut pushing = Pushing {
            link: &link,
            stream,
            answer,
            deadline: Instant::now() + RELEASE_DEADLINE,
        };
        send(&mut pushing, release, archive).map_err(RpcError::Source)?;
        let answer = pushing.answer()?;
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
        let start = proto::DEPLOY_FUNCTION;
        let answer = self.call(start, &package, RELEASE_DEADLINE)?;
        acknowledged(answer.success, answer.message)?;
        Ok(answer.remark)
    }
}

impl Pushing<'_> {
    /// Sends a piece once there is room for it; `false` when the agent has ended the call before it had everything:
    /// its answer says why.
    fn send(&mut self, chunk: &proto::ReleaseChunk) -> bool {
        let (sender, room) = bounded(1);
        let sent = self
            .link
            .with(|session, calls| calls.send(session, self.stream, framed(chunk), sender));
        // Without room before the deadline, waiting for the answer says so.
        matches!(sent, Ok(Ok(true))) && room.recv_deadline(self.deadline).is_ok()
    }

    fn answer(self) -> Result<proto::DeploymentAck, RpcError> {
        let _ = self
            .link
            .with(|session, calls| calls.finish(session, self.stream));
        match self.answer.recv_deadline(self.deadline) {
            Ok(answered) => understood(answered),
            Err(RecvTimeoutError::Timeout) => Err(RpcError::Deadline),
            Err(RecvTimeoutError::Disconnected) => understood(Err(taken_down())),
        }
    }
}

impl Drop for Pushing<'_> {
    fn drop(&mut self) {
        // Does nothing to a call that has ended.
        cancel(self.link, self.stream);
    }
}

/// Ends early where the agent does.
fn send(
    pushing: &mut Pushing<'_>,
    release: &OutgoingRelease<'_>,
    mut archive: impl Read,
) -> io::Result<()> {
    let header = header_to_proto(
        release.function,
        release.code,
        release.size_bytes,
        release.config,
    );
    let mut part = Part::Header(header);
    loop {
        let chunk = proto::ReleaseChunk { part: Some(part) };
        if !pushing.send(&chunk) {
            return Ok(());
        }
        let data = piece(&mut archive)?;
        if data.is_empty() {
            return Ok(());
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
