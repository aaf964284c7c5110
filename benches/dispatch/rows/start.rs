//! From the start of the control plane, on the state that the other rows left, to its first answer.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::bench::{Bench, pause};
use crate::client::{Connection, request};
use crate::floor::Program;
use crate::harness::fleet::{FLUX, fs_write};
use crate::harness::{DEADLINE, Daemon};
use crate::samples::{Samples, millis};
use crate::table::Line;

const MOST: Duration = Duration::from_millis(300);
/// Between two attempts to connect; the result is at most this much too long.
const RESOLUTION: Duration = Duration::from_millis(1);

pub fn run(bench: &mut Bench) -> Vec<Line> {
    let rounds = bench.choose(7, 3);
    let (config, address) = config_with_port(bench.fleet.directory());
    let version = Program::new(Path::new(FLUX), &["--version"]).quiet();
    let (mut starts, mut floors) = <(Samples, Samples)>::default();
    for _ in 0..rounds {
        floors.add(version.run());
        bench.fleet.flux.stop();
        let begun = Instant::now();
        bench.fleet.flux = Daemon::start(
            FLUX,
            &["server"],
            &[("FLUX_CONFIG", config.to_str().expect("UTF-8"))],
            bench.fleet.directory(),
            "flux-started",
        );
        first_answer(address, begun);
        starts.add(begun.elapsed());
    }
    let start = starts.p50();
    vec![
        Line::new("flux server, start to first answer", millis(start))
            .over(
                format!("flux --version {}", millis(floors.p50())),
                start.as_secs_f64() / floors.p50().as_secs_f64(),
            )
            .budget("≤ 300 ms", start <= MOST),
        Line::new("the slowest of these starts", millis(starts.quantile(1.0))),
    ]
}

/// GET /health, asked from the first moment on.
fn first_answer(address: SocketAddr, begun: Instant) {
    let health = request("GET", "/health", "");
    loop {
        if let Ok(mut connection) = Connection::try_open(address) {
            connection.timed(&health, 200);
            return;
        }
        assert!(begun.elapsed() < DEADLINE, "no answer on {address}");
        pause(RESOLUTION);
    }
}

/// The fleet's configuration on a port that is known beforehand.
fn config_with_port(directory: &Path) -> (PathBuf, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("its address");
    let config = directory.join("flux-started.yaml");
    let text = fs::read_to_string(directory.join("flux.yaml")).expect("flux.yaml");
    let text = text.replace("listen: 127.0.0.1:0", &format!("listen: {address}"));
    fs_write(&config, &text);
    (config, address)
}
