//! One synchronous call after the other, over one connection.

use std::time::Duration;

use crate::bench::{Bench, TRUE};
use crate::client;
use crate::floor::Unary;
use crate::samples::{Samples, millis};
use crate::table::Line;

/// Samples of one kind before the next kind's turn.
const BLOCK: usize = 25;
const WARM_UP: usize = 50;
/// Of a unary gRPC call over mTLS, where the budget was set.
const UNARY_OF_THE_BUDGET: Duration = Duration::from_micros(360);
const BUDGET: f64 = 1.6;

pub fn run(bench: &mut Bench) -> Vec<Line> {
    let blocks = bench.choose(40, 8);
    let request = client::execute(TRUE);
    let mut connection = bench.connect();
    let unary = Unary::connect(&bench.certs_dir(), &bench.fleet.agents[0]);
    for _ in 0..WARM_UP {
        connection.timed(&request, 200);
        bench.program.run();
        unary.run();
    }
    let (mut calls, mut spawns, mut unaries) = <(Samples, Samples, Samples)>::default();
    for _ in 0..blocks {
        for _ in 0..BLOCK {
            calls.add(connection.timed(&request, 200));
        }
        for _ in 0..BLOCK {
            spawns.add(bench.program.run());
        }
        for _ in 0..BLOCK {
            unaries.add(unary.run());
        }
    }
    let (call, spawn, unary) = (calls.p50(), spawns.p50(), unaries.p50());
    let line = |what: &str, floor: String, base: Duration| {
        let ratio = call.as_secs_f64() / base.as_secs_f64();
        Line::new(what, millis(call)).over(floor, ratio)
    };
    let bounded = |line: Line, base: Duration| {
        let met = call.as_secs_f64() <= BUDGET * base.as_secs_f64();
        line.budget(&format!("≤ {BUDGET} ×"), met)
    };
    let (measured, stated) = (spawn + unary, spawn + UNARY_OF_THE_BUDGET);
    vec![
        line(
            "sync execute p50, over spawn alone",
            format!("spawn {}", millis(spawn)),
            spawn,
        ),
        bounded(
            line(
                "sync execute p50, over spawn + mTLS unary here",
                format!("spawn + unary {}", millis(measured)),
                measured,
            ),
            measured,
        ),
        bounded(
            line(
                "sync execute p50, over spawn + 0.36 ms",
                format!("spawn + 0.36 = {}", millis(stated)),
                stated,
            ),
            stated,
        ),
        Line::new("sync execute p99", millis(calls.p99())).over(
            format!("spawn p99 {}", millis(spawns.p99())),
            calls.p99().as_secs_f64() / spawns.p99().as_secs_f64(),
        ),
    ]
}
