//! How a server ends: what is idle at once, what is under way by its deadline.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use flux::base::threads::Supervisor;
use flux::http::Limits;

use super::support::{Client, Fixture, Held, PATIENCE, get};
use crate::runner::tests;

tests![
    draining_closes_what_is_idle_and_lets_requests_finish,
    at_the_drain_deadline_handlers_and_writers_are_cut,
    dropping_a_server_joins_its_threads_and_frees_its_port,
    a_panicking_handler_ends_the_daemon_and_not_the_server_in_silence,
];

fn draining_closes_what_is_idle_and_lets_requests_finish() {
    let fixture = Fixture::start(Limits::default());
    let mut idle = fixture.connect();
    idle.send(&get("/hello"));
    assert_eq!(idle.answer().body, "hello");
    let mut busy = fixture.connect();
    busy.send(&get("/hold"));
    assert_eq!(fixture.next_held(), Held::Begun);
    let helpers = Supervisor::new();
    let (address, release) = (fixture.address(), fixture.release.clone());
    let client = helpers.spawn("client", move || {
        assert!(idle.is_closed());
        assert!(TcpStream::connect(address).is_err(), "still listening");
        release.send(()).expect("the handler waits");
        let answer = busy.answer();
        assert_eq!(answer.body, "held");
        assert!(answer.has("Connection: close") && busy.is_closed());
    });
    assert!(fixture.server.drain(Instant::now() + PATIENCE));
    client.expect("a thread").join();
    assert_eq!(helpers.first_panic(), None);
}

fn at_the_drain_deadline_handlers_and_writers_are_cut() {
    let fixture = Fixture::start(Limits::default());
    let mut held = fixture.connect();
    held.send(&get("/hold"));
    assert_eq!(fixture.next_held(), Held::Begun);
    let mut deaf_streamer = fixture.connect();
    deaf_streamer.send(&get("/flood"));
    assert_eq!(fixture.next_held(), Held::Begun);
    let mut deaf = fixture.connect();
    deaf.send(&get("/big"));
    assert_eq!(deaf.stream.peek(&mut [0]).expect("a first byte"), 1);
    let mut sender = fixture.connect();
    sender.send("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
    let begun = Instant::now();
    assert!(!fixture.server.drain(begun + Duration::from_millis(200)));
    drop(fixture);
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
    assert!(held.try_answer(true).is_err() && deaf.try_answer(true).is_err());
}

fn dropping_a_server_joins_its_threads_and_frees_its_port() {
    let fixture = Fixture::start(Limits::default());
    let address = fixture.address();
    let mut client = fixture.connect();
    client.send(&get("/hold"));
    assert_eq!(fixture.next_held(), Held::Begun);
    let (server, supervisor, held) = (fixture.server, fixture.supervisor, fixture.held);
    drop(server);
    assert_eq!(held.try_recv(), Ok(Held::ClientGone));
    assert!(TcpStream::connect(address).is_err());
    assert!(client.try_answer(true).is_err());
    assert_eq!(supervisor.first_panic(), None);
}

fn a_panicking_handler_ends_the_daemon_and_not_the_server_in_silence() {
    let fixture = Fixture::start(Limits::default());
    let mut client = fixture.connect();
    client.send(&get("/panic"));
    assert!(client.try_answer(true).is_err());
    assert!(fixture.supervisor.shutdown().wait_timeout(PATIENCE));
    let panic = fixture.supervisor.first_panic();
    assert_eq!(panic.as_deref(), Some("http-worker: the handler's"));
    // Whoever holds the server can still drain it.
    let mut other = Client::new(TcpStream::connect(fixture.address()).expect("connect"));
    other.send(&get("/hello"));
    assert_eq!(other.answer().body, "hello");
    assert!(fixture.server.drain(Instant::now() + PATIENCE));
}
