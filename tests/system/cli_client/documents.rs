//! What commands show of documents that know more than this program, or less.

use serde_json::{Value, json};

use super::commands::one;
use crate::runner::tests;

tests![
    json_is_the_whole_document_that_the_api_sent,
    one_function_agent_or_execution_is_shown_with_all_that_the_api_says_of_it,
    what_an_older_control_plane_leaves_out_keeps_nothing_from_being_shown,
    an_answer_that_is_not_flux_s_is_a_failure_that_names_what_was_expected,
];

/// The documents that commands show, each with something that this program does not know.
fn documents_with_news() -> [(&'static [&'static str], &'static str, Value); 8] {
    let function =
        json!({"name": "f", "handler": "h", "timeout": 60.0, "news": {"a": [1.5, null]}});
    let agent = json!({"id": "a1", "address": "h:1", "status": "asleep", "news": {"a": 1}});
    let record =
        json!({"execution_id": "e1", "status": "paused", "news": {"a": 1}, "output": "text"});
    let changed = json!({"status": "success", "total_agents": 1, "news": 1,
        "agents": [{"agent_id": "a1", "status": "success", "message": "", "news": 2}]});
    [
        (&["functions", "f"], "GET /functions/f", function.clone()),
        (&["functions"], "GET /functions", json!([function])),
        (&["agents"], "GET /agents", json!([agent])),
        (&["execution", "e1"], "GET /executions/e1", record.clone()),
        (&["logs", "e1"], "GET /executions/e1", record.clone()),
        (
            &["executions"],
            "GET /executions?limit=20",
            json!({"executions": [record], "next_cursor": null, "news": true}),
        ),
        (&["rollback", "f"], "POST /functions/f/rollback", changed),
        (
            &["versions", "f"],
            "GET /functions/f/versions",
            json!([{"version": 1, "digest": "d", "size_bytes": 1, "created_at": "t",
                "active": true, "news": "n"}]),
        ),
    ]
}

fn json_is_the_whole_document_that_the_api_sent() {
    for (args, line, document) in documents_with_news() {
        let json: Vec<_> = args.iter().copied().chain(["--json"]).collect();
        let (ran, _double) = one(line, 200, document.clone(), &json);
        assert_eq!(ran.exits(0).stdout, format!("{document:#}\n"), "{args:?}");
    }
}

fn one_function_agent_or_execution_is_shown_with_all_that_the_api_says_of_it() {
    let [(function, function_line, f), .., (_, _, _)] = documents_with_news();
    let (ran, _double) = one(function_line, 200, f, function);
    let expected = "KEY      VALUE\nhandler  h\nname     f\nnews.a   [1.5,null]\ntimeout  60.0\n";
    assert_eq!(ran.exits(0).stdout, expected);
    let agent = json!({"id": "a1", "address": "h:1", "status": "asleep", "news": {"a": 1}});
    let (ran, _double) = one("GET /agents", 200, json!([agent]), &["agents", "a1"]);
    assert!(ran.exits(0).stdout.contains("\nnews.a "));
    let record = json!({"execution_id": "e1", "status": "paused", "news": {"a": 1}});
    let (ran, _double) = one("GET /executions/e1", 200, record, &["execution", "e1"]);
    assert_eq!(
        ran.exits(0).stdout,
        "KEY           VALUE\nexecution_id  e1\nnews.a        1\nstatus        paused\n"
    );
}

fn what_an_older_control_plane_leaves_out_keeps_nothing_from_being_shown() {
    for (args, line, document, expected) in [
        (
            ["functions"].as_slice(),
            "GET /functions",
            json!([{"name": "f", "handler": "h", "resources": null, "env": null}]),
            "FUNCTION  HANDLER  VERSION  UPDATED\nf         h        -        -\n",
        ),
        (
            &["agents"],
            "GET /agents",
            json!([{"id": "a1", "address": "h:1", "status": "online", "isolation": null}]),
            "AGENT  ADDRESS  STATUS  RUNNING  CPU%  MEM%  LAST HEARTBEAT  NOT ENFORCED\n\
             a1     h:1      online  0        -     -     -               unknown\n",
        ),
        (
            &["executions"],
            "GET /executions?limit=20",
            json!({"executions": null, "unreachable_agents": null}),
            "EXECUTION  FUNCTION  STATUS  REASON  EXIT  AGENT  STARTED  MS\n",
        ),
        (
            &["rollback", "f"],
            "POST /functions/f/rollback",
            json!({"status": "success", "total_agents": 0, "agents": null}),
            "f is at version -\n",
        ),
    ] {
        let (ran, _double) = one(line, 200, document, args);
        assert_eq!(ran.exits(0).stdout, expected, "{args:?}");
    }
}

fn an_answer_that_is_not_flux_s_is_a_failure_that_names_what_was_expected() {
    for (document, expected) in [
        (
            json!([{"id": "a1", "address": "h:1"}]),
            "missing field `status`",
        ),
        (
            json!([{"id": 5, "address": "h:1", "status": "online"}]),
            "invalid type: integer `5`, expected a string",
        ),
        (
            json!({"agents": []}),
            "invalid type: map, expected a sequence",
        ),
    ] {
        let (ran, double) = one("GET /agents", 200, document, &["agents"]);
        let ran = ran.exits(1);
        let url = double.url();
        let message = format!(
            "flux: {url} does not answer as Flux does: the answer to GET /agents cannot be read: {expected}"
        );
        assert!(ran.stderr.starts_with(&message), "{ran:?}");
        assert!(ran.stderr.contains("\nhint: "), "{ran:?}");
        assert_eq!(ran.stdout, "");
    }
}
