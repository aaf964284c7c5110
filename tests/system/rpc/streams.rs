//! Releases going out in pieces, events coming in.

use std::io::{self, Cursor, Read};
use std::time::{Duration, Instant};

use flux::base::cancel::{Cancel, pair as token_pair};
use flux::model::execution::Status;
use flux::model::function::Code;
use flux::model::ids::{Digest, FunctionName};
use flux::rpc::RpcError;
use flux::rpc::follow::{Follower, Next};
use flux::rpc::release::OutgoingRelease;
use flux::wire::error::ErrorKind;
use flux::wire::output::FollowEvent;
use flux::wire::watch::WatchEvent;

use super::double::{REMARK, Seen};
use super::fixture::{PATIENCE, Pair, execution, function, pair, within};
use crate::runner::tests;

tests![
    a_release_larger_than_any_message_arrives_in_pieces,
    an_archive_of_another_length_than_announced_is_refused,
    an_agent_that_refuses_early_stops_the_sending_with_its_reason,
    an_archive_that_cannot_be_read_leaves_nothing_installed,
    a_follower_gets_output_from_its_offset_and_then_one_record,
    following_what_is_not_there_is_a_typed_refusal,
    a_failure_in_the_middle_of_a_stream_arrives_as_its_kind,
    a_wait_for_an_event_ends_by_token_or_deadline_and_can_go_on,
    a_watched_feed_tells_what_runs_then_what_ends_and_ends_with_its_watcher,
    a_follower_that_leaves_frees_the_agent_even_while_nothing_is_sent,
    a_slow_follower_holds_the_agent_back_instead_of_filling_its_memory,
    a_server_that_shuts_down_lets_go_of_its_followers,
];

const LARGE: usize = 60 << 20;

fn push(
    pair: &Pair,
    name: &FunctionName,
    announced: usize,
    archive: &[u8],
) -> Result<String, RpcError> {
    let code = Code {
        version: 4,
        digest: Digest::from_sha256([7; 32]),
    };
    let release = OutgoingRelease {
        function: name,
        code: &code,
        size_bytes: announced as u64,
        config: None,
    };
    pair.client
        .push_release(&release, || Ok(Cursor::new(archive)))
}

fn a_release_larger_than_any_message_arrives_in_pieces() {
    let pair = pair();
    let archive: Vec<u8> = (0..LARGE).map(|i| (i % 241) as u8).collect();
    let remark = push(&pair, &function("resize"), LARGE, &archive).unwrap();
    assert_eq!(remark, REMARK);
    let Seen::Installed(header, bytes) = pair.agent.next_seen() else {
        panic!("not installed");
    };
    assert_eq!((header.code.version, header.size_bytes), (4, LARGE as u64));
    assert!(bytes == archive);
    push(&pair, &function("empty"), 0, b"").unwrap();
}

fn an_archive_of_another_length_than_announced_is_refused() {
    let pair = pair();
    let archive = vec![0; 3 << 20];
    for announced in [archive.len() - 1, archive.len() + 1, 0] {
        let error = push(&pair, &function("f"), announced, &archive).expect_err("refused");
        let refusal = error.refusal().unwrap_or_else(|| panic!("{error:?}"));
        assert_eq!(refusal.kind, ErrorKind::ArchiveRefused);
    }
}

fn an_agent_that_refuses_early_stops_the_sending_with_its_reason() {
    let pair = pair();
    let archive = vec![0; LARGE];
    let error = push(&pair, &function("unwanted"), LARGE, &archive).expect_err("refused");
    assert_eq!(
        error.refusal().map(|refusal| refusal.kind),
        Some(ErrorKind::Storage),
        "{error:?}"
    );
}

fn an_archive_that_cannot_be_read_leaves_nothing_installed() {
    struct Broken(usize);
    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            if self.0 > 4 {
                return Err(io::ErrorKind::InvalidData.into());
            }
            Ok(buffer.len())
        }
    }
    let pair = pair();
    let code = Code {
        version: 1,
        digest: Digest::from_sha256([7; 32]),
    };
    let release = OutgoingRelease {
        function: &function("f"),
        code: &code,
        size_bytes: LARGE as u64,
        config: None,
    };
    let error = pair
        .client
        .push_release(&release, || Ok(Broken(0)))
        .expect_err("broken");
    assert!(matches!(error, RpcError::Source(_)), "{error:?}");
    // The connection goes on working, and nothing was installed before this.
    pair.client.remove_function(&function("marker")).unwrap();
    assert!(matches!(pair.agent.next_seen(), Seen::Removed(_)));
}

fn event(follower: &mut Follower) -> FollowEvent {
    match follower.next(&Cancel::never(), None).unwrap() {
        Next::Event(event) => event,
        other => panic!("{other:?}"),
    }
}

fn a_follower_gets_output_from_its_offset_and_then_one_record() {
    let pair = pair();
    let mut follower = pair.client.follow(&execution("talks"), 5).unwrap();
    for at in 5..8 {
        let FollowEvent::Output(chunk) = event(&mut follower) else {
            panic!("no output");
        };
        assert_eq!(
            (chunk.offset, chunk.data.as_slice()),
            (at, &[u8::try_from(at).unwrap()][..])
        );
    }
    let FollowEvent::Ended(record) = event(&mut follower) else {
        panic!("no record");
    };
    assert_eq!(record.status(), Status::Success);
    assert_eq!(follower.next(&Cancel::never(), None).unwrap(), Next::Over);
}

fn following_what_is_not_there_is_a_typed_refusal() {
    let pair = pair();
    let mut follower = pair.client.follow(&execution("unknown"), 0).unwrap();
    let error = follower.next(&Cancel::never(), None).expect_err("refused");
    assert_eq!(
        error.refusal().map(|r| r.kind),
        Some(ErrorKind::ExecutionNotFound),
        "{error:?}"
    );
}

fn a_failure_in_the_middle_of_a_stream_arrives_as_its_kind() {
    let pair = pair();
    let mut follower = pair.client.follow(&execution("breaks"), 0).unwrap();
    let error = loop {
        match follower.next(&Cancel::never(), None) {
            Ok(Next::Event(FollowEvent::Output(_))) => {}
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    assert_eq!(
        error.refusal().map(|r| r.kind),
        Some(ErrorKind::Storage),
        "{error:?}"
    );
}

fn a_wait_for_an_event_ends_by_token_or_deadline_and_can_go_on() {
    let pair = pair();
    let mut follower = pair.client.follow(&execution("silent"), 0).unwrap();
    event(&mut follower);
    let soon = Instant::now() + Duration::from_millis(30);
    assert_eq!(
        follower.next(&Cancel::never(), Some(soon)).unwrap(),
        Next::TimedOut
    );
    let (trigger, cancel) = token_pair();
    trigger.pull();
    assert_eq!(follower.next(&cancel, None).unwrap(), Next::Cancelled);
}

fn a_watched_feed_tells_what_runs_then_what_ends_and_ends_with_its_watcher() {
    let pair = pair();
    let (sender, events) = crossbeam_channel::unbounded();
    let watch = pair
        .client
        .watch(move |event| sender.send(event).is_ok())
        .expect("watch");
    let next = || {
        events
            .recv_timeout(PATIENCE)
            .expect("in time")
            .expect("event")
    };
    let (runs, echo) = (execution("runs"), function("echo"));
    assert_eq!(
        next(),
        WatchEvent::Running(vec![(runs.clone(), echo.clone())])
    );
    assert_eq!(next(), WatchEvent::Ended(runs, echo));
    drop(watch);
    assert!(matches!(pair.agent.next_seen(), Seen::FollowerLeft));
}

fn a_follower_that_leaves_frees_the_agent_even_while_nothing_is_sent() {
    for name in ["silent", "flood"] {
        let pair = pair();
        let mut follower = pair.client.follow(&execution(name), 0).unwrap();
        event(&mut follower);
        drop(follower);
        assert!(
            matches!(pair.agent.next_seen(), Seen::FollowerLeft),
            "{name}"
        );
    }
}

fn a_slow_follower_holds_the_agent_back_instead_of_filling_its_memory() {
    let pair = pair();
    let mut follower = pair.client.follow(&execution("flood"), 0).unwrap();
    let mut last = 0;
    for _ in 0..500 {
        let FollowEvent::Output(chunk) = event(&mut follower) else {
            panic!("no output");
        };
        assert_eq!(chunk.offset, last, "no gap");
        last += chunk.data.len() as u64;
    }
    assert!(pair.agent.seen.is_empty());
}

fn a_server_that_shuts_down_lets_go_of_its_followers() {
    let mut pair = pair();
    let mut follower = pair.client.follow(&execution("silent"), 0).unwrap();
    event(&mut follower);
    let serving = pair.agent.serving.take().unwrap();
    within(Duration::from_secs(10), || serving.shutdown(Duration::ZERO));
    let error = follower.next(&Cancel::never(), None).expect_err("cut off");
    assert!(matches!(error, RpcError::Interrupted { .. }), "{error:?}");
}
