//! Clients that take their time: no worker waits for them, and each has a deadline.

use std::io::Write;
use std::time::{Duration, Instant};

use flux::http::Limits;

use super::support::{Fixture, PATIENCE, eventually, get, pass};
use crate::runner::tests;

tests![
    a_trickled_head_hears_408_at_its_deadline_however_steady_it_comes,
    three_hundred_trickling_clients_do_not_delay_a_good_one,
    an_idle_connection_is_closed_without_a_word,
    a_body_that_stops_or_never_ends_is_a_408,
    a_client_that_does_not_read_its_response_holds_no_worker,
    a_client_that_never_reads_is_cut_at_the_write_timeout,
];

fn a_trickled_head_hears_408_at_its_deadline_however_steady_it_comes() {
    let deadline = Duration::from_millis(400);
    let fixture = Fixture::start(Limits {
        head_deadline: deadline,
        ..Limits::default()
    });
    let mut client = fixture.connect();
    let begun = Instant::now();
    client.send("GET /hello HTTP/1.1\r\nHost: a\r\nX: ");
    client
        .stream
        .set_read_timeout(Some(Duration::from_millis(20)))
        .expect("a timeout");
    let answer = loop {
        assert!(begun.elapsed() < PATIENCE, "the head has no deadline");
        // Fails once the server has closed; the answer is there to be read then.
        let _ = client.stream.write_all(b"x");
        match client.try_answer(true) {
            Ok(answer) => break answer,
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
    };
    assert!(begun.elapsed() >= deadline, "{:?}", begun.elapsed());
    assert_eq!(answer.closing_error(), "request_timeout");
}

fn three_hundred_trickling_clients_do_not_delay_a_good_one() {
    let fixture = Fixture::start(Limits {
        workers: 2,
        connections_per_peer: None,
        ..Limits::default()
    });
    let mut tricklers: Vec<_> = (0..300).map(|_| fixture.connect()).collect();
    let mut good = fixture.connect();
    let head = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-";
    let mut slowest = Duration::ZERO;
    for byte in head.chunks(1) {
        for trickler in &mut tricklers {
            trickler.stream.write_all(byte).expect("trickle");
        }
        let begun = Instant::now();
        good.send(&get("/hello"));
        assert_eq!(good.answer().body, "hello");
        slowest = slowest.max(begun.elapsed());
    }
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    for trickler in &mut tricklers {
        trickler.send("Length: 2\r\n\r\nok");
        assert_eq!(trickler.answer().body, "ok");
    }
}

fn an_idle_connection_is_closed_without_a_word() {
    let fixture = Fixture::start(Limits {
        idle_timeout: Duration::from_millis(100),
        ..Limits::default()
    });
    // Alone: no other connection's events wake the poller.
    assert!(fixture.connect().is_closed());
    let mut used = fixture.connect();
    used.send(&get("/hello"));
    assert_eq!(used.answer().body, "hello");
    assert!(used.is_closed());
}

fn a_body_that_stops_or_never_ends_is_a_408() {
    let fixture = Fixture::start(Limits {
        read_timeout: Duration::from_millis(100),
        body_deadline: Duration::from_millis(400),
        ..Limits::default()
    });
    let head = "POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
    let mut stalled = fixture.connect();
    stalled.send(head);
    assert_eq!(stalled.answer().code, 408);
    let mut steady = fixture.connect();
    steady.send(head);
    let begun = Instant::now();
    let error = loop {
        assert!(begun.elapsed() < PATIENCE, "the body has no deadline");
        let _ = steady.stream.write_all(b"x");
        pass(Duration::from_millis(5));
        if let Ok(error) = fixture.bodies.try_recv()
            && begun.elapsed() >= Duration::from_millis(400)
        {
            break error;
        }
    };
    assert_eq!(error, "the body did not arrive in time");
}

fn a_client_that_does_not_read_its_response_holds_no_worker() {
    let fixture = Fixture::start(Limits {
        workers: 1,
        ..Limits::default()
    });
    let mut deaf = fixture.connect();
    deaf.send(&get("/big"));
    // The response has begun, and more of it is under way than any buffer holds.
    assert_eq!(deaf.stream.peek(&mut [0]).expect("a first byte"), 1);
    let mut good = fixture.connect();
    for _ in 0..20 {
        good.send(&get("/hello"));
        assert_eq!(good.answer().body, "hello");
    }
    assert_eq!(deaf.answer().body.len(), super::support::BIG_BYTES);
    deaf.send(&get("/hello"));
    assert_eq!(deaf.answer().body, "hello");
}

fn a_client_that_never_reads_is_cut_at_the_write_timeout() {
    let fixture = Fixture::start(Limits {
        write_timeout: Duration::from_millis(200),
        connections: 1,
        ..Limits::default()
    });
    let mut deaf = fixture.connect();
    deaf.send(&get("/big"));
    // Its place is free again once it is cut.
    eventually("the deaf client is cut", || {
        fixture.ask(&get("/hello")).code == 200
    });
    drop(deaf);
    let mut deaf = fixture.connect();
    eventually("a place is free", || {
        deaf = fixture.connect();
        deaf.stream.write_all(get("/flood").as_bytes()).is_ok()
            && fixture
                .held
                .recv_timeout(Duration::from_millis(200))
                .is_ok()
    });
    eventually("the deaf stream is cut", || {
        fixture.ask(&get("/hello")).code == 200
    });
}
