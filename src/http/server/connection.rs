//! One client's connection and the state it is in between two steps of a worker.

use std::net::SocketAddr;
use std::time::Instant;

use super::admission::Admitted;
use super::poller::Registration;
use super::wire::Wire;

/// The fields drop in this order: the poller forgets the connection, the
/// socket closes, and only then another may take its place.
pub(super) struct Connection {
    pub(super) registration: Registration,
    pub(super) wire: Wire,
    pub(super) phase: Phase,
    pub(super) peer: SocketAddr,
    /// Requests whose head was complete.
    pub(super) served: u64,
    pub(super) _admitted: Admitted,
}

/// As it moves between the table, the queue and the workers: one pointer.
pub(super) type Held = Box<Connection>;

/// What the connection waits for.
pub(super) enum Phase {
    /// The end of the TLS handshake.
    Handshake { deadline: Instant },
    /// The first byte of a request.
    Idle,
    /// The rest of a head; the first `examined` bytes have been parsed without an end.
    Head { deadline: Instant, examined: usize },
    /// That the client takes the rest of a response.
    Writing { output: Output, after: After },
    /// The client's end, while what it still sends is thrown away. Closing a socket with unread
    /// bytes resets it, and the client would lose the response (RFC 9112 section 9.6).
    Lingering { deadline: Instant },
}

/// What follows a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    NextRequest,
    Linger,
    Close,
}

/// A response on its way: the head with a small body, then a large one without copying it.
pub(super) struct Output {
    head: Vec<u8>,
    body: Vec<u8>,
    written: usize,
}

impl Output {
    /// 64 KiB: up to here one write of a copied body costs less than a second write.
    const COPIED_BYTES: usize = 64 * 1024;

    pub(super) fn new(mut head: Vec<u8>, mut body: Vec<u8>) -> Output {
        if body.len() <= Self::COPIED_BYTES {
            head.append(&mut body);
        }
        Output {
            head,
            body,
            written: 0,
        }
    }

    /// What is to be written next; empty once all is.
    pub(super) fn rest(&self) -> &[u8] {
        match self.written.checked_sub(self.head.len()) {
            Some(of_body) => &self.body[of_body..],
            None => &self.head[self.written..],
        }
    }

    pub(super) fn advance(&mut self, count: usize) {
        self.written += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_comes_whole_and_in_order_whatever_is_taken_at_a_time() {
        for body_len in [0, 10, Output::COPIED_BYTES + 10] {
            let (head, body) = (b"head".to_vec(), vec![b'b'; body_len]);
            let whole = [head.clone(), body.clone()].concat();
            let mut output = Output::new(head, body);
            let mut seen = Vec::new();
            while !output.rest().is_empty() {
                let taken = output.rest().len().min(7_001);
                seen.extend_from_slice(&output.rest()[..taken]);
                output.advance(taken);
            }
            assert!(seen == whole, "{body_len}");
        }
    }
}
