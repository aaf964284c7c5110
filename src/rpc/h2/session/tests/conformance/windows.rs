//! Settings, pings, windows and continuations (section 6 of RFC 9113).

use super::*;

#[test]
fn settings_are_as_section_6_5_says() {
    use Outcome::{Connection, Fine};
    let most = 0x7fff_ffff;
    each(vec![
        (
            "6.5: an acknowledgement with a payload",
            frame(SETTINGS, 1, 0, &[0; 6]),
            Connection(FRAME_SIZE),
        ),
        (
            "6.5: SETTINGS of a stream",
            frame(SETTINGS, 0, 1, &[]),
            Connection(PROTOCOL),
        ),
        (
            "6.5: SETTINGS of five bytes",
            frame(SETTINGS, 0, 0, &[0; 5]),
            Connection(FRAME_SIZE),
        ),
        (
            "6.5.2: SETTINGS_ENABLE_PUSH of 2",
            settings(2, 2),
            Connection(PROTOCOL),
        ),
        (
            "6.5.2: SETTINGS_INITIAL_WINDOW_SIZE over the limit",
            settings(4, most + 1),
            Connection(FLOW_CONTROL),
        ),
        (
            "6.5.2: SETTINGS_MAX_FRAME_SIZE below the limit",
            settings(5, 16_383),
            Connection(PROTOCOL),
        ),
        (
            "6.5.2: SETTINGS_MAX_FRAME_SIZE over it",
            settings(5, 1 << 24),
            Connection(PROTOCOL),
        ),
        (
            "6.5.2: a setting that is not known",
            settings(0xff, 1),
            Fine,
        ),
    ]);
}

#[test]
fn pings_are_as_section_6_7_says() {
    use Outcome::{Connection, Fine};
    each(vec![
        (
            "6.7: PING of seven bytes",
            frame(PING, 0, 0, &[0; 7]),
            Connection(FRAME_SIZE),
        ),
        (
            "6.7: PING of a stream",
            frame(PING, 0, 1, &[0; 8]),
            Connection(PROTOCOL),
        ),
        (
            "6.7: an answer to no PING",
            frame(PING, 1, 0, &[0; 8]),
            Fine,
        ),
    ]);
}

#[test]
fn windows_are_as_section_6_9_says() {
    use Outcome::Connection;
    let most = 0x7fff_ffff;
    each(vec![
        (
            "6.9: an increment of nothing",
            increment(0, 0),
            Connection(PROTOCOL),
        ),
        (
            "6.9: WINDOW_UPDATE of three bytes",
            frame(WINDOW_UPDATE, 0, 0, &[0; 3]),
            Connection(FRAME_SIZE),
        ),
        (
            "6.9.1: a connection's window over the limit",
            [increment(0, most), increment(0, most)].concat(),
            Connection(FLOW_CONTROL),
        ),
        (
            "6.9.1: a stream's window over the limit",
            [open(1), increment(1, most), increment(1, most)].concat(),
            Connection(FLOW_CONTROL),
        ),
        (
            "6.9.2: a stream's window over it because of SETTINGS",
            [open(1), increment(1, most - 65_535), settings(4, 65_536)].concat(),
            Connection(FLOW_CONTROL),
        ),
    ]);
}

#[test]
fn continuations_are_as_section_6_10_says() {
    use Outcome::{Connection, Fine};
    each(vec![
        (
            "6.10: two CONTINUATIONs",
            [
                frame(HEADERS, END_STREAM, 1, &REQUEST[..2]),
                frame(CONTINUATION, 0, 1, &REQUEST[2..3]),
                frame(CONTINUATION, END_HEADERS, 1, &REQUEST[3..]),
            ]
            .concat(),
            Fine,
        ),
        (
            "6.10: CONTINUATION after the end of a block",
            [
                open(1),
                frame(CONTINUATION, END_HEADERS, 1, &literal("x", "y")),
            ]
            .concat(),
            Connection(PROTOCOL),
        ),
        (
            "6.10: CONTINUATION of stream 0",
            [
                frame(HEADERS, END_STREAM, 1, &REQUEST),
                frame(CONTINUATION, END_HEADERS, 0, &[]),
            ]
            .concat(),
            Connection(PROTOCOL),
        ),
        (
            "6.10: DATA within a block",
            [
                frame(HEADERS, 0, 1, &REQUEST),
                frame(DATA, END_STREAM, 1, b"x"),
            ]
            .concat(),
            Connection(PROTOCOL),
        ),
        (
            "6.10: CONTINUATION after DATA",
            [
                open(1),
                frame(DATA, 0, 1, b"x"),
                frame(CONTINUATION, END_HEADERS, 1, &[]),
            ]
            .concat(),
            Connection(PROTOCOL),
        ),
    ]);
}
