//! Paths and methods that are not there.

use crate::api::plain::plain;
use crate::runner::tests;

tests![
    a_path_that_is_not_there_is_404,
    a_method_that_a_path_does_not_take_is_405_with_those_it_takes,
    a_name_with_an_escaped_slash_is_one_bad_name_and_no_other_path,
];

fn a_path_that_is_not_there_is_404() {
    let fleet = plain();
    for path in [
        "/",
        "/nothing",
        "/functions/f/nothing",
        "/functions/f/versions/1",
        "/execute",
        "/execute/f/sync",
        "/deploy",
        "/executions/e/output/stdout",
        "/agents/a/drain/now",
        "/health/",
        "/Health",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let reply = fleet.api.call(method, path, &[], b"");
            assert_eq!(reply.status, 404, "{method} {path}");
            reply.expect_error(404, "not_found");
        }
    }
}

fn a_method_that_a_path_does_not_take_is_405_with_those_it_takes() {
    let fleet = plain();
    for (path, wrong, allowed) in [
        ("/health", "POST", "GET, HEAD"),
        ("/ready", "DELETE", "GET, HEAD"),
        ("/resources", "POST", "GET"),
        ("/initialize", "GET", "POST"),
        ("/nodes", "GET", "DELETE"),
        ("/agents", "PUT", "GET, HEAD"),
        ("/agents/register", "GET", "POST, DELETE"),
        ("/agents/enroll", "PUT", "POST, DELETE"),
        ("/agents/a", "GET", "DELETE"),
        ("/agents/a/drain", "GET", "POST"),
        ("/functions", "POST", "GET, PUT"),
        ("/functions/f", "PUT", "GET, DELETE"),
        ("/functions/f/versions", "POST", "GET"),
        ("/functions/f/rollback", "GET", "POST"),
        ("/deploy/f", "POST", "PUT"),
        ("/execute/f", "GET", "POST"),
        ("/execute/f/async", "PUT", "POST"),
        ("/executions", "POST", "GET"),
        ("/executions/e", "PUT", "GET, DELETE, HEAD"),
        ("/executions/e/output", "POST", "GET"),
        ("/executions/e/events", "DELETE", "GET"),
    ] {
        let reply = fleet.api.call(wrong, path, &[], b"");
        assert_eq!(reply.status, 405, "{wrong} {path}");
        reply.expect_error(405, "method_not_allowed");
        assert_eq!(reply.header("allow"), Some(allowed), "{path}");
    }
}

fn a_name_with_an_escaped_slash_is_one_bad_name_and_no_other_path() {
    let fleet = plain();
    for path in ["/functions/a%2Fb", "/functions/..%2Fetc", "/functions/%00"] {
        let reply = fleet.api.get(path);
        assert!(
            matches!(reply.status, 400 | 422),
            "{path}: {}",
            reply.status
        );
        assert!(reply.json()["error"]["code"].is_string());
    }
}
