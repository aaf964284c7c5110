//! How frames are framed (sections 4 and 6 of RFC 9113).

use super::*;

#[test]
fn frames_have_the_format_of_section_4_1() {
    let mut reserved = request(1);
    reserved[5] |= 0x80;
    use Outcome::Fine;
    each(vec![
        (
            "4.1: a type that is not known",
            frame(UNKNOWN, 0, 0, b"x"),
            Fine,
        ),
        (
            "4.1: a flag that is not known",
            frame(PING, 0x16, 0, &[0; 8]),
            Fine,
        ),
        ("4.1: the reserved bit", reserved, Fine),
    ]);
}

#[test]
fn frames_have_the_size_of_section_4_2() {
    use Outcome::{Connection, Fine};
    each(vec![
        (
            "4.2: DATA of the largest size",
            [open(1), frame(DATA, END_STREAM, 1, &[0; 16_384])].concat(),
            Fine,
        ),
        (
            "4.2: DATA beyond it",
            [open(1), frame(DATA, END_STREAM, 1, &[0; 16_385])].concat(),
            Connection(FRAME_SIZE),
        ),
        (
            "4.2: HEADERS beyond it",
            frame(HEADERS, ALL, 1, &[0; 16_385]),
            Connection(FRAME_SIZE),
        ),
    ]);
}

#[test]
fn blocks_are_whole_as_section_4_3_says() {
    use Outcome::Connection;
    each(vec![
        (
            "4.3: a block that is none",
            frame(HEADERS, ALL, 1, &[0xff; 5]),
            Connection(COMPRESSION),
        ),
        (
            "4.3: PRIORITY within a block",
            [
                frame(HEADERS, END_STREAM, 1, &REQUEST),
                frame(PRIORITY, 0, 1, &[0; 5]),
            ]
            .concat(),
            Connection(PROTOCOL),
        ),
        (
            "4.3: another stream's HEADERS within a block",
            [frame(HEADERS, END_STREAM, 1, &REQUEST), request(3)].concat(),
            Connection(PROTOCOL),
        ),
    ]);
}

#[test]
fn extensions_are_taken_as_section_5_5_says() {
    use Outcome::Connection;
    each(vec![(
        "5.5: a type that is not known within a block",
        [
            frame(HEADERS, END_STREAM, 1, &REQUEST),
            frame(UNKNOWN, 0, 0, b"x"),
        ]
        .concat(),
        Connection(PROTOCOL),
    )]);
}

#[test]
fn data_is_as_section_6_1_says() {
    use Outcome::{Connection, Fine};
    each(vec![
        (
            "6.1: padding",
            [open(1), padded(DATA, END_STREAM, 3, b"body\0\0\0")].concat(),
            Fine,
        ),
        (
            "6.1: padding beyond the frame",
            [open(1), padded(DATA, END_STREAM, 6, b"body")].concat(),
            Connection(PROTOCOL),
        ),
    ]);
}

#[test]
fn headers_are_as_section_6_2_says() {
    use Outcome::{Connection, Fine};
    each(vec![
        (
            "6.2: padding",
            padded(HEADERS, ALL, 2, &[&REQUEST[..], &[0, 0]].concat()),
            Fine,
        ),
        (
            "6.2: padding beyond the frame",
            padded(HEADERS, ALL, 20, &REQUEST),
            Connection(PROTOCOL),
        ),
        (
            "6.2: priority",
            frame(
                HEADERS,
                ALL | WITH_PRIORITY,
                1,
                &[&[0, 0, 0, 0, 15][..], &REQUEST].concat(),
            ),
            Fine,
        ),
    ]);
}

#[test]
fn priorities_are_as_section_6_3_says() {
    use Outcome::{Connection, Fine};
    each(vec![
        (
            "6.3: PRIORITY",
            frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 15]),
            Fine,
        ),
        (
            // Priorities are not looked at; they are counted.
            "6.3: PRIORITY of stream 0",
            frame(PRIORITY, 0, 0, &[0; 5]),
            Fine,
        ),
        (
            "6.3: PRIORITY of four bytes",
            frame(PRIORITY, 0, 1, &[0; 4]),
            Connection(FRAME_SIZE),
        ),
    ]);
}

#[test]
fn resets_are_as_section_6_4_says() {
    use Outcome::{Connection, Fine};
    each(vec![
        (
            "6.4: RST_STREAM",
            [open(1), frame(RST, 0, 1, &[0, 0, 0, 8])].concat(),
            Fine,
        ),
        (
            "6.4: RST_STREAM of stream 0",
            frame(RST, 0, 0, &[0; 4]),
            Connection(PROTOCOL),
        ),
        (
            "6.4: RST_STREAM of an idle stream",
            frame(RST, 0, 1, &[0; 4]),
            Connection(PROTOCOL),
        ),
        (
            "6.4: RST_STREAM of three bytes",
            [open(1), frame(RST, 0, 1, &[0; 3])].concat(),
            Connection(FRAME_SIZE),
        ),
    ]);
}

#[test]
fn unknown_error_codes_are_borne_as_section_7_says() {
    use Outcome::Fine;
    each(vec![(
        "7: an error code that is not known",
        [open(1), frame(RST, 0, 1, &[0xff; 4])].concat(),
        Fine,
    )]);
}

#[test]
fn windows_are_as_section_6_9_says() {
    use Outcome::Connection;
    each(vec![(
        "6.9: an increment of nothing for a stream",
        [open(1), increment(1, 0)].concat(),
        Connection(PROTOCOL),
    )]);
}
