//! What happens in silence.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use flux::base::cancel::Cancel;
use flux::base::threads::{Joined, Supervisor};
use flux::model::execution::{Ending, Executed};
use flux::rpc::limits::Keepalive;
use flux::rpc::{AgentClient, Channels, RpcError};

use super::double::Seen;
use super::fixture::{Agent, answer_within, id, now, record, request, within};
use crate::runner::tests;

tests![
    a_silent_call_outlives_the_pings_that_keep_its_connection_alive,
    a_peer_that_falls_silent_interrupts_its_calls,
    what_a_server_tolerates_is_half_of_what_a_client_takes,
];

/// A tenth of the daemons' own, which the library takes as they are; it pings once a second at the most.
const QUICK: Keepalive = Keepalive {
    time: Duration::from_secs(2),
    timeout: Duration::from_secs(4),
    tolerated: Duration::from_secs(1),
};
/// In a silence of [`SILENCE`].
const PINGS: u32 = 4;
/// Long enough for a ping that was not answered to be noticed.
const SILENCE: Duration = QUICK
    .time
    .saturating_mul(PINGS)
    .saturating_add(QUICK.timeout);

/// An agent, a client on it, and what is between them.
fn apart() -> (Agent, Proxy, Channels, AgentClient) {
    let agent = Agent::start_with(&id("a"), None, QUICK);
    let proxy = Proxy::start(&agent.address);
    let channels = Channels::with_keepalive(None, QUICK, &Supervisor::new());
    let client = channels.client(&id("a"), &proxy.address, false).unwrap();
    (agent, proxy, channels, client)
}

fn a_silent_call_outlives_the_pings_that_keep_its_connection_alive() {
    let (agent, proxy, _channels, client) = apart();
    let pending = client.start_execute(request("hold"), None, now()).unwrap();
    let Seen::Held(held, on_done) = agent.next_seen() else {
        panic!("not held");
    };
    let before = proxy.forwarded.load(Ordering::SeqCst);
    let silence = answer_within(&pending, SILENCE);
    assert!(silence.is_none(), "cut off: {silence:?}");
    let pieces = proxy.forwarded.load(Ordering::SeqCst) - before;
    assert!(pieces >= PINGS, "{pieces} pieces in the silence");
    let record = record(&id("a"), &held, Some(Ending::Exited(0)));
    on_done(Ok(Executed {
        record,
        output: flux::model::output::Output::default(),
    }));
    assert!(pending.wait(&Cancel::never()).unwrap().is_ok());
}

fn a_peer_that_falls_silent_interrupts_its_calls() {
    let (agent, proxy, _channels, client) = apart();
    let pending = client.start_execute(request("hold"), None, now()).unwrap();
    let _held = agent.next_seen();
    proxy.frozen.store(true, Ordering::SeqCst);
    let bound = QUICK.time + QUICK.timeout + Duration::from_secs(10);
    let answer = within(bound, || pending.wait(&Cancel::never()).unwrap());
    assert!(
        matches!(answer, Err(RpcError::Interrupted { .. })),
        "{answer:?}"
    );
}

/// The tests above are about quicker ones.
fn what_a_server_tolerates_is_half_of_what_a_client_takes() {
    for keepalive in [QUICK, Keepalive::default()] {
        assert_eq!(keepalive.tolerated * 2, keepalive.time);
    }
}

/// Forwards one connection until it is frozen, and then swallows everything, as a dead machine
/// or a cut cable does. Fields drop in order: the sockets before the threads that read them.
struct Proxy {
    address: String,
    frozen: Arc<AtomicBool>,
    /// Pieces that came through, either way.
    forwarded: Arc<AtomicU32>,
    _sockets: Sockets,
    _threads: Vec<Joined>,
}

struct Sockets(crossbeam_channel::Receiver<TcpStream>);

impl Drop for Sockets {
    fn drop(&mut self) {
        for socket in self.0.try_iter() {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl Proxy {
    fn start(target: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let frozen = Arc::new(AtomicBool::new(false));
        let forwarded = Arc::new(AtomicU32::new(0));
        let supervisor = Supervisor::new();
        let (sender, sockets) = crossbeam_channel::unbounded();
        let (target, spawner) = (target.to_owned(), supervisor.clone());
        let (flag, count) = (Arc::clone(&frozen), Arc::clone(&forwarded));
        let accept = supervisor.spawn("proxy", move || {
            let (near, _) = listener.accept().unwrap();
            let far = TcpStream::connect(target).unwrap();
            for socket in [&near, &far] {
                sender.send(socket.try_clone().unwrap()).unwrap();
            }
            let (back_from, back_to) = (far.try_clone().unwrap(), near.try_clone().unwrap());
            let (back_flag, back_count) = (Arc::clone(&flag), Arc::clone(&count));
            let back = spawner.spawn("proxy-back", move || {
                copy(back_from, back_to, &back_flag, &back_count);
            });
            copy(near, far, &flag, &count);
            drop(back);
        });
        Proxy {
            address,
            frozen,
            forwarded,
            _sockets: Sockets(sockets),
            _threads: vec![accept.unwrap()],
        }
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, frozen: &AtomicBool, forwarded: &AtomicU32) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if frozen.load(Ordering::SeqCst) {
            continue;
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
        forwarded.fetch_add(1, Ordering::SeqCst);
    }
    if !frozen.load(Ordering::SeqCst) {
        let _ = to.shutdown(Shutdown::Both);
    }
}
