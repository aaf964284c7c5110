//! What containment costs over the bare minimum, ingredient by ingredient: an execution as the agent
//! starts it beside posix_spawn and waitpid of the same program, taken turn by turn in one run, by
//! one thread and by many; and the speed at which output is drained. Figures are ratios: absolute
//! ones depend on the machine.
//!
//! `cargo bench --bench spawn`, or the program it builds, copied to another machine.
#![expect(clippy::print_stdout, reason = "figures are what it is for")]

mod bed;
mod cgroups;
mod drain;
mod floor;
mod layers;
mod measure;
mod options;

use bed::Bed;
use measure::{Figures, alone, together};
use options::Options;

fn main() {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(usage) => {
            println!("{usage}");
            std::process::exit(2);
        }
    };
    if options.cgroups {
        return cgroups::report(options.rounds);
    }
    // As the agent does at its start.
    flux::sandbox::shed_bounding_set();
    let _held = bed::descriptors(options.descriptors);
    let bed = Bed::make(&options.program, options.uid);
    bed.describe();
    let rows = layers::all(&bed);
    println!(
        "\n{} rounds of {}, one at a time",
        options.rounds,
        options.program.display()
    );
    print(&alone(&bed, &rows, options.rounds));
    for &threads in &options.threads {
        println!("\n{threads} threads, slices of {:?}", measure::SLICE);
        print(&together(&bed, &rows, threads, options.slices));
    }
    if options.drain {
        println!();
        drain::report(&bed);
    }
}

/// Each row beside the floor, and what it adds to the row before it.
fn print(figures: &[Figures]) {
    println!(
        "| {:<38} | {:>9} | {:>9} | {:>8} | {:>6} | {:>7} |",
        "What", "p50", "adds", "per s", "ratio", "rate"
    );
    println!(
        "|{}|{}|{}|{}|{}|{}|",
        "-".repeat(40),
        "-".repeat(11),
        "-".repeat(11),
        "-".repeat(10),
        "-".repeat(8),
        "-".repeat(9)
    );
    let mut before = None;
    for row in figures {
        let micros = row.p50.as_secs_f64() * 1e6;
        let adds = match before {
            Some(before) if row.adds => format!("{:+.0} µs", micros - before),
            Some(_) | None => String::new(),
        };
        println!(
            "| {:<38} | {:>6.0} µs | {:>9} | {:>8.0} | {:>6.2} | {:>6.2}× |",
            row.name, micros, adds, row.per_second, row.ratio, row.rate
        );
        if row.adds || before.is_none() {
            before = Some(micros);
        }
    }
}
