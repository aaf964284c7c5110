//! An agent that follows a script of bytes.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use flux::base::threads::{Joined, Supervisor};
use flux::rpc::{AgentClient, Channels, RpcError};
use flux::wire::proto;
use prost::Message;

use super::fixture::{id, within};
use super::raw::{DATA, Raw, frame, message_of, response_end, response_head};

/// In which a call on a broken connection ends.
pub const SOON: Duration = Duration::from_secs(10);

pub struct Hostile {
    address: String,
    pub connections: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
    threads: Vec<Joined>,
}

impl Hostile {
    /// Does this with every connection, of which it gets the number; then closes it.
    pub fn start(script: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> Hostile {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let connections = Arc::new(AtomicUsize::new(0));
        let is_over = Arc::new(AtomicBool::new(false));
        let (count, stop) = (Arc::clone(&connections), Arc::clone(&is_over));
        let supervisor = Supervisor::new();
        let spawner = supervisor.clone();
        let script = Arc::new(script);
        let acceptor = supervisor.spawn("hostile", move || {
            let mut served = Vec::new();
            for socket in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let number = count.fetch_add(1, Ordering::SeqCst);
                let script = Arc::clone(&script);
                let socket = socket.unwrap();
                served.push(spawner.spawn("hostile-connection", move || script(socket, number)));
            }
        });
        Hostile {
            address,
            connections,
            is_over,
            threads: vec![acceptor.unwrap()],
        }
    }

    /// Begins well, and does this with each request.
    pub fn answering(answer: impl Fn(&mut Raw, u32) + Send + Sync + 'static) -> Hostile {
        Hostile::start(move |socket, _| {
            let Some(mut raw) = Raw::server(socket, &[]) else {
                return;
            };
            while let Some(stream) = raw.next_request() {
                answer(&mut raw, stream);
            }
        })
    }

    pub fn client(&self) -> (Channels, AgentClient) {
        let channels = Channels::new(None, &Supervisor::new());
        let client = channels.client(&id("a"), &self.address, false).unwrap();
        (channels, client)
    }

    pub fn error(&self) -> RpcError {
        let (_channels, client) = self.client();
        within(SOON, || client.health()).expect_err("hostile")
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Ends its wait.
        let _ = TcpStream::connect(&self.address);
        self.threads.clear();
    }
}

pub fn healthy() -> Vec<u8> {
    let answer = proto::HealthCheckResponse {
        healthy: true,
        version: "1".to_owned(),
    };
    message_of(&answer.encode_to_vec())
}

pub fn answer(stream: u32) -> Vec<u8> {
    [
        response_head(stream),
        frame(DATA, 0, stream, &healthy()),
        response_end(stream),
    ]
    .concat()
}

pub fn is_interrupted(error: &RpcError) -> bool {
    matches!(error, RpcError::Interrupted { .. })
}

pub fn has_status(error: &RpcError, name: &str) -> bool {
    matches!(error, RpcError::Status { code, .. } if code == name)
}
