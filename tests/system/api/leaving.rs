//! Clients that leave during a synchronous execution, and process trees that have to be dead.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use crate::api::plain::plain;
use crate::harness::{OPEN_FILES, eventually};
use crate::runner::tests;

tests![
    a_client_that_leaves_during_a_synchronous_execution_cancels_it,
    a_client_that_leaves_while_it_waits_for_room_leaves_the_queue,
    a_client_that_leaves_after_its_answer_changes_nothing,
];

/// A script whose process tree tries to get away: a child that ignores signals, one in a session
/// of its own, and one that holds the output open. Each writes its pid as a file's name.
pub fn tree_script(pids: &Path) -> String {
    let pids = pids.display();
    format!(
        "mark() {{ : > {pids}/$1; }}
         (trap '' TERM INT HUP; sh -c ': > {pids}/$$; exec sleep 600') &
         setsid sh -c ': > {pids}/$$; exec sleep 600' &
         sh -c ': > {pids}/$$; exec sleep 600' > /dev/null 2>&1 &
         mark $$
         echo grown
         sleep 600"
    )
}

pub fn open_to_functions(directory: &Path) {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o777)).expect("chmod");
}

pub fn pids_in(directory: &Path) -> Vec<i32> {
    let entries = fs::read_dir(directory).expect("pids");
    entries
        .map(|entry| entry.expect("entry").file_name())
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect()
}

/// A zombie is dead: its parent has only not asked yet.
pub fn is_alive(pid: i32) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let state = status
        .rsplit(')')
        .next()
        .and_then(|rest| rest.trim().chars().next());
    !matches!(state, Some('Z' | 'X'))
}

fn a_client_that_leaves_during_a_synchronous_execution_cancels_it() {
    let fleet = plain();
    let pids = fleet.directory().join("lea-pids");
    fs::create_dir(&pids).expect("directory");
    open_to_functions(&pids);
    fleet.deploy_script("lea-cancel", OPEN_FILES, &tree_script(&pids));
    let head = ["POST /execute/lea-cancel HTTP/1.1", "Content-Length: 0"];
    let stream = fleet.api.begin(&head, b"");
    let tree = eventually("the tree has grown", || {
        let tree = pids_in(&pids);
        (tree.len() == 4).then_some(tree)
    });
    let listed = fleet.api.get("/executions?function=lea-cancel").expect(200);
    let id = listed["executions"][0]["execution_id"]
        .as_str()
        .expect("id")
        .to_owned();
    assert_eq!(listed["executions"][0]["status"], "running");
    drop(stream);
    let record = fleet.await_end(&id);
    assert_eq!(record["status"], "cancelled", "{record}");
    assert_eq!(record["reason"], "cancelled");
    for pid in tree {
        assert!(!is_alive(pid), "{pid} is alive");
    }
}

fn a_client_that_leaves_while_it_waits_for_room_leaves_the_queue() {
    let fleet = plain();
    let yaml = &format!("max_concurrency: 1\nmax_concurrency_behavior: wait\n{OPEN_FILES}");
    let gate = fleet.directory().join("lea-gate");
    let marks = fleet.directory().join("lea-marks");
    fs::create_dir(&marks).expect("directory");
    open_to_functions(&marks);
    let script = format!(
        ": > {}/$1; until [ -e {} ]; do sleep 0.02; done",
        marks.display(),
        gate.display()
    );
    fleet.deploy_script("lea-queue", yaml, &script);
    let first = fleet.execute_async("lea-queue", &["first"]);
    let call = |name: &str| {
        let body = json!({ "args": [name] }).to_string();
        let length = format!("Content-Length: {}", body.len());
        let head = [
            "POST /execute/lea-queue HTTP/1.1",
            "Content-Type: application/json",
            &length,
        ];
        fleet.api.begin(&head, body.as_bytes())
    };
    let leaver = call("leaver");
    let stayer = call("stayer");
    drop(leaver);
    crate::harness::fleet::fs_write(&gate, "");
    let answer = std::io::read_to_string(stayer).expect("answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    fleet.await_end(&first);
    assert!(marks.join("stayer").exists());
    // Whoever comes after has the slot to itself: nothing was taken for the one that left.
    fleet.execute("lea-queue", &["after"]).expect(200);
    assert!(
        !marks.join("leaver").exists(),
        "the call of the client that left has run"
    );
}

fn a_client_that_leaves_after_its_answer_changes_nothing() {
    let fleet = plain();
    fleet.deploy_script("lea-late", "", "echo whole");
    let head = ["POST /execute/lea-late HTTP/1.1", "Content-Length: 0"];
    let mut stream = fleet.api.begin(&head, b"");
    stream.flush().expect("flush");
    let answer = std::io::read_to_string(&stream).expect("answer");
    drop(stream);
    assert!(answer.contains(r#""status":"success""#), "{answer}");
    let listed = fleet.api.get("/executions?function=lea-late").expect(200);
    assert_eq!(listed["executions"][0]["status"], "success");
}
