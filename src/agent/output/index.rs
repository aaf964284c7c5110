//! The index file's form of what belongs to which stream: an entry for each change of stream.

use crate::model::output::{Segments, Stream};

/// Bytes of one entry: where the segment starts (u64 LE), and its stream (0 or 1).
pub(super) const ENTRY_BYTES: usize = 9;

/// Reads an index file, of an output of `total` bytes. A torn or damaged tail is left out, and
/// so are changes whose bytes never came.
pub(super) fn parse(index: &[u8], total: u64) -> Segments {
    let mut segments = Segments::default();
    for entry in index.chunks_exact(ENTRY_BYTES) {
        let Some((start, stream)) = parse_entry(entry) else {
            break;
        };
        let is_next = segments.starts().last().is_none_or(|&last| last < start);
        if !is_next || start >= total || stream == segments.current() {
            break;
        }
        segments.change(start);
    }
    segments
}

/// The entry for a segment of `stream` that starts at `start`.
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

#[cfg(test)]
mod tests {
    use super::Stream::{Stderr, Stdout};
    use super::*;

    fn index(changes: &[(u64, Stream)]) -> Vec<u8> {
        changes
            .iter()
            .flat_map(|&(start, stream)| entry(start, stream))
            .collect()
    }

    #[test]
    fn an_index_reads_back() {
        let bytes = index(&[(0, Stderr), (3, Stdout), (10, Stderr)]);
        assert_eq!(parse(&bytes, 12).starts(), [0, 3, 10]);
    }

    #[test]
    fn a_torn_or_damaged_index_keeps_what_is_whole() {
        let whole = index(&[(2, Stderr), (4, Stdout)]);
        let expected = parse(&whole, 10);
        assert_eq!(expected.starts(), [2, 4]);
        for torn in 1..ENTRY_BYTES {
            let mut bytes = whole.clone();
            bytes.extend(&entry(6, Stderr)[..torn]);
            assert_eq!(parse(&bytes, 10), expected);
        }
        for damaged in [
            entry(4, Stderr),
            entry(6, Stdout),
            entry(10, Stderr),
            [0xff; 9],
        ] {
            let mut bytes = whole.clone();
            bytes.extend(damaged);
            assert_eq!(parse(&bytes, 10), expected);
        }
    }
}
