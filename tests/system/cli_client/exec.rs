//! `flux exec` and what follows an execution.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::double::{Double, EVENTS_HEAD, send};
use super::flux::Flux;
use crate::runner::tests;

tests![
    output_goes_where_the_function_wrote_it_and_its_exit_code_is_ours,
    a_cut_connection_is_taken_up_again_and_no_byte_is_lost_or_doubled,
    arguments_environment_timeout_and_key_arrive,
    standard_input_arrives_as_the_bytes_it_is,
    standard_input_beside_an_environment_is_a_text_or_refused,
    ctrl_c_cancels_the_execution_and_ends_with_130,
    a_reader_that_goes_away_cancels_the_execution_quietly,
    every_other_end_has_its_own_code_and_a_remark,
    what_flux_itself_refuses_is_125_and_an_unknown_function_127,
    json_shows_the_record_instead_of_the_output,
    an_execution_id_that_is_none_is_never_put_into_a_path,
    logs_follow_one_stream_to_the_end,
    logs_so_far_are_read_in_as_many_parts_as_they_come,
    events_are_shown_as_they_came_one_a_line,
    output_that_is_sent_as_text_alone_is_output,
    an_event_that_is_not_flux_s_ends_the_following,
];

const START: &str = "POST /execute/hello/async";
const EVENTS: &str = "GET /executions/e1/events";
/// A deadline for what should come at once.
const PATIENCE: Duration = Duration::from_secs(20);

fn accepted() -> Value {
    json!({"status": "accepted", "execution_id": "e1"})
}

fn started() -> (Double, Flux) {
    let double = Double::start();
    double.json(START, 202, accepted());
    let flux = Flux::at(double.url());
    (double, flux)
}

fn output(stream: &str, offset: u64, data: &str) -> String {
    let encoded = openssl::base64::encode_block(data.as_bytes());
    let event =
        json!({"stream": stream, "offset": offset, "stream_offset": 0, "data_base64": encoded});
    let end = offset + data.len() as u64;
    format!("event: output\nid: {end}\ndata: {event}\n\n")
}

fn ended(record: &Value) -> String {
    format!("event: ended\ndata: {record}\n\n")
}

fn exited(code: i32) -> Value {
    json!({"execution_id": "e1", "status": "failed", "reason": "exited", "exit_code": code})
}

fn output_goes_where_the_function_wrote_it_and_its_exit_code_is_ours() {
    let (double, flux) = started();
    let events = [
        output("stdout", 0, "out\n"),
        output("stderr", 4, "err\n"),
        ended(&exited(42)),
    ];
    double.events(EVENTS, &events.concat());
    let ran = flux.run(&["exec", "hello"]).exits(42);
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        ("out\n", "err\n")
    );
    let requests = double.requests();
    assert_eq!(requests[0].json(), json!({}));
    assert_eq!(requests[0].header("x-api-key"), Some("a-key-for-tests"));
    assert_eq!(requests[1].header("last-event-id"), None);
}

fn a_cut_connection_is_taken_up_again_and_no_byte_is_lost_or_doubled() {
    let (double, flux) = started();
    let half = "event: output\nid: 9\ndata: {\"stream\":\"std";
    double.events(
        EVENTS,
        &[
            output("stdout", 0, "one "),
            output("stdout", 4, "two "),
            half.to_owned(),
        ]
        .concat(),
    );
    double.json(
        EVENTS,
        503,
        json!({"error": {"code": "store_down", "message": "m"}}),
    );
    let overlap = [
        output("stdout", 4, "two three "),
        output("stdout", 14, "four\n"),
        ended(&exited(0)),
    ];
    double.events(EVENTS, &overlap.concat());
    let ran = flux.run(&["exec", "hello"]).exits(0);
    assert_eq!(ran.stdout, "one two three four\n");
    let ids: Vec<_> = double.requests()[1..]
        .iter()
        .map(|request| request.header("last-event-id").map(str::to_owned))
        .collect();
    assert_eq!(ids, [None, Some("8".to_owned()), Some("8".to_owned())]);
}

fn arguments_environment_timeout_and_key_arrive() {
    let (double, flux) = started();
    let ran = flux
        .run(&[
            "exec",
            "hello",
            "--async",
            "--env",
            "A=b=c",
            "--timeout",
            "30s",
            "--idempotency-key",
            "once",
            "--",
            "--top",
            "5 ü",
        ])
        .exits(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("e1\n", ""));
    let request = &double.requests()[0];
    assert_eq!(
        request.json(),
        json!({"args": ["--top", "5 ü"], "env": {"A": "b=c"}})
    );
    assert_eq!(request.header("x-flux-timeout"), Some("30s"));
    assert_eq!(request.header("idempotency-key"), Some("once"));
}

fn standard_input_arrives_as_the_bytes_it_is() {
    let double = Double::start();
    double.json(
        "POST /execute/hello/async?arg=--top&arg=a%20b",
        202,
        accepted(),
    );
    let flux = Flux::at(double.url());
    let stdin = b"any\0\xff bytes";
    flux.run_with_stdin(
        &[
            "exec", "hello", "--async", "--stdin", "-", "--", "--top", "a b",
        ],
        stdin,
    )
    .exits(0);
    let request = &double.requests()[0];
    assert_eq!(request.body, stdin);
    assert_eq!(
        request.header("content-type"),
        Some("application/octet-stream")
    );
}

fn standard_input_beside_an_environment_is_a_text_or_refused() {
    let (double, flux) = started();
    let args = ["exec", "hello", "--async", "--stdin", "-", "--env", "A=1"];
    flux.run_with_stdin(&args, b"\xff").exits(2);
    flux.run_with_stdin(&args, b"text\n").exits(0);
    let body = double.requests()[0].json();
    assert_eq!(body, json!({"env": {"A": "1"}, "stdin": "text\n"}));
}

fn ctrl_c_cancels_the_execution_and_ends_with_130() {
    let (double, flux) = started();
    let (cancelled, is_cancelled) = flux::base::cancel::pair();
    double.on(EVENTS, move |stream| {
        send(stream, EVENTS_HEAD);
        send(stream, &output("stdout", 0, "working\n"));
        assert!(is_cancelled.wait_timeout(PATIENCE), "no cancel came");
        send(
            stream,
            &ended(&json!({"execution_id": "e1", "status": "cancelled", "reason": "cancelled"})),
        );
    });
    double.on("DELETE /executions/e1", move |stream| {
        send(
            stream,
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"status\":\"cancelled\",\"execution_id\":\"e1\"}",
        );
        cancelled.pull();
    });
    let mut child = flux
        .command(["exec", "hello"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("flux starts");
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    stdout.read_line(&mut line).expect("live output");
    assert_eq!(line, "working\n");
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).expect("signalled");
    let status = child.wait().expect("flux ends");
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .expect("a pipe")
        .read_to_string(&mut stderr)
        .expect("UTF-8");
    assert_eq!(status.code(), Some(130), "{stderr}");
    assert_eq!(
        stderr,
        "flux: cancelling e1; another Ctrl-C leaves it behind\nflux: cancelled\n"
    );
    double.requests();
}

fn a_reader_that_goes_away_cancels_the_execution_quietly() {
    let (double, flux) = started();
    double.events(EVENTS, &output("stdout", 0, "nobody reads this\n"));
    let cancelled = json!({"status": "cancelled", "execution_id": "e1"});
    double.json("DELETE /executions/e1", 200, cancelled);
    let ran = flux.run_unread(&["exec", "hello"]);
    assert_eq!(ran.exits(141).stderr, "");
    double.requests();
}

fn every_other_end_has_its_own_code_and_a_remark() {
    for (record, code, remark) in [
        (
            json!({"reason": "timed_out", "error": "after 30s"}),
            124,
            "timeout: after 30s",
        ),
        (json!({"reason": "out_of_memory"}), 137, "memory"),
        (
            json!({"reason": "out_of_disk", "error": "used 65 MiB"}),
            137,
            "disk space: used 65 MiB",
        ),
        (
            json!({"reason": "signalled", "signal": 11}),
            139,
            "signal 11",
        ),
        (json!({"reason": "lost"}), 125, "lost"),
        (
            json!({"reason": "spawn_failed", "error": "no such file"}),
            126,
            "no such file",
        ),
        (json!({"reason": "cancelled"}), 130, "cancelled"),
    ] {
        let (double, flux) = started();
        let mut whole = json!({"execution_id": "e1", "status": "failed"});
        let parts = record.as_object().expect("an object").clone();
        whole.as_object_mut().expect("an object").extend(parts);
        double.events(EVENTS, &ended(&whole));
        let ran = flux.run(&["exec", "hello"]).exits(code);
        assert!(ran.stderr.contains(remark), "{ran:?}");
    }
}

fn what_flux_itself_refuses_is_125_and_an_unknown_function_127() {
    let refuse = |status: u16, code: &str| {
        let double = Double::start();
        let error = json!({"error": {"code": code, "message": "the message", "hint": "the hint"}});
        double.json(START, status, error);
        Flux::at(double.url()).run(&["exec", "hello"])
    };
    let ran = refuse(404, "function_not_found").exits(127);
    assert_eq!(
        ran.stderr,
        "flux: the message (function_not_found, HTTP 404)\nhint: the hint\n"
    );
    refuse(429, "no_room").exits(125);
    refuse(401, "unauthorized").exits(125);
    Flux::at("http://127.0.0.1:1".to_owned())
        .run(&["exec", "hello"])
        .exits(125);
    Flux::without_target().run(&["exec", "hello"]).exits(2);
}

fn json_shows_the_record_instead_of_the_output() {
    let (double, flux) = started();
    double.events(
        EVENTS,
        &[output("stdout", 0, "out\n"), ended(&exited(3))].concat(),
    );
    let record = json!({"execution_id": "e1", "status": "failed", "reason": "exited",
        "exit_code": 3, "output": "out\n", "news": 1});
    double.json("GET /executions/e1", 200, record.clone());
    let ran = flux.run(&["exec", "hello", "--json"]).exits(3);
    assert_eq!(ran.stdout, format!("{record:#}\n"));
}

fn an_execution_id_that_is_none_is_never_put_into_a_path() {
    let double = Double::start();
    let answer = json!({"status": "accepted", "execution_id": "../agents"});
    double.json(START, 202, answer);
    Flux::at(double.url()).run(&["exec", "hello"]).exits(125);
    assert_eq!(double.requests().len(), 1);
}

fn logs_follow_one_stream_to_the_end() {
    let double = Double::start();
    let events = [
        output("stdout", 0, "out\n"),
        output("stderr", 4, "err\n"),
        ended(&exited(1)),
    ];
    double.events(EVENTS, &events.concat());
    let flux = Flux::at(double.url());
    let ran = flux
        .run(&["logs", "e1", "--follow", "--stream", "stderr"])
        .exits(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", "err\n"));
}

fn events_are_shown_as_they_came_one_a_line() {
    let double = Double::start();
    let chunk = json!({"stream": "stdout", "offset": 0, "stream_offset": 0, "data_base64": "aGkK",
        "data": "hi\n", "news": 1});
    let record = json!({"execution_id": "e1", "status": "success", "news": 2});
    let events = format!(
        "event: output\nid: 3\ndata: {chunk}\n\nevent: news\ndata: 1\n\n{}",
        ended(&record)
    );
    double.events(EVENTS, &events);
    let ran = Flux::at(double.url())
        .run(&["logs", "e1", "--follow", "--json"])
        .exits(0);
    assert_eq!(ran.stdout, format!("{chunk}\n{record}\n"));
}

fn output_that_is_sent_as_text_alone_is_output() {
    let (double, flux) = started();
    let chunk = json!({"stream": "stdout", "offset": 0, "data": "hi\n"});
    let events = format!(
        "event: output\nid: 3\ndata: {chunk}\n\n{}",
        ended(&exited(0))
    );
    double.events(EVENTS, &events);
    assert_eq!(flux.run(&["exec", "hello"]).exits(0).stdout, "hi\n");
}

fn an_event_that_is_not_flux_s_ends_the_following() {
    for (event, message) in [
        (
            "event: output\nid: 3\ndata: {\"stream\": \"stdout\"}\n\n",
            "an event \"output\" cannot be read: missing field `offset`",
        ),
        (
            "event: output\nid: 3\ndata: {\"stream\": \"video\", \"offset\": 0}\n\n",
            "event 3 holds no output that can be decoded",
        ),
        (
            "event: ended\ndata: {\"status\": \"success\"}\n\n",
            "an event \"ended\" cannot be read: missing field `execution_id`",
        ),
    ] {
        let (double, flux) = started();
        double.events(EVENTS, event);
        let ran = flux.run(&["exec", "hello"]).exits(125);
        assert!(ran.stderr.contains(message), "{ran:?}");
    }
}

fn logs_so_far_are_read_in_as_many_parts_as_they_come() {
    let double = Double::start();
    for (offset, body) in [(0, "one "), (4, "two\n"), (8, "")] {
        double.on(&format!("GET /executions/e1/output?offset={offset}&stream=stdout"), move |stream| {
            let length = body.len();
            send(stream, &format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"));
        });
    }
    let ran = Flux::at(double.url())
        .run(&["logs", "e1", "--stream", "stdout"])
        .exits(0);
    assert_eq!(ran.stdout, "one two\n");
    double.requests();
}
