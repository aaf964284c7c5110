//! One file for each budget.

mod accept;
mod crowd;
mod idle;
mod output;
mod start;
mod sync;
mod throughput;

use super::bench::Bench;
use super::table::Line;

/// One budget's measurement.
pub struct Row {
    pub name: &'static str,
    pub about: &'static str,
    pub run: fn(&mut Bench) -> Vec<Line>,
}

/// In the order in which they run: the first wants daemons that have done nothing yet, the last
/// restarts the control plane.
pub const ROWS: [Row; 8] = [
    Row {
        name: "idle",
        about: "resident memory of both daemons before any call",
        run: idle::before,
    },
    Row {
        name: "sync",
        about: "one synchronous call of /bin/true after the other",
        run: sync::run,
    },
    Row {
        name: "throughput",
        about: "synchronous calls of /bin/true by 16 clients",
        run: throughput::run,
    },
    Row {
        name: "accept",
        about: "durable acceptance of asynchronous calls",
        run: accept::run,
    },
    Row {
        name: "output",
        about: "a function that writes 1 GiB",
        run: output::run,
    },
    Row {
        name: "crowd",
        about: "a good client among 2,000 idle and 500 trickling connections",
        run: crowd::run,
    },
    Row {
        name: "settled",
        about: "resident memory of both daemons after the rows above",
        run: idle::after,
    },
    Row {
        name: "start",
        about: "from the start of flux server on existing state to its first answer",
        run: start::run,
    },
];
