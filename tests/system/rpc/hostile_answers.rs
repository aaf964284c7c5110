//! Agents whose answers mean harm: a call ends in time and with the right error, and memory is bounded.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use flux::base::cancel::Cancel;
use flux::rpc::RpcError;
use flux::rpc::follow::Next;
use flux::rpc::limits::CONNECT_BOUND;
use flux::wire::proto;

use super::fixture::{execution, within};
use super::hostile::{Hostile, SOON, answer, has_status, healthy, is_interrupted};
use super::raw::{
    DATA, END_HEADERS, END_STREAM, HEADERS, RST, Raw, WINDOW_UPDATE, field, frame, message_of,
    response_end, response_head,
};
use crate::runner::tests;

tests![
    an_answer_without_a_status_leaves_the_outcome_unknown,
    an_answer_that_is_no_grpc_has_its_own_error,
    an_answer_over_the_limit_is_refused_by_its_length,
    more_answers_than_one_are_an_error,
    fields_over_the_limit_interrupt_their_call_alone,
    a_reset_becomes_the_error_that_its_code_means,
    an_answer_that_trickles_ends_at_the_deadline,
    answers_that_never_end_take_bounded_memory(alone),
    who_ignores_the_windows_is_cut_off,
];

fn an_answer_without_a_status_leaves_the_outcome_unknown() {
    let hostile = Hostile::answering(|raw, stream| {
        let data = frame(DATA, END_STREAM, stream, &healthy());
        let _ = raw.send(&[response_head(stream), data].concat());
    });
    let error = hostile.error();
    assert!(
        is_interrupted(&error) && !error.nothing_started(),
        "{error:?}"
    );
}

fn an_answer_that_is_no_grpc_has_its_own_error() {
    let hostile = Hostile::answering(|raw, stream| {
        let block = [vec![0x88], field("content-type", "text/html")].concat();
        let head = frame(HEADERS, END_HEADERS, stream, &block);
        let _ = raw.send(&[head, frame(DATA, END_STREAM, stream, b"<html>")].concat());
    });
    let error = hostile.error();
    assert!(has_status(&error, "UNKNOWN"), "{error:?}");
}

fn an_answer_over_the_limit_is_refused_by_its_length() {
    for announced in [u32::MAX, (52 << 20) + 1] {
        let hostile = Hostile::answering(move |raw, stream| {
            let head = [&[0][..], &announced.to_be_bytes()].concat();
            let data = frame(DATA, 0, stream, &head);
            let _ = raw.send(&[response_head(stream), data].concat());
        });
        let error = hostile.error();
        assert!(matches!(error, RpcError::NoRoom { .. }), "{error:?}");
    }
}

fn more_answers_than_one_are_an_error() {
    let hostile = Hostile::answering(|raw, stream| {
        let two = frame(DATA, 0, stream, &[healthy(), healthy()].concat());
        let _ = raw.send(&[response_head(stream), two, response_end(stream)].concat());
    });
    let error = hostile.error();
    assert!(has_status(&error, "INTERNAL"), "{error:?}");
}

fn fields_over_the_limit_interrupt_their_call_alone() {
    let hostile = Hostile::answering(|raw, stream| {
        if stream == 1 {
            let block = [vec![0x88], field("x", &"y".repeat(100)).repeat(150)].concat();
            let _ = raw.send(&frame(HEADERS, END_HEADERS, stream, &block));
        } else {
            let _ = raw.send(&answer(stream));
        }
    });
    let (_channels, client) = hostile.client();
    let error = within(SOON, || client.health()).expect_err("too much");
    assert!(is_interrupted(&error), "{error:?}");
    assert!(client.health().is_ok());
    assert_eq!(hostile.connections.load(Ordering::SeqCst), 1);
}

fn a_reset_becomes_the_error_that_its_code_means() {
    type Means = fn(&RpcError) -> bool;
    let codes: [(u32, Means); 6] = [
        (0x0, is_interrupted),
        (0x2, is_interrupted),
        (0x7, |error| matches!(error, RpcError::Unreachable)),
        (0x8, is_interrupted),
        (0xb, |error| matches!(error, RpcError::NoRoom { .. })),
        (0xc, |error| error.refusal().is_some()),
    ];
    for (code, is_meant) in codes {
        let hostile = Hostile::answering(move |raw, stream| {
            let _ = raw.send(&frame(RST, 0, stream, &code.to_be_bytes()));
        });
        let error = hostile.error();
        assert!(is_meant(&error), "code {code}: {error:?}");
        assert!(
            !error.nothing_started() || [0x7, 0xc].contains(&code),
            "code {code}: {error:?}"
        );
    }
}

fn an_answer_that_trickles_ends_at_the_deadline() {
    let hostile = Hostile::answering(|raw, stream| {
        let _ = raw.send(&response_head(stream));
        for byte in message_of(&[0; 1000]) {
            let is_given_up = raw
                .next_within(Duration::from_millis(50))
                .is_some_and(|it| it.kind == RST);
            if is_given_up || raw.send(&frame(DATA, 0, stream, &[byte])).is_err() {
                return;
            }
        }
    });
    let (_channels, client) = hostile.client();
    let deadline = Duration::from_secs(1);
    let error = within(deadline + CONNECT_BOUND, || {
        client.call(proto::HEALTH_CHECK, &proto::HealthCheckRequest {}, deadline)
    });
    assert!(matches!(error, Err(RpcError::Deadline)), "{error:?}");
}

fn answers_that_never_end_take_bounded_memory() {
    const ANSWER: usize = 40 << 20;
    const CALLS: usize = 12;
    let hostile = Hostile::start(|socket, _| {
        let message = message_of(&vec![0; ANSWER]);
        if let Some(mut raw) = Raw::server(socket, &[]) {
            let mut waiting = Vec::new();
            while let Some(stream) = waiting.pop().or_else(|| raw.next_request()) {
                send_without_end(&mut raw, stream, &message, &mut waiting);
            }
        }
    });
    let (_channels, client) = hostile.client();
    let call = || {
        let deadline = Duration::from_secs(20);
        client.call(proto::HEALTH_CHECK, &proto::HealthCheckRequest {}, deadline)
    };
    let errors: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..CALLS).map(|_| scope.spawn(call)).collect();
        calls
            .into_iter()
            .map(|call| call.join().unwrap().expect_err("no end"))
            .collect()
    });
    let refused = errors
        .iter()
        .filter(|it| matches!(it, RpcError::NoRoom { .. }))
        .count();
    assert!(refused >= CALLS - 6, "{refused} were refused: {errors:?}");
}

/// Requests that come meanwhile are `waiting`.
fn send_without_end(raw: &mut Raw, stream: u32, message: &[u8], waiting: &mut Vec<u32>) {
    let mut window = 256 << 10;
    let _ = raw.send(&response_head(stream));
    for piece in message.chunks(16 << 10) {
        while window < piece.len() {
            match raw.next() {
                Some(it) if it.kind == RST && it.stream == stream => return,
                Some(it) if it.kind == WINDOW_UPDATE && it.stream == stream => {
                    let more = it.payload.first_chunk().copied().unwrap();
                    window += u32::from_be_bytes(more) as usize;
                }
                Some(it) if it.kind == DATA && it.ends_stream() => waiting.push(it.stream),
                Some(_) => {}
                None => return,
            }
        }
        window -= piece.len();
        if raw.send(&frame(DATA, 0, stream, piece)).is_err() {
            return;
        }
    }
}

fn who_ignores_the_windows_is_cut_off() {
    let hostile = Hostile::answering(|raw, stream| {
        let _ = raw.send(&response_head(stream));
        let message = message_of(&vec![0; 64 << 10]);
        let pieces: Vec<u8> = message
            .chunks(16 << 10)
            .flat_map(|piece| frame(DATA, 0, stream, piece))
            .collect();
        for _ in 0..1000 {
            if raw.send(&pieces).is_err() {
                return;
            }
        }
    });
    let (_channels, client) = hostile.client();
    let mut follower = client.follow(&execution("e"), 0).unwrap();
    let deadline = Instant::now() + SOON;
    let error = loop {
        match follower.next(&Cancel::never(), Some(deadline)) {
            Ok(Next::Event(_)) => {}
            other => break other,
        }
    };
    assert!(error.is_err(), "{error:?}");
}
