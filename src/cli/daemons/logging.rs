//! The daemons' log: one line for each event, on standard error, where the service manager takes it.
//!
//! For the journal a line begins with its priority instead of time and level, which the journal
//! keeps itself (sd-daemon(3)): `journalctl -p warning` then finds what it should.

use std::io::{self, Write};

use env_logger::fmt::Formatter;
use log::{Level, Record};

use crate::base::clock::Clock;
use crate::cli::platform::standard_error;

/// Starts logging with the configuration's filter. `RUST_LOG` wins over it, so that one can look into
/// an installation without changing its files.
pub(crate) fn start(filter: &str) {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| filter.to_owned());
    let mut builder = env_logger::Builder::new();
    let format: Format = if is_journal() { for_journal } else { for_file };
    let started = builder.parse_filters(&filter).format(format).try_init();
    // A second start in the same process keeps the first one's settings.
    drop(started);
}

type Format = fn(&mut Formatter, &Record<'_>) -> io::Result<()>;

fn for_file(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    writeln!(
        out,
        "{} {:<5} {}",
        Clock::system().now().to_rfc3339(),
        record.level(),
        record.args()
    )
}

fn for_journal(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    writeln!(out, "<{}>{}", priority(record.level()), record.args())
}

/// Numbers of syslog(3).
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// Whether standard error is the journal: `JOURNAL_STREAM` holds the device and inode of the stream
/// that systemd connected (systemd.exec(5)). They are compared, because whatever a service starts
/// inherits the variable, also where its standard error goes elsewhere.
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    standard_error().is_some_and(|own| own == stream)
}
