//! How fast output is taken from a program that writes as fast as it can.

use std::time::Instant;

use flux::model::ids::ExecutionId;
use flux::sandbox::Spec;

use super::bed::Bed;
use super::layers::{Discard, run, spec};

const BYTES: u64 = 1 << 30;
const ROUNDS: usize = 5;

/// Prints the best of some rounds: whatever else the machine does only slows it down.
pub fn report(bed: &Bed) {
    let mut best: f64 = 0.0;
    for _ in 0..ROUNDS {
        let spec = Spec {
            program: "/usr/bin/head".into(),
            identity: bed.identity,
            args: ["-c", &BYTES.to_string(), "/dev/zero"]
                .map(Into::into)
                .to_vec(),
            ..spec(bed, ExecutionId::generate())
        };
        let mut sink = Discard::default();
        let began = Instant::now();
        run(&bed.sandbox, &spec, &mut sink);
        assert_eq!(sink.bytes, BYTES);
        best = best.max(BYTES as f64 / began.elapsed().as_secs_f64() / 1e6);
    }
    println!("1 GiB of output drained at {best:.0} MB/s (budget: 300)");
}
