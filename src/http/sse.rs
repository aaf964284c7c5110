//! Server-Sent Events over a streamed response (WHATWG HTML, section 9.2).

use std::io::{self, ErrorKind, Write};

use super::response::Response;
use super::status::Status;

/// One event. All but the data may be absent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Event<'a> {
    /// What the client gives back as `Last-Event-ID`.
    pub id: Option<&'a str>,
    /// The event's name; `message` when absent.
    pub name: Option<&'a str>,
    /// Any text; its line ends reach the client as `\n`.
    pub data: &'a str,
}

/// Writes events, each sent at once.
pub struct EventWriter<'w> {
    to: &'w mut dyn Write,
}

impl Response {
    /// A stream of events. `produce` runs until it returns; a client that has left is an error of
    /// its next write, and pulls the request's `client_gone` cancel at once.
    pub fn events(
        produce: impl FnOnce(&mut EventWriter<'_>) -> io::Result<()> + Send + 'static,
    ) -> Response {
        Response::stream(Status::Ok, "text/event-stream", |body| {
            produce(&mut EventWriter { to: body })
        })
        .header("Cache-Control", "no-store")
    }
}

impl<'w> EventWriter<'w> {
    /// Over any writer that sends what it gets.
    #[cfg(test)]
    pub(crate) fn new(to: &'w mut dyn Write) -> EventWriter<'w> {
        EventWriter { to }
    }

    /// Sends one event.
    ///
    /// # Errors
    /// `InvalidInput` when the id or the name has a line end, or the id a NUL, which no framing
    /// can carry; otherwise the connection's error.
    pub fn event(&mut self, event: Event<'_>) -> io::Result<()> {
        let mut framed = String::with_capacity(event.data.len() + 64);
        for (field, value) in [("id: ", event.id), ("event: ", event.name)] {
            let Some(value) = value else { continue };
            if value.contains(['\r', '\n', '\0']) {
                return Err(io::Error::new(
                    ErrorKind::InvalidInput,
                    "an event's id and name are single lines",
                ));
            }
            framed.extend([field, value, "\n"]);
        }
        // CRLF, LF and CR all end a line in this format.
        let data = event.data.replace("\r\n", "\n").replace('\r', "\n");
        for line in data.split('\n') {
            framed.extend(["data: ", line, "\n"]);
        }
        framed.push('\n');
        self.to.write_all(framed.as_bytes())
    }

    /// Sends a comment, which clients ignore: it keeps proxies from closing a quiet stream, and
    /// finds out whether the client is still there.
    ///
    /// # Errors
    /// The connection's error.
    pub fn heartbeat(&mut self) -> io::Result<()> {
        self.to.write_all(b": \n\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(event: Event<'_>) -> io::Result<String> {
        let mut bytes = Vec::new();
        EventWriter::new(&mut bytes).event(event)?;
        Ok(String::from_utf8(bytes).expect("text"))
    }

    #[test]
    fn every_line_of_the_data_is_a_field_of_its_own() {
        let event = Event {
            id: Some("stdout:12"),
            name: Some("output"),
            data: "a\r\nb\rc\n",
        };
        let expected = "id: stdout:12\nevent: output\ndata: a\ndata: b\ndata: c\ndata: \n\n";
        assert_eq!(framed(event).expect("well-formed"), expected);
        assert_eq!(framed(Event::default()).expect("empty"), "data: \n\n");
    }

    #[test]
    fn an_id_or_name_of_two_lines_is_refused() {
        for text in ["a\nb", "a\rb", "a\0"] {
            let by_id = Event {
                id: Some(text),
                ..Event::default()
            };
            let by_name = Event {
                name: Some(text),
                ..Event::default()
            };
            assert!(framed(by_id).is_err() && framed(by_name).is_err());
        }
    }
}
