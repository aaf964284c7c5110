//! More than the server takes: connections, requests, descriptors.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use flux::http::Limits;
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, socket};
use nix::sys::time::TimeValLike;

use super::support::{Client, Fixture, Held, eventually, get, pass};
use crate::runner::tests;

tests![
    connections_beyond_the_limit_hear_503_and_places_come_back,
    connections_beyond_the_limit_of_one_address_hear_429,
    requests_that_no_worker_takes_hear_503_and_later_ones_are_served,
    a_short_burst_waits_for_a_worker_instead_of_being_refused,
    handlers_that_wait_keep_nobody_else_from_beginning,
    running_out_of_descriptors_refuses_clients_and_passes(alone),
    three_hundred_clients_that_send_a_byte_at_once_start_few_threads(alone),
    an_idle_connection_costs_less_than_two_kibibytes(alone),
];

fn connections_beyond_the_limit_hear_503_and_places_come_back() {
    let fixture = Fixture::start(Limits {
        connections: 2,
        ..Limits::default()
    });
    let mut first = fixture.connect();
    let mut second = fixture.connect();
    for client in [&mut first, &mut second] {
        client.send(&get("/hello"));
        assert_eq!(client.answer().code, 200);
    }
    let mut third = fixture.connect();
    let answer = third.answer();
    assert_eq!(answer.code, 503);
    assert_eq!(answer.closing_error(), "too_many_connections");
    assert!(answer.header("Retry-After").is_some() && third.is_closed());
    drop(first);
    eventually("a place is free", || {
        fixture.ask(&get("/hello")).code == 200
    });
}

fn connections_beyond_the_limit_of_one_address_hear_429() {
    let fixture = Fixture::start(Limits {
        connections_per_peer: Some(1),
        ..Limits::default()
    });
    let mut first = fixture.connect();
    first.send(&get("/hello"));
    assert_eq!(first.answer().code, 200);
    let answer = fixture.connect().answer();
    assert_eq!(answer.code, 429);
    assert_eq!(answer.closing_error(), "too_many_connections");
    // Another address is not concerned: all of 127/8 is ours.
    let other = connect_from("127.0.0.2:0", fixture.address());
    let mut other = Client::new(other);
    other.send(&get("/hello"));
    assert_eq!(other.answer().code, 200);
}

fn connect_from(source: &str, to: SocketAddr) -> TcpStream {
    let source: SocketAddr = source.parse().expect("an address");
    let client = unconnected();
    nix::sys::socket::bind(
        std::os::fd::AsRawFd::as_raw_fd(&client),
        &SockaddrStorage::from(source),
    )
    .expect("bind");
    connect_to(client, to)
}

fn unconnected() -> std::os::fd::OwnedFd {
    let flags = SockFlag::SOCK_CLOEXEC;
    socket(AddressFamily::Inet, SockType::Stream, flags, None).expect("a socket")
}

fn connect_to(client: std::os::fd::OwnedFd, to: SocketAddr) -> TcpStream {
    let fd = std::os::fd::AsRawFd::as_raw_fd(&client);
    connect(fd, &SockaddrStorage::from(to)).expect("connect");
    TcpStream::from(client)
}

fn requests_that_no_worker_takes_hear_503_and_later_ones_are_served() {
    let fixture = Fixture::start(Limits {
        workers: 1,
        queue_wait: Duration::from_millis(100),
        ..Limits::default()
    });
    let mut busy = fixture.connect();
    busy.send(&get("/hold"));
    assert_eq!(fixture.next_held(), Held::Begun);
    let answer = fixture.ask(&get("/hello"));
    assert_eq!(answer.code, 503);
    assert_eq!(answer.closing_error(), "overloaded");
    assert!(answer.header("Retry-After").is_some());
    fixture.release.send(()).expect("the handler waits");
    assert_eq!(busy.answer().body, "held");
    assert_eq!(fixture.ask(&get("/hello")).code, 200);
}

fn a_short_burst_waits_for_a_worker_instead_of_being_refused() {
    let fixture = Fixture::start(Limits {
        workers: 1,
        queue_wait: Duration::from_secs(60),
        ..Limits::default()
    });
    let mut clients: Vec<_> = (0..50).map(|_| fixture.connect()).collect();
    for client in &mut clients {
        client.send(&get("/hold"));
    }
    for client in &mut clients {
        fixture.release.send(()).expect("the handlers wait");
        assert_eq!(client.answer().body, "held");
    }
}

fn handlers_that_wait_keep_nobody_else_from_beginning() {
    let fixture = Fixture::start(Limits {
        queue_wait: Duration::from_secs(60),
        ..Limits::default()
    });
    let mut clients: Vec<_> = (0..100).map(|_| fixture.connect()).collect();
    for client in &mut clients {
        client.send(&get("/hold"));
    }
    for _ in &clients {
        assert_eq!(fixture.next_held(), Held::Begun);
    }
}

fn running_out_of_descriptors_refuses_clients_and_passes() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, 128, hard).expect("a lower limit");
    let fixture = Fixture::start(Limits::default());
    let mut before = fixture.connect();
    before.send(&get("/hello"));
    assert_eq!(before.answer().code, 200);
    let clients: Vec<_> = (0..8).map(|_| unconnected()).collect();
    let mut fillers = Vec::new();
    while let Ok(filler) = File::open("/dev/null") {
        fillers.push(filler);
    }
    let spent_before = processor_time();
    for client in clients {
        let mut client = Client::new(connect_to(client, fixture.address()));
        assert_eq!(client.answer().closing_error(), "too_many_connections");
        assert!(client.is_closed());
        // Kept: closing it would give a descriptor back.
        fillers.push(File::from(std::os::fd::OwnedFd::from(client.stream)));
    }
    // A connection from before is served all the same.
    before.send(&get("/hello"));
    assert_eq!(before.answer().code, 200);
    pass(Duration::from_millis(300));
    let spent = processor_time() - spent_before;
    assert!(
        spent < 250,
        "{spent} ms of processor time: the acceptor spins"
    );
    drop(fillers);
    assert_eq!(fixture.ask(&get("/hello")).code, 200);
}

/// Milliseconds that this process has used.
fn processor_time() -> i64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("usage");
    usage.user_time().num_milliseconds() + usage.system_time().num_milliseconds()
}

fn three_hundred_clients_that_send_a_byte_at_once_start_few_threads() {
    let fixture = Fixture::start(Limits {
        connections_per_peer: None,
        ..Limits::default()
    });
    let mut clients: Vec<_> = (0..300).map(|_| fixture.connect()).collect();
    for byte in get("/hello").chars() {
        for client in &mut clients {
            client.send(&byte.to_string());
        }
    }
    for client in &mut clients {
        assert_eq!(client.answer().body, "hello");
    }
    // A few: each handler lets one more thread come for the next step.
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = std::fs::read_dir("/proc/self/task").expect("a process has threads");
    let workers = threads
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok())
        .filter(|name| name.starts_with("http-worker"))
        .count();
    assert!(workers <= 4 * processors, "{workers} workers");
}

fn an_idle_connection_costs_less_than_two_kibibytes() {
    const COUNT: usize = 2_000;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(8_192), hard).expect("a limit");
    let fixture = Fixture::start(Limits {
        connections_per_peer: None,
        ..Limits::default()
    });
    let mut clients: Vec<_> = (0..100).map(|_| fixture.connect()).collect();
    let serve_all = |clients: &mut Vec<Client>| {
        for client in clients {
            client.send(&get("/hello"));
            assert_eq!(client.answer().code, 200);
        }
    };
    serve_all(&mut clients);
    let before = resident_bytes();
    clients.extend((0..COUNT).map(|_| fixture.connect()));
    serve_all(&mut clients);
    let each = resident_bytes().saturating_sub(before) / COUNT;
    assert!(each < 2 * 1024, "{each} bytes for each");
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("a process has one");
    let pages: usize = statm
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .expect("resident pages");
    pages * 4_096
}
