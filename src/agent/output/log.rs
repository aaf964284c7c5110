//! One execution's output while it is recorded, and after.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use crossbeam_channel::Sender;

use super::error::OutputError;
use super::follow::Follower;
use super::index::{self, ENTRY_BYTES, entry};
use super::spool::SpoolFiles;
use crate::base::causes::with_causes;
use crate::base::threads::lock;
use crate::model::ids::ExecutionId;
use crate::model::output::{Cursor, Output, OutputChunk, Segments, Stream, gather};

/// What a change of stream counts against the cap: its entry in the index file and in memory. A
/// function that alternates single bytes would otherwise make 17 bytes of each.
pub(crate) const CHANGE_COST_BYTES: u64 = 16;

/// What one execution has written so far. Cheap to clone: all clones are the same log.
#[derive(Debug, Clone)]
pub(crate) struct OutputLog {
    shared: Arc<Shared>,
}

/// A piece of output, and how much there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutputPage {
    /// What was asked for, as far as it is recorded.
    pub data: Vec<u8>,
    /// Bytes recorded so far of what was asked for: one stream, or both.
    pub total: u64,
    /// Whether no more can come.
    pub ended: bool,
}

/// How much an execution wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct OutputTotals {
    /// Written to stdout, recorded or not.
    pub stdout_bytes: u64,
    /// Written to stderr, recorded or not.
    pub stderr_bytes: u64,
    /// Recorded of stdout.
    pub recorded_stdout_bytes: u64,
    /// Recorded of stderr.
    pub recorded_stderr_bytes: u64,
    /// Whether something was not recorded.
    pub truncated: bool,
    /// Whether no more can come.
    pub ended: bool,
}

#[derive(Debug)]
struct Shared {
    execution: ExecutionId,
    cap: u64,
    /// Appended to by the writer, read by everybody; absent until the first byte.
    data: OnceLock<File>,
    /// Held through an append: there is one writer, and this makes it so.
    writer: Mutex<Writer>,
    /// Never held during input or output.
    state: Mutex<State>,
}

#[derive(Debug)]
struct Writer {
    files: SpoolFiles,
    index: Option<File>,
}

#[derive(Debug, Default)]
struct State {
    segments: Segments,
    /// Recorded bytes that readers may see.
    recorded: u64,
    /// The same for each stream, by [`Stream::index`].
    recorded_by_stream: [u64; 2],
    written_by_stream: [u64; 2],
    truncated: bool,
    ended: bool,
    /// One for each follower: a channel of one message, which says that there is news.
    followers: Vec<Sender<()>>,
}

impl OutputLog {
    /// An empty log; its files are made with their first byte.
    pub(crate) fn create(spool_dir: &Path, execution: &ExecutionId, cap: u64) -> OutputLog {
        OutputLog::new(spool_dir, execution, cap, State::default(), OnceLock::new())
    }

    /// The log of an execution that ended in an earlier run. What was written but not recorded is
    /// not known here: the totals are those of the recorded bytes.
    ///
    /// # Errors
    /// The system's reason; files that are not there make an empty log.
    pub(crate) fn reopen(
        spool_dir: &Path,
        execution: &ExecutionId,
    ) -> Result<OutputLog, OutputError> {
        let files = SpoolFiles::new(spool_dir, execution);
        let read = || OutputError::at("read", execution);
        let mut state = State {
            ended: true,
            ..State::default()
        };
        let data = OnceLock::new();
        if let Some(file) = files.open_data().map_err(read())? {
            state.recorded = file.metadata().map_err(read())?.len();
            // There is a byte of data for each change at least.
            let most = state.recorded.saturating_mul(ENTRY_BYTES as u64);
            let entries = files.read_index(most).map_err(read())?;
            state.segments = index::parse(&entries, state.recorded);
            state.recorded_by_stream = [Stream::Stdout, Stream::Stderr]
                .map(|stream| state.segments.bytes_of(stream, state.recorded));
            state.written_by_stream = state.recorded_by_stream;
            data.get_or_init(|| file);
        }
        Ok(OutputLog::new(spool_dir, execution, 0, state, data))
    }

    fn new(
        spool_dir: &Path,
        execution: &ExecutionId,
        cap: u64,
        state: State,
        data: OnceLock<File>,
    ) -> OutputLog {
        OutputLog {
            shared: Arc::new(Shared {
                execution: execution.clone(),
                cap,
                data,
                writer: Mutex::new(Writer {
                    files: SpoolFiles::new(spool_dir, execution),
                    index: None,
                }),
                state: Mutex::new(state),
            }),
        }
    }

    /// Records what the execution wrote, as far as the cap goes; beyond it bytes are counted and
    /// dropped. A disk that refuses counts as the cap: the execution goes on. For one thread; a
    /// second one would wait.
    pub(crate) fn append(&self, stream: Stream, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut writer = lock(&self.shared.writer);
        let Some(room) = self.shared.count(stream, bytes.len() as u64) else {
            return;
        };
        // The room is at most the length.
        let kept = &bytes[..usize::try_from(room.bytes).unwrap_or(0)];
        let recorded = self.shared.record(&mut writer, stream, &room, kept);
        if let Err(error) = &recorded {
            log::error!(
                "cannot record the output of {}, the rest is dropped: {}",
                self.shared.execution,
                with_causes(&error)
            );
        }
        self.shared.publish(stream, &room, recorded.is_ok());
    }

    /// The execution has ended: nothing is appended any more. Wakes all followers.
    pub(crate) fn finish(&self) {
        // An append that is under way comes first.
        let mut writer = lock(&self.shared.writer);
        writer.index = None;
        let mut state = lock(&self.shared.state);
        state.ended = true;
        state.wake();
    }

    /// Both streams in the order of arrival, from `offset` on, at most `limit` bytes.
    ///
    /// # Errors
    /// The system's reason.
    pub(crate) fn read_merged(&self, offset: u64, limit: u64) -> Result<OutputPage, OutputError> {
        let (total, ended) = {
            let state = lock(&self.shared.state);
            (state.recorded, state.ended)
        };
        let end = total.min(offset.saturating_add(limit));
        let mut data = Vec::new();
        self.shared.read(offset, end, &mut data)?;
        Ok(OutputPage { data, total, ended })
    }

    /// One stream, from `offset` in it on, at most `limit` bytes.
    ///
    /// # Errors
    /// The system's reason.
    pub(crate) fn read_stream(
        &self,
        stream: Stream,
        offset: u64,
        limit: u64,
    ) -> Result<OutputPage, OutputError> {
        let end = offset.saturating_add(limit);
        let (pieces, total, ended) = {
            let state = lock(&self.shared.state);
            let pieces = state.segments.pieces(stream, offset, end, state.recorded);
            let total = state.recorded_by_stream[stream.index()];
            (pieces, total, state.ended)
        };
        let data = gather(&pieces, |start, end, into| {
            self.shared.read(start, end, into)
        })?;
        Ok(OutputPage { data, total, ended })
    }

    /// How many bytes are recorded so far.
    pub(crate) fn recorded(&self) -> u64 {
        lock(&self.shared.state).recorded
    }

    /// Everything that is recorded so far.
    ///
    /// # Errors
    /// The system's reason.
    pub(crate) fn read_all(&self) -> Result<Output, OutputError> {
        let (total, segments) = {
            let state = lock(&self.shared.state);
            (state.recorded, state.segments.clone())
        };
        let mut bytes = Vec::new();
        self.shared.read(0, total, &mut bytes)?;
        Ok(Output { bytes, segments })
    }

    /// How much there is.
    pub(crate) fn totals(&self) -> OutputTotals {
        let state = lock(&self.shared.state);
        let [stdout_bytes, stderr_bytes] = state.written_by_stream;
        let [recorded_stdout_bytes, recorded_stderr_bytes] = state.recorded_by_stream;
        OutputTotals {
            stdout_bytes,
            stderr_bytes,
            recorded_stdout_bytes,
            recorded_stderr_bytes,
            truncated: state.truncated,
            ended: state.ended,
        }
    }

    /// Whoever wants the output from `offset` (in the merged output) on, as it comes.
    pub(crate) fn follow(&self, offset: u64) -> Follower {
        Follower::new(self.clone(), offset)
    }

    /// Registers a channel that gets a message, unless it holds one, whenever there is news.
    pub(super) fn subscribe(&self, wake: Sender<()>) {
        lock(&self.shared.state).followers.push(wake);
    }

    /// The next piece at `offset`, at most `limit` bytes of one stream; `None` when there is none
    /// yet, and whether there never will be.
    pub(super) fn next_chunk(
        &self,
        cursor: &mut Cursor,
        offset: u64,
        limit: u64,
    ) -> Result<(Option<OutputChunk>, bool), OutputError> {
        let (segment, ended) = {
            let state = lock(&self.shared.state);
            *cursor = state.segments.seek(*cursor, offset, state.recorded);
            (state.segments.at(*cursor, state.recorded), state.ended)
        };
        if offset >= segment.end {
            return Ok((None, ended));
        }
        let mut data = Vec::new();
        let end = segment.end.min(offset.saturating_add(limit));
        self.shared.read(offset, end, &mut data)?;
        let chunk = OutputChunk {
            stream: segment.stream,
            offset,
            stream_offset: segment.stream_start + (offset - segment.start),
            data,
        };
        Ok((Some(chunk), ended))
    }
}

/// What of an append is to be recorded.
#[derive(Debug)]
struct Room {
    bytes: u64,
    /// Where a new segment starts, if one does.
    change_at: Option<u64>,
    truncates: bool,
}

impl Shared {
    /// Counts what was written, and says how much of it to record.
    fn count(&self, stream: Stream, length: u64) -> Option<Room> {
        let mut state = lock(&self.state);
        state.written_by_stream[stream.index()] += length;
        if state.truncated || state.ended {
            state.truncated = true;
            return None;
        }
        let changes = state.segments.current() != stream;
        let used =
            state.recorded + CHANGE_COST_BYTES * (state.segments.changes() + u64::from(changes));
        let free = self.cap.saturating_sub(used);
        if free == 0 {
            state.truncated = true;
            return None;
        }
        Some(Room {
            bytes: free.min(length),
            change_at: changes.then_some(state.recorded),
            truncates: length > free,
        })
    }

    fn record(
        &self,
        writer: &mut Writer,
        stream: Stream,
        room: &Room,
        bytes: &[u8],
    ) -> io::Result<()> {
        if let Some(start) = room.change_at {
            if writer.index.is_none() {
                writer.index = Some(writer.files.create_index()?);
            }
            if let Some(index) = &mut writer.index {
                index.write_all(&entry(start, stream))?;
            }
        }
        let mut data = match self.data.get() {
            Some(data) => data,
            None => {
                let created = writer.files.create_data()?;
                self.data.get_or_init(|| created)
            }
        };
        let before = lock(&self.state).recorded;
        data.write_all(bytes).inspect_err(|_| {
            // A part may be in the file; readers after a restart go by its length. If even this
            // fails they see some bytes more.
            let _ = data.set_len(before);
        })
    }

    /// Shows readers what was recorded.
    fn publish(&self, stream: Stream, room: &Room, is_recorded: bool) {
        let mut state = lock(&self.state);
        state.truncated |= room.truncates || !is_recorded;
        if !is_recorded {
            return;
        }
        if let Some(start) = room.change_at {
            state.segments.change(start);
        }
        state.recorded += room.bytes;
        state.recorded_by_stream[stream.index()] += room.bytes;
        state.wake();
    }

    /// Appends the recorded bytes from `start` to `end` to `into`.
    fn read(&self, start: u64, end: u64, into: &mut Vec<u8>) -> Result<(), OutputError> {
        let Some(length) = end.checked_sub(start).filter(|&length| length > 0) else {
            return Ok(());
        };
        let read = OutputError::at("read", &self.execution);
        let Some(data) = self.data.get() else {
            return Err(read(io::ErrorKind::NotFound.into()));
        };
        let from = into.len();
        let Ok(length) = usize::try_from(length) else {
            return Err(read(io::ErrorKind::OutOfMemory.into()));
        };
        into.resize(from + length, 0);
        data.read_exact_at(&mut into[from..], start).map_err(read)
    }
}

impl State {
    fn wake(&mut self) {
        // A full channel has a message that its follower will find; a disconnected one has none.
        self.followers
            .retain(|follower| match follower.try_send(()) {
                Ok(()) | Err(crossbeam_channel::TrySendError::Full(())) => true,
                Err(crossbeam_channel::TrySendError::Disconnected(())) => false,
            });
    }
}
