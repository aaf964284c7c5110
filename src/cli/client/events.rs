//! Server-Sent Events, as the API sends them.
//!
//! Refuses: events larger than any that Flux sends.

use std::io::{self, BufRead, BufReader, Read};

/// Of one event. A chunk of output has a few hundred KiB at the most, and a final record without its
/// output has less.
const MAX_EVENT_BYTES: usize = 16 << 20;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Event {
    /// `output`, `ended` and so on.
    pub(crate) name: String,
    /// For `Last-Event-ID`; empty when the event has none.
    pub(crate) id: String,
    /// JSON.
    pub(crate) data: String,
}

/// The events of one answer.
#[derive(Debug)]
pub(crate) struct Events<R> {
    reader: BufReader<R>,
}

impl<R: Read> Events<R> {
    pub(crate) fn new(body: R) -> Events<R> {
        Events {
            reader: BufReader::new(body),
        }
    }

    /// The next event; `None` at the end of the answer. An event that the end cuts off does not count.
    ///
    /// # Errors
    /// The connection's, and `InvalidData` for an event that is too large or no UTF-8.
    pub(crate) fn next_event(&mut self) -> io::Result<Option<Event>> {
        let mut event = Event::default();
        let mut size = 0;
        loop {
            let Some(line) = self.line(MAX_EVENT_BYTES - size)? else {
                return Ok(None);
            };
            size += line.len();
            if line.is_empty() {
                // Comments and lone ids end with an empty line too.
                if event.data.is_empty() {
                    event = Event::default();
                    size = 0;
                    continue;
                }
                return Ok(Some(event));
            }
            take_field(&mut event, &line);
        }
    }

    fn line(&mut self, longest: usize) -> io::Result<Option<String>> {
        let mut bytes = Vec::new();
        let limit = longest as u64 + 1;
        (&mut self.reader)
            .take(limit)
            .read_until(b'\n', &mut bytes)?;
        if bytes.pop() != Some(b'\n') {
            if bytes.len() >= longest {
                return Err(invalid("an event is larger than 16 MiB"));
            }
            return Ok(None);
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| invalid("an event is no UTF-8"))
    }
}

fn take_field(event: &mut Event, line: &str) {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    let value = value.strip_prefix(' ').unwrap_or(value);
    match name {
        "event" => value.clone_into(&mut event.name),
        "id" => value.clone_into(&mut event.id),
        "data" => {
            if !event.data.is_empty() {
                event.data.push('\n');
            }
            event.data.push_str(value);
        }
        // A comment (no name), `retry`, or what later versions add.
        _ => {}
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<Event> {
        let mut events = Events::new(text.as_bytes());
        std::iter::from_fn(|| events.next_event().expect("readable")).collect()
    }

    #[test]
    fn events_are_read_with_name_id_and_lines_of_data() {
        let events = all(
            ": hello\n\nevent: output\nid: 7\ndata: {\ndata: }\n\nevent:ended\r\ndata:x\r\n\r\n",
        );
        assert_eq!(
            events,
            [
                Event {
                    name: "output".into(),
                    id: "7".into(),
                    data: "{\n}".into()
                },
                Event {
                    name: "ended".into(),
                    id: String::new(),
                    data: "x".into()
                },
            ]
        );
    }

    #[test]
    fn an_event_that_was_cut_off_is_none() {
        assert!(all("event: output\ndata: {\"a\":1}\n").is_empty());
        assert!(all("event: output\ndata: {\"a\":").is_empty());
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut events = Events::new(io::repeat(b'x'));
        assert_eq!(
            events.next_event().expect_err("too large").kind(),
            io::ErrorKind::InvalidData
        );
        let mut events = Events::new(io::BufReader::new(RepeatLine(0)));
        assert_eq!(
            events.next_event().expect_err("too large").kind(),
            io::ErrorKind::InvalidData
        );
    }

    struct RepeatLine(usize);

    impl Read for RepeatLine {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let line = b"data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n";
            for byte in buffer.iter_mut() {
                *byte = line[self.0 % line.len()];
                self.0 += 1;
            }
            Ok(buffer.len())
        }
    }
}
