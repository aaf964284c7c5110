//! What happens in silence. Slow, because silence is: run with `--ignored`.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flux::base::cancel::Cancel;
use flux::base::threads::{Joined, Supervisor};
use flux::model::execution::{Ending, Executed};
use flux::rpc::limits::{KEEPALIVE_TIME, KEEPALIVE_TIMEOUT};
use flux::rpc::{Channels, RpcError};

use super::fixture::{Agent, Seen, id, now, pair, record, request, within};
use crate::runner::tests;

tests![
    a_silent_call_outlives_the_pings_that_keep_its_connection_alive,
    a_peer_that_falls_silent_interrupts_its_calls,
];

#[ignore = "waits for several keepalive periods, 90 s"]
fn a_silent_call_outlives_the_pings_that_keep_its_connection_alive() {
    let pair = pair();
    let pending = pair
        .client
        .start_execute(request("hold"), None, now())
        .unwrap();
    let Seen::Held(held, on_done) = pair.agent.next_seen() else {
        panic!("not held");
    };
    let silence = pending
        .receiver()
        .recv_timeout(KEEPALIVE_TIME * 4 + KEEPALIVE_TIMEOUT);
    assert!(silence.is_err(), "cut off: {silence:?}");
    let record = record(&id("agent-1"), &held, Some(Ending::Exited(0)));
    on_done(Ok(Executed {
        record,
        output: flux::model::output::Output::default(),
    }));
    assert!(pending.wait(&Cancel::never()).unwrap().is_ok());
}

#[ignore = "waits for a keepalive to fail, 40 s"]
fn a_peer_that_falls_silent_interrupts_its_calls() {
    let agent = Agent::start(&id("a"), None);
    let proxy = Proxy::start(&agent.address);
    let channels = Channels::new(None);
    let client = channels.client(&id("a"), &proxy.address, false).unwrap();
    let pending = client.start_execute(request("hold"), None, now()).unwrap();
    let _held = agent.next_seen();
    proxy.frozen.store(true, Ordering::SeqCst);
    let bound = KEEPALIVE_TIME + KEEPALIVE_TIMEOUT + Duration::from_secs(10);
    let answer = within(bound, || pending.wait(&Cancel::never()).unwrap());
    assert!(
        matches!(answer, Err(RpcError::Interrupted { .. })),
        "{answer:?}"
    );
}

/// Forwards one connection until it is frozen, and then swallows everything, as a dead machine
/// or a cut cable does. Fields drop in order: the sockets before the threads that read them.
struct Proxy {
    address: String,
    frozen: Arc<AtomicBool>,
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
        let supervisor = Supervisor::new();
        let (sender, sockets) = crossbeam_channel::unbounded();
        let (target, flag, spawner) = (target.to_owned(), Arc::clone(&frozen), supervisor.clone());
        let accept = supervisor.spawn("proxy", move || {
            let (near, _) = listener.accept().unwrap();
            let far = TcpStream::connect(target).unwrap();
            for socket in [&near, &far] {
                sender.send(socket.try_clone().unwrap()).unwrap();
            }
            let (back_from, back_to) = (far.try_clone().unwrap(), near.try_clone().unwrap());
            let back_flag = Arc::clone(&flag);
            let back = spawner.spawn("proxy-back", move || copy(back_from, back_to, &back_flag));
            copy(near, far, &flag);
            drop(back);
        });
        Proxy {
            address,
            frozen,
            _sockets: Sockets(sockets),
            _threads: vec![accept.unwrap()],
        }
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, frozen: &AtomicBool) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if !frozen.load(Ordering::SeqCst) && to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    if !frozen.load(Ordering::SeqCst) {
        let _ = to.shutdown(Shutdown::Both);
    }
}
