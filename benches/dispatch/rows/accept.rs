//! Asynchronous calls until their 202, which promises that the work is on two disks.

use std::time::Duration;

use super::throughput::per_second;
use crate::bench::{Bench, WAITING};
use crate::client;
use crate::floor::SyncedFile;
use crate::samples::{Samples, median, millis};
use crate::table::Line;

const BLOCK: usize = 25;
const WARM_UP: usize = 25;
const CLIENTS: usize = 16;
const MOST: Duration = Duration::from_millis(5);
const FEWEST_PER_SECOND: f64 = 500.0;

pub fn run(bench: &mut Bench) -> Vec<Line> {
    let blocks = bench.choose(20, 4);
    let request = client::request("POST", &format!("/execute/{WAITING}/async"), "{}");
    let mut connection = bench.connect();
    let mut file = SyncedFile::create(&bench.state_dir().join("floor"));
    for _ in 0..WARM_UP {
        connection.timed(&request, 202);
        file.run();
    }
    let (mut accepts, mut syncs) = <(Samples, Samples)>::default();
    for _ in 0..blocks {
        for _ in 0..BLOCK {
            accepts.add(connection.timed(&request, 202));
        }
        bench.settle();
        for _ in 0..BLOCK {
            syncs.add(file.run());
        }
    }
    let (accept, sync) = (accepts.p50(), syncs.p50());
    let rate = many(bench, &request);
    bench.settle();
    vec![
        Line::new("durable accept (202) p50", millis(accept))
            .over(
                format!("2 × fsync {}", millis(2 * sync)),
                accept.as_secs_f64() / (2 * sync).as_secs_f64(),
            )
            .budget("≤ 5 ms", accept <= MOST),
        Line::new("durable accept p50, over one fsync", millis(accept)).over(
            format!("fsync {}", millis(sync)),
            accept.as_secs_f64() / sync.as_secs_f64(),
        ),
        Line::new("durable accept p99", millis(accepts.p99())).over(
            format!("fsync p99 {}", millis(syncs.p99())),
            accepts.p99().as_secs_f64() / syncs.p99().as_secs_f64(),
        ),
        Line::new(
            "durable accepts per second, 16 clients",
            format!("{rate:.0}/s"),
        )
        .over(
            format!("fsyncs of one thread {:.0}/s", 1.0 / sync.as_secs_f64()),
            rate * sync.as_secs_f64(),
        )
        .budget("≥ 500/s", rate >= FEWEST_PER_SECOND),
    ]
}

/// What is accepted also runs meanwhile: a rate that only fills a queue would be no rate.
fn many(bench: &Bench, request: &[u8]) -> f64 {
    let (rounds, span) = bench.choose((3, Duration::from_secs(2)), (1, Duration::from_secs(1)));
    let rates = (0..rounds).map(|_| {
        let rate = per_second(CLIENTS, span, || {
            let mut connection = bench.connect();
            move || {
                connection.timed(request, 202);
            }
        });
        bench.settle();
        rate
    });
    median(rates.collect())
}
