//! Server-Sent Events as a client reads them.

use std::io::{BufRead, BufReader};

use serde_json::Value;

use super::Api;

/// One event of an execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub id: Option<String>,
    pub name: String,
    pub data: Value,
}

/// A stream of them; ends when the server ends it. Dropping it hangs up.
pub struct Events(BufReader<ureq::BodyReader<'static>>);

impl Api {
    /// Follows an execution, from after `last` on.
    #[track_caller]
    pub fn events(&self, execution: &str, last: Option<&str>) -> Events {
        let path = format!("/executions/{execution}/events");
        let last: Vec<_> = last.map(|id| ("last-event-id", id)).into_iter().collect();
        let response = self.send("GET", &path, &last, b"");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Events(BufReader::new(response.into_body().into_reader()))
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let (mut id, mut name, mut data) = (None, String::new(), Vec::new());
        loop {
            let mut line = String::new();
            if self
                .0
                .read_line(&mut line)
                .expect("the stream ends cleanly")
                == 0
            {
                return None;
            }
            let line = line.trim_end_matches('\n');
            match line.split_once(": ").unwrap_or((line, "")) {
                ("", "") if data.is_empty() => {}
                ("", "") => {
                    let data = serde_json::from_str(&data.join("\n")).expect("JSON");
                    return Some(Event { id, name, data });
                }
                // A comment, which keeps proxies awake.
                ("" | ":", _) => {}
                ("id", value) => id = Some(value.to_owned()),
                ("event", value) => name = value.to_owned(),
                ("data", value) => data.push(value.to_owned()),
                other => panic!("{other:?}"),
            }
        }
    }
}
