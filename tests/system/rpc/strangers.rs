//! Who comes to an agent's port and shows no certificate: keeps nobody out, and costs little.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use flux::base::threads::Supervisor;
use flux::rpc::{AgentClient, Channels};
use nix::sys::socket::{setsockopt, sockopt};

use super::fixture::{Agent, Pair, id, pair, within};
use super::raw::{PREFACE, connect_from};
use crate::harness::eventually;
use crate::runner::tests;

tests![
    silent_connections_from_an_address_keep_no_client_of_it_out,
    silent_connections_from_many_addresses_keep_no_client_out,
    connections_beyond_the_bound_end_at_once_and_wait_in_no_queue,
    who_was_let_in_before_goes_on_while_strangers_come,
    a_handshake_that_trickles_ends_at_its_bound_and_holds_nobody_up,
    who_has_no_certificate_is_sent_away,
    plain_text_and_garbage_are_sent_away_at_once,
    without_tls_who_does_not_speak_http2_takes_no_room,
    connections_that_are_reset_in_a_loop_leave_nothing_behind(alone),
    strangers_leave_descriptors_and_threads_for_executions(alone),
    an_agent_that_ends_does_not_wait_for_strangers,
];

/// What listen.rs has, as a number of its own: a change there has to be thought of here.
const OF_ONE_ADDRESS: usize = 16;
const IN_ALL: usize = 64;
/// See `limits::HANDSHAKE_BOUND`.
const HANDSHAKE_BOUND: Duration = Duration::from_secs(10);
/// In which a real client gets through.
const SOON: Duration = Duration::from_secs(3);

/// A client of its own, with a connection of its own.
fn newcomer(pair: &Pair) -> (Channels, AgentClient) {
    let control = pair.certificates.control();
    let channels = Channels::new(Some(control), &Supervisor::new());
    let client = channels.client(&id("agent-1"), &pair.agent.address, true);
    (channels, client.unwrap())
}

fn is_served(pair: &Pair) {
    let (_channels, client) = newcomer(pair);
    within(SOON, || client.health()).unwrap();
}

/// Whether the other end has closed it already.
fn is_closed(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let read = stream.read(&mut [0; 16]);
    stream.set_nonblocking(false).unwrap();
    match read {
        Ok(count) => count == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

fn closes_within(mut stream: &TcpStream, bound: Duration) -> bool {
    let deadline = Instant::now() + bound;
    let mut buffer = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        stream.set_read_timeout(Some(left)).unwrap();
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return false,
            Err(_) => return true,
        }
    }
}

fn silent_connections_from_an_address_keep_no_client_of_it_out() {
    let pair = pair();
    let silent: Vec<_> = (0..10 * OF_ONE_ADDRESS)
        .map(|_| TcpStream::connect(&pair.agent.address).unwrap())
        .collect();
    is_served(&pair);
    drop(silent);
}

fn silent_connections_from_many_addresses_keep_no_client_out() {
    let pair = pair();
    let silent: Vec<_> = (0..2 * IN_ALL)
        .map(|at| {
            let last = u8::try_from(2 + at % 20).unwrap();
            connect_from(last, &pair.agent.address)
        })
        .collect();
    is_served(&pair);
    drop(silent);
}

fn connections_beyond_the_bound_end_at_once_and_wait_in_no_queue() {
    let pair = pair();
    assert!(pair.client.health().is_ok());
    let silent: Vec<_> = (0..4 * OF_ONE_ADDRESS)
        .map(|_| TcpStream::connect(&pair.agent.address).unwrap())
        .collect();
    let (first, last) = silent.split_at(3 * OF_ONE_ADDRESS);
    for stream in first {
        assert!(
            closes_within(stream, SOON),
            "one beyond the bound is still there"
        );
    }
    assert!(
        !last.iter().any(is_closed),
        "one of those that there is room for is gone"
    );
}

fn who_was_let_in_before_goes_on_while_strangers_come() {
    let pair = pair();
    assert!(pair.client.health().is_ok());
    for _ in 0..10 {
        let silent: Vec<_> = (0..2 * IN_ALL)
            .map(|_| TcpStream::connect(&pair.agent.address).unwrap())
            .collect();
        within(SOON, || pair.client.health()).unwrap();
        drop(silent);
    }
}

fn a_handshake_that_trickles_ends_at_its_bound_and_holds_nobody_up() {
    let pair = pair();
    let mut trickle = TcpStream::connect(&pair.agent.address).unwrap();
    trickle.set_nodelay(true).unwrap();
    // A record that is announced with 16 KiB and never whole (RFC 8446, section 5.1).
    let mut hello = vec![0x16, 3, 1, 0x3f, 0xff, 1, 0, 0x3f, 0xfb, 3, 3];
    hello.resize(16 << 10, 7);
    let start = Instant::now();
    let ended = hello.iter().position(|byte| {
        trickle
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let sent = trickle.write_all(&[*byte]);
        let is_over = match trickle.read(&mut [0; 64]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        };
        is_served(&pair);
        sent.is_err() || is_over || start.elapsed() > HANDSHAKE_BOUND + SOON
    });
    let took = start.elapsed();
    assert!(ended.is_some() && took < HANDSHAKE_BOUND + SOON, "{took:?}");
    assert!(took > HANDSHAKE_BOUND / 2, "cut off after {took:?}");
}

fn who_has_no_certificate_is_sent_away() {
    let pair = pair();
    let mut builder =
        openssl::ssl::SslConnector::builder(openssl::ssl::SslMethod::tls_client()).unwrap();
    builder.set_verify(openssl::ssl::SslVerifyMode::NONE);
    builder.set_alpn_protos(b"\x02h2").unwrap();
    let stream = TcpStream::connect(&pair.agent.address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    // In TLS 1.3 a client believes its handshake complete before the server has looked at its certificate.
    if let Ok(mut stream) = builder.build().connect("agent", stream) {
        let _ = stream.write_all(PREFACE);
        let read = stream.read(&mut [0; 64]);
        assert!(
            !matches!(read, Ok(1..)),
            "something was said to somebody without a certificate"
        );
        assert!(closes_within(stream.get_ref(), SOON));
    }
    is_served(&pair);
}

fn plain_text_and_garbage_are_sent_away_at_once() {
    let pair = pair();
    for garbage in [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        PREFACE,
        &[0; 4096],
        &[0xff; 4096],
        // A record of TLS that is none of a handshake.
        &[0x17, 3, 3, 0, 4, 1, 2, 3, 4],
        &[0x16, 3, 1, 0, 4, 1, 2, 3, 4],
    ] {
        let mut stream = TcpStream::connect(&pair.agent.address).unwrap();
        stream.write_all(garbage).unwrap();
        assert!(
            closes_within(&stream, SOON),
            "still there: {:?}",
            &garbage[..4]
        );
    }
    is_served(&pair);
}

fn without_tls_who_does_not_speak_http2_takes_no_room() {
    let agent = Agent::start(&id("agent-1"), None);
    let silent: Vec<_> = (0..2 * IN_ALL)
        .map(|at| {
            let last = u8::try_from(2 + at % 20).unwrap();
            let mut stream = connect_from(last, &agent.address);
            stream.write_all(&PREFACE[..at % PREFACE.len()]).unwrap();
            stream
        })
        .collect();
    let mut other = TcpStream::connect(&agent.address).unwrap();
    other.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(closes_within(&other, SOON));
    let channels = Channels::new(None, &Supervisor::new());
    let client = channels
        .client(&id("agent-1"), &agent.address, false)
        .unwrap();
    within(SOON, || client.health()).unwrap();
    drop(silent);
}

fn entries(directory: &str) -> usize {
    std::fs::read_dir(directory).unwrap().count()
}

fn becomes_at_most(most: usize, what: &str, count: impl Fn() -> usize) {
    eventually(&format!("at most {most} {what}"), || {
        (count() <= most).then_some(())
    });
}

fn connections_that_are_reset_in_a_loop_leave_nothing_behind() {
    let pair = pair();
    assert!(pair.client.health().is_ok());
    let descriptors = || entries("/proc/self/fd");
    let threads = || entries("/proc/self/task");
    let before = (descriptors(), threads());
    for round in 0..1000 {
        let stream = TcpStream::connect(&pair.agent.address).unwrap();
        // Sends a reset in place of an end.
        let linger = nix::libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        setsockopt(&stream, sockopt::Linger, &linger).unwrap();
        if round % 2 == 0 {
            let _ = (&stream).write_all(&[0x16, 3, 1]);
        }
        if round % 100 == 0 {
            within(SOON, || pair.client.health()).unwrap();
        }
    }
    is_served(&pair);
    // The agent may have answered from threads that it keeps for a while.
    becomes_at_most(before.0, "descriptors", descriptors);
    becomes_at_most(before.1, "threads", threads);
}

fn strangers_leave_descriptors_and_threads_for_executions() {
    let pair = pair();
    assert!(pair.client.health().is_ok());
    let descriptors = || entries("/proc/self/fd");
    let before = (descriptors(), entries("/proc/self/task"));
    let silent: Vec<_> = (0..400)
        .map(|at| connect_from(u8::try_from(2 + at % 200).unwrap(), &pair.agent.address))
        .collect();
    is_served(&pair);
    let most = before.0 + silent.len() + IN_ALL;
    becomes_at_most(most, "descriptors", descriptors);
    let most = before.1 + IN_ALL;
    becomes_at_most(most, "threads", || entries("/proc/self/task"));
}

fn an_agent_that_ends_does_not_wait_for_strangers() {
    let mut pair = pair();
    let silent: Vec<_> = (0..OF_ONE_ADDRESS)
        .map(|_| TcpStream::connect(&pair.agent.address).unwrap())
        .collect();
    is_served(&pair);
    let serving = pair.agent.serving.take().unwrap();
    within(SOON, || serving.shutdown(Duration::ZERO));
    for stream in &silent {
        assert!(closes_within(stream, SOON));
    }
}
