//! Fields and how they are compressed (section 8 of RFC 9113, and RFC 7541).

use super::*;

#[test]
fn fields_are_as_section_8_2_says() {
    use Outcome::{Connection, Fine};
    let malformed = Connection(PROTOCOL);
    each(vec![
        (
            "8.2.1: a name in capitals",
            request_with(1, &literal("X-Test", "y")),
            malformed,
        ),
        (
            // nghttp2 leaves such a field out, and nobody hears of it.
            "8.2.1: a name with a colon",
            request_with(1, &literal("x:y", "z")),
            Fine,
        ),
        (
            "8.2.1: a value with a line's end",
            request_with(1, &literal("x", "y\nz")),
            Fine,
        ),
        (
            "8.2.2: connection",
            request_with(1, &literal("connection", "keep-alive")),
            malformed,
        ),
        (
            "8.2.2: te of anything",
            request_with(1, &literal("te", "trailers, deflate")),
            malformed,
        ),
        (
            "8.2.2: te of trailers",
            request_with(1, &literal("te", "trailers")),
            Fine,
        ),
    ]);
}

#[test]
fn pseudo_headers_are_as_section_8_3_says() {
    use Outcome::Connection;
    let malformed = Connection(PROTOCOL);
    let without = |at: usize| {
        let mut block = REQUEST.to_vec();
        block.remove(at);
        frame(HEADERS, ALL, 1, &block)
    };
    each(vec![
        (
            "8.3: an unknown pseudo-header",
            request_with(1, &literal(":test", "y")),
            malformed,
        ),
        (
            "8.3: one of responses",
            request_with(1, &literal(":status", "200")),
            malformed,
        ),
        (
            "8.3: one after other fields",
            frame(
                HEADERS,
                ALL,
                1,
                &[&[0x83, 0x86][..], &literal("x", "y"), &[0x84]].concat(),
            ),
            malformed,
        ),
        ("8.3.1: no :method", without(0), malformed),
        ("8.3.1: no :scheme", without(1), malformed),
        ("8.3.1: no :path", without(2), malformed),
        (
            "8.3.1: an empty :path",
            frame(
                HEADERS,
                ALL,
                1,
                &[&[0x83, 0x86][..], &literal(":path", "")].concat(),
            ),
            malformed,
        ),
        (
            "8.3.1: :method twice",
            frame(HEADERS, ALL, 1, &[0x83, 0x83, 0x86, 0x84]),
            malformed,
        ),
    ]);
}

#[test]
fn messages_are_framed_as_section_8_1_says() {
    use Outcome::{Connection, Fine};
    let malformed = Connection(PROTOCOL);
    let body = |announced: &str, bodies: &[&[u8]]| {
        let block = [&REQUEST[..], &literal("content-length", announced)].concat();
        let mut bytes = frame(HEADERS, END_HEADERS, 1, &block);
        for (at, body) in bodies.iter().enumerate() {
            let flags = u8::from(at + 1 == bodies.len());
            bytes.extend(frame(DATA, flags, 1, body));
        }
        bytes
    };
    each(vec![
        (
            "8.1: one in trailers",
            [open(1), frame(HEADERS, ALL, 1, &[0x83])].concat(),
            malformed,
        ),
        (
            "8.1.1: a body as long as announced",
            body("4", &[b"bo", b"dy"]),
            Fine,
        ),
        ("8.1.1: a shorter body", body("5", &[b"body"]), malformed),
        (
            "8.1.1: a longer body",
            body("1", &[b"bo", b"dy"]),
            malformed,
        ),
    ]);
}

#[test]
fn blocks_are_compressed_as_rfc_7541_says() {
    use Outcome::{Connection, Fine};
    let wrong = Connection(COMPRESSION);
    // Literals with a name of one byte, and a value in Huffman's code.
    let huffman = |value: &[u8]| {
        let field = [&[0, 1, b'x', 0x80 | value.len() as u8][..], value].concat();
        request_with(1, &field)
    };
    each(vec![
        (
            "2.3.3: an index beyond the tables",
            request_with(1, &[0xff, 0x80, 0x01]),
            wrong,
        ),
        (
            "2.3.3: a literal with such a name",
            request_with(1, &[0x7f, 0x80, 0x01, 1, b'a']),
            wrong,
        ),
        (
            "4.2: a change of the table's size at a block's end",
            request_with(1, &[0x20]),
            wrong,
        ),
        (
            "5.1: an integer without an end",
            request_with(1, &[0xff; 12]),
            wrong,
        ),
        ("5.2: Huffman's code", huffman(&[0x1f]), Fine),
        (
            "5.2: padding of more than seven bits",
            huffman(&[0x1f, 0xff]),
            wrong,
        ),
        ("5.2: padding of zeros", huffman(&[0x18]), wrong),
        (
            "5.2: the end of strings within one",
            huffman(&[0xff, 0xff, 0xff, 0xff]),
            wrong,
        ),
        (
            "5.2: a text beyond its block",
            request_with(1, &[0, 1, b'x', 9, b'y']),
            wrong,
        ),
        ("6.1: the index 0", request_with(1, &[0x80]), wrong),
        (
            "6.3: a table larger than allowed",
            frame(
                HEADERS,
                ALL,
                1,
                &[&[0x3f, 0xe2, 0x1f][..], &REQUEST].concat(),
            ),
            wrong,
        ),
    ]);
}
