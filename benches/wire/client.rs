//! The control plane's end.

use std::time::{Duration, Instant};

use flux::base::cancel::Cancel;
use flux::base::clock::Timestamp;
use flux::base::threads::Supervisor;
use flux::model::ids::{AgentId, ExecutionId, FunctionName};
use flux::rpc::follow::Next;
use flux::rpc::{AgentClient, Channels};
use flux::wire::execute::{ExecuteRequest, Protocol};
use flux::wire::output::FollowEvent;

use super::link::{AGENT, Server};

/// One connection, which all callers share.
pub struct Client {
    pub agent: AgentClient,
    _channels: Channels,
}

impl Client {
    pub fn new(server: &Server) -> Client {
        let channels = Channels::new(Some(server.control.clone()), &Supervisor::new());
        let id = AgentId::new(AGENT).expect("an id");
        let agent = channels.client(&id, &server.address.to_string(), true);
        Client {
            agent: agent.expect("a client"),
            _channels: channels,
        }
    }
}

/// One call, as the control plane makes it for each synchronous execution.
pub fn call(agent: &AgentClient) -> Duration {
    let begun = Instant::now();
    let pending = agent.start_execute(request(), Some(Duration::from_secs(30)), now());
    let pending = pending.expect("sent");
    let executed = pending.wait(&Cancel::never()).expect("an answer");
    assert_eq!(executed.expect("well ended").output.bytes, b"done\n");
    begun.elapsed()
}

/// Follows so many bytes; how long that takes.
pub fn follow(agent: &AgentClient, mib: u64) -> Duration {
    let bytes = mib << 20;
    let id = ExecutionId::new(&bytes.to_string()).expect("an id");
    let begun = Instant::now();
    let mut follower = agent.follow(&id, 0).expect("a follower");
    let mut read = 0;
    loop {
        match follower.next(&Cancel::never(), None).expect("an event") {
            Next::Event(FollowEvent::Output(chunk)) => read += chunk.data.len() as u64,
            Next::Event(FollowEvent::Ended(_)) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(read, bytes);
    begun.elapsed()
}

fn request() -> ExecuteRequest {
    ExecuteRequest {
        id: ExecutionId::generate(),
        function: FunctionName::new("hello").expect("a name"),
        args: vec!["one".into(), "two".into()],
        stdin: b"in".to_vec(),
        env: [("KEY".to_owned(), "value".to_owned())].into(),
        asynchronous: false,
        protocol: Protocol::Flux,
        timeout: None,
        version: Some(1),
        queued: Duration::ZERO,
        config_digest: Some("a".repeat(64)),
    }
}

fn now() -> Timestamp {
    Timestamp::from_millis(0)
}
