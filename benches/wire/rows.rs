//! What is measured, each in turns with its floor.

use std::time::{Duration, Instant};

use super::client::{self, Client};
use super::cost::Cost;
use super::link::Server;
use super::samples::{Samples, median};
use super::table::Line;
use super::{Effort, floor, memory};

const CALLERS: usize = 16;

pub(super) fn all(effort: Effort) -> Vec<Line> {
    let mut server = Server::start();
    let client = Client::new(&server);
    client::call(&client.agent);
    let mut lines = idle(&server);
    lines.extend(one_caller(&mut server, &client, effort));
    lines.extend(many_callers(&mut server, &client, effort));
    lines.extend(stream(&mut server, &client, effort));
    lines
}

fn idle(server: &Server) -> Vec<Line> {
    let line = |what, pid| {
        let (all, own) = (memory::resident_mib(pid), memory::private_mib(pid));
        Line::new(what, format!("{all:.1} MiB, {own:.1} its own"))
    };
    let this = i32::try_from(std::process::id()).expect("a pid");
    vec![
        line("client, resident after a call", this),
        line("server, resident after a call", server.pid()),
    ]
}

fn one_caller(server: &mut Server, client: &Client, effort: Effort) -> Vec<Line> {
    let mut bare = floor::Caller::new(server.bare);
    let (mut p50, mut p99, mut floors, mut costs) = (vec![], vec![], vec![], vec![]);
    for _ in 0..effort.rounds {
        let before = server.cost_of_both();
        let calls = samples(effort.calls, || client::call(&client.agent));
        costs.push(per(server.cost_of_both() - before, effort.calls));
        p50.push(micros(calls.p50()));
        p99.push(micros(calls.p99()));
        floors.push(micros(samples(effort.calls, || bare.call()).p50()));
    }
    let (p50, floor) = (median(p50), median(floors));
    let line = Line::new("call, one caller, p50", format!("{p50:.0} µs"));
    let mut lines = vec![
        line.over(format!("bare socket {floor:.0} µs"), p50 / floor),
        Line::new("call, one caller, p99", format!("{:.0} µs", median(p99))),
    ];
    lines.extend(of_costs("one caller", &costs));
    lines
}

fn many_callers(server: &mut Server, client: &Client, effort: Effort) -> Vec<Line> {
    let (mut rates, mut costs) = (vec![], vec![]);
    for _ in 0..effort.rounds {
        let before = server.cost_of_both();
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..CALLERS {
                scope.spawn(|| samples(effort.calls / 4, || client::call(&client.agent)));
            }
        });
        let calls = CALLERS * (effort.calls / 4);
        rates.push(calls as f64 / begun.elapsed().as_secs_f64());
        costs.push(per(server.cost_of_both() - before, calls));
    }
    let rate = format!("{:.0}", median(rates));
    let mut lines = vec![Line::new("calls per second, 16 callers", rate)];
    lines.extend(of_costs("16 callers", &costs));
    lines
}

fn stream(server: &mut Server, client: &Client, effort: Effort) -> Vec<Line> {
    let this = i32::try_from(std::process::id()).expect("a pid");
    let mib = effort.stream_mib;
    let rate = |took: Duration| mib as f64 / took.as_secs_f64();
    let (mut rates, mut floors, mut seconds) = (vec![], vec![], vec![]);
    let before = [this, server.pid()].map(memory::resident_mib);
    memory::forget_peak(this);
    memory::forget_peak(server.pid());
    for _ in 0..effort.rounds.min(3) {
        let cost = server.cost_of_both();
        rates.push(rate(client::follow(&client.agent, mib)));
        seconds.push((server.cost_of_both() - cost).cpu.as_secs_f64());
        floors.push(rate(floor::stream(server.bare, mib)));
    }
    let grown = [this, server.pid()].map(memory::peak_mib);
    let (rate, floor) = (median(rates), median(floors));
    let line = Line::new("stream", format!("{rate:.0} MiB/s"));
    vec![
        line.over(format!("bare socket {floor:.0} MiB/s"), rate / floor),
        Line::new(
            &format!("stream, processor time for {mib} MiB, both sides"),
            format!("{:.2} s", median(seconds)),
        ),
        Line::new(
            "stream, memory growth at its peak, client / server",
            format!(
                "{:.1} / {:.1} MiB",
                grown[0] - before[0],
                grown[1] - before[1]
            ),
        ),
    ]
}

fn of_costs(who: &str, costs: &[(f64, f64)]) -> Vec<Line> {
    let cpu = median(costs.iter().map(|(cpu, _)| *cpu).collect());
    let waits = median(costs.iter().map(|(_, waits)| *waits).collect());
    vec![
        Line::new(
            &format!("processor time a call, both sides, {who}"),
            format!("{cpu:.0} µs"),
        ),
        Line::new(
            &format!("voluntary switches a call, both sides, {who}"),
            format!("{waits:.1}"),
        ),
    ]
}

/// Microseconds of processor time, and waits.
fn per(cost: Cost, calls: usize) -> (f64, f64) {
    let calls = calls as f64;
    (micros(cost.cpu) / calls, cost.waits as f64 / calls)
}

fn samples(count: usize, mut take: impl FnMut() -> Duration) -> Samples {
    let mut samples = Samples::default();
    for _ in 0..count {
        samples.add(take());
    }
    samples
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
