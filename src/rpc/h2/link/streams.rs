//! What a link asks of whoever knows its streams.

use std::time::Instant;

use crate::rpc::h2::session::{Event, Session};

/// What is done with the streams of a link, by the end that it is. Called under the lock: it must not wait.
pub(in crate::rpc) trait Streams: Send + 'static {
    /// What is to be done without the lock, by the reader.
    type Job;

    /// The peer did something.
    fn handle(&mut self, session: &mut Session, event: Event);

    /// Does what is due by now; when something will be due next.
    fn due(&mut self, session: &mut Session, now: Instant) -> Option<Instant>;

    /// No stream is open.
    fn is_idle(&self) -> bool;

    /// Nothing comes any more, for this reason.
    fn over(&mut self, reason: &str);

    /// What is to be done without the lock.
    fn next_job(&mut self) -> Option<Self::Job>;

    /// Whether a job is still to be done once nothing can be sent any more.
    fn outlives_the_link(job: &Self::Job) -> bool;
}
