//! A small HTTP/1.1 client that keeps its connection, so that its own cost stays out of the
//! figures: a request is bytes made beforehand, an answer is read into one buffer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::harness::fleet::API_KEY;

/// No row waits this long when all is well.
const TIMEOUT: Duration = Duration::from_secs(60);
/// At first; the crowd holds thousands of these.
const BUFFER_BYTES: usize = 4 * 1024;
const MAX_HEADERS: usize = 32;

/// One connection, one request at a time.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

/// A whole request, authenticated.
pub fn request(method: &str, path: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: bench\r\nx-api-key: {API_KEY}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A call of a function, without arguments.
pub fn execute(function: &str) -> Vec<u8> {
    request("POST", &format!("/execute/{function}"), "{}")
}

impl Connection {
    pub fn open(address: SocketAddr) -> Connection {
        Connection::try_open(address).unwrap_or_else(|error| panic!("{address}: {error}"))
    }

    /// # Errors
    /// The system's, when nobody listens.
    pub fn try_open(address: SocketAddr) -> std::io::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Connection {
            stream,
            buffer: vec![0; BUFFER_BYTES],
            filled: 0,
        })
    }

    /// Sends the request and reads the whole answer; returns its status.
    pub fn call(&mut self, request: &[u8]) -> u16 {
        self.stream.write_all(request).expect("send");
        self.filled = 0;
        loop {
            if self.filled == self.buffer.len() {
                self.buffer.resize(self.filled * 2, 0);
            }
            let room = &mut self.buffer[self.filled..];
            let count = self.stream.read(room).expect("receive");
            assert!(count > 0, "the connection ended within an answer");
            self.filled += count;
            if let Some((status, length)) = whole_answer(&self.buffer[..self.filled]) {
                assert_eq!(self.filled, length, "more than one answer");
                return status;
            }
        }
    }

    /// [`Connection::call`], and how long it took, when the answer is `status`.
    #[track_caller]
    pub fn timed(&mut self, request: &[u8], status: u16) -> Duration {
        let begun = Instant::now();
        let answered = self.call(request);
        let elapsed = begun.elapsed();
        assert_eq!(answered, status, "{}", self.last());
        elapsed
    }

    /// The last answer as text, for whoever has to explain it.
    pub fn last(&self) -> String {
        String::from_utf8_lossy(&self.buffer[..self.filled]).into_owned()
    }
}

/// The status and the length of the answer, once all of it is there.
fn whole_answer(bytes: &[u8]) -> Option<(u16, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = answer.parse(bytes).expect("an HTTP answer") else {
        return None;
    };
    let body: usize = answer
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .map(|header| std::str::from_utf8(header.value).expect("a length"))
        .expect("a length, not chunks")
        .parse()
        .expect("a length");
    let length = head + body;
    (bytes.len() >= length).then_some((answer.code.expect("a status"), length))
}
