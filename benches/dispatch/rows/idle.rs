//! Memory that the daemons hold while nothing happens.

use std::time::{Duration, Instant};

use crate::bench::{Bench, pause};
use crate::memory;
use crate::table::Line;

const MOST_FLUX_MIB: f64 = 30.0;
const MOST_AGENT_MIB: f64 = 20.0;

/// Of daemons that have deployed functions and answered probes, and run nothing yet.
pub fn before(bench: &mut Bench) -> Vec<Line> {
    let (flux, agent) = (most(bench, Bench::flux_pid), most(bench, Bench::agent_pid));
    vec![
        Line::new("flux, resident when idle", mib(flux.resident))
            .budget("≤ 30 MiB", flux.resident <= MOST_FLUX_MIB),
        Line::new("flux-agent, resident when idle", mib(agent.resident))
            .budget("≤ 20 MiB", agent.resident <= MOST_AGENT_MIB),
        Line::new("flux, of that its own (no text)", mib(flux.private)),
        Line::new("flux-agent, of that its own (no text)", mib(agent.private)),
    ]
}

/// What a busy time leaves behind.
pub fn after(bench: &mut Bench) -> Vec<Line> {
    bench.settle();
    let (flux, agent) = (most(bench, Bench::flux_pid), most(bench, Bench::agent_pid));
    vec![
        Line::new("flux, resident after the load", mib(flux.resident)),
        Line::new("flux-agent, resident after the load", mib(agent.resident)),
    ]
}

/// In MiB.
#[derive(Default)]
struct Memory {
    resident: f64,
    private: f64,
}

/// The most of a little while, in which several probes go by.
fn most(bench: &Bench, pid: impl Fn(&Bench) -> i32) -> Memory {
    let span = bench.choose(Duration::from_secs(2), Duration::from_secs(1));
    let begun = Instant::now();
    let mut most = Memory::default();
    while begun.elapsed() < span {
        most = Memory {
            resident: memory::resident_mib(pid(bench)).max(most.resident),
            private: memory::private_mib(pid(bench)).max(most.private),
        };
        pause(Duration::from_millis(100));
    }
    most
}

fn mib(value: f64) -> String {
    format!("{value:.1} MiB")
}
