//! Which bytes of the merged output belong to which stream, and the index file's form of that.
//!
//! A segment is a run of bytes of one stream. Neighbours differ, and there are two streams, so
//! the starts are enough: the even segments are stdout, the odd ones stderr. The first is stdout
//! and starts at 0 (it is empty when stderr speaks first).

use crate::model::execution::Stream;

/// Bytes of one index entry.
pub(super) const ENTRY_BYTES: usize = 9;

/// Starts of the segments after the first, ascending: 8 bytes for each change of stream, which
/// the cap bounds.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Segments {
    starts: Vec<u64>,
}

/// A run of bytes of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) stream: Stream,
    /// In the merged output.
    pub(super) start: u64,
    /// In the merged output; for the last segment, where the output ends now.
    pub(super) end: u64,
    /// Of the first byte in its own stream.
    pub(super) stream_start: u64,
}

/// Where a reader stands among the segments, so that going on costs nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cursor {
    index: usize,
    /// Bytes of stdout and stderr before the segment.
    before: [u64; 2],
}

impl Segments {
    /// Of the last segment: where output of another stream makes a new one.
    pub(super) fn current(&self) -> Stream {
        stream_of(self.starts.len())
    }

    /// Begins a segment of the other stream.
    pub(super) fn change(&mut self, start: u64) {
        self.starts.push(start);
    }

    /// The segment at the cursor, of an output of `total` bytes.
    pub(super) fn at(&self, cursor: Cursor, total: u64) -> Segment {
        let stream = stream_of(cursor.index);
        Segment {
            stream,
            start: cursor
                .index
                .checked_sub(1)
                .map_or(0, |before| self.starts[before]),
            end: self.starts.get(cursor.index).copied().unwrap_or(total),
            stream_start: cursor.before[position(stream)],
        }
    }

    /// Moves the cursor on to the segment that holds `offset`, or to the last one.
    pub(super) fn seek(&self, mut cursor: Cursor, offset: u64, total: u64) -> Cursor {
        while offset >= self.at(cursor, total).end
            && let Some(next) = self.step(cursor, total)
        {
            cursor = next;
        }
        cursor
    }

    /// All segments in order.
    pub(super) fn iter(&self, total: u64) -> impl Iterator<Item = Segment> {
        std::iter::successors(Some(Cursor::default()), move |&cursor| {
            self.step(cursor, total)
        })
        .map(move |cursor| self.at(cursor, total))
    }

    /// How often the stream changed.
    pub(super) fn changes(&self) -> u64 {
        self.starts.len() as u64
    }

    fn step(&self, mut cursor: Cursor, total: u64) -> Option<Cursor> {
        if cursor.index == self.starts.len() {
            return None;
        }
        let segment = self.at(cursor, total);
        cursor.index += 1;
        cursor.before[position(segment.stream)] += segment.end - segment.start;
        Some(cursor)
    }

    /// Reads an index file, of an output of `total` bytes. A torn or damaged tail is left out, and
    /// so are changes whose bytes never came.
    pub(super) fn parse(index: &[u8], total: u64) -> Segments {
        let mut segments = Segments::default();
        for entry in index.chunks_exact(ENTRY_BYTES) {
            let Some((start, stream)) = parse_entry(entry) else {
                break;
            };
            let is_next = segments.starts.last().is_none_or(|&last| last < start);
            if !is_next || start >= total || stream == segments.current() {
                break;
            }
            segments.change(start);
        }
        segments
    }
}

/// The index entry for a segment of `stream` that starts at `start`.
pub(super) fn entry(start: u64, stream: Stream) -> [u8; ENTRY_BYTES] {
    let mut entry = [0; ENTRY_BYTES];
    entry[..8].copy_from_slice(&start.to_le_bytes());
    entry[8] = match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
    };
    entry
}

fn parse_entry(entry: &[u8]) -> Option<(u64, Stream)> {
    let (start, stream) = entry.split_first_chunk::<8>()?;
    let stream = match stream {
        [0] => Stream::Stdout,
        [1] => Stream::Stderr,
        _ => return None,
    };
    Some((u64::from_le_bytes(*start), stream))
}

const fn stream_of(index: usize) -> Stream {
    if index.is_multiple_of(2) {
        Stream::Stdout
    } else {
        Stream::Stderr
    }
}

pub(super) const fn position(stream: Stream) -> usize {
    match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(changes: &[(u64, Stream)]) -> Vec<u8> {
        changes
            .iter()
            .flat_map(|&(start, stream)| entry(start, stream))
            .collect()
    }

    fn lengths(segments: &Segments, total: u64) -> Vec<(Stream, u64, u64)> {
        segments
            .iter(total)
            .map(|segment| {
                (
                    segment.stream,
                    segment.end - segment.start,
                    segment.stream_start,
                )
            })
            .collect()
    }

    #[test]
    fn segments_alternate_and_count_each_stream() {
        use Stream::{Stderr, Stdout};
        let bytes = index(&[(0, Stderr), (3, Stdout), (10, Stderr)]);
        let segments = Segments::parse(&bytes, 12);
        assert_eq!(
            lengths(&segments, 12),
            [
                (Stdout, 0, 0),
                (Stderr, 3, 0),
                (Stdout, 7, 0),
                (Stderr, 2, 3)
            ]
        );
        assert_eq!(segments.current(), Stderr);
        assert_eq!(lengths(&Segments::default(), 5), [(Stdout, 5, 0)]);
    }

    #[test]
    fn a_torn_or_damaged_index_keeps_what_is_whole() {
        use Stream::{Stderr, Stdout};
        let whole = index(&[(2, Stderr), (4, Stdout)]);
        let expected = Segments::parse(&whole, 10);
        assert_eq!(expected.starts, [2, 4]);
        for torn in 1..ENTRY_BYTES {
            let mut bytes = whole.clone();
            bytes.extend(&entry(6, Stderr)[..torn]);
            assert_eq!(Segments::parse(&bytes, 10), expected);
        }
        for damaged in [
            entry(4, Stderr),
            entry(6, Stdout),
            entry(10, Stderr),
            [0xff; 9],
        ] {
            let mut bytes = whole.clone();
            bytes.extend(damaged);
            assert_eq!(Segments::parse(&bytes, 10), expected);
        }
    }

    #[test]
    fn a_cursor_goes_on_from_where_it_stands() {
        use Stream::{Stderr, Stdout};
        let segments = Segments::parse(&index(&[(4, Stderr), (6, Stdout)]), 9);
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
}
