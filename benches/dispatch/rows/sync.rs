//! One synchronous call after the other, over one connection.

use std::time::Duration;

use crate::bench::{Bench, TRUE};
use crate::client::{self, Connection};
use crate::floor::{Program, Unary};
use crate::samples::{Samples, median, millis};
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
    let mut all = Block::default();
    let (mut over_spawn, mut over_both, mut over_stated) =
        <(Vec<f64>, Vec<f64>, Vec<f64>)>::default();
    for _ in 0..blocks {
        let block = Block::take(&mut connection, &request, &bench.program, &unary);
        let (call, spawn, unary) = block.p50s();
        over_spawn.push(ratio(call, spawn));
        over_both.push(ratio(call, spawn + unary));
        over_stated.push(ratio(call, spawn + UNARY_OF_THE_BUDGET));
        all.append(block);
    }
    let (call, spawn, unary) = all.p50s();
    let line = |what: &str, floor: String, ratios: Vec<f64>| {
        let ratio = median(ratios);
        (Line::new(what, millis(call)).over(floor, ratio), ratio)
    };
    let bounded =
        |(line, ratio): (Line, f64)| line.budget(&format!("≤ {BUDGET} ×"), ratio <= BUDGET);
    let (alone, _) = line(
        "sync execute p50, over spawn alone",
        format!("spawn {}", millis(spawn)),
        over_spawn,
    );
    let (call_p99, spawn_p99) = (all.calls.p99(), all.spawns.p99());
    vec![
        alone,
        bounded(line(
            "sync execute p50, over spawn + mTLS unary here",
            format!("spawn + unary {}", millis(spawn + unary)),
            over_both,
        )),
        bounded(line(
            "sync execute p50, over spawn + 0.36 ms",
            format!("spawn + 0.36 = {}", millis(spawn + UNARY_OF_THE_BUDGET)),
            over_stated,
        )),
        Line::new("sync execute p99", millis(call_p99)).over(
            format!("spawn p99 {}", millis(spawn_p99)),
            ratio(call_p99, spawn_p99),
        ),
    ]
}

/// Neighbours in time: whatever disturbs the machine disturbs all three, so that a ratio is taken
/// within a block, and the middle one of all blocks counts.
#[derive(Default)]
struct Block {
    calls: Samples,
    spawns: Samples,
    unaries: Samples,
}

impl Block {
    fn take(
        connection: &mut Connection,
        request: &[u8],
        program: &Program,
        unary: &Unary,
    ) -> Block {
        let mut block = Block::default();
        for _ in 0..BLOCK {
            block.calls.add(connection.timed(request, 200));
        }
        for _ in 0..BLOCK {
            block.spawns.add(program.run());
        }
        for _ in 0..BLOCK {
            block.unaries.add(unary.run());
        }
        block
    }

    fn p50s(&self) -> (Duration, Duration, Duration) {
        (self.calls.p50(), self.spawns.p50(), self.unaries.p50())
    }

    fn append(&mut self, other: Block) {
        self.calls.append(other.calls);
        self.spawns.append(other.spawns);
        self.unaries.append(other.unaries);
    }
}

fn ratio(this: Duration, that: Duration) -> f64 {
    this.as_secs_f64() / that.as_secs_f64()
}
