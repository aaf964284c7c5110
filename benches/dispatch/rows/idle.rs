//! Memory that the daemons hold while nothing happens.

use std::time::{Duration, Instant};

use crate::bench::{Bench, pause};
use crate::memory;
use crate::table::Line;

const MOST_FLUX_MIB: f64 = 30.0;
const MOST_AGENT_MIB: f64 = 20.0;

/// Of daemons that have deployed functions and answered probes, and run nothing yet.
pub fn before(bench: &mut Bench) -> Vec<Line> {
    let (flux, agent) = most(bench);
    vec![
        Line::new("flux, resident when idle", mib(flux)).budget("≤ 30 MiB", flux <= MOST_FLUX_MIB),
        Line::new("flux-agent, resident when idle", mib(agent))
            .budget("≤ 20 MiB", agent <= MOST_AGENT_MIB),
    ]
}

/// What a busy time leaves behind.
pub fn after(bench: &mut Bench) -> Vec<Line> {
    bench.settle();
    let (flux, agent) = most(bench);
    vec![
        Line::new("flux, resident after the load", mib(flux)),
        Line::new("flux-agent, resident after the load", mib(agent)),
    ]
}

/// The most of a little while, in which several probes go by.
fn most(bench: &Bench) -> (f64, f64) {
    let span = bench.choose(Duration::from_secs(3), Duration::from_secs(1));
    let begun = Instant::now();
    let mut most = (0.0, 0.0);
    while begun.elapsed() < span {
        most = (
            memory::resident_mib(bench.flux_pid()).max(most.0),
            memory::resident_mib(bench.agent_pid()).max(most.1),
        );
        pause(Duration::from_millis(100));
    }
    most
}

fn mib(value: f64) -> String {
    format!("{value:.1} MiB")
}
