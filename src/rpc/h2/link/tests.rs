//! Both ends of a connection in one process, over sockets that take little at once. (Less than a segment of the
//! loopback device makes TCP wait, and tests nothing more.)

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded, unbounded};
use nix::sys::socket::{setsockopt, sockopt};

use super::*;
use crate::base::threads::{Joined, Supervisor};
use crate::rpc::grpc::metadata;
use crate::rpc::grpc::status::{Code as GrpcCode, Status};
use crate::rpc::h2::calls::{Answers, Arrived, Calls, Failure, NewCall};
use crate::rpc::h2::requests::{Incoming, Job, Requests};
use crate::rpc::h2::session::{Side, StreamId};

const PATIENCE: Duration = Duration::from_secs(60);
const KEEPALIVE: Keepalive = Keepalive {
    time: Duration::from_secs(60),
    timeout: Duration::from_secs(60),
    when_idle: true,
    tolerated: None,
};

struct Ends {
    client: Arc<Link<Calls>>,
    server: Arc<Link<Requests>>,
    incoming: Receiver<Incoming>,
    supervisor: Supervisor,
    threads: Vec<Joined>,
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.client.close("the test is over");
        self.server.close("the test is over");
        self.threads.clear();
        assert_eq!(self.supervisor.first_panic(), None);
    }
}

/// Connected, with buffers of about `bytes`.
fn sockets(bytes: usize) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    setsockopt(&listener, sockopt::RcvBuf, &bytes).expect("buffer");
    let ours = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
    let (theirs, _) = listener.accept().expect("accept");
    for socket in [&ours, &theirs] {
        setsockopt(socket, sockopt::SndBuf, &bytes).expect("buffer");
        setsockopt(socket, sockopt::RcvBuf, &bytes).expect("buffer");
    }
    (ours, theirs)
}

fn ends(bytes: usize) -> Ends {
    let (ours, theirs) = sockets(bytes);
    let (up, is_up) = bounded(1);
    let up = move || up.send(()).is_ok();
    let calls = Calls::new(Box::new(up), Instant::now() + PATIENCE);
    let client = link(ours, Side::Client, calls);
    let requests = Requests::new(|path| match path {
        "/many" => Some(true),
        "/unknown" => None,
        _ => Some(false),
    });
    let server = link(theirs, Side::Server(1000), requests);
    let own = Arc::clone(&server);
    server
        .with(|_, requests| requests.belong_to(&own))
        .expect("open");
    let (sender, incoming) = unbounded();
    let supervisor = Supervisor::new();
    let (for_client, for_server) = (Arc::clone(&client), Arc::clone(&server));
    let threads = vec![
        supervisor
            .spawn("client", move || for_client.run(|job| match job {}))
            .expect("thread"),
        supervisor
            .spawn("server", move || {
                for_server.run(|job| match job {
                    Job::Serve(incoming) => drop(sender.send(incoming)),
                    Job::Undo(undo) => undo(),
                });
            })
            .expect("thread"),
    ];
    is_up.recv_timeout(PATIENCE).expect("up");
    Ends {
        client,
        server,
        incoming,
        supervisor,
        threads,
    }
}

fn link<S: Streams>(socket: TcpStream, side: Side, streams: S) -> Arc<Link<S>> {
    let session = Session::new(side).expect("session");
    Arc::new(Link::new(socket, Transport::Plain, session, streams, KEEPALIVE).expect("link"))
}

impl Ends {
    fn call(
        &self,
        path: &str,
        first: Vec<u8>,
        is_whole: bool,
        is_held_back: bool,
    ) -> (StreamId, Receiver<Arrived>) {
        let (sender, arrived) = unbounded();
        let call = NewCall {
            headers: metadata::request("http", "agent", path, None),
            first,
            is_whole,
            deadline: None,
            answers: if is_held_back {
                Answers::HeldBack
            } else {
                Answers::Many
            },
            deliver: Box::new(move |what| sender.send(what).is_ok()),
        };
        let started = self
            .client
            .with(|session, calls| calls.start(session, call));
        (started.expect("open").expect("started"), arrived)
    }

    fn next_incoming(&self) -> Incoming {
        self.incoming.recv_timeout(PATIENCE).expect("a request")
    }
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut framed = vec![0];
    framed.extend((bytes.len() as u32).to_be_bytes());
    framed.extend(bytes);
    framed
}

fn message(arrived: &Receiver<Arrived>) -> Vec<u8> {
    match arrived.recv_timeout(PATIENCE).expect("something") {
        Arrived::Message { bytes, .. } => bytes,
        Arrived::Over(result) => panic!("over: {result:?}"),
    }
}

fn end(arrived: &Receiver<Arrived>) -> Result<(), Failure> {
    match arrived.recv_timeout(PATIENCE).expect("something") {
        Arrived::Message { .. } => panic!("a message"),
        Arrived::Over(result) => result,
    }
}

#[test]
fn two_ends_whose_sockets_are_full_both_get_everything() {
    let ends = ends(64 << 10);
    let body = |seed: usize| -> Vec<u8> { (0..1 << 20).map(|at| (at * 7 + seed) as u8).collect() };
    let calls: Vec<_> = (0..12)
        .map(|seed| ends.call("/echo", framed(&body(seed)), true, false))
        .collect();
    for _ in &calls {
        let incoming = ends.next_incoming();
        incoming
            .responder
            .answer(framed(&incoming.message))
            .expect("its caller waits");
    }
    for (seed, (_, arrived)) in calls.iter().enumerate() {
        assert!(message(arrived) == body(seed), "of call {seed}");
        assert_eq!(end(arrived), Ok(()));
    }
}

#[test]
fn a_follower_that_stands_still_holds_up_nobody_and_costs_what_a_window_holds() {
    let ends = ends(64 << 10);
    let (stream, slow) = ends.call("/slow", framed(b""), true, true);
    let mut responder = ends.next_incoming().responder;
    let (told, sent) = unbounded();
    let sender = ends.supervisor.spawn("sender", move || {
        for _ in 0..1000 {
            if responder.send(framed(&[7; 10_000])).is_err() {
                return;
            }
            let _ = told.send(());
        }
        let _ = responder.end(&Status::new(GrpcCode::Ok, ""));
    });
    let sender = sender.expect("thread");
    for _ in 0..20 {
        let (_, quick) = ends.call("/echo", framed(b"ping"), true, false);
        let incoming = ends.next_incoming();
        let answered = incoming.responder.answer(framed(&incoming.message));
        answered.expect("its caller waits");
        assert_eq!(message(&quick), b"ping");
    }
    // A window of messages, and what the sender may have queued beside them.
    let most = (super::super::session::STREAM_WINDOW as usize + (256 << 10)) / 10_000;
    assert!(sent.len() <= most, "{} messages", sent.len());
    let mut taken = 0;
    while taken < 1000 {
        let Ok(Arrived::Message { owed, .. }) = slow.recv_timeout(PATIENCE) else {
            panic!("cut off after {taken}");
        };
        taken += 1;
        ends.client
            .with(|session, calls| calls.taken(session, stream, owed))
            .expect("open");
    }
    drop(sender);
}

#[test]
fn a_caller_that_gives_up_is_noticed_by_who_works_for_it() {
    let ends = ends(64 << 10);
    let (stream, _arrived) = ends.call("/slow", framed(b""), true, true);
    let responder = ends.next_incoming().responder;
    assert!(!responder.left().is_pulled());
    ends.client
        .with(|session, calls| calls.give_up(session, stream, Code::None))
        .expect("open");
    assert!(responder.left().wait_timeout(PATIENCE));
    assert_eq!(responder.answer(framed(b"late")), Err(Over));
}

#[test]
fn what_is_to_be_undone_is_undone_when_a_caller_cancels_and_at_no_other_end() {
    for (code, is_undone) in [(Code::Cancel, true), (Code::None, false)] {
        let ends = ends(64 << 10);
        let (stream, _arrived) = ends.call("/slow", framed(b""), true, true);
        let responder = ends.next_incoming().responder;
        let (undone, is_done) = bounded(1);
        let undo = Box::new(move || undone.send(()).expect("room"));
        responder.on_cancel(undo).expect("its caller waits");
        ends.client
            .with(|session, calls| calls.give_up(session, stream, code))
            .expect("open");
        assert!(responder.left().wait_timeout(PATIENCE));
        // What is not done goes with the call.
        assert_eq!(is_done.recv_timeout(PATIENCE).is_ok(), is_undone);
    }
    let ends = ends(64 << 10);
    let _arrived = ends.call("/slow", framed(b""), true, true);
    let responder = ends.next_incoming().responder;
    let (undone, is_done) = bounded(1);
    let undo = Box::new(move || undone.send(()).expect("room"));
    responder.on_cancel(undo).expect("its caller waits");
    ends.server.close("enough");
    assert!(is_done.recv_timeout(PATIENCE).is_err());
}

#[test]
fn everybody_is_told_when_the_connection_is_over() {
    let ends = ends(64 << 10);
    let waiting: Vec<_> = (0..5)
        .map(|_| ends.call("/slow", framed(b""), true, false).1)
        .collect();
    let served: Vec<_> = waiting.iter().map(|_| ends.next_incoming()).collect();
    ends.server.close("enough");
    for arrived in &waiting {
        assert!(matches!(end(arrived), Err(Failure::Broken(_))));
    }
    for incoming in served {
        assert!(incoming.responder.left().wait_timeout(PATIENCE));
    }
    assert_eq!(ends.client.with(|_, _| ()), Err(Over));
}

#[test]
fn what_cannot_be_served_gets_a_status_and_the_connection_stays() {
    let ends = ends(64 << 10);
    let status = |arrived: &Receiver<Arrived>| match end(arrived) {
        Err(Failure::Status(Status { code, .. })) => code,
        other => panic!("{other:?}"),
    };
    let (_, unknown) = ends.call("/unknown", framed(b""), true, false);
    assert_eq!(status(&unknown), GrpcCode::Unimplemented);
    let (_, compressed) = ends.call("/echo", vec![1, 0, 0, 0, 1, 7], true, false);
    assert_eq!(status(&compressed), GrpcCode::Unimplemented);
    let (_, long) = ends.call("/echo", vec![0, 0xff, 0xff, 0xff, 0xff], false, false);
    assert_eq!(status(&long), GrpcCode::ResourceExhausted);
    let (_, torn) = ends.call("/echo", vec![0, 0, 0, 0, 9, 1], true, false);
    assert_eq!(status(&torn), GrpcCode::Internal);
    let (_, fine) = ends.call("/echo", framed(b"ping"), true, false);
    let incoming = ends.next_incoming();
    let answered = incoming.responder.answer(framed(&incoming.message));
    answered.expect("its caller waits");
    assert_eq!(message(&fine), b"ping");
}

#[test]
fn a_cancel_that_comes_with_the_end_of_its_connection_counts() {
    let ends = ends(64 << 10);
    let (stream, _arrived) = ends.call("/slow", framed(b""), true, true);
    let responder = ends.next_incoming().responder;
    let (undone, is_done) = bounded(1);
    let undo = Box::new(move || undone.send(()).expect("room"));
    responder.on_cancel(undo).expect("its caller waits");
    // In one piece, as a client does that cancels and closes.
    let sent = ends.client.with(|session, calls| {
        calls.give_up(session, stream, Code::Cancel);
        session.go_away(Code::None)
    });
    sent.expect("open").expect("memory");
    assert_eq!(is_done.recv_timeout(PATIENCE), Ok(()));
}

/// A client's link to somebody who says nothing, with its thread, and what breaks once it is over.
fn to_silence(up_by: Instant) -> (Arc<Link<Calls>>, TcpStream, Joined, Receiver<()>) {
    let (ours, theirs) = sockets(64 << 10);
    let calls = Calls::new(Box::new(|| true), up_by);
    let client = link(ours, Side::Client, calls);
    let (over, is_over) = bounded(1);
    let for_thread = Arc::clone(&client);
    let run = move || {
        for_thread.run(|job| match job {});
        drop(over);
    };
    let thread = Supervisor::new().spawn("client", run).expect("thread");
    (client, theirs, thread, is_over)
}

#[test]
fn a_connection_that_is_not_up_in_time_is_over_then_and_not_when_silence_is_noticed() {
    let begun = Instant::now();
    let up_by = begun + Duration::from_millis(100);
    let (_client, _theirs, _thread, is_over) = to_silence(up_by);
    assert!(
        is_over
            .recv_timeout(PATIENCE / 2)
            .is_err_and(|e| e.is_disconnected())
    );
    assert!(begun.elapsed() < KEEPALIVE.time);
}

#[test]
fn a_link_that_somebody_else_than_its_reader_ends_is_over_at_once() {
    let (client, _theirs, _thread, is_over) = to_silence(Instant::now() + PATIENCE);
    let ended = client.with(|session, _| session.terminate(Code::None));
    ended.expect("open").expect("memory");
    assert!(
        is_over
            .recv_timeout(PATIENCE / 2)
            .is_err_and(|e| e.is_disconnected())
    );
}
