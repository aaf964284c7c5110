//! A server with a small handler for every way to use one, and a client that shows every byte.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use flux::base::cancel::Cancel;
use flux::base::threads::Supervisor;
use flux::http::sse::Event;
use flux::http::{Limits, ListenConfig, Request, Response, Server, Status, TlsConfig};

/// Longer than anything takes that works, on the slowest machine.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// The body that no socket buffer holds.
pub const BIG_BYTES: usize = 32 * 1024 * 1024;

/// A running server.
pub struct Fixture {
    // Dropped first: its threads use what follows.
    pub server: Server,
    pub supervisor: Supervisor,
    /// One message for each request of `/hold`: how it ended.
    pub held: Receiver<Held>,
    /// One message lets one `/hold` go.
    pub release: Sender<()>,
    /// What the last body was, as its handler saw it.
    pub bodies: Receiver<String>,
}

/// How a held request went on.
#[derive(Debug, PartialEq, Eq)]
pub enum Held {
    Begun,
    Released,
    ClientGone,
}

impl Fixture {
    pub fn start(limits: Limits) -> Fixture {
        Fixture::start_with(limits, None)
    }

    pub fn start_with(limits: Limits, tls: Option<TlsConfig>) -> Fixture {
        let (held_sender, held) = unbounded();
        let (release, releases) = unbounded();
        let (body_sender, bodies) = unbounded();
        let handler =
            move |request: &mut Request<'_>| answer(request, &held_sender, &releases, &body_sender);
        let supervisor = Supervisor::new();
        let config = ListenConfig {
            address: "127.0.0.1:0".parse().expect("an address"),
            tls,
        };
        let server = Server::start(config, limits, Arc::new(handler), &supervisor);
        Fixture {
            server: server.expect("server starts"),
            supervisor,
            held,
            release,
            bodies,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    pub fn connect(&self) -> Client {
        Client::new(TcpStream::connect(self.address()).expect("connect"))
    }

    /// One request on a connection of its own.
    pub fn ask(&self, request: &str) -> Answer {
        let mut client = self.connect();
        client.send(request);
        client.answer()
    }

    pub fn next_held(&self) -> Held {
        self.held
            .recv_timeout(PATIENCE)
            .expect("a held request goes on")
    }
}

fn answer(
    request: &mut Request<'_>,
    held: &Sender<Held>,
    releases: &Receiver<()>,
    bodies: &Sender<String>,
) -> Response {
    let segments: Vec<&str> = request.segments().iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["hello"] => text("hello"),
        ["target"] => text(&format!("{} {:?}", request.path(), request.query())),
        ["tls"] => text(&format!("{}", request.is_tls())),
        ["refuse"] => Response::error(Status::Unauthorized, "unauthorized", "no key", "send one"),
        ["close"] => text("bye").close(),
        ["big"] => text(&"b".repeat(BIG_BYTES)),
        ["panic"] => panic!("the handler's"),
        ["echo"] => report(bodies, request.body().read_to_vec(1 << 20)),
        ["greedy"] => report(bodies, request.body().read_to_vec(usize::MAX)),
        ["count"] => {
            let counted = request.body().copy_to(&mut io::sink(), u64::MAX);
            report(bodies, counted.map(|count| count.to_string().into_bytes()))
        }
        ["hold"] => hold(request, held, releases),
        ["stream"] => Response::stream(Status::Ok, "text/plain", |body| {
            for piece in ["one ", "two ", "three"] {
                body.write_all(piece.as_bytes())?;
            }
            Ok(())
        }),
        ["cut"] => Response::stream(Status::Ok, "text/plain", |body| {
            body.write_all(b"part")?;
            Err(ErrorKind::Other.into())
        }),
        ["flood"] => {
            let (held, gone) = (held.clone(), request.client_gone());
            Response::stream(Status::Ok, "text/plain", move |body| {
                let _ = held.send(Held::Begun);
                while !gone.is_pulled() {
                    body.write_all(&[b'f'; 64 * 1024])?;
                }
                let _ = held.send(Held::ClientGone);
                Ok(())
            })
        }
        ["events"] => Response::events(|events| {
            events.event(Event {
                id: Some("1"),
                name: Some("output"),
                data: "a\nb",
            })?;
            events.heartbeat()
        }),
        _ => Response::error(Status::NotFound, "not_found", "no such path", "look it up"),
    }
}

fn hold(request: &mut Request<'_>, held: &Sender<Held>, releases: &Receiver<()>) -> Response {
    let gone = request.client_gone();
    let _ = held.send(Held::Begun);
    let end = crossbeam_channel::select! {
        recv(releases) -> _ => Held::Released,
        recv(gone.receiver()) -> _ => Held::ClientGone,
    };
    let _ = held.send(end);
    text("held")
}

fn report(bodies: &Sender<String>, read: Result<Vec<u8>, flux::http::BodyError>) -> Response {
    match read {
        Ok(body) => {
            let body = String::from_utf8_lossy(&body).into_owned();
            let _ = bodies.send(body.clone());
            text(&body)
        }
        Err(error) => {
            let _ = bodies.send(error.to_string());
            Response::error(error.status(), "body", &error.to_string(), "")
        }
    }
}

fn text(body: &str) -> Response {
    Response::bytes(Status::Ok, "text/plain", body)
}

/// A request without a body, on a connection that stays.
pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")
}

/// Lets time pass where the passing itself is the point.
pub fn pass(duration: Duration) {
    Cancel::never().wait_timeout(duration);
}

/// Tries until `condition` holds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        pass(Duration::from_millis(5));
    }
}

/// A client over any stream.
pub struct Client<S = TcpStream> {
    pub stream: S,
    received: Vec<u8>,
}

/// A response, its body decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub code: u16,
    pub head: String,
    pub body: String,
}

impl Client<TcpStream> {
    pub fn new(stream: TcpStream) -> Client<TcpStream> {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("an option");
        Client::over(stream)
    }
}

impl<S: Read + Write> Client<S> {
    pub fn over(stream: S) -> Client<S> {
        Client {
            stream,
            received: Vec::new(),
        }
    }

    pub fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("send");
    }

    /// Reads one response; interim ones are responses too.
    pub fn answer(&mut self) -> Answer {
        self.try_answer(true).expect("a response")
    }

    /// Reads one response to a HEAD request.
    pub fn answer_without_body(&mut self) -> Answer {
        self.try_answer(false).expect("a response")
    }

    pub fn try_answer(&mut self, with_body: bool) -> io::Result<Answer> {
        let head = self.take_through("\r\n\r\n")?;
        let code = head
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3))
            .and_then(|code| code.parse().ok())
            .unwrap_or_else(|| panic!("no status line: {head:?}"));
        let mut answer = Answer {
            code,
            head,
            body: String::new(),
        };
        if with_body {
            answer.body = self.body(&answer)?;
        }
        Ok(answer)
    }

    /// Whether the server has closed without a further byte, and without a reset.
    pub fn is_closed(&mut self) -> bool {
        self.received.is_empty() && matches!(self.stream.read(&mut [0]), Ok(0))
    }

    /// All there is until the server closes.
    pub fn rest(&mut self) -> String {
        let mut rest = std::mem::take(&mut self.received);
        self.stream.read_to_end(&mut rest).expect("an end");
        String::from_utf8(rest).expect("text")
    }

    fn body(&mut self, answer: &Answer) -> io::Result<String> {
        if answer.has("Transfer-Encoding: chunked") {
            let mut body = String::new();
            loop {
                let line = self.take_through("\r\n")?;
                let size = usize::from_str_radix(line.trim_end(), 16).expect("a chunk size");
                let chunk = self.take(size + 2)?;
                assert!(chunk.ends_with("\r\n"), "{chunk:?}");
                if size == 0 {
                    return Ok(body);
                }
                body.push_str(&chunk[..size]);
            }
        }
        match answer.header("Content-Length") {
            Some(length) => self.take(length.parse().expect("a length")),
            None => Ok(String::new()),
        }
    }

    fn take_through(&mut self, end: &str) -> io::Result<String> {
        loop {
            let found = self
                .received
                .windows(end.len())
                .position(|window| window == end.as_bytes());
            match found {
                Some(at) => return self.take(at + end.len()),
                None => self.receive()?,
            }
        }
    }

    fn take(&mut self, count: usize) -> io::Result<String> {
        while self.received.len() < count {
            self.receive()?;
        }
        let taken = self.received.drain(..count).collect();
        Ok(String::from_utf8(taken).expect("text"))
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut piece = vec![0; 64 * 1024];
        match self.stream.read(&mut piece)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => {
                self.received.extend_from_slice(&piece[..count]);
                Ok(())
            }
        }
    }
}

impl Answer {
    pub fn has(&self, line: &str) -> bool {
        self.head.split("\r\n").any(|found| found == line)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .split("\r\n")
            .filter_map(|line| line.split_once(": "))
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    }

    /// The code of an error in the one JSON shape, on a connection that closes.
    pub fn closing_error(&self) -> String {
        assert!(self.has("Connection: close"), "{self:?}");
        assert!(self.has("Content-Type: application/json"), "{self:?}");
        let json: serde_json::Value = serde_json::from_str(&self.body).expect("JSON");
        let error = &json["error"];
        assert!(
            error["message"].is_string() && error["hint"].is_string(),
            "{json}"
        );
        error["code"].as_str().expect("a code").to_owned()
    }
}
