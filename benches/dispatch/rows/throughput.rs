//! Synchronous calls by many clients at once, over as many process starts as the machine does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::bench::{Bench, TRUE};
use crate::client::{self, Connection};
use crate::samples::median;
use crate::table::Line;

const CLIENTS: usize = 16;
/// Of the floor: one for each processor of the machine that the budget was set on.
const SPAWNERS: usize = 2;
const BUDGET: f64 = 0.7;

pub fn run(bench: &mut Bench) -> Vec<Line> {
    let (rounds, span) = bench.choose((4, Duration::from_secs(2)), (1, Duration::from_secs(1)));
    let request = client::execute(TRUE);
    let (mut calls, mut spawns, mut ratios) = <(Vec<f64>, Vec<f64>, Vec<f64>)>::default();
    for _ in 0..rounds {
        let spawned = per_second(SPAWNERS, span, || {
            || {
                bench.program.run();
            }
        });
        let called = per_second(CLIENTS, span, || {
            let mut connection: Connection = bench.connect();
            let request = &request;
            move || {
                connection.timed(request, 200);
            }
        });
        calls.push(called);
        spawns.push(spawned);
        ratios.push(called / spawned);
    }
    let ratio = median(ratios);
    vec![
        Line::new(
            "sync executes per second, 16 clients",
            format!("{:.0}/s", median(calls)),
        )
        .over(format!("2 × spawn loop {:.0}/s", median(spawns)), ratio)
        .budget(&format!("≥ {BUDGET} ×"), ratio >= BUDGET),
    ]
}

/// How often `threads` threads together do, in a second, what `prepare` prepares for each.
pub fn per_second<F: FnMut()>(
    threads: usize,
    span: Duration,
    prepare: impl Fn() -> F + Sync,
) -> f64 {
    let done = AtomicU64::new(0);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut act = prepare();
                while begun.elapsed() < span {
                    act();
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    #[expect(clippy::cast_precision_loss, reason = "counts of a few seconds")]
    let done = done.into_inner() as f64;
    done / begun.elapsed().as_secs_f64()
}
