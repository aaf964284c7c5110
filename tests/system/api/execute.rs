//! Executions that the caller waits for: what goes in, and every way of ending.

use serde_json::{Value, json};

use crate::api::plain::plain;
use crate::harness::{Reply, archive_of, function_yaml};
use crate::runner::tests;

tests![
    a_success_is_a_whole_record_and_is_found_afterwards,
    a_failing_function_answers_500_with_the_same_body_and_its_exit_code,
    a_function_ended_by_a_signal_says_which,
    a_handler_that_cannot_be_started_is_a_spawn_failure_with_its_cause,
    arguments_arrive_as_they_were_sent,
    an_argument_as_long_as_the_kernel_takes_arrives_whole,
    standard_input_arrives_and_is_at_its_end_when_there_is_none,
    standard_input_that_nobody_reads_holds_nothing_up,
    any_other_content_type_is_raw_standard_input_with_arguments_from_the_query,
    json_is_recognised_with_parameters_and_in_any_case,
    a_chunked_body_is_standard_input_like_any_other,
    shipped_files_are_readable_and_the_working_directory_is_private_and_writable,
    a_function_cannot_change_its_own_code,
    usage_and_duration_are_measured,
];

type Rule = fn(&Value) -> bool;

/// Every field of a record, and what it has to be.
pub fn is_record(record: &Value) {
    let fields: [(&str, Rule); 19] = [
        ("execution_id", is_text),
        ("agent_id", is_text),
        ("function_name", is_text),
        ("status", is_text),
        ("output", Value::is_string),
        ("error", Value::is_string),
        ("duration_ms", Value::is_u64),
        ("started_at", is_time),
        ("status_at", is_time),
        ("exit_code", |value| value.is_i64() || value.is_null()),
        ("reason", |value| value.is_string() || value.is_null()),
        ("signal", |value| value.is_i64() || value.is_null()),
        ("usage", Value::is_object),
        ("stdout_bytes", Value::is_u64),
        ("stderr_bytes", Value::is_u64),
        ("truncated", Value::is_boolean),
        ("function_version", Value::is_u64),
        ("queued_ms", Value::is_u64),
        ("execution_id", |id| id.as_str().map(str::len) == Some(36)),
    ];
    for (field, is_right) in fields {
        assert!(
            record.get(field).is_some_and(is_right),
            "{field} in {record}"
        );
    }
    for field in ["cpu_ms", "max_rss_mb", "io_read_bytes", "io_write_bytes"] {
        assert!(record["usage"][field].is_u64(), "{field} in {record}");
    }
    // A number only where somebody looked.
    let held = record["usage"].get("max_disk_bytes");
    assert!(
        held.is_some_and(|it| it.is_u64() || it.is_null()),
        "{record}"
    );
    assert_eq!(record.as_object().expect("object").len(), 18, "{record}");
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

fn is_time(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.starts_with("20") && text.ends_with('Z'))
}

/// The headers say what the record says.
#[track_caller]
fn has_headers(reply: &Reply) {
    let record = reply.json();
    assert_eq!(
        reply.header("x-flux-execution-id"),
        record["execution_id"].as_str()
    );
    assert_eq!(reply.header("x-flux-reason"), record["reason"].as_str());
}

fn a_success_is_a_whole_record_and_is_found_afterwards() {
    let fleet = plain();
    fleet.deploy_script("exe-success", "", "echo out; echo err >&2");
    let reply = fleet.execute("exe-success", &[]);
    let record = reply.expect(200);
    is_record(&record);
    has_headers(&reply);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(record["agent_id"], "agent-1");
    assert_eq!(record["function_name"], "exe-success");
    assert_eq!(record["status"], "success");
    assert_eq!(record["reason"], "exited");
    assert_eq!(
        (&record["exit_code"], &record["signal"]),
        (&json!(0), &Value::Null)
    );
    assert_eq!(record["error"], "");
    assert_eq!(
        (&record["stdout_bytes"], &record["stderr_bytes"]),
        (&json!(4), &json!(4))
    );
    assert_eq!(record["truncated"], false);
    assert_eq!(record["function_version"], 1);
    let id = record["execution_id"].as_str().expect("id");
    assert_eq!(
        fleet.api.get(&format!("/executions/{id}")).expect(200),
        record
    );
    let head = fleet
        .api
        .call("HEAD", &format!("/executions/{id}"), &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
}

fn a_failing_function_answers_500_with_the_same_body_and_its_exit_code() {
    let fleet = plain();
    fleet.deploy_script("exe-fails", "", "echo before; exit $1");
    for code in [1, 2, 42, 127, 255] {
        let reply = fleet.execute("exe-fails", &[&code.to_string()]);
        let record = reply.expect(500);
        is_record(&record);
        has_headers(&reply);
        assert_eq!(record["status"], "failed");
        assert_eq!(record["reason"], "exited");
        assert_eq!(record["exit_code"], code);
        assert_eq!(record["signal"], Value::Null);
        assert_eq!(record["output"], "before\n");
        assert_ne!(record["error"], "");
    }
}

fn a_function_ended_by_a_signal_says_which() {
    let fleet = plain();
    fleet.deploy_script("exe-signal", "", "kill -$1 $$; sleep 60");
    for (name, number) in [("SEGV", 11), ("KILL", 9), ("TERM", 15)] {
        let reply = fleet.execute("exe-signal", &[name]);
        let record = reply.expect(500);
        has_headers(&reply);
        assert_eq!(record["status"], "failed");
        assert_eq!(record["reason"], "signalled", "{record}");
        assert_eq!(record["signal"], number);
        assert_eq!(record["exit_code"], Value::Null);
    }
}

fn a_handler_that_cannot_be_started_is_a_spawn_failure_with_its_cause() {
    let fleet = plain();
    for (name, contents) in [
        ("exe-no-program", &b"#!/no/such/interpreter\n"[..]),
        ("exe-not-executable", b"\x7fELF but not really"),
    ] {
        fleet
            .api
            .put("/functions", function_yaml(name, "").as_bytes())
            .expect(201);
        let code = archive_of(&[("run", contents, true)]);
        fleet.api.put(&format!("/deploy/{name}"), &code).expect(200);
        let reply = fleet.execute(name, &[]);
        let record = reply.expect(500);
        is_record(&record);
        has_headers(&reply);
        assert_eq!(record["reason"], "spawn_failed", "{record}");
        assert_eq!(record["status"], "failed");
        assert_eq!(record["exit_code"], Value::Null);
        assert_ne!(record["error"], "");
    }
}

fn arguments_arrive_as_they_were_sent() {
    let fleet = plain();
    fleet.deploy_script("exe-args", "", "printf '<%s>' \"$#\" \"$@\"");
    let args = [
        "",
        "two words",
        "a\nb",
        "*",
        "$HOME",
        "'\"\\",
        "ä€😀",
        "-n",
        "--",
    ];
    let record = fleet.execute("exe-args", &args).expect(200);
    let expected: String = args.iter().map(|arg| format!("<{arg}>")).collect();
    assert_eq!(record["output"], format!("<9>{expected}"));
    let none = fleet
        .api
        .call("POST", "/execute/exe-args", &[], b"")
        .expect(200);
    assert_eq!(none["output"], "<0>");
    let null = fleet
        .api
        .post_json("/execute/exe-args", &json!({"args": null}))
        .expect(200);
    assert_eq!(null["output"], "<0>");
}

fn an_argument_as_long_as_the_kernel_takes_arrives_whole() {
    let fleet = plain();
    fleet.deploy_script("exe-long", "", "printf '%s' ${#1}");
    let longest = "a".repeat(128 * 1024 - 1);
    let record = fleet.execute("exe-long", &[&longest]).expect(200);
    assert_eq!(record["output"], "131071");
}

fn standard_input_arrives_and_is_at_its_end_when_there_is_none() {
    let fleet = plain();
    fleet.deploy_script("exe-stdin", "", "cat");
    let call = |body: Value| fleet.api.post_json("/execute/exe-stdin", &body).expect(200);
    assert_eq!(
        call(json!({"stdin": "line\nä\u{0}end"}))["output"],
        "line\nä\u{0}end"
    );
    assert_eq!(call(json!({"stdin": ""}))["output"], "");
    assert_eq!(call(json!({}))["output"], "");
}

fn standard_input_that_nobody_reads_holds_nothing_up() {
    let fleet = plain();
    fleet.deploy_script("exe-unread", "", "echo done");
    let body = json!({"stdin": "x".repeat(900_000)});
    let record = fleet
        .api
        .post_json("/execute/exe-unread", &body)
        .expect(200);
    assert_eq!(record["output"], "done\n");
}

fn any_other_content_type_is_raw_standard_input_with_arguments_from_the_query() {
    let fleet = plain();
    fleet.deploy_script(
        "exe-raw",
        "",
        "echo \"$#:$1:$2\"; od -An -tx1 -v | tr -d ' \\n'",
    );
    let path = "/execute/exe-raw?arg=one%20two&arg=%26%C3%A4";
    let bytes = [0, 0xff, b'\n', 0x80];
    for kind in [
        "application/octet-stream",
        "text/plain; charset=utf-8",
        "image/png",
    ] {
        let reply = fleet
            .api
            .call("POST", path, &[("content-type", kind)], &bytes);
        assert_eq!(
            reply.expect(200)["output"],
            "2:one two:&ä\n00ff0a80",
            "{kind}"
        );
    }
    // Also what would be JSON for itself.
    let reply = fleet.api.call(
        "POST",
        "/execute/exe-raw",
        &[("content-type", "text/plain")],
        b"{",
    );
    assert_eq!(reply.expect(200)["output"], "0::\n7b");
}

fn json_is_recognised_with_parameters_and_in_any_case() {
    let fleet = plain();
    fleet.deploy_script("exe-kind", "", "echo $1");
    for kind in ["application/json; charset=utf-8", "Application/JSON"] {
        let headers = [("content-type", kind)];
        let reply = fleet
            .api
            .call("POST", "/execute/exe-kind", &headers, br#"{"args":["a"]}"#);
        assert_eq!(reply.expect(200)["output"], "a\n", "{kind}");
    }
}

fn a_chunked_body_is_standard_input_like_any_other() {
    let fleet = plain();
    fleet.deploy_script("exe-chunked", "", "cat");
    let head = [
        "POST /execute/exe-chunked HTTP/1.1",
        "Content-Type: text/plain",
        "Transfer-Encoding: chunked",
    ];
    let reply = fleet.api.raw(&head, b"3\r\none\r\n4\r\n two\r\n0\r\n\r\n");
    assert_eq!(reply.expect(200)["output"], "one two");
}

fn shipped_files_are_readable_and_the_working_directory_is_private_and_writable() {
    let fleet = plain();
    let yaml = "name: exe-files\nhandler: bin/run\n";
    fleet.api.put("/functions", yaml.as_bytes()).expect(201);
    let script = b"#!/bin/sh
set -e
cat \"${0%/*}/../share/data.txt\"
\"${0%/*}/tool\"
ls -A | wc -l
pwd; echo \"$HOME\"
echo mine > made-here; cat made-here
echo temporary > \"$TMPDIR/x\"; cat \"$TMPDIR/x\"
";
    let code = archive_of(&[
        ("bin/run", script, true),
        ("bin/tool", b"#!/bin/sh\necho from a tool\n", true),
        ("share/data.txt", b"shipped\n", false),
    ]);
    fleet.api.put("/deploy/exe-files", &code).expect(200);
    let run = || {
        let record = fleet.execute("exe-files", &[]);
        record.expect(200)["output"]
            .as_str()
            .expect("text")
            .to_owned()
    };
    let (first, second) = (run(), run());
    let lines: Vec<_> = first.lines().collect();
    assert_eq!(lines[..2], ["shipped", "from a tool"], "{first}");
    assert_eq!(lines[3], lines[4], "HOME is the working directory: {first}");
    assert_eq!(lines[5..], ["mine", "temporary"], "{first}");
    let seconds: Vec<_> = second.lines().collect();
    assert_eq!(
        seconds[2], lines[2],
        "nothing of the first run is left for the second"
    );
    assert_ne!(seconds[3], lines[3], "each has its own directory");
    assert!(
        !std::path::Path::new(lines[3]).exists(),
        "it goes with the execution"
    );
}

fn a_function_cannot_change_its_own_code() {
    let fleet = plain();
    fleet.deploy_script(
        "exe-code",
        "",
        "echo intact\n(echo 'echo changed' >> \"$0\") 2>/dev/null && echo wrote\n\
         (: > \"${0%/*}/new\") 2>/dev/null && echo planted\ntrue",
    );
    for _ in 0..2 {
        assert_eq!(
            fleet.execute("exe-code", &[]).expect(200)["output"],
            "intact\n"
        );
    }
}

fn usage_and_duration_are_measured() {
    let fleet = plain();
    fleet.deploy_script(
        "exe-usage",
        "",
        "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; sleep 0.1",
    );
    let record = fleet.execute("exe-usage", &[]).expect(200);
    let duration = record["duration_ms"].as_u64().expect("number");
    let cpu = record["usage"]["cpu_ms"].as_u64().expect("number");
    assert!((100..60_000).contains(&duration), "{record}");
    assert!(cpu > 0 && cpu <= duration, "{record}");
}
