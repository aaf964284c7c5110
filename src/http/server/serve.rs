//! A worker's steps with one connection, until it must wait for the client or is done.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connection::{After, Connection, Held, Output, Phase};
use super::refuse::malformed;
use super::shared::Shared;
use super::transport::Interest;
use super::watch::Watch;
use crate::base::causes::with_causes;
use crate::http::body::Body;
use crate::http::body_writer::send_stream;
use crate::http::limits::Limits;
use crate::http::parse::{Head, HeadError, Parsed, parse_head};
use crate::http::request::Request;
use crate::http::response::{Payload, Reply};

/// 16 KiB of stack: a whole head at the default limit in one read.
const SCRATCH_BYTES: usize = 16 * 1024;
/// How long a client may take to hear an answer after which we close, while it still sends.
const LINGER: Duration = Duration::from_secs(2);
/// Bytes thrown away in one step of lingering; the next step gives others a turn first.
const LINGER_STEP_BYTES: usize = 64 * 1024;

enum Step {
    Again,
    /// Another request may follow: a good moment to let others have the worker.
    Between,
    Park(Interest, Instant),
    Close,
}

/// Runs the connection as far as it goes without waiting for its client, handlers excepted.
pub(super) fn serve(shared: &Arc<Shared>, mut connection: Held) {
    loop {
        match step(shared, &mut connection) {
            Step::Again => {}
            Step::Between if shared.dispatcher.is_pressed() => {
                shared.dispatcher.submit(shared, connection);
                // It may expire in the queue, at a time that the poller's thread does not know.
                shared.poller.wake();
                return;
            }
            Step::Between => {}
            Step::Park(interest, deadline) => {
                shared.poller.park(connection, interest, deadline);
                return;
            }
            Step::Close => return,
        }
    }
}

fn step(shared: &Arc<Shared>, connection: &mut Connection) -> Step {
    match &mut connection.phase {
        Phase::Handshake { deadline } => {
            let deadline = *deadline;
            handshake(connection, deadline)
        }
        Phase::Idle | Phase::Head { .. } => read_head(shared, connection),
        Phase::Writing { .. } => write_on(shared, connection),
        Phase::Lingering { deadline } => {
            let deadline = *deadline;
            linger(connection, deadline)
        }
    }
}

fn handshake(connection: &mut Connection, deadline: Instant) -> Step {
    match connection.wire.transport.handshake() {
        Ok(()) => {
            connection.phase = Phase::Idle;
            Step::Again
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            Step::Park(connection.wire.transport.wants(), deadline)
        }
        Err(error) => {
            log::debug!(
                "TLS handshake with {} failed: {}",
                connection.peer,
                with_causes(&error)
            );
            Step::Close
        }
    }
}

fn read_head(shared: &Arc<Shared>, connection: &mut Connection) -> Step {
    let limits = &shared.limits;
    let mut scratch = [0; SCRATCH_BYTES];
    loop {
        match examine(connection, limits) {
            Parsed::Incomplete => {}
            Parsed::Head(head) => return serve_request(shared, connection, *head),
            Parsed::Reject(error) => return reject(connection, error),
        }
        match connection.wire.fill_now(&mut scratch) {
            Ok(0) => return Step::Close,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Step::Park(
                    connection.wire.transport.wants(),
                    head_due(connection, limits),
                );
            }
            Err(_) => return Step::Close,
        }
    }
}

/// Parses what is buffered, if that can give another verdict than the last time.
fn examine(connection: &mut Connection, limits: &Limits) -> Parsed {
    let buffered = connection.wire.buffered();
    if buffered.is_empty() {
        return Parsed::Incomplete;
    }
    let (deadline, examined) = match connection.phase {
        Phase::Head { deadline, examined } => (deadline, examined),
        Phase::Idle | Phase::Handshake { .. } | Phase::Writing { .. } | Phase::Lingering { .. } => {
            (Instant::now() + limits.head_deadline, 0)
        }
    };
    // Only a control byte, which includes a line's end, or a limit decides anything: a client
    // that sends byte by byte does not have its head parsed as often.
    let decides = buffered.len() > limits.target_bytes.min(limits.head_bytes)
        || buffered[examined..].iter().any(u8::is_ascii_control);
    let verdict = if decides {
        parse_head(buffered, limits)
    } else {
        Parsed::Incomplete
    };
    connection.phase = Phase::Head {
        deadline,
        examined: buffered.len(),
    };
    verdict
}

fn head_due(connection: &Connection, limits: &Limits) -> Instant {
    match connection.phase {
        Phase::Head { deadline, .. } => deadline,
        Phase::Idle | Phase::Handshake { .. } | Phase::Writing { .. } | Phase::Lingering { .. } => {
            Instant::now() + limits.idle_timeout
        }
    }
}

fn reject(connection: &mut Connection, error: HeadError) -> Step {
    log::debug!(
        "request of {} refused: {}",
        connection.peer,
        with_causes(&error)
    );
    connection.phase = Phase::Writing {
        output: Output::new(malformed(error).to_closing_bytes(), Vec::new()),
        after: After::Linger,
    };
    Step::Again
}

fn serve_request(shared: &Arc<Shared>, connection: &mut Connection, head: Head) -> Step {
    let limits = &shared.limits;
    connection.served += 1;
    connection.wire.consume(head.length);
    let may_stay = head.keep_alive
        && limits
            .requests_per_connection
            .is_none_or(|most| connection.served < most);
    let (version, method) = (head.version, head.method);
    let is_tls = connection.wire.transport.is_tls();
    let watch = Watch {
        poller: &shared.poller,
        registration: &connection.registration,
        cancel: None,
    };
    let body = Body::new(&mut connection.wire, &head, limits);
    let mut request = Request::new(head, is_tls, body, watch);
    // Also while a stream is sent, which may wait like a handler.
    let handling = shared.dispatcher.handling(shared);
    let response = shared.handler.handle(&mut request);
    let body_finished = request.finish_body();
    let watched = request.is_watched();
    drop(request);
    let stays =
        may_stay && body_finished && !shared.is_draining() && response.keeps_connection(version);
    let after = if stays {
        After::NextRequest
    } else if body_finished && connection.wire.buffered().is_empty() {
        After::Close
    } else {
        After::Linger
    };
    let step = send(
        connection,
        response.into_reply(version, method, stays),
        after,
        limits,
    );
    drop(handling);
    if watched {
        shared.poller.unwatch(&connection.registration);
    }
    step
}

fn send(connection: &mut Connection, reply: Reply, after: After, limits: &Limits) -> Step {
    let body = match reply.payload {
        Payload::Bytes(body) => body,
        Payload::Stream(stream, framing) => {
            let sent = connection
                .wire
                .write_all(&reply.head, limits.write_timeout)
                .and_then(|()| {
                    send_stream(&mut connection.wire, stream, framing, limits.write_timeout)
                });
            if let Err(error) = sent {
                log::debug!(
                    "response to {} cut short: {}",
                    connection.peer,
                    with_causes(&error)
                );
                connection.wire.transport.reset_on_close();
                return Step::Close;
            }
            return finished(connection, after);
        }
    };
    connection.phase = Phase::Writing {
        output: Output::new(reply.head, body),
        after,
    };
    Step::Again
}

fn write_on(shared: &Arc<Shared>, connection: &mut Connection) -> Step {
    let Phase::Writing { output, after } = &mut connection.phase else {
        return Step::Close;
    };
    while !output.rest().is_empty() {
        match connection.wire.transport.write(output.rest()) {
            Ok(0) => return Step::Close,
            Ok(count) => output.advance(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let deadline = Instant::now() + shared.limits.write_timeout;
                return Step::Park(connection.wire.transport.wants(), deadline);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Step::Close,
        }
    }
    let after = *after;
    match finished(connection, after) {
        // Nothing at hand: the read that would say so is saved.
        Step::Between
            if connection.wire.buffered().is_empty()
                && !connection.wire.transport.has_buffered() =>
        {
            Step::Park(Interest::Read, Instant::now() + shared.limits.idle_timeout)
        }
        step => step,
    }
}

fn finished(connection: &mut Connection, after: After) -> Step {
    match after {
        After::NextRequest => {
            connection.phase = Phase::Idle;
            Step::Between
        }
        After::Close => {
            connection.wire.transport.finish_writing();
            Step::Close
        }
        After::Linger => {
            connection.wire.transport.finish_writing();
            connection.wire.consume(connection.wire.buffered().len());
            connection.phase = Phase::Lingering {
                deadline: Instant::now() + LINGER,
            };
            Step::Again
        }
    }
}

fn linger(connection: &mut Connection, deadline: Instant) -> Step {
    let mut scratch = [0; SCRATCH_BYTES];
    let mut left = LINGER_STEP_BYTES;
    while left > 0 {
        match connection.wire.transport.discard(&mut scratch) {
            Ok(0) => return Step::Close,
            Ok(count) => left = left.saturating_sub(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Step::Close,
        }
    }
    Step::Park(Interest::Read, deadline)
}
