//! Agents whose connections mean harm: calls end in time, and the client comes back with pauses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use flux::rpc::RpcError;
use flux::rpc::limits::CONNECT_BOUND;
use flux::wire::proto;

use super::fixture::within;
use super::hostile::{Hostile, SOON, answer, has_status, is_interrupted};
use super::raw::{
    DATA, END_HEADERS, GOAWAY, HEADERS, PING, RST, Raw, SETTINGS, WINDOW_UPDATE, field, frame,
    kept_field, response_head, setting,
};
use crate::runner::{Case, tests};

tests![
    a_flood_of_an_agent_interrupts_its_calls_and_is_met_with_pauses in Flood::EVERY,
    an_agent_that_never_says_what_it_is_like_is_unreachable,
    an_agent_that_sends_everybody_away_is_asked_with_pauses,
    an_agent_that_mends_is_reached_again,
    an_agent_that_takes_no_calls_leaves_them_to_their_deadline,
];

#[derive(Clone, Copy)]
enum Flood {
    Pings,
    Settings,
    WindowUpdates,
    EmptyData,
    Unknown,
    BlocksThatDecompressToMuch,
    InformationalAnswers,
    Resets,
    Pushes,
}

impl Flood {
    const EVERY: [Flood; 9] = [
        Flood::Pings,
        Flood::Settings,
        Flood::WindowUpdates,
        Flood::EmptyData,
        Flood::Unknown,
        Flood::BlocksThatDecompressToMuch,
        Flood::InformationalAnswers,
        Flood::Resets,
        Flood::Pushes,
    ];

    fn beginning(self, stream: u32) -> Vec<u8> {
        match self {
            Flood::BlocksThatDecompressToMuch => {
                let block = [vec![0x88], kept_field("x", &"y".repeat(3900))].concat();
                frame(HEADERS, END_HEADERS, stream, &block)
            }
            Flood::EmptyData => response_head(stream),
            Flood::Pings
            | Flood::Settings
            | Flood::WindowUpdates
            | Flood::Unknown
            | Flood::InformationalAnswers
            | Flood::Resets
            | Flood::Pushes => Vec::new(),
        }
    }

    fn next(self, stream: u32) -> Vec<u8> {
        match self {
            Flood::Pings => frame(PING, 0, 0, &[0; 8]),
            Flood::Settings => frame(SETTINGS, 0, 0, &setting(1, 4096)),
            Flood::WindowUpdates => frame(WINDOW_UPDATE, 0, 0, &1u32.to_be_bytes()),
            Flood::EmptyData => frame(DATA, 0, stream, &[]),
            Flood::Unknown => frame(0x42, 0, 0, b"unknown"),
            Flood::BlocksThatDecompressToMuch => {
                frame(HEADERS, END_HEADERS, stream, &[0xbe; 12_000])
            }
            Flood::InformationalAnswers => {
                let block = field(":status", "103");
                frame(HEADERS, END_HEADERS, stream, &block)
            }
            Flood::Resets => frame(RST, 0, stream, &8u32.to_be_bytes()),
            Flood::Pushes => {
                let block = [&2u32.to_be_bytes()[..], &[0x83, 0x86, 0x84]].concat();
                frame(5, END_HEADERS, stream, &block)
            }
        }
    }
}

impl Case for Flood {
    fn name(&self) -> &'static str {
        match self {
            Flood::Pings => "pings",
            Flood::Settings => "settings",
            Flood::WindowUpdates => "window_updates",
            Flood::EmptyData => "empty_data",
            Flood::Unknown => "unknown_frames",
            Flood::BlocksThatDecompressToMuch => "blocks_that_decompress_to_much",
            Flood::InformationalAnswers => "informational_answers",
            Flood::Resets => "resets",
            Flood::Pushes => "pushes",
        }
    }
}

/// How many connections there may be in a time with pauses of 0.2, 0.4, 0.8 s, of which each may be half.
const CONNECTIONS_MOST: usize = 12;

fn a_flood_of_an_agent_interrupts_its_calls_and_is_met_with_pauses(flood: Flood) {
    let cut_off = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&cut_off);
    let hostile = Hostile::answering(move |raw, stream| {
        let _ = raw.send(&flood.beginning(stream));
        let piece: Vec<u8> = (0..100).flat_map(|_| flood.next(stream)).collect();
        for _ in 0..10_000 {
            if raw.send(&piece).is_err() {
                count.fetch_add(1, Ordering::SeqCst);
                return;
            }
        }
    });
    let (_channels, client) = hostile.client();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        let error = within(SOON, || client.health()).expect_err("flooded");
        assert!(
            is_interrupted(&error)
                || matches!(error, RpcError::Unreachable | RpcError::Deadline)
                || has_status(&error, "UNKNOWN"),
            "{error:?}"
        );
    }
    let connections = hostile.connections.load(Ordering::SeqCst);
    assert!(connections <= CONNECTIONS_MOST, "{connections} connections");
    crate::harness::eventually("the flood is cut off", || {
        (cut_off.load(Ordering::SeqCst) > 0).then_some(())
    });
}

fn an_agent_that_never_says_what_it_is_like_is_unreachable() {
    let hostile = Hostile::start(|socket, _| {
        let mut silent = Raw::silent(socket);
        silent.is_closed_within(Duration::from_secs(20));
    });
    let (_channels, client) = hostile.client();
    let error = within(CONNECT_BOUND + Duration::from_secs(2), || client.health());
    assert!(matches!(error, Err(RpcError::Unreachable)), "{error:?}");
    assert!(hostile.connections.load(Ordering::SeqCst) <= 2);
}

fn an_agent_that_sends_everybody_away_is_asked_with_pauses() {
    for with_calls_open in [false, true] {
        let hostile = Hostile::start(move |socket, _| {
            let Some(mut raw) = Raw::server(socket, &[]) else {
                return;
            };
            if with_calls_open {
                raw.next_request();
            }
            let _ = raw.send(&frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]));
            raw.is_closed_within(Duration::from_secs(2));
        });
        let (_channels, client) = hostile.client();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(3) {
            let error = within(SOON, || client.health()).expect_err("sent away");
            assert!(
                is_interrupted(&error) || matches!(error, RpcError::Unreachable),
                "{error:?}"
            );
        }
        let connections = hostile.connections.load(Ordering::SeqCst);
        assert!(connections <= CONNECTIONS_MOST, "{connections} connections");
    }
}

fn an_agent_that_mends_is_reached_again() {
    let hostile = Hostile::start(|socket, number| {
        if number < 3 {
            return;
        }
        let Some(mut raw) = Raw::server(socket, &[]) else {
            return;
        };
        while let Some(stream) = raw.next_request() {
            let _ = raw.send(&answer(stream));
        }
    });
    let (_channels, client) = hostile.client();
    crate::harness::eventually("an answer", || client.health().ok());
    assert!(hostile.connections.load(Ordering::SeqCst) <= 4);
}

fn an_agent_that_takes_no_calls_leaves_them_to_their_deadline() {
    // No streams at once.
    let hostile = Hostile::start(|socket, _| {
        if let Some(mut raw) = Raw::server(socket, &setting(3, 0)) {
            raw.next_request();
        }
    });
    let (_channels, client) = hostile.client();
    let deadline = Duration::from_millis(500);
    for _ in 0..5 {
        let error = within(SOON, || {
            client.call(proto::HEALTH_CHECK, &proto::HealthCheckRequest {}, deadline)
        });
        assert!(matches!(error, Err(RpcError::Deadline)), "{error:?}");
    }
}
