//! The daemons' log: one line an event on standard error, where the service manager takes it.

use std::io::Write;

use crate::base::clock::Timestamp;
use crate::rpc::LOG_TARGET;

/// Starts logging with the configuration's filter; `RUST_LOG` wins over it, for a look into a
/// running installation without a change to its files.
pub fn start(filter: &str) {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| filter.to_owned());
    let mut builder = env_logger::Builder::new();
    if !filter.contains(LOG_TARGET) {
        // The library reports each stranger's failed handshake as an error of its own; what
        // matters of its news comes back to us as the outcome of a call.
        builder.filter_module(LOG_TARGET, log::LevelFilter::Off);
    }
    let started = builder
        .parse_filters(&filter)
        .format(|out, record| {
            writeln!(
                out,
                "{} {:<5} {}",
                Timestamp::now().to_rfc3339(),
                record.level(),
                record.args()
            )
        })
        .try_init();
    // A second start in one process (a test, `flux dev`) keeps the first.
    drop(started);
}
