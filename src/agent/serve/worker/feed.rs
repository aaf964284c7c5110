//! What a control plane that watches is told: what runs, then every end that nobody waits for.

use std::ops::ControlFlow;

use crate::agent::run::context::Context;
use crate::agent::serve::worker_api::WorkerError;
use crate::base::cancel::Cancel;
use crate::wire::error::ErrorKind;
use crate::wire::watch::WatchEvent;

/// Tells until `emit` breaks, `left` is pulled, or the feed cannot go on.
///
/// # Errors
/// `Busy` when too many watch already.
pub(super) fn watch(
    context: &Context,
    left: &Cancel,
    emit: &mut dyn FnMut(WatchEvent) -> ControlFlow<()>,
) -> Result<(), WorkerError> {
    // First the subscription, then what runs: an end in between is told twice, never not at all.
    let subscription = context
        .events
        .subscribe()
        .ok_or_else(|| WorkerError::new(ErrorKind::Busy, "feed"))?;
    if emit(WatchEvent::Running(context.live.running())).is_break() {
        return Ok(());
    }
    loop {
        let ended = crossbeam_channel::select! {
            recv(subscription.ends()) -> ended => ended,
            recv(left.receiver()) -> _ => return Ok(()),
        };
        let Ok((execution, function)) = ended else {
            // Cut off for being slow, or the agent ends: the listener begins again.
            return Ok(());
        };
        if emit(WatchEvent::Ended(execution, function)).is_break() {
            return Ok(());
        }
    }
}
