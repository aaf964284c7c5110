//! Ctrl-C while an execution is followed: cancels the execution, which would otherwise go on alone.
//!
//! A second Ctrl-C ends this program at once; the signal watcher of `base` sees to that.

use std::process;
use std::time::Duration;

use anyhow::Context as _;

use super::http::Client;
use crate::base::cancel::{self, Cancel, Trigger};
use crate::base::signals::{self, SignalWatcher};
use crate::base::threads::{Joined, Supervisor};
use crate::cli::error::CliError;
use crate::cli::exit_code::ExitCode;
use crate::cli::printer;
use crate::contract::execution::Cancelled;
use crate::model::ids::ExecutionId;

/// How long the final event of an execution may take to come after its cancel was confirmed.
const LAST_EVENT_GRACE: Duration = Duration::from_secs(5);

/// Cancels the execution on the first signal, until this is dropped.
pub(crate) struct CancelOnInterrupt {
    // Dropped in this order: the thread ends when the trigger is pulled, or the signals end.
    done: Trigger,
    _thread: Joined,
    _signals: SignalWatcher,
}

/// Remembers the first signal.
pub(crate) struct Watch {
    supervisor: Supervisor,
    signals: SignalWatcher,
}

/// Starts noticing signals, before there is anything to cancel.
///
/// # Errors
/// The system's refusal.
pub(crate) fn watch() -> Result<Watch, CliError> {
    let supervisor = Supervisor::new();
    let signals = signals::watch(&supervisor).context("cannot watch for signals")?;
    Ok(Watch {
        supervisor,
        signals,
    })
}

impl Watch {
    /// From now on, and also for a signal that came before, `id` is cancelled.
    ///
    /// # Errors
    /// The system's refusal of a thread.
    pub(crate) fn cancel(
        self,
        client: Client,
        id: ExecutionId,
    ) -> Result<CancelOnInterrupt, CliError> {
        let (done, is_done) = cancel::pair();
        let interrupted = self.supervisor.shutdown();
        let thread = self
            .supervisor
            .spawn("cancel-on-interrupt", move || {
                if wait_for(&interrupted, &is_done) {
                    cancel(&client, &id, &is_done);
                }
            })
            .context("cannot start a thread")?;
        Ok(CancelOnInterrupt {
            done,
            _thread: thread,
            _signals: self.signals,
        })
    }
}

impl Drop for CancelOnInterrupt {
    fn drop(&mut self) {
        self.done.pull();
    }
}

/// Whether the interrupt came before the end.
fn wait_for(interrupted: &Cancel, is_done: &Cancel) -> bool {
    crossbeam_channel::select! {
        recv(interrupted.receiver()) -> _ => true,
        recv(is_done.receiver()) -> _ => false,
    }
}

fn cancel(client: &Client, id: &ExecutionId, is_done: &Cancel) {
    printer::note(&format!("cancelling {id}; another Ctrl-C leaves it behind"));
    if let Err(error) = client.delete::<Cancelled>(&format!("/executions/{id}")) {
        printer::failure(&error);
    }
    // The main thread reads the final event and ends the process; when it cannot, this one does.
    if !is_done.wait_timeout(LAST_EVENT_GRACE) {
        process::exit(i32::from(ExitCode::CANCELLED.number()));
    }
}
