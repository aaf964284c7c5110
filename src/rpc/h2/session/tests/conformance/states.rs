//! Which frames a stream may have when (section 5 of RFC 9113).

use super::*;

#[test]
fn streams_are_in_the_states_of_section_5_1() {
    use Outcome::{Connection, Fine};
    let reset = frame(RST, 0, 1, &[0, 0, 0, 8]);
    let rest = frame(CONTINUATION, END_HEADERS, 1, &REQUEST);
    each(vec![
        (
            "5.1: DATA while idle",
            frame(DATA, 0, 1, b"x"),
            Connection(PROTOCOL),
        ),
        (
            "5.1: WINDOW_UPDATE while idle",
            increment(1, 100),
            Connection(PROTOCOL),
        ),
        (
            "5.1: CONTINUATION while idle",
            rest.clone(),
            Connection(PROTOCOL),
        ),
        (
            "5.1: DATA while half-closed",
            [request(1), frame(DATA, 0, 1, b"x")].concat(),
            Connection(STREAM_CLOSED),
        ),
        (
            "5.1: HEADERS while half-closed",
            [request(1), request(1)].concat(),
            Connection(STREAM_CLOSED),
        ),
        (
            "5.1: CONTINUATION while half-closed",
            [request(1), rest.clone()].concat(),
            Connection(PROTOCOL),
        ),
        (
            "5.1: WINDOW_UPDATE while half-closed",
            [request(1), increment(1, 1)].concat(),
            Fine,
        ),
        // What was under way when the stream was reset is ignored; h2spec would have an error.
        (
            "5.1: DATA while closed",
            [open(1), reset.clone(), frame(DATA, 0, 1, b"x")].concat(),
            Fine,
        ),
        (
            "5.1: HEADERS while closed",
            [open(1), reset.clone(), request(1)].concat(),
            Fine,
        ),
        (
            "5.1: CONTINUATION while closed",
            [open(1), reset.clone(), rest].concat(),
            Connection(PROTOCOL),
        ),
        (
            "5.1: WINDOW_UPDATE while closed",
            [open(1), reset.clone(), increment(1, 1)].concat(),
            Fine,
        ),
        (
            "5.1: RST_STREAM while closed",
            [open(1), reset.clone(), reset].concat(),
            Fine,
        ),
    ]);
}

#[test]
fn streams_have_the_numbers_of_section_5_1_1() {
    use Outcome::{Connection, Fine};
    each(vec![
        ("5.1.1: an even number", request(2), Connection(PROTOCOL)),
        (
            // To nghttp2 it is of a stream that is over, which is ignored and counted.
            "5.1.1: a number below the last one",
            [request(5), request(3)].concat(),
            Fine,
        ),
    ]);
}

#[test]
fn streams_are_as_many_as_section_5_1_2_allows() {
    use Outcome::Connection;
    each(vec![(
        "5.1.2: more streams than are allowed",
        (0..11).flat_map(|at| open(2 * at + 1)).collect(),
        Connection(PROTOCOL),
    )]);
}

#[test]
fn data_is_as_section_6_1_says() {
    use Outcome::Connection;
    each(vec![(
        "6.1: DATA of stream 0",
        frame(DATA, 0, 0, b"x"),
        Connection(PROTOCOL),
    )]);
}

#[test]
fn headers_are_as_section_6_2_says() {
    use Outcome::Connection;
    each(vec![(
        "6.2: HEADERS of stream 0",
        frame(HEADERS, ALL, 0, &REQUEST),
        Connection(PROTOCOL),
    )]);
}

#[test]
fn goaway_is_as_section_6_8_says() {
    use Outcome::Connection;
    each(vec![(
        "6.8: GOAWAY of a stream",
        frame(GOAWAY, 0, 1, &[0; 8]),
        Connection(PROTOCOL),
    )]);
}

#[test]
fn messages_are_framed_as_section_8_1_says() {
    use Outcome::{Connection, Fine};
    each(vec![
        (
            "8.1: HEADERS after the first that end nothing",
            [open(1), frame(HEADERS, END_HEADERS, 1, &literal("x", "y"))].concat(),
            Connection(PROTOCOL),
        ),
        (
            "8.1: trailers",
            [open(1), frame(HEADERS, ALL, 1, &literal("x", "y"))].concat(),
            Fine,
        ),
    ]);
}

#[test]
fn nobody_pushes_as_section_8_4_says() {
    use Outcome::Connection;
    each(vec![(
        "8.4: PUSH_PROMISE from a client",
        [open(1), frame(PUSH, END_HEADERS, 1, &[0, 0, 0, 2])].concat(),
        Connection(PROTOCOL),
    )]);
}
