//! What a peer can have too much of, and what is not too much.

use super::*;

#[test]
fn floods_end_the_connection() {
    let request = |stream: u32| frame(HEADERS, 5, stream, &[0x83, 0x86, 0x84, 0x01, 1, b'a']);
    let mut resets = Vec::new();
    for i in 0..5000 {
        resets.extend(request(2 * i + 1));
        resets.extend(frame(RST, 0, 2 * i + 1, &[0, 0, 0, 8]));
    }
    let empty_continuations = (0..20).map(|_| frame(CONTINUATION, 0, 1, &[]));
    let continuations: Vec<u8> = std::iter::once(frame(HEADERS, 1, 1, &[0x83, 0x86, 0x84]))
        .chain(empty_continuations)
        .flatten()
        .collect();
    for (frames, what) in [
        (frame(8, 0, 0, &[0, 0, 0, 1]).repeat(3000), "WINDOW_UPDATE"),
        (frame(7, 0, 0, &[0; 8]).repeat(3000), "GOAWAY"),
        (frame(0x42, 0, 0, &[]).repeat(20_000), "unknown frames"),
        (resets, "rapid reset"),
        (continuations, "CONTINUATION"),
        (frame(PING, 0, 0, &[0; 8]).repeat(1000), "PING"),
        (frame(SETTINGS, 0, 0, &[]).repeat(1000), "SETTINGS"),
        (frame(SETTINGS, 0, 0, &[0; 6 * 100]), "entries of SETTINGS"),
    ] {
        assert!(server_after(&frames).is_err(), "{what}");
    }
}

#[test]
fn what_is_under_way_when_a_stream_is_given_up_does_not_end_the_connection() {
    let mut pair = Pair::new();
    let stream = pair.client.request(&headers(&FIELDS)).expect("request");
    pair.exchange();
    pair.server
        .respond(stream, &headers(&[(":status", "200")]))
        .expect("respond");
    let mut under_way = sent(&mut pair.server);
    // As many small frames as a window takes.
    for _ in 0..5000 {
        pair.server.write(stream, vec![7; 40]).expect("write");
        under_way.extend(sent(&mut pair.server));
    }
    pair.client.reset(stream, Code::Cancel).expect("reset");
    sent(&mut pair.client);
    pair.client.receive(&under_way).expect("fine");
    assert!(pair.client.is_alive() && pair.client.takes_requests());
}

#[test]
fn blocks_that_refer_to_the_table_end_the_connection_before_they_take_much() {
    let mut server = Session::new(Side::Server(100_000)).expect("server");
    let mut large = vec![
        0x83, 0x86, 0x84, 0x01, 1, b'a', 0x40, 1, b'x', 0x7f, 0xbd, 0x1d,
    ];
    large.resize(large.len() + 3900, b'y');
    let first = [
        MAGIC,
        &frame(SETTINGS, 0, 0, &[]),
        &frame(HEADERS, 5, 1, &large),
    ];
    server.receive(&first.concat()).expect("fine");
    // Twelve KiB each, in eighteen bytes.
    let block = [0x83, 0x86, 0x84, 0x01, 1, b'a', 0xbe, 0xbe, 0xbe];
    let many: Vec<u8> = (1..10_000)
        .flat_map(|at| frame(HEADERS, 5, 2 * at + 1, &block))
        .collect();
    let received = server.receive(&many);
    assert!(received.is_err(), "{:?}", events(&mut server).len());
    let taken: usize = events(&mut server)
        .iter()
        .map(|event| match event {
            Event::Headers { headers, .. } => headers.iter().map(|it| it.value.len()).sum(),
            _ => 0,
        })
        .sum();
    assert!(taken > 1 << 20 && taken < 8 << 20, "{taken} bytes");
}

#[test]
fn who_lets_nothing_out_gets_no_more_frames_made() {
    let mut server = Session::new(Side::Server(100_000)).expect("server");
    server
        .receive(&[MAGIC, &frame(SETTINGS, 0, 0, &[])].concat())
        .expect("a good beginning");
    let refused = (0..100_000).position(|at| {
        let request = frame(HEADERS, 5, 2 * at + 1, &[0x83, 0x86, 0x84, 0x01, 1, b'a']);
        let received = server.receive(&request);
        for event in events(&mut server) {
            if let Event::Headers { stream, .. } = event {
                let _ = server.respond_without_body(stream, &headers(&[(":status", "405")]));
            }
        }
        received.is_err()
    });
    assert!(refused.is_some_and(|count| count < 20_000), "{refused:?}");
}
