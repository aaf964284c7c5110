//! A good client among many that only hold their connections, or send a byte now and then.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::bench::{Bench, TRUE, pause};
use crate::client::{self, Connection};
use crate::samples::{Samples, millis};
use crate::table::Line;

const IDLE: usize = 2000;
const TRICKLING: usize = 500;
/// Each trickling connection sends a byte once in so many ticks: every half second.
const TICKS_PER_BYTE: usize = 50;
const TICK: Duration = Duration::from_millis(10);
/// A head that never ends.
const HEAD: &[u8] = b"POST /execute/true HTTP/1.1\r\nhost: bench\r\nx-slow: ";
const BUDGET: f64 = 2.0;

/// What a good client saw.
#[derive(Default)]
struct Seen {
    health: Samples,
    execute: Samples,
}

pub fn run(bench: &mut Bench) -> Vec<Line> {
    let rounds = bench.choose(3, 1);
    let (mut alone, mut among) = <(Seen, Seen)>::default();
    let mut reopened = 0;
    for _ in 0..rounds {
        be_a_good_client(bench, &mut alone);
        reopened += within_a_crowd(bench.address(), || be_a_good_client(bench, &mut among));
    }
    vec![
        compare("execute p99 in a crowd", &among.execute, &alone.execute),
        compare("GET /health p99 in a crowd", &among.health, &alone.health),
        Line::new("execute p50 in a crowd", millis(among.execute.p50())).over(
            format!("alone {}", millis(alone.execute.p50())),
            among.execute.p50().as_secs_f64() / alone.execute.p50().as_secs_f64(),
        ),
        Line::new(
            "trickling connections that were cut off, and came again",
            reopened.to_string(),
        ),
    ]
}

fn compare(what: &str, among: &Samples, alone: &Samples) -> Line {
    let ratio = among.p99().as_secs_f64() / alone.p99().as_secs_f64();
    Line::new(what, millis(among.p99()))
        .over(format!("alone {}", millis(alone.p99())), ratio)
        .budget(&format!("≤ {BUDGET} ×"), ratio <= BUDGET)
}

fn be_a_good_client(bench: &Bench, seen: &mut Seen) {
    let calls = bench.choose(1000, 200);
    let health = client::request("GET", "/health", "");
    let execute = client::execute(TRUE);
    let mut connection = bench.connect();
    for _ in 0..calls {
        seen.execute.add(connection.timed(&execute, 200));
        seen.health.add(connection.timed(&health, 200));
    }
}

/// Runs `act` while the crowd is there; returns how many of it were cut off.
fn within_a_crowd(address: SocketAddr, act: impl FnOnce()) -> u64 {
    let health = client::request("GET", "/health", "");
    let _idle: Vec<_> = (0..IDLE)
        .map(|_| {
            let mut connection = Connection::open(address);
            connection.timed(&health, 200);
            connection
        })
        .collect();
    let (over, reopened) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let connections: Vec<_> = (0..TRICKLING).map(|_| (open(address), 0)).collect();
        scope.spawn(|| trickle(address, connections, &over, &reopened));
        act();
        over.store(true, Ordering::Relaxed);
    });
    reopened.into_inner()
}

/// A part of the connections at every tick, so that their bytes come evenly.
fn trickle(
    address: SocketAddr,
    mut connections: Vec<(TcpStream, usize)>,
    over: &AtomicBool,
    reopened: &AtomicU64,
) {
    let share = connections.len() / TICKS_PER_BYTE;
    let mut next = 0;
    while !over.load(Ordering::Relaxed) {
        for _ in 0..share {
            let (stream, sent) = &mut connections[next];
            let byte = HEAD.get(*sent).unwrap_or(&b'a');
            *sent += 1;
            if stream.write_all(&[*byte]).is_err() {
                connections[next] = (open(address), 0);
                reopened.fetch_add(1, Ordering::Relaxed);
            }
            next = (next + 1) % TRICKLING;
        }
        pause(TICK);
    }
}

fn open(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connect");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    stream
}
