//! A function that writes as fast as it can: how fast it is drained, and what that costs in memory.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bench::{Bench, deploy, pause};
use crate::harness::{Fleet, archive_of, eventually};
use crate::memory;
use crate::samples::median;
use crate::table::Line;

const WRITER: &str = "writer";
const SOURCE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/benches/dispatch/functions/writer.rs"
);
const BYTES: u64 = 1 << 30;
const SLOWEST_MB_PER_SECOND: f64 = 300.0;
const MOST_GROWTH_MIB: f64 = 32.0;

pub fn run(bench: &mut Bench) -> Vec<Line> {
    let rounds = bench.choose(3, 1);
    let writer = compile(bench.fleet.directory());
    let binary = fs::read(&writer).expect("the writer");
    deploy(
        &bench.fleet,
        WRITER,
        "",
        &archive_of(&[("run", &binary, true)]),
    );
    let (mut drained, mut floors, mut ratios) = <(Vec<f64>, Vec<f64>, Vec<f64>)>::default();
    let mut growth = f64::MIN;
    for _ in 0..rounds {
        let floor = mb_per_second(piped(&writer));
        let agent = bench.agent_pid();
        let before = memory::resident_mib(agent);
        memory::forget_peak(agent);
        let rate = mb_per_second(executed(&bench.fleet));
        growth = growth.max(memory::peak_mib(agent) - before);
        drained.push(rate);
        floors.push(floor);
        ratios.push(rate / floor);
    }
    let rate = median(drained);
    vec![
        Line::new("live output, 1 GiB drained", format!("{rate:.0} MB/s"))
            .over(
                format!("bare pipe {:.0} MB/s", median(floors)),
                median(ratios),
            )
            .budget("≥ 300 MB/s", rate >= SLOWEST_MB_PER_SECOND),
        Line::new(
            "agent's memory growth meanwhile (peak)",
            format!("{growth:.1} MiB"),
        )
        .budget("≤ 32 MiB", growth <= MOST_GROWTH_MIB),
    ]
}

/// From the process's start to the end of its output, as recorded.
fn executed(fleet: &Fleet) -> Duration {
    let id = fleet.execute_async(WRITER, &[&BYTES.to_string()]);
    // Not the record itself: it carries the output so far, and fetching it would be measured too.
    let running = format!("/executions?function={WRITER}&status=running");
    eventually("the writer ends", || {
        pause(Duration::from_millis(50));
        let listing = fleet.api.get(&running).expect(200);
        let found = listing.to_string().contains(&id);
        (!found).then_some(())
    });
    let mut record = fleet.await_end(&id);
    // Only in the way of whoever reads a failure.
    record["output"] = Value::Null;
    assert_eq!(record["status"], "success", "{record}");
    assert_eq!(record["stdout_bytes"], json!(BYTES), "{record}");
    assert_eq!(record["truncated"], true, "{record}");
    Duration::from_millis(record["duration_ms"].as_u64().expect("a duration"))
}

/// The same writer into a pipe of ours, and nothing done with what it writes.
#[expect(clippy::disallowed_methods, reason = "the floor is a bare process")]
fn piped(writer: &Path) -> Duration {
    let mut buffer = vec![0; 64 * 1024];
    let begun = Instant::now();
    let mut child = Command::new(writer)
        .arg(BYTES.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the writer");
    let mut output = child.stdout.take().expect("its output");
    let mut total = 0;
    loop {
        match output.read(&mut buffer).expect("read") {
            0 => break,
            count => total += count as u64,
        }
    }
    assert!(child.wait().expect("wait").success());
    assert_eq!(total, BYTES);
    begun.elapsed()
}

#[expect(clippy::disallowed_methods, reason = "the function is compiled here")]
fn compile(directory: &Path) -> PathBuf {
    let binary = directory.join("writer");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let status = Command::new(rustc)
        .args(["--edition", "2024", "-O", "-o"])
        .arg(&binary)
        .arg(SOURCE)
        .status()
        .expect("rustc");
    assert!(status.success(), "rustc: {status}");
    binary
}

#[expect(clippy::cast_precision_loss, reason = "a GiB is exact")]
fn mb_per_second(elapsed: Duration) -> f64 {
    BYTES as f64 / 1e6 / elapsed.as_secs_f64()
}
