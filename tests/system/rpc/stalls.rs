//! Peers that were let in and then do not go on: what they hold is bounded, and what works for them comes free.

use std::time::Duration;

use flux::base::threads::Supervisor;
use flux::rpc::limits::Keepalive;
use flux::rpc::{AgentClient, Channels};
use flux::wire::proto;

use super::double::{BIG, Seen};
use super::fixture::{Agent, PATIENCE, id};
use super::raw::{
    DATA, END_STREAM, HEADERS, PING, Raw, SETTINGS, WINDOW_UPDATE, call, frame, message_of,
    request_head, setting, streams,
};
use crate::runner::tests;

tests![
    messages_that_are_never_whole_take_bounded_memory(alone),
    messages_whose_calls_never_end_take_bounded_memory(alone),
    pieces_of_a_release_that_nobody_takes_hold_their_sender_back(alone),
    answers_that_no_window_lets_out_take_bounded_memory(alone),
    answers_of_which_a_byte_is_left_count_whole(alone),
    who_never_reads_and_is_silent_lets_go_of_its_followers,
    who_never_reads_but_speaks_lets_go_of_its_followers,
    who_is_silent_after_its_requests_lets_go_of_them,
    calls_without_an_end_keep_nobody_from_being_served,
    a_call_whose_time_is_over_is_reset_and_its_work_told,
];

/// See `limits::MAX_MESSAGE_BYTES`, `BUFFERED_MOST` and `QUEUED_MOST`.
const MESSAGE_MOST: usize = 52 << 20;
const HELD_MOST: usize = 4 * MESSAGE_MOST;
/// See session.rs.
const STREAM_WINDOW: usize = 256 << 10;
/// Beside what is meant to be held: copies on their way, and what the allocator keeps.
const SLACK: usize = 160 << 20;

const QUICK: Keepalive = Keepalive {
    time: Duration::from_secs(1),
    timeout: Duration::from_secs(2),
    tolerated: Duration::from_millis(500),
};
/// Until who is silent, or takes nothing, is noticed.
const NOTICED_WITHIN: Duration = Duration::from_secs(15);

fn plain(keepalive: Keepalive) -> (Agent, Channels, AgentClient) {
    let agent = Agent::start_with(&id("a"), None, keepalive);
    let channels = Channels::new(None, &Supervisor::new());
    let client = channels.client(&id("a"), &agent.address, false).unwrap();
    (agent, channels, client)
}

/// Memory of this process that only it has, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: Vec<usize> = statm
        .split(' ')
        .filter_map(|field| field.trim().parse().ok())
        .collect();
    (pages[1] - pages[2]) * 4096
}

#[track_caller]
fn grew_at_most(before: usize, most: usize) {
    let grown = resident().saturating_sub(before);
    assert!(
        grown <= most,
        "{} MiB more instead of at most {}",
        grown >> 20,
        most >> 20
    );
}

/// Sends so much of a message on each of many streams, `last` with it, and gives back the windows that it gets; how many
/// were ended by the other end.
fn send_bodies(raw: &mut Raw, calls: usize, announced: usize, body: usize, last: u8) -> usize {
    raw.acknowledge_settings();
    let mut refused = 0;
    let chunk = vec![0; 16 << 10];
    for stream in streams().take(calls) {
        let length = u32::try_from(announced).unwrap().to_be_bytes();
        let head = [&[0], &length[..]].concat();
        let mut first = request_head(stream, "RegisterFunction");
        first.extend(frame(DATA, 0, stream, &head));
        raw.send(&first).unwrap();
        let mut window = STREAM_WINDOW - head.len();
        let mut left = body;
        while left > 0 {
            let count = left.min(chunk.len());
            while window < count {
                match raw.next().expect("an open connection") {
                    it if it.stream == stream && it.kind == WINDOW_UPDATE => {
                        let more = it.payload.first_chunk().copied().unwrap();
                        window += u32::from_be_bytes(more) as usize;
                    }
                    it if it.stream == stream && it.kind == HEADERS => {
                        refused += 1;
                        left = 0;
                        break;
                    }
                    _ => {}
                }
            }
            if left == 0 {
                break;
            }
            raw.send(&frame(
                DATA,
                if left == count { last } else { 0 },
                stream,
                &chunk[..count],
            ))
            .unwrap();
            left -= count;
            window -= count;
        }
    }
    refused
}

fn messages_that_are_never_whole_take_bounded_memory() {
    let (agent, _channels, client) = plain(Keepalive::default());
    assert!(client.health().is_ok());
    let before = resident();
    let mut raw = Raw::client(&agent.address);
    let refused = send_bodies(&mut raw, 12, MESSAGE_MOST, MESSAGE_MOST - 1, 0);
    assert!(refused >= 12 - 4 - 1, "{refused} were refused");
    assert!(client.health().is_ok());
    // A message that grows has up to twice its size.
    grew_at_most(before, 2 * HELD_MOST + SLACK);
}

fn messages_whose_calls_never_end_take_bounded_memory() {
    let (agent, _channels, client) = plain(Keepalive::default());
    assert!(client.health().is_ok());
    let before = resident();
    let mut raw = Raw::client(&agent.address);
    let refused = send_bodies(&mut raw, 12, 40 << 20, 40 << 20, 0);
    assert!(
        refused >= 12 - HELD_MOST / (40 << 20) - 1,
        "{refused} were refused"
    );
    assert!(client.health().is_ok());
    grew_at_most(before, 2 * HELD_MOST + SLACK);
}

fn pieces_of_a_release_that_nobody_takes_hold_their_sender_back() {
    let (agent, _channels, client) = plain(Keepalive::default());
    assert!(client.health().is_ok());
    let before = resident();
    let mut raw = Raw::client(&agent.address);
    // Five calls more than there are threads: nobody reads their messages yet, whose last piece is small.
    let mut sent = 0;
    let first: Vec<u8> = streams()
        .take(9)
        .flat_map(|it| request_head(it, "PushRelease"))
        .collect();
    raw.send(&first).unwrap();
    raw.acknowledge_settings();
    let stream = 17;
    let message = message_of(&vec![0; 64 << 10]);
    let mut window = STREAM_WINDOW;
    let mut updates = 0;
    'sending: for _ in 0..10_000 {
        for piece in message.chunks(16 << 10) {
            while window < piece.len() {
                let Some(more) = raw.next_within(Duration::from_secs(2)) else {
                    break 'sending;
                };
                if more.kind == WINDOW_UPDATE && more.stream == stream {
                    let more = more.payload.first_chunk().copied().unwrap();
                    window += u32::from_be_bytes(more) as usize;
                    updates += 1;
                }
            }
            raw.send(&frame(DATA, 0, stream, piece)).unwrap();
            window -= piece.len();
            sent += piece.len();
        }
    }
    assert!(
        sent <= 1 << 20,
        "{} KiB were taken in {updates} steps",
        sent >> 10
    );
    grew_at_most(before, SLACK);
    assert!(client.health().is_ok());
}

fn big_request() -> proto::ExecutionRequest {
    proto::ExecutionRequest {
        function_name: "big".to_owned(),
        protocol: 1,
        ..Default::default()
    }
}

fn answers_that_no_window_lets_out_take_bounded_memory() {
    let (agent, _channels, client) = plain(Keepalive::default());
    assert!(client.health().is_ok());
    let before = resident();
    let mut raw = Raw::client_with(&agent.address, &setting(4, 0));
    let refused = streams()
        .take(30)
        .filter(|stream| {
            raw.send(&call(*stream, "ExecuteFunction", &big_request()))
                .unwrap();
            raw.next_of(HEADERS, *stream)
                .expect("an answer")
                .ends_stream()
        })
        .count();
    assert!(
        30 - refused <= HELD_MOST / BIG,
        "{refused} of 30 were refused"
    );
    assert!(
        30 - refused >= HELD_MOST / BIG - 1,
        "{refused} of 30 were refused"
    );
    grew_at_most(before, HELD_MOST + SLACK);
    // Once they are taken, there is room again.
    raw.send(&frame(SETTINGS, 0, 0, &setting(4, 0x7fff_ffff)))
        .unwrap();
    raw.send(&frame(WINDOW_UPDATE, 0, 0, &0x7fff_0000u32.to_be_bytes()))
        .unwrap();
    let held = 30 - refused;
    let ended = std::iter::from_fn(|| raw.next())
        .filter(|it| it.kind == HEADERS && it.ends_stream())
        .take(held)
        .count();
    assert_eq!(ended, held);
    raw.send(&call(1001, "ExecuteFunction", &big_request()))
        .unwrap();
    assert!(!raw.next_of(HEADERS, 1001).expect("an answer").ends_stream());
}

fn answers_of_which_a_byte_is_left_count_whole() {
    let (agent, _channels, client) = plain(Keepalive::default());
    assert!(client.health().is_ok());
    let before = resident();
    // All but some bytes of each.
    let window = u32::try_from(BIG - 1000).unwrap();
    let mut raw = Raw::client_with(&agent.address, &setting(4, window));
    raw.send(&frame(WINDOW_UPDATE, 0, 0, &0x7fff_0000u32.to_be_bytes()))
        .unwrap();
    let mut refused = 0;
    for stream in streams().take(20) {
        raw.send(&call(stream, "ExecuteFunction", &big_request()))
            .unwrap();
        if raw
            .next_of(HEADERS, stream)
            .expect("an answer")
            .ends_stream()
        {
            refused += 1;
            continue;
        }
        let mut taken = 0;
        while taken < window as usize {
            let data = raw.next_of(DATA, stream).expect("an answer");
            taken += data.payload.len();
        }
    }
    assert!(
        20 - refused <= HELD_MOST / BIG,
        "{refused} of 20 were refused"
    );
    grew_at_most(before, HELD_MOST + SLACK);
}

fn follow(name: &str) -> proto::FollowRequest {
    proto::FollowRequest {
        execution_id: name.to_owned(),
        offset: 0,
    }
}

#[track_caller]
fn follower_left(agent: &Agent, within: Duration) {
    let seen = agent.seen.recv_timeout(within);
    assert!(
        matches!(seen, Ok(Seen::FollowerLeft)),
        "its thread still waits"
    );
}

/// Starts to follow something that says more than any socket takes, and reads none of it.
fn unread_follower(agent: &Agent) -> Raw {
    let mut raw = Raw::client_with(&agent.address, &setting(4, 0x7fff_ffff));
    raw.send(&frame(WINDOW_UPDATE, 0, 0, &0x7fff_0000u32.to_be_bytes()))
        .unwrap();
    raw.send(&call(1, "FollowExecution", &follow("flood")))
        .unwrap();
    raw
}

fn who_never_reads_and_is_silent_lets_go_of_its_followers() {
    let (agent, _channels, client) = plain(QUICK);
    let raw = unread_follower(&agent);
    follower_left(&agent, NOTICED_WITHIN);
    assert!(client.health().is_ok());
    drop(raw);
}

fn who_never_reads_but_speaks_lets_go_of_its_followers() {
    let (agent, _channels, client) = plain(QUICK);
    let mut raw = unread_follower(&agent);
    let seen = (0..).find_map(|_| {
        // Not too often for the server, and often enough for it to hear something.
        let seen = agent.seen.recv_timeout(2 * QUICK.tolerated);
        let is_open = raw.send(&frame(PING, 0, 0, &[0; 8])).is_ok();
        (seen.is_ok() || !is_open).then_some(seen.ok())
    });
    if seen.flatten().is_none() {
        follower_left(&agent, NOTICED_WITHIN);
    }
    assert!(client.health().is_ok());
}

fn who_is_silent_after_its_requests_lets_go_of_them() {
    let (agent, _channels, client) = plain(QUICK);
    let mut raw = Raw::client(&agent.address);
    raw.send(&call(1, "FollowExecution", &follow("silent")))
        .unwrap();
    follower_left(&agent, NOTICED_WITHIN);
    assert!(raw.is_closed_within(NOTICED_WITHIN));
    assert!(client.health().is_ok());
}

fn calls_without_an_end_keep_nobody_from_being_served() {
    let (agent, _channels, client) = plain(Keepalive::default());
    let mut raw = Raw::client(&agent.address);
    for stream in streams().take(4000) {
        let begun = frame(DATA, 0, stream, &[0, 0, 0, 1, 0, 7]);
        raw.send(&[request_head(stream, "HealthCheck"), begun].concat())
            .unwrap();
    }
    assert!(client.health().is_ok());
    raw.send(&call(8001, "HealthCheck", &proto::HealthCheckRequest {}))
        .unwrap();
    assert!(!raw.next_of(HEADERS, 8001).expect("an answer").ends_stream());
}

fn a_call_whose_time_is_over_is_reset_and_its_work_told() {
    let (agent, _channels, _client) = plain(Keepalive::default());
    let mut raw = Raw::client(&agent.address);
    let mut block = super::raw::request_block("FollowExecution");
    block.extend(super::raw::field("grpc-timeout", "300m"));
    let message = message_of(&prost::Message::encode_to_vec(&follow("silent")));
    let head = frame(HEADERS, super::raw::END_HEADERS, 1, &block);
    raw.send(&[head, frame(DATA, END_STREAM, 1, &message)].concat())
        .unwrap();
    follower_left(&agent, PATIENCE);
    assert!(raw.next_of(super::raw::RST, 1).is_some());
}
