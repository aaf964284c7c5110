//! What a call costs: the real programs, joined over mTLS, against floors taken in the same run.
//!
//! `cargo bench --bench dispatch` runs every row of the budgets that needs no fleet of machines;
//! `cargo bench --bench dispatch -- sync output` runs some, `--quick` takes fewer samples, and
//! `--list` names them. A figure alone says little on a shared machine: what counts is its ratio to
//! the floor beside it, which is taken in turns with it, so that noise hits both.
//!
//! Exit status: 0 whether or not a budget is met, because a budget is read by a person beside the
//! machine's description (docs/performance.md); 101 where something does not work at all.

mod bench;
mod client;
mod floor;
#[expect(
    dead_code,
    unused_imports,
    clippy::print_stderr,
    reason = "it is the tests' own, who use all of it"
)]
#[path = "../../tests/harness/mod.rs"]
mod harness;
mod memory;
mod options;
mod rows;
mod samples;
mod table;

use std::time::Instant;

use bench::Bench;
use options::Options;

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn main() {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            println!("{problem}\n{}", options::usage());
            std::process::exit(2);
        }
    };
    if options.list {
        println!("{}", options::usage());
        return;
    }
    let begun = Instant::now();
    let mut bench = Bench::start(options.effort);
    let mut lines = Vec::new();
    for row in &options.rows {
        let row_begun = Instant::now();
        let of_row = (row.run)(&mut bench);
        println!("{} ({:.1} s)", row.name, row_begun.elapsed().as_secs_f64());
        for line in &of_row {
            println!("  {}", line.in_one());
        }
        lines.extend(of_row);
    }
    println!(
        "\n{}\n{:.0} s in all",
        table::render(&lines),
        begun.elapsed().as_secs_f64()
    );
}
