//! One piece of live output, as an `output` event has it.

use super::document::Document;
use crate::cli::error::CliError;
use crate::cli::printer;
use crate::contract::execution::OutputChunk;
use crate::model::output::Stream;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chunk {
    pub(crate) stream: Stream,
    /// Position of the first byte of `data` in both streams together.
    pub(crate) offset: u64,
    /// What of the event's bytes is new: never empty where a chunk is handed on.
    pub(crate) data: Vec<u8>,
    /// The whole event.
    pub(crate) event: Document<OutputChunk>,
}

impl Chunk {
    /// `None` where the event is of another stream than those two, or its bytes cannot be decoded.
    pub(crate) fn new(event: Document<OutputChunk>) -> Option<Chunk> {
        let stream = [Stream::Stdout, Stream::Stderr]
            .into_iter()
            .find(|stream| stream.as_str() == event.stream)?;
        let data = match &event.data {
            // Also from whoever leaves the exact bytes out.
            Some(text) if event.data_base64.is_empty() => text.clone().into_bytes(),
            Some(_) | None => openssl::base64::decode_block(&event.data_base64).ok()?,
        };
        Some(Chunk {
            stream,
            offset: event.offset,
            data,
            event,
        })
    }

    /// Writes the bytes to where the function wrote them.
    ///
    /// # Errors
    /// Stdout cannot be written to.
    pub(crate) fn show(&self) -> Result<(), CliError> {
        match self.stream {
            Stream::Stdout => printer::raw(&self.data),
            Stream::Stderr => {
                printer::raw_stderr(&self.data);
                Ok(())
            }
        }
    }
}
