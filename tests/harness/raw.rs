//! HTTP byte by byte, for what a well-behaved client library would not send.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{Api, DEADLINE, Reply};

impl Api {
    /// A connection to the control plane.
    pub fn connect(&self) -> TcpStream {
        let address = self.url.strip_prefix("http://").expect("plain HTTP");
        let stream = TcpStream::connect(address).expect("connect");
        stream.set_read_timeout(Some(DEADLINE)).expect("timeout");
        stream
    }

    /// Sends a head with the key and `Connection: close`, and what follows it; reads the answer
    /// to its end. `head` is the request line and further header lines, without line ends.
    #[track_caller]
    pub fn raw(&self, head: &[&str], rest: &[u8]) -> Reply {
        let mut stream = self.begin(head, rest);
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("answer");
        parse(&answer)
    }

    /// As [`Api::raw`], without reading anything.
    pub fn begin(&self, head: &[&str], rest: &[u8]) -> TcpStream {
        let mut stream = self.connect();
        let (line, headers) = head.split_first().expect("a request line");
        let mut text = format!(
            "{line}\r\nHost: flux\r\nX-API-Key: {}\r\nConnection: close\r\n",
            self.key
        );
        for header in headers {
            text.push_str(header);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        stream.write_all(text.as_bytes()).expect("head");
        // A server that has refused by its head alone may have closed already.
        let _ = stream.write_all(rest);
        stream
    }
}

fn parse(answer: &[u8]) -> Reply {
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("no head in {:?}", String::from_utf8_lossy(answer)));
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|status| status.parse().ok())
        .expect("status");
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    Reply {
        status,
        headers,
        body: answer[end + 4..].to_vec(),
    }
}
