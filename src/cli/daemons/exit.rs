//! How the daemons end, which is the same for `flux server`, `flux dev` and `flux-agent`.

use std::process::ExitCode;

use thiserror::Error;

use crate::base::causes::with_causes;
use crate::base::threads::Supervisor;
use crate::cli::printer;
use crate::config::error::ConfigError;

/// The configuration cannot be used (EX_CONFIG of sysexits.h).
pub(crate) const CONFIG: u8 = 78;
/// A thread panicked (EX_SOFTWARE of sysexits.h).
pub(crate) const PANIC: u8 = 70;

/// A key of the configuration that is known, and that this version cannot follow.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct Unsupported(pub &'static str);

/// After an orderly end: success, unless a panic brought it about.
pub(crate) fn after_shutdown(supervisor: &Supervisor) -> ExitCode {
    match supervisor.first_panic() {
        None => {
            log::info!("ended");
            ExitCode::SUCCESS
        }
        Some(panic) => {
            log::error!("ended because a thread panicked: {panic}");
            ExitCode::from(PANIC)
        }
    }
}

/// Says on standard error why a daemon did not start: in its log, or to whoever called it while
/// there is no log.
pub(crate) fn not_started(program: &str, error: &anyhow::Error) -> ExitCode {
    let text = with_causes(error.as_ref());
    log::error!("{program} does not run: {text}");
    if log::max_level() == log::LevelFilter::Off {
        printer::say(program, &text);
    }
    if error.is::<ConfigError>() || error.is::<Unsupported>() {
        ExitCode::from(CONFIG)
    } else {
        ExitCode::FAILURE
    }
}
