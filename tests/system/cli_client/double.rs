//! A small HTTP server with an answer for each expected request; anything else is an error of the
//! command line, and is answered 499.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use flux::base::threads::{Joined, Supervisor, lock};
use serde_json::Value;

/// What the command line sent.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET /functions`.
    pub line: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

type Reply = Box<dyn FnOnce(&mut TcpStream) + Send>;

#[derive(Default)]
struct State {
    replies: BTreeMap<String, VecDeque<Reply>>,
    seen: Vec<Request>,
}

pub struct Double {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    supervisor: Supervisor,
    acceptor: Option<Joined>,
}

impl Double {
    pub fn start() -> Double {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State::default()));
        let supervisor = Supervisor::new();
        let (shared, threads) = (Arc::clone(&state), supervisor.clone());
        let acceptor = supervisor
            .spawn("double", move || accept(&listener, &shared, &threads))
            .expect("a thread");
        Double {
            address,
            state,
            supervisor,
            acceptor: Some(acceptor),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next such request is answered with JSON.
    pub fn json(&self, line: &str, status: u16, body: Value) -> &Double {
        self.on(line, move |stream| {
            let body = body.to_string();
            let length = body.len();
            send(
                stream,
                &format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"),
            );
        })
    }

    /// The next such request is answered with a part of an event stream, and then cut off.
    pub fn events(&self, line: &str, events: &str) -> &Double {
        let events = events.to_owned();
        self.on(line, move |stream| {
            send(stream, EVENTS_HEAD);
            send(stream, &events);
        })
    }

    /// The next such request is answered by `reply`, after which the connection closes.
    pub fn on(&self, line: &str, reply: impl FnOnce(&mut TcpStream) + Send + 'static) -> &Double {
        let mut state = lock(&self.state);
        let queue = state.replies.entry(line.to_owned()).or_default();
        queue.push_back(Box::new(reply));
        drop(state);
        self
    }

    /// The requests so far; every expected one must have come.
    pub fn requests(&self) -> Vec<Request> {
        let state = lock(&self.state);
        let open: Vec<_> = state
            .replies
            .iter()
            .filter(|(_, queue)| !queue.is_empty())
            .map(|(line, _)| line)
            .collect();
        assert!(open.is_empty(), "never asked: {open:?}");
        state.seen.clone()
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.supervisor.request_shutdown();
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.address);
        self.acceptor.take();
    }
}

/// Without a length: the end of the connection is the end of the stream.
pub const EVENTS_HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// A failed write means that the command line has gone, which the test sees elsewhere.
pub fn send(stream: &mut TcpStream, text: &str) {
    let _ = stream.write_all(text.as_bytes());
}

fn accept(listener: &TcpListener, state: &Arc<Mutex<State>>, supervisor: &Supervisor) {
    // Joined at the end of this scope, after the last connection.
    let mut connections = Vec::new();
    for stream in listener.incoming() {
        if supervisor.shutdown().is_pulled() {
            break;
        }
        let mut stream = stream.expect("a connection");
        let state = Arc::clone(state);
        let thread = supervisor.spawn("connection", move || serve(&mut stream, &state));
        connections.push(thread.expect("a thread"));
    }
}

fn serve(stream: &mut TcpStream, state: &Mutex<State>) {
    let Some(request) = read(stream) else { return };
    let reply = {
        let mut state = lock(state);
        let line = request.line.clone();
        state.seen.push(request.clone());
        state.replies.get_mut(&line).and_then(VecDeque::pop_front)
    };
    match reply {
        Some(reply) => reply(stream),
        None => send(
            stream,
            &format!(
                "HTTP/1.1 499 X\r\ncontent-length: 0\r\nconnection: close\r\nx-unexpected: {}\r\n\r\n",
                request.line
            ),
        ),
    }
}

fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let (first, rest) = lines.split_first()?;
    let line = first.strip_suffix(" HTTP/1.1")?.to_owned();
    let headers: BTreeMap<String, String> = rest
        .iter()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers
        .get("content-length")
        .map_or(0, |text| text.parse().expect("a length"));
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        line,
        headers,
        body,
    })
}
