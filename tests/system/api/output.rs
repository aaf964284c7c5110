//! Output: its order, its bytes, its bound.

use serde_json::json;

use crate::api::plain::plain;
use crate::harness::archive_of;
use crate::runner::tests;

tests![
    standard_output_and_error_are_merged_in_the_order_in_which_they_were_written,
    bytes_that_are_no_text_are_replaced_in_json_and_whole_in_the_raw_output,
    output_up_to_the_cap_is_whole_and_not_truncated,
    output_beyond_the_cap_is_cut_said_so_and_still_a_success,
    no_output_is_an_empty_text,
    output_without_a_last_line_end_and_with_long_lines_is_kept_as_it_is,
];

/// What the fleet's agent keeps of one execution's output.
const CAP: u64 = 1 << 20;

fn standard_output_and_error_are_merged_in_the_order_in_which_they_were_written() {
    let fleet = plain();
    let script =
        "for i in 1 2 3 4 5; do echo out $i; sleep 0.05; echo err $i >&2; sleep 0.05; done";
    fleet.deploy_script("out-order", "", script);
    let record = fleet.execute("out-order", &[]).expect(200);
    let expected: String = (1..=5).map(|i| format!("out {i}\nerr {i}\n")).collect();
    assert_eq!(record["output"], expected);
    let id = record["execution_id"].as_str().expect("id");
    let read = |query: &str| fleet.api.get(&format!("/executions/{id}/output{query}"));
    assert_eq!(read("").text(), expected);
    let only = |word: &str| (1..=5).map(|i| format!("{word} {i}\n")).collect::<String>();
    assert_eq!(read("?stream=stdout").text(), only("out"));
    assert_eq!(read("?stream=stderr").text(), only("err"));
    let reply = read("?stream=stdout&offset=6");
    assert_eq!(reply.text(), only("out")[6..]);
    assert_eq!(
        reply.header("content-type"),
        Some("application/octet-stream")
    );
    assert_eq!(reply.header("x-flux-output-total"), Some("30"));
    assert_eq!(reply.header("x-flux-output-ended"), Some("true"));
    assert_eq!(read("?offset=60").text(), "");
    assert_eq!(read("?offset=60000000").text(), "");
    assert_eq!(read("?offset=18446744073709551615").status, 200);
}

fn bytes_that_are_no_text_are_replaced_in_json_and_whole_in_the_raw_output() {
    let fleet = plain();
    fleet.deploy_script("out-bytes", "", r"printf 'a\377\000\200b\303'");
    let record = fleet.execute("out-bytes", &[]).expect(200);
    assert_eq!(record["output"], "a\u{fffd}\u{0}\u{fffd}b\u{fffd}");
    assert_eq!(record["stdout_bytes"], 6);
    let id = record["execution_id"].as_str().expect("id");
    let raw = fleet.api.get(&format!("/executions/{id}/output"));
    assert_eq!(raw.body, b"a\xff\x00\x80b\xc3");
}

fn output_up_to_the_cap_is_whole_and_not_truncated() {
    let fleet = plain();
    fleet.deploy_script("out-full", "", "head -c 1048576 /dev/zero | tr '\\0' x");
    let record = fleet.execute("out-full", &[]).expect(200);
    assert_eq!(record["truncated"], false);
    assert_eq!(record["stdout_bytes"], CAP);
    assert_eq!(
        record["output"].as_str().map(|text| text.len() as u64),
        Some(CAP)
    );
}

fn output_beyond_the_cap_is_cut_said_so_and_still_a_success() {
    let fleet = plain();
    let script = "head -c 3000000 /dev/zero | tr '\\0' x; echo end >&2";
    fleet.deploy_script("out-beyond", "", script);
    let record = fleet.execute("out-beyond", &[]).expect(200);
    assert_eq!(record["status"], "success");
    assert_eq!(record["truncated"], true, "{}", record["stdout_bytes"]);
    let kept = record["output"].as_str().expect("text").len() as u64;
    assert!(kept <= CAP, "{kept}");
    // What was written is counted, whether kept or not.
    assert_eq!(
        (&record["stdout_bytes"], &record["stderr_bytes"]),
        (&json!(3_000_000), &json!(4))
    );
}

fn no_output_is_an_empty_text() {
    let fleet = plain();
    fleet.deploy_script("out-none", "", "true");
    let record = fleet.execute("out-none", &[]).expect(200);
    assert_eq!(
        (&record["output"], &record["truncated"]),
        (&json!(""), &json!(false))
    );
    let id = record["execution_id"].as_str().expect("id");
    let raw = fleet.api.get(&format!("/executions/{id}/output"));
    assert_eq!((raw.status, raw.body.len()), (200, 0));
}

fn output_without_a_last_line_end_and_with_long_lines_is_kept_as_it_is() {
    let fleet = plain();
    let yaml = crate::harness::function_yaml("out-lines", "");
    fleet.api.put("/functions", yaml.as_bytes()).expect(201);
    let long = "y".repeat(200_000);
    let code = archive_of(&[
        (
            "run",
            b"#!/bin/sh\ncat \"${0%/*}/long\"; printf 'no end'",
            true,
        ),
        ("long", long.as_bytes(), false),
    ]);
    fleet.api.put("/deploy/out-lines", &code).expect(200);
    let record = fleet.execute("out-lines", &[]).expect(200);
    assert_eq!(record["output"], format!("{long}no end"));
}
