//! What pulls a request's `client_gone` token, and what does not.

use std::net::Shutdown;
use std::time::Duration;

use flux::http::Limits;
use nix::sys::socket::{setsockopt, sockopt};

use super::support::{Client, Fixture, Held, get, pass};
use crate::runner::tests;

tests![
    a_close_a_reset_and_a_half_close_pull_it,
    pipelined_bytes_do_not_pull_it_and_a_close_behind_them_does,
    waiting_pipelined_bytes_cost_no_processor_time(alone),
    a_stream_learns_that_its_client_has_gone,
    it_is_watched_for_each_request_of_a_connection_anew,
];

fn holding(fixture: &Fixture) -> Client {
    let mut client = fixture.connect();
    client.send(&get("/hold"));
    assert_eq!(fixture.next_held(), Held::Begun);
    client
}

fn a_close_a_reset_and_a_half_close_pull_it() {
    let fixture = Fixture::start(Limits::default());
    drop(holding(&fixture));
    assert_eq!(fixture.next_held(), Held::ClientGone);
    let reset = holding(&fixture);
    let at_once = nix::libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&reset.stream, sockopt::Linger, &at_once).expect("an option");
    drop(reset);
    assert_eq!(fixture.next_held(), Held::ClientGone);
    let mut half = holding(&fixture);
    half.stream.shutdown(Shutdown::Write).expect("half-close");
    assert_eq!(fixture.next_held(), Held::ClientGone);
    assert_eq!(half.answer().body, "held");
}

fn pipelined_bytes_do_not_pull_it_and_a_close_behind_them_does() {
    let fixture = Fixture::start(Limits::default());
    let mut client = holding(&fixture);
    client.send(&get("/hello"));
    assert!(
        fixture
            .held
            .recv_timeout(Duration::from_millis(200))
            .is_err()
    );
    fixture.release.send(()).expect("the handler waits");
    assert_eq!(fixture.next_held(), Held::Released);
    assert_eq!(client.answer().body, "held");
    assert_eq!(client.answer().body, "hello");
    client.send(&get("/hold"));
    assert_eq!(fixture.next_held(), Held::Begun);
    client.send(&get("/hello"));
    drop(client);
    assert_eq!(fixture.next_held(), Held::ClientGone);
}

fn waiting_pipelined_bytes_cost_no_processor_time() {
    let fixture = Fixture::start(Limits::default());
    let mut client = holding(&fixture);
    client.send(&get("/hello"));
    let before = thread_ticks("http-poller");
    pass(Duration::from_millis(500));
    let spent = thread_ticks("http-poller") - before;
    // A spinning one would be at 50.
    assert!(spent < 25, "{spent} ticks");
    fixture.release.send(()).expect("the handler waits");
    assert_eq!(client.answer().body, "held");
}

/// Processor time of this process's threads of that name, in hundredths of a second.
fn thread_ticks(name: &str) -> u64 {
    let threads = std::fs::read_dir("/proc/self/task").expect("a process has threads");
    threads
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok())
        .filter(|stat| stat.contains(&format!("({name})")))
        .filter_map(|stat| {
            let fields: Vec<u64> = stat
                .rsplit(')')
                .next()?
                .split_whitespace()
                .skip(11)
                .take(2)
                .filter_map(|field| field.parse().ok())
                .collect();
            Some(fields.iter().sum::<u64>())
        })
        .max()
        .unwrap_or(0)
}

fn a_stream_learns_that_its_client_has_gone() {
    let fixture = Fixture::start(Limits::default());
    let mut client = fixture.connect();
    client.send(&get("/flood"));
    assert_eq!(fixture.next_held(), Held::Begun);
    client.stream.shutdown(Shutdown::Write).expect("half-close");
    // It must go on reading: otherwise the stream waits for it in a write.
    let flood = client.try_answer(true).expect("the stream ends properly");
    assert!(flood.body.bytes().all(|byte| byte == b'f'));
    assert_eq!(fixture.next_held(), Held::ClientGone);
}

fn it_is_watched_for_each_request_of_a_connection_anew() {
    let fixture = Fixture::start(Limits::default());
    let mut client = holding(&fixture);
    for _ in 0..5 {
        fixture.release.send(()).expect("the handler waits");
        assert_eq!(fixture.next_held(), Held::Released);
        assert_eq!(client.answer().body, "held");
        client.send(&get("/hello"));
        assert_eq!(client.answer().body, "hello");
        client.send(&get("/hold"));
        assert_eq!(fixture.next_held(), Held::Begun);
    }
    drop(client);
    assert_eq!(fixture.next_held(), Held::ClientGone);
}
