//! What the wire between control plane and agent costs by itself: two processes, joined over mTLS, and a
//! worker that has nothing to do. Beside each figure stands the floor of the same run: as many bytes over a
//! bare socket between the same two processes.
//!
//! `cargo bench --bench wire` measures for about a minute, `-- --quick` for ten seconds. To compare two builds,
//! run both in turns: docs/performance.md says how.

mod client;
mod cost;
mod floor;
mod link;
#[path = "../dispatch/memory.rs"]
mod memory;
mod rows;
#[path = "../dispatch/samples.rs"]
#[expect(
    dead_code,
    reason = "it is the other bench's own, which uses all of it"
)]
mod samples;
mod server;
#[path = "../dispatch/table.rs"]
#[expect(
    dead_code,
    reason = "it is the other bench's own, which uses all of it"
)]
mod table;
mod worker;

use std::path::Path;
use std::time::Instant;

/// How often things are done.
#[derive(Clone, Copy)]
struct Effort {
    /// Of each row; the median counts.
    rounds: usize,
    calls: usize,
    stream_mib: u64,
}

const FULL: Effort = Effort {
    rounds: 7,
    calls: 4000,
    stream_mib: 1024,
};
const QUICK: Effort = Effort {
    rounds: 3,
    calls: 1000,
    stream_mib: 256,
};

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [mode, directory] = &arguments[..]
        && mode == "--serve"
    {
        return server::serve(Path::new(directory));
    }
    let begun = Instant::now();
    let effort = if arguments.iter().any(|argument| argument == "--quick") {
        QUICK
    } else {
        FULL
    };
    let lines = rows::all(effort);
    println!(
        "{}\n{:.0} s in all",
        table::render(&lines),
        begun.elapsed().as_secs_f64()
    );
}
