//! Floods from a peer that was let in: each ends with its own connection, soon, and others are served meanwhile.

use std::time::{Duration, Instant};

use flux::base::threads::Supervisor;
use flux::rpc::{AgentClient, Channels};
use flux::wire::proto;

use super::fixture::{Agent, id, pair};
use super::raw::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PRIORITY, RST, Raw,
    SETTINGS, WINDOW_UPDATE, call, field, frame, kept_field, message_of, request_block,
    request_head, setting, streams,
};
use crate::harness::notes;
use crate::runner::{Case, tests};

tests![
    a_flood_ends_with_its_connection_and_holds_up_nobody in Flood::EVERY,
    a_flood_ends_with_its_connection_under_tls_too,
    what_is_no_flood_is_borne,
    a_message_that_announces_four_gibibytes_ends_its_call_alone,
    a_header_block_over_the_limit_ends_its_stream_alone,
    more_streams_than_are_allowed_end_the_connection,
    calls_for_methods_that_there_are_not_cost_nothing,
];

/// What a flood may send before it is cut off. Most are after a few KiB.
const BYTES_MOST: usize = 64 << 20;
const CUT_OFF_WITHIN: Duration = Duration::from_secs(10);
/// In which others are answered meanwhile, on a machine with two processors that the flood uses, too.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Written at once.
const PIECE: usize = 16 << 10;

#[derive(Clone, Copy)]
enum Flood {
    RapidReset,
    RapidResetWithData,
    ResetsThatTheServerMakes,
    Continuations,
    EmptyContinuations,
    EndlessHeaders,
    Pings,
    PingsThatAreRead,
    SettingsFrames,
    SettingsThatAreRead,
    LongSettings,
    SettingsAcks,
    EmptyData,
    DataAfterTheEnd,
    BlocksThatDecompressToMuch,
    BlocksThatDecompressToLessThanTheLimit,
    BlocksForStreamsThatAreOver,
    WindowUpdates,
    WindowUpdatesOfStreamsThatAreOver,
    Priorities,
    GoAways,
    UnknownFrames,
    RefusedStreams,
}

impl Flood {
    const EVERY: [Flood; 23] = [
        Flood::RapidReset,
        Flood::RapidResetWithData,
        Flood::ResetsThatTheServerMakes,
        Flood::Continuations,
        Flood::EmptyContinuations,
        Flood::EndlessHeaders,
        Flood::Pings,
        Flood::PingsThatAreRead,
        Flood::SettingsFrames,
        Flood::SettingsThatAreRead,
        Flood::LongSettings,
        Flood::SettingsAcks,
        Flood::EmptyData,
        Flood::DataAfterTheEnd,
        Flood::BlocksThatDecompressToMuch,
        Flood::BlocksThatDecompressToLessThanTheLimit,
        Flood::BlocksForStreamsThatAreOver,
        Flood::WindowUpdates,
        Flood::WindowUpdatesOfStreamsThatAreOver,
        Flood::Priorities,
        Flood::GoAways,
        Flood::UnknownFrames,
        Flood::RefusedStreams,
    ];

    fn reads(self) -> bool {
        matches!(self, Flood::PingsThatAreRead | Flood::SettingsThatAreRead)
    }

    /// What goes before it, once.
    fn beginning(self) -> Vec<u8> {
        match self {
            Flood::PingsThatAreRead | Flood::WindowUpdates => request_head(1, "HealthCheck"),
            Flood::EmptyData => request_head(1, "HealthCheck"),
            Flood::Continuations | Flood::EmptyContinuations | Flood::EndlessHeaders => {
                frame(HEADERS, 0, 1, &request_block("HealthCheck"))
            }
            Flood::DataAfterTheEnd
            | Flood::WindowUpdatesOfStreamsThatAreOver
            | Flood::BlocksForStreamsThatAreOver => [
                request_head(1, "HealthCheck"),
                frame(RST, 0, 1, &8u32.to_be_bytes()),
            ]
            .concat(),
            Flood::BlocksThatDecompressToMuch | Flood::BlocksThatDecompressToLessThanTheLimit => {
                let mut block = request_block("HealthCheck");
                block.extend(kept_field("x", &"y".repeat(3900)));
                frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)
            }
            Flood::RapidReset
            | Flood::RapidResetWithData
            | Flood::ResetsThatTheServerMakes
            | Flood::Pings
            | Flood::SettingsFrames
            | Flood::SettingsThatAreRead
            | Flood::LongSettings
            | Flood::SettingsAcks
            | Flood::Priorities
            | Flood::GoAways
            | Flood::UnknownFrames
            | Flood::RefusedStreams => Vec::new(),
        }
    }

    /// Its frames; `stream` has not been used before.
    fn next(self, stream: u32) -> Vec<u8> {
        let reset = || frame(RST, 0, stream, &8u32.to_be_bytes());
        let one = 1u32.to_be_bytes();
        match self {
            Flood::RapidReset => [request_head(stream, "HealthCheck"), reset()].concat(),
            Flood::RapidResetWithData => {
                let call = call(stream, "HealthCheck", &proto::HealthCheckRequest {});
                [call, reset()].concat()
            }
            // An increment of nothing (RFC 9113, section 6.9).
            Flood::ResetsThatTheServerMakes => [
                request_head(stream, "HealthCheck"),
                frame(WINDOW_UPDATE, 0, stream, &[0; 4]),
            ]
            .concat(),
            Flood::Continuations => frame(CONTINUATION, 0, 1, &field("a", &"b".repeat(100))),
            Flood::EmptyContinuations => frame(CONTINUATION, 0, 1, &[]),
            Flood::EndlessHeaders => frame(CONTINUATION, 0, 1, &field("a", "b").repeat(1500)),
            Flood::Pings | Flood::PingsThatAreRead => frame(PING, 0, 0, &[0; 8]),
            Flood::SettingsFrames | Flood::SettingsThatAreRead => {
                frame(SETTINGS, 0, 0, &setting(1, 4096))
            }
            Flood::LongSettings => frame(SETTINGS, 0, 0, &setting(1, 4096).repeat(2000)),
            Flood::SettingsAcks => frame(SETTINGS, ACK, 0, &[]),
            Flood::EmptyData => frame(DATA, 0, 1, &[]),
            Flood::DataAfterTheEnd => frame(DATA, 0, 1, b"x"),
            Flood::BlocksThatDecompressToMuch => frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                stream + 2,
                &[0xbe; 12_000],
            ),
            Flood::BlocksThatDecompressToLessThanTheLimit => {
                // Four fields of a request, and 12 KiB.
                let block = [0x83, 0x86, 0x84, 1, 1, b'a', 0xbe, 0xbe, 0xbe];
                frame(HEADERS, END_HEADERS | END_STREAM, stream + 2, &block)
            }
            Flood::BlocksForStreamsThatAreOver => {
                frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x83; 16_000])
            }
            Flood::WindowUpdates => frame(WINDOW_UPDATE, 0, 0, &one),
            Flood::WindowUpdatesOfStreamsThatAreOver => frame(WINDOW_UPDATE, 0, 1, &one),
            Flood::Priorities => frame(PRIORITY, 0, stream, &[0, 0, 0, 0, 16]),
            Flood::GoAways => frame(GOAWAY, 0, 0, &[0; 8]),
            Flood::UnknownFrames => frame(0x42, 0, 0, b"unknown"),
            // Its settings say how many there may be, and are never acknowledged.
            Flood::RefusedStreams => request_head(stream, "PushRelease"),
        }
    }
}

impl Case for Flood {
    fn name(&self) -> &'static str {
        match self {
            Flood::RapidReset => "rapid_reset",
            Flood::RapidResetWithData => "rapid_reset_with_data",
            Flood::ResetsThatTheServerMakes => "resets_that_the_server_makes",
            Flood::Continuations => "continuations",
            Flood::EmptyContinuations => "empty_continuations",
            Flood::EndlessHeaders => "endless_headers",
            Flood::Pings => "pings",
            Flood::PingsThatAreRead => "pings_that_are_read",
            Flood::SettingsFrames => "settings",
            Flood::SettingsThatAreRead => "settings_that_are_read",
            Flood::LongSettings => "long_settings",
            Flood::SettingsAcks => "settings_acks",
            Flood::EmptyData => "empty_data",
            Flood::DataAfterTheEnd => "data_after_the_end",
            Flood::BlocksThatDecompressToMuch => "blocks_that_decompress_to_much",
            Flood::BlocksThatDecompressToLessThanTheLimit => {
                "blocks_that_decompress_to_less_than_the_limit"
            }
            Flood::BlocksForStreamsThatAreOver => "blocks_for_streams_that_are_over",
            Flood::WindowUpdates => "window_updates",
            Flood::WindowUpdatesOfStreamsThatAreOver => "window_updates_of_streams_that_are_over",
            Flood::Priorities => "priorities",
            Flood::GoAways => "goaways",
            Flood::UnknownFrames => "unknown_frames",
            Flood::RefusedStreams => "refused_streams",
        }
    }
}

/// Sends it until it is cut off; how much that took.
fn send_until_cut_off(raw: &mut Raw, flood: Flood) -> Option<usize> {
    let deadline = Instant::now() + CUT_OFF_WITHIN;
    let mut streams = streams();
    let mut sent = 0;
    let mut piece = flood.beginning();
    while sent < BYTES_MOST && Instant::now() < deadline {
        while piece.len() < PIECE {
            piece.extend(flood.next(streams.next().unwrap()));
        }
        if raw.send(&piece).is_err() || flood.reads() && !raw.drain() {
            return Some(sent);
        }
        sent += piece.len();
        piece.clear();
    }
    let left = deadline.saturating_duration_since(Instant::now());
    raw.is_closed_within(left).then_some(sent)
}

/// Calls one after the other until `is_over`; the longest that one took.
fn longest_answer(client: &AgentClient, is_over: &dyn Fn() -> bool) -> Duration {
    let mut longest = Duration::ZERO;
    loop {
        let start = Instant::now();
        assert!(client.health().is_ok(), "an honest client is not served");
        longest = longest.max(start.elapsed());
        if is_over() {
            return longest;
        }
    }
}

/// Its flood beside an honest client; how much was sent.
fn flooded(flood: Flood, client: &AgentClient, raw: &mut Raw) -> usize {
    assert!(client.health().is_ok());
    let (sent, longest) = std::thread::scope(|scope| {
        let flooding = scope.spawn(|| send_until_cut_off(raw, flood));
        let longest = longest_answer(client, &|| flooding.is_finished());
        (flooding.join().unwrap(), longest)
    });
    assert!(
        longest < ANSWER_WITHIN,
        "an honest client waited {longest:?}"
    );
    sent.unwrap_or_else(|| panic!("{} was not cut off", flood.name()))
}

fn plain() -> (Agent, Channels, AgentClient) {
    let agent = Agent::start(&id("a"), None);
    let channels = Channels::new(None, &Supervisor::new());
    let client = channels.client(&id("a"), &agent.address, false).unwrap();
    (agent, channels, client)
}

fn a_flood_ends_with_its_connection_and_holds_up_nobody(flood: Flood) {
    let (agent, _channels, client) = plain();
    let mut raw = Raw::client(&agent.address);
    let sent = flooded(flood, &client, &mut raw);
    notes::add(&format!("cut off after {} KiB", sent >> 10));
}

fn a_flood_ends_with_its_connection_under_tls_too() {
    let pair = pair();
    let identity = pair.certificates.authority.control();
    for flood in [
        Flood::RapidReset,
        Flood::Pings,
        Flood::BlocksThatDecompressToMuch,
    ] {
        let mut raw = Raw::trusted_client(&pair.agent.address, identity);
        flooded(flood, &pair.client, &mut raw);
    }
}

/// As much of everything as a correct peer may do.
fn what_is_no_flood_is_borne() {
    let (agent, _channels, _client) = plain();
    let mut raw = Raw::client(&agent.address);
    let mut streams = streams();
    for _ in 0..200 {
        let stream = streams.next().unwrap();
        let gone = streams.next().unwrap();
        let some = [
            call(stream, "HealthCheck", &proto::HealthCheckRequest {}),
            request_head(gone, "PushRelease"),
            frame(RST, 0, gone, &8u32.to_be_bytes()),
            // What was under way when the other end gave a stream up.
            frame(WINDOW_UPDATE, 0, gone, &1u32.to_be_bytes()),
            frame(WINDOW_UPDATE, 0, 0, &1u32.to_be_bytes()),
            frame(0x42, 0, 0, b"unknown"),
        ]
        .concat();
        raw.send(&some).unwrap();
        let ended = std::iter::from_fn(|| raw.next())
            .find(|frame| frame.stream == stream && frame.kind == HEADERS && frame.ends_stream());
        assert!(ended.is_some(), "cut off");
    }
}

fn a_message_that_announces_four_gibibytes_ends_its_call_alone() {
    let (agent, _channels, _client) = plain();
    let mut raw = Raw::client(&agent.address);
    let announced = frame(DATA, 0, 1, &[0, 0xff, 0xff, 0xff, 0xff]);
    raw.send(&[request_head(1, "HealthCheck"), announced].concat())
        .unwrap();
    let end = raw.next_of(HEADERS, 1).expect("an answer");
    assert!(end.ends_stream(), "it is a status alone");
    raw.send(&call(3, "HealthCheck", &proto::HealthCheckRequest {}))
        .unwrap();
    assert!(!raw.next_of(HEADERS, 3).expect("an answer").ends_stream());
}

fn a_header_block_over_the_limit_ends_its_stream_alone() {
    let (agent, _channels, _client) = plain();
    let mut raw = Raw::client(&agent.address);
    let block = [request_block("HealthCheck"), field("x", "y").repeat(1000)].concat();
    raw.send(&frame(HEADERS, END_HEADERS, 1, &block)).unwrap();
    assert!(raw.next_of(RST, 1).is_some());
    raw.send(&call(3, "HealthCheck", &proto::HealthCheckRequest {}))
        .unwrap();
    assert!(!raw.next_of(HEADERS, 3).expect("an answer").ends_stream());
}

fn more_streams_than_are_allowed_end_the_connection() {
    let (agent, _channels, client) = plain();
    let mut raw = Raw::client(&agent.address);
    // The server's limit holds once its settings are acknowledged.
    raw.acknowledge_settings();
    let all: Vec<u8> = streams()
        .take(5000)
        .flat_map(|stream| request_head(stream, "HealthCheck"))
        .collect();
    let _ = raw.send(&all);
    assert!(raw.is_closed_within(CUT_OFF_WITHIN));
    assert!(client.health().is_ok());
}

fn calls_for_methods_that_there_are_not_cost_nothing() {
    let (agent, _channels, _client) = plain();
    let mut raw = Raw::client(&agent.address);
    for stream in streams().take(10_000) {
        let body = frame(DATA, END_STREAM, stream, &message_of(b""));
        raw.send(&[request_head(stream, "Nothing"), body].concat())
            .unwrap();
        if stream % 64 == 1 {
            assert!(
                raw.next_of(HEADERS, stream)
                    .expect("an answer")
                    .ends_stream()
            );
        }
    }
    raw.send(&call(30_001, "HealthCheck", &proto::HealthCheckRequest {}))
        .unwrap();
    assert!(
        !raw.next_of(HEADERS, 30_001)
            .expect("an answer")
            .ends_stream()
    );
}
