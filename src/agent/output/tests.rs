//! Recording, reading, following and finding again.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;

use super::follow::Follower;
use super::log::CHANGE_COST_BYTES;
use super::{FollowItem, OutputLog, clear_orphans, create_spool_dir, delete};
use crate::base::cancel::{Cancel, pair};
use crate::base::threads::Supervisor;
use crate::base::units::Mib;
use crate::model::ids::ExecutionId;
use crate::model::output::Stream::{self, Stderr, Stdout};

/// As agents that are configured for nothing else.
const DEFAULT_CAP_BYTES: u64 = Mib(8).bytes();
/// Longer than any of these tests takes: whoever waits this long was not woken.
const FOR_EVER: Option<Duration> = Some(Duration::from_secs(60));

struct Fixture {
    spool: TempDir,
    id: ExecutionId,
    log: OutputLog,
}

fn fixture(cap: u64) -> Fixture {
    let spool = tempfile::tempdir().expect("tempdir");
    let id = ExecutionId::generate();
    let log = OutputLog::create(spool.path(), &id, cap);
    Fixture { spool, id, log }
}

impl Fixture {
    fn reopen(&self) -> OutputLog {
        OutputLog::reopen(self.spool.path(), &self.id).expect("reopen")
    }

    fn files(&self) -> Vec<String> {
        names(self.spool.path())
    }

    fn file_length(&self, extension: &str) -> u64 {
        let path = self.spool.path().join(format!("{}.{extension}", self.id));
        fs::metadata(path).expect("stat").len()
    }
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .expect("list")
        .map(|entry| {
            entry
                .expect("entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    names.sort();
    names
}

fn merged(log: &OutputLog) -> Vec<u8> {
    log.read_merged(0, u64::MAX).expect("read").data
}

fn stream(log: &OutputLog, stream: Stream) -> Vec<u8> {
    log.read_stream(stream, 0, u64::MAX).expect("read").data
}

fn follow_to_the_end(mut follower: Follower) -> Vec<(Stream, u64, u64, Vec<u8>)> {
    let mut chunks = Vec::new();
    loop {
        match follower.next(FOR_EVER, &Cancel::never()).expect("follow") {
            FollowItem::Chunk(chunk) => {
                chunks.push((chunk.stream, chunk.offset, chunk.stream_offset, chunk.data));
            }
            FollowItem::Ended => return chunks,
            item @ (FollowItem::TimedOut | FollowItem::Cancelled) => panic!("{item:?}"),
        }
    }
}

#[test]
fn output_keeps_its_order_and_each_stream_its_own_offsets() {
    let fixture = fixture(DEFAULT_CAP_BYTES);
    let log = &fixture.log;
    for (stream, text) in [
        (Stdout, "one "),
        (Stdout, "two "),
        (Stderr, "oops "),
        (Stdout, "three "),
        (Stderr, "again"),
    ] {
        log.append(stream, text.as_bytes());
    }
    assert_eq!(merged(log), b"one two oops three again");
    assert_eq!(stream(log, Stdout), b"one two three ");
    assert_eq!(stream(log, Stderr), b"oops again");
    let page = log.read_merged(4, 6).expect("read");
    assert_eq!(
        (page.data.as_slice(), page.total, page.ended),
        (&b"two oo"[..], 24, false)
    );
    // Across a piece of the other stream.
    let page = log.read_stream(Stdout, 6, 4).expect("read");
    assert_eq!((page.data.as_slice(), page.total), (&b"o th"[..], 14));
    let page = log.read_stream(Stderr, 10, 5).expect("read");
    assert_eq!((page.data.as_slice(), page.total), (&b""[..], 10));
    assert_eq!(log.read_merged(1000, 5).expect("read").data, b"");
    log.finish();
    assert!(log.read_merged(0, 0).expect("read").ended);
    assert_eq!(
        follow_to_the_end(log.follow(5)),
        [
            (Stdout, 5, 5, b"wo ".to_vec()),
            (Stderr, 8, 0, b"oops ".to_vec()),
            (Stdout, 13, 8, b"three ".to_vec()),
            (Stderr, 19, 5, b"again".to_vec()),
        ]
    );
}

#[test]
fn files_are_made_with_their_first_byte_and_stdout_alone_needs_no_index() {
    let fixture = fixture(DEFAULT_CAP_BYTES);
    fixture.log.append(Stdout, b"");
    assert_eq!(fixture.files(), [""; 0]);
    fixture.log.append(Stdout, b"x");
    assert_eq!(fixture.files(), [format!("{}.out", fixture.id)]);
    fixture.log.append(Stderr, b"x");
    assert_eq!(
        fixture.files(),
        [format!("{}.idx", fixture.id), format!("{}.out", fixture.id)]
    );
}

#[test]
fn stderr_that_speaks_first_is_stderr() {
    let fixture = fixture(DEFAULT_CAP_BYTES);
    fixture.log.append(Stderr, b"err");
    fixture.log.append(Stdout, b"out");
    for log in [fixture.log.clone(), fixture.reopen()] {
        assert_eq!(stream(&log, Stderr), b"err");
        assert_eq!(stream(&log, Stdout), b"out");
    }
}

#[test]
fn beyond_the_cap_the_head_is_kept_and_the_rest_is_counted() {
    let fixture = fixture(10);
    let log = &fixture.log;
    log.append(Stdout, b"1234567");
    assert!(!log.totals().truncated);
    log.append(Stdout, b"89abc");
    log.append(Stdout, b"def");
    log.append(Stderr, b"error");
    log.finish();
    assert_eq!(merged(log), b"123456789a");
    let totals = log.totals();
    assert_eq!((totals.stdout_bytes, totals.stderr_bytes), (15, 5));
    assert_eq!(
        (totals.recorded_stdout_bytes, totals.recorded_stderr_bytes),
        (10, 0)
    );
    assert!(totals.truncated && totals.ended);
    assert_eq!(fixture.file_length("out"), 10);
}

#[test]
fn output_that_fills_the_cap_exactly_is_not_truncated() {
    let fixture = fixture(10);
    fixture.log.append(Stdout, b"1234567890");
    assert!(!fixture.log.totals().truncated);
    fixture.log.append(Stdout, b"!");
    assert!(fixture.log.totals().truncated);
}

#[test]
fn alternating_single_bytes_are_bounded_on_disk_and_read_back() {
    const CAP: u64 = 17_000;
    let fixture = fixture(CAP);
    for number in 0..CAP {
        let stream = if number % 2 == 0 { Stderr } else { Stdout };
        fixture
            .log
            .append(stream, &[b'a' + u8::try_from(number % 26).expect("letter")]);
    }
    let recorded = CAP / (1 + CHANGE_COST_BYTES);
    assert_eq!(fixture.file_length("out"), recorded);
    assert_eq!(fixture.file_length("idx"), recorded * 9);
    assert!(fixture.log.totals().truncated);
    assert_eq!(fixture.log.totals().stdout_bytes, CAP / 2);
    let expected = |first: u64| -> Vec<u8> {
        (first..recorded)
            .step_by(2)
            .map(|number| b'a' + u8::try_from(number % 26).expect("letter"))
            .collect()
    };
    for log in [fixture.log.clone(), fixture.reopen()] {
        assert_eq!(stream(&log, Stderr), expected(0));
        assert_eq!(stream(&log, Stdout), expected(1));
    }
}

#[test]
fn one_stream_is_picked_out_of_long_pieces_of_both() {
    let fixture = fixture(DEFAULT_CAP_BYTES);
    let piece = |number: u8| vec![number; 100_000 + usize::from(number) * 1000];
    for number in 0..8 {
        let stream = if number % 2 == 0 { Stdout } else { Stderr };
        fixture.log.append(stream, &piece(number));
    }
    let expected: Vec<u8> = [1, 3, 5, 7].into_iter().flat_map(piece).collect();
    assert_eq!(stream(&fixture.log, Stderr), expected);
    let page = fixture
        .log
        .read_stream(Stderr, 90_000, 200_000)
        .expect("read");
    assert_eq!(page.data, expected[90_000..290_000]);
}

#[test]
fn a_follower_is_woken_by_an_append_and_by_the_end() {
    let fixture = fixture(DEFAULT_CAP_BYTES);
    let supervisor = Supervisor::new();
    let (send, received) = mpsc::channel();
    let mut follower = fixture.log.follow(0);
    let thread = supervisor
        .spawn("follower", move || {
            loop {
                let item = follower.next(FOR_EVER, &Cancel::never()).expect("follow");
                let is_last = item == FollowItem::Ended;
                send.send(item).expect("somebody listens");
                if is_last {
                    return;
                }
            }
        })
        .expect("thread");
    for number in 0..100u8 {
        fixture.log.append(Stdout, &[number]);
        let item = received
            .recv_timeout(Duration::from_secs(10))
            .expect("woken");
        assert!(matches!(item, FollowItem::Chunk(chunk) if chunk.data == [number]));
    }
    fixture.log.finish();
    let item = received
        .recv_timeout(Duration::from_secs(10))
        .expect("woken");
    assert_eq!(item, FollowItem::Ended);
    thread.join();
}

#[test]
fn a_follower_waits_no_longer_than_told_and_stops_when_cancelled() {
    let fixture = fixture(DEFAULT_CAP_BYTES);
    let mut follower = fixture.log.follow(0);
    let soon = Some(Duration::from_millis(1));
    assert_eq!(
        follower.next(soon, &Cancel::never()).expect("follow"),
        FollowItem::TimedOut
    );
    let (trigger, cancel) = pair();
    let supervisor = Supervisor::new();
    let thread = supervisor
        .spawn("canceller", move || trigger.pull())
        .expect("thread");
    assert_eq!(
        follower.next(FOR_EVER, &cancel).expect("follow"),
        FollowItem::Cancelled
    );
    thread.join();
    fixture.log.append(Stdout, b"later");
    let item = follower.next(FOR_EVER, &Cancel::never()).expect("follow");
    assert!(matches!(item, FollowItem::Chunk(chunk) if chunk.data == b"later"));
}

#[test]
fn followers_at_any_pace_see_the_same_bytes_without_gap_or_overlap() {
    let fixture = fixture(DEFAULT_CAP_BYTES);
    let supervisor = Supervisor::new();
    let (send, received) = mpsc::channel();
    let followers: Vec<_> = (0..3u64)
        .map(|number| {
            let follower = fixture.log.follow(number * 1000);
            let send = send.clone();
            supervisor
                .spawn("follower", move || {
                    send.send((number, follow_to_the_end(follower)))
                        .expect("somebody listens");
                })
                .expect("thread")
        })
        .collect();
    for number in 0..2000u32 {
        let stream = if number % 3 == 0 { Stderr } else { Stdout };
        fixture
            .log
            .append(stream, format!("{number:05} ").repeat(20).as_bytes());
    }
    fixture.log.finish();
    drop(followers);
    assert_eq!(supervisor.first_panic(), None);
    let all = merged(&fixture.log);
    for _ in 0..3 {
        let (number, chunks) = received.recv().expect("sent");
        let mut offset = number * 1000;
        let mut by_stream = [Vec::new(), Vec::new()];
        for (stream, at, stream_at, data) in chunks {
            assert_eq!(at, offset);
            assert!(!data.is_empty() && data.len() <= 64 * 1024);
            offset += data.len() as u64;
            let own = &mut by_stream[usize::from(stream == Stderr)];
            if number == 0 {
                assert_eq!(stream_at, own.len() as u64);
            }
            own.extend(data);
        }
        assert_eq!(offset, all.len() as u64);
        if number == 0 {
            assert_eq!(by_stream[0], stream(&fixture.log, Stdout));
            assert_eq!(by_stream[1], stream(&fixture.log, Stderr));
        }
    }
}

#[test]
fn a_log_that_nobody_finished_is_found_again_also_with_a_torn_index() {
    let fixture = fixture(DEFAULT_CAP_BYTES);
    fixture.log.append(Stdout, b"out ");
    fixture.log.append(Stderr, b"err ");
    fixture.log.append(Stdout, b"more");
    // The next entry was being written when the agent died.
    let index = fixture.spool.path().join(format!("{}.idx", fixture.id));
    let mut torn = fs::read(&index).expect("read");
    torn.extend([12, 0, 0]);
    crate::base::atomic_file::write(&index, &torn, 0o600).expect("write");
    let log = fixture.reopen();
    assert_eq!(merged(&log), b"out err more");
    assert_eq!(stream(&log, Stderr), b"err ");
    assert_eq!(log.totals().stdout_bytes, 8);
    assert!(log.totals().ended);
    assert_eq!(follow_to_the_end(log.follow(4)).len(), 2);
}

#[test]
fn what_comes_after_the_end_is_not_recorded() {
    let fixture = fixture(DEFAULT_CAP_BYTES);
    fixture.log.append(Stdout, b"in time");
    fixture.log.finish();
    fixture.log.append(Stdout, b"too late");
    assert_eq!(merged(&fixture.log), b"in time");
    assert!(fixture.log.totals().truncated);
}

#[test]
fn a_disk_that_refuses_truncates_the_output_and_nothing_more() {
    let fixture = fixture(DEFAULT_CAP_BYTES);
    fs::remove_dir(fixture.spool.path()).expect("rmdir");
    fixture.log.append(Stdout, b"lost");
    fs::create_dir(fixture.spool.path()).expect("mkdir");
    fixture.log.append(Stdout, b"lost too");
    fixture.log.finish();
    let totals = fixture.log.totals();
    assert!(totals.truncated);
    assert_eq!((totals.stdout_bytes, totals.recorded_stdout_bytes), (12, 0));
    assert_eq!(merged(&fixture.log), b"");
    assert_eq!(follow_to_the_end(fixture.log.follow(0)), []);
}

#[test]
fn an_index_that_cannot_be_written_keeps_what_came_before() {
    let fixture = fixture(DEFAULT_CAP_BYTES);
    let index = fixture.spool.path().join(format!("{}.idx", fixture.id));
    fixture.log.append(Stdout, b"kept");
    fs::create_dir(&index).expect("mkdir");
    fixture.log.append(Stderr, b"refused with its index entry");
    fixture.log.append(Stdout, b"and after");
    let totals = fixture.log.totals();
    assert!(totals.truncated);
    assert_eq!((totals.stdout_bytes, totals.stderr_bytes), (13, 28));
    assert_eq!(merged(&fixture.log), b"kept");
}

#[test]
fn deleting_is_repeatable_and_orphans_are_cleared_by_their_ids() {
    let spool = tempfile::tempdir().expect("tempdir");
    create_spool_dir(spool.path()).expect("create");
    let ids: Vec<_> = (0..3).map(|_| ExecutionId::generate()).collect();
    for id in &ids {
        let log = OutputLog::create(spool.path(), id, DEFAULT_CAP_BYTES);
        log.append(Stderr, b"x");
    }
    crate::base::atomic_file::write(&spool.path().join("notes.txt"), b"x", 0o600).expect("write");
    delete(spool.path(), &ids[0]).expect("delete");
    delete(spool.path(), &ids[0]).expect("delete again");
    let known = HashSet::from([ids[1].clone()]);
    assert_eq!(clear_orphans(spool.path(), &known).expect("clear"), 2);
    assert_eq!(
        names(spool.path()),
        [
            format!("{}.idx", ids[1]),
            format!("{}.out", ids[1]),
            "notes.txt".to_owned()
        ]
    );
    let gone = OutputLog::reopen(spool.path(), &ids[2]).expect("reopen");
    assert_eq!(merged(&gone), b"");
}
