//! What an execution wrote: bytes of two streams in the order of their arrival.
//!
//! A segment is a run of bytes of one stream. Neighbours differ, and there are two streams, so
//! the starts are enough: the even segments are stdout, the odd ones stderr. The first is stdout
//! and starts at 0 (it is empty when stderr speaks first).

/// Bytes that are read at once when one stream is picked out of both.
const BLOCK_BYTES: u64 = 64 * 1024;

/// Which of its two outputs a process wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

impl Stream {
    /// `stdout` or `stderr`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }

    /// 0 or 1, for what is kept of each.
    pub(crate) const fn index(self) -> usize {
        match self {
            Stream::Stdout => 0,
            Stream::Stderr => 1,
        }
    }

    const fn of_segment(index: usize) -> Stream {
        if index.is_multiple_of(2) {
            Stream::Stdout
        } else {
            Stream::Stderr
        }
    }
}

/// Output as it is kept or sent along, with what belongs to which stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// Both streams in the order of their arrival.
    pub bytes: Vec<u8>,
    /// Which of the bytes belong to which stream.
    pub segments: Segments,
}

impl Output {
    /// Of stdout alone, or of somebody who does not tell the streams apart.
    pub fn of_stdout(bytes: Vec<u8>) -> Output {
        Output {
            bytes,
            segments: Segments::default(),
        }
    }

    /// Leaves out what is beyond `length`.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.bytes.truncate(length);
        self.segments.truncate(length as u64);
    }
}

/// A piece of recorded output. Pieces of one execution follow each other without gap or overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputChunk {
    /// Where it was written.
    pub stream: Stream,
    /// Position of its first byte in the merged output.
    pub offset: u64,
    /// Position of its first byte in its own stream.
    pub stream_offset: u64,
    /// Never empty.
    pub data: Vec<u8>,
}

/// Starts of the segments after the first, ascending: 8 bytes for each change of stream.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Segments {
    starts: Vec<u64>,
}

/// A run of bytes of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub stream: Stream,
    /// Its first byte, as a position in the merged output.
    pub start: u64,
    /// In the merged output; for the last segment, where the output ends.
    pub end: u64,
    /// Of the first byte in its own stream.
    pub stream_start: u64,
}

/// Where a reader stands among the segments, so that going on costs nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cursor {
    index: usize,
    /// Bytes of stdout and stderr before the segment.
    before: [u64; 2],
}

impl Segments {
    /// Of an output of `total` bytes. `None` unless every start is behind the one before and
    /// before the end.
    pub fn from_starts(starts: Vec<u64>, total: u64) -> Option<Segments> {
        let is_ascending = starts.is_sorted_by(|a, b| a < b);
        let ends_before = starts.last().is_none_or(|&last| last < total);
        (is_ascending && ends_before).then_some(Segments { starts })
    }

    /// All of them after the first.
    pub(crate) fn starts(&self) -> &[u64] {
        &self.starts
    }

    /// Of the last segment: where output of another stream makes a new one.
    pub(crate) fn current(&self) -> Stream {
        Stream::of_segment(self.starts.len())
    }

    /// Begins a segment of the other stream, behind all others.
    pub(crate) fn change(&mut self, start: u64) {
        self.starts.push(start);
    }

    /// Takes up bytes of `stream` that begin at `offset`, behind all others.
    pub(crate) fn extend(&mut self, stream: Stream, offset: u64) {
        if stream != self.current() {
            self.change(offset);
        }
    }

    /// The segment at the cursor, of an output of `total` bytes.
    pub(crate) fn at(&self, cursor: Cursor, total: u64) -> Segment {
        let stream = Stream::of_segment(cursor.index);
        Segment {
            stream,
            start: cursor
                .index
                .checked_sub(1)
                .map_or(0, |before| self.starts[before]),
            end: self.starts.get(cursor.index).copied().unwrap_or(total),
            stream_start: cursor.before[stream.index()],
        }
    }

    /// Moves the cursor on to the segment that holds `offset`, or to the last one.
    pub(crate) fn seek(&self, mut cursor: Cursor, offset: u64, total: u64) -> Cursor {
        while offset >= self.at(cursor, total).end
            && let Some(next) = self.step(cursor, total)
        {
            cursor = next;
        }
        cursor
    }

    /// All segments in order, of an output of `total` bytes.
    pub(crate) fn iter(&self, total: u64) -> impl Iterator<Item = Segment> {
        std::iter::successors(Some(Cursor::default()), move |&cursor| {
            self.step(cursor, total)
        })
        .map(move |cursor| self.at(cursor, total))
    }

    /// How often the stream changed.
    pub(crate) fn changes(&self) -> u64 {
        self.starts.len() as u64
    }

    /// Bytes of one stream, of an output of `total` bytes.
    pub(crate) fn bytes_of(&self, stream: Stream, total: u64) -> u64 {
        self.iter(total)
            .filter(|segment| segment.stream == stream)
            .map(|segment| segment.end - segment.start)
            .sum()
    }

    /// Where in the merged output, of `total` bytes, the bytes of `stream` from `from` to `to` in it
    /// lie: starts and ends, in order.
    pub(crate) fn pieces(&self, stream: Stream, from: u64, to: u64, total: u64) -> Vec<(u64, u64)> {
        self.iter(total)
            .filter(|segment| segment.stream == stream)
            .filter_map(|segment| segment.clip(from, to))
            .collect()
    }

    fn truncate(&mut self, total: u64) {
        let kept = self.starts.partition_point(|&start| start < total);
        self.starts.truncate(kept);
    }

    fn step(&self, mut cursor: Cursor, total: u64) -> Option<Cursor> {
        if cursor.index == self.starts.len() {
            return None;
        }
        let segment = self.at(cursor, total);
        cursor.index += 1;
        cursor.before[segment.stream.index()] += segment.end - segment.start;
        Some(cursor)
    }
}

impl Segment {
    /// The part, in the merged output, of what lies from `from` to `to` in the segment's stream.
    fn clip(&self, from: u64, to: u64) -> Option<(u64, u64)> {
        let stream_end = self.stream_start + (self.end - self.start);
        let (from, to) = (from.max(self.stream_start), to.min(stream_end));
        (from < to).then(|| {
            let shift = |offset| self.start + (offset - self.stream_start);
            (shift(from), shift(to))
        })
    }
}

/// The bytes of `pieces`, which are in order. `read` appends what lies from a start to an end. It is
/// asked for blocks: a stream that alternates with the other byte by byte would otherwise cost a
/// question for each.
///
/// # Errors
/// What `read` reports.
pub(crate) fn gather<E>(
    pieces: &[(u64, u64)],
    mut read: impl FnMut(u64, u64, &mut Vec<u8>) -> Result<(), E>,
) -> Result<Vec<u8>, E> {
    let last = pieces.last().map_or(0, |&(_, end)| end);
    let mut gathered = Vec::new();
    let mut block = Vec::new();
    let mut block_start = 0;
    for &(mut start, end) in pieces {
        while start < end {
            let block_end = block_start + block.len() as u64;
            if start < block_start || start >= block_end {
                block.clear();
                block_start = start;
                read(start, last.min(start + BLOCK_BYTES), &mut block)?;
                if block.is_empty() {
                    return Ok(gathered);
                }
                continue;
            }
            let until = end.min(block_end);
            // Both lie in the block.
            let [from, to] =
                [start, until].map(|at| usize::try_from(at - block_start).unwrap_or(0));
            gathered.extend_from_slice(&block[from..to]);
            start = until;
        }
    }
    Ok(gathered)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::Stream::{Stderr, Stdout};
    use super::*;

    fn segments(starts: &[u64], total: u64) -> Segments {
        Segments::from_starts(starts.to_vec(), total).expect("starts")
    }

    #[test]
    fn segments_alternate_and_count_each_stream() {
        let segments = segments(&[0, 3, 10], 12);
        let lengths: Vec<_> = segments
            .iter(12)
            .map(|it| (it.stream, it.end - it.start, it.stream_start))
            .collect();
        assert_eq!(
            lengths,
            [
                (Stdout, 0, 0),
                (Stderr, 3, 0),
                (Stdout, 7, 0),
                (Stderr, 2, 3)
            ]
        );
        assert_eq!(segments.current(), Stderr);
        assert_eq!(segments.bytes_of(Stderr, 12), 5);
        assert_eq!(Segments::default().bytes_of(Stdout, 5), 5);
    }

    #[test]
    fn starts_that_do_not_ascend_or_lie_behind_the_end_make_no_segments() {
        for starts in [vec![3, 3], vec![4, 3], vec![10], vec![2, 11]] {
            assert_eq!(Segments::from_starts(starts, 10), None);
        }
    }

    #[test]
    fn a_cursor_goes_on_from_where_it_stands() {
        let segments = segments(&[4, 6], 9);
        let mut cursor = Cursor::default();
        for (offset, stream, stream_start) in [
            (0, Stdout, 0),
            (3, Stdout, 0),
            (4, Stderr, 0),
            (6, Stdout, 4),
            (9, Stdout, 4),
        ] {
            cursor = segments.seek(cursor, offset, 9);
            let segment = segments.at(cursor, 9);
            assert_eq!(
                (segment.stream, segment.stream_start),
                (stream, stream_start),
                "{offset}"
            );
        }
    }

    #[test]
    fn one_stream_is_gathered_from_between_the_other() {
        let merged = b"aabbbcdd";
        let segments = segments(&[2, 5, 6], 8);
        let gathered = |stream, from, to| {
            let pieces = segments.pieces(stream, from, to, 8);
            let result = gather::<Infallible>(&pieces, |start, end, into| {
                into.extend_from_slice(&merged[start as usize..end as usize]);
                Ok(())
            });
            match result {
                Ok(bytes) => String::from_utf8(bytes).expect("text"),
            }
        };
        assert_eq!(gathered(Stdout, 0, u64::MAX), "aac");
        assert_eq!(gathered(Stderr, 0, u64::MAX), "bbbdd");
        assert_eq!(gathered(Stderr, 2, 4), "bd");
        assert_eq!(gathered(Stderr, 5, 9), "");
    }

    #[test]
    fn truncated_output_forgets_the_changes_behind_its_end() {
        let mut output = Output {
            bytes: b"aabbbc".to_vec(),
            segments: segments(&[2, 5], 6),
        };
        output.truncate(5);
        assert_eq!(output.segments.starts(), [2]);
        output.truncate(2);
        assert_eq!(output.segments, Segments::default());
        assert_eq!(output.bytes, b"aa");
    }
}
