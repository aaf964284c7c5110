//! After the end: nothing of the tree is alive, and nobody else was harmed.

use std::fs;

use serde_json::{Value, json};
use uuid::Uuid;

use super::stage::Stage;
use crate::harness::eventually;
use crate::runner::tests;

tests![
    nothing_outlives_an_execution_that_ends_by_itself,
    nothing_outlives_a_cancel,
    nothing_outlives_a_timeout,
    who_kills_everybody_in_reach_reaches_nobody_else,
];

/// Numbers of processes that carry `mark` in their arguments or environment.
fn marked(mark: &str) -> Vec<String> {
    let carries = |pid: &str| {
        ["cmdline", "environ"].iter().any(|name| {
            let bytes = fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
            bytes
                .windows(mark.len())
                .any(|window| window == mark.as_bytes())
        })
    };
    let listed = fs::read_dir("/proc").expect("processes").flatten();
    listed
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|pid| carries(pid))
        .collect()
}

/// Ended children that `parent` has not waited for.
fn zombies_of(parent: i32) -> Vec<String> {
    let listed = fs::read_dir("/proc").expect("processes").flatten();
    listed
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            status.contains(&format!("PPid:\t{parent}\n")) && status.contains("State:\tZ")
        })
        .collect()
}

impl Stage {
    /// The agent and the victim go on, and nothing that carries `mark` does.
    #[track_caller]
    fn expect_unharmed(&mut self, mark: &str) {
        assert_eq!(marked(mark), Vec::<String>::new(), "alive after the end");
        self.expect_others_alive();
        let agent = self.agent_pid();
        eventually("the agent has waited for all of its children", || {
            zombies_of(agent).is_empty().then_some(())
        });
    }

    #[track_caller]
    fn expect_others_alive(&mut self) {
        assert!(self.fleet.agents[0].daemon.is_running());
        assert!(self.fleet.flux.is_running());
        let path = format!("/executions/{}", self.victim.execution);
        let victim = self.fleet.api.get(&path).expect(200);
        assert_eq!(victim["status"], "running", "{victim}");
    }

    /// Lets it start everything that wants to stay, in the background.
    #[track_caller]
    fn start_lingering(&self, mark: &str) -> String {
        let arguments = ["linger", "hold", &format!("mark={mark}")];
        let id = self.fleet.execute_async("prober", &arguments);
        self.fleet.await_output(&id, "left 10 of 10");
        assert!(!marked(mark).is_empty(), "nothing has started");
        id
    }
}

fn new_mark() -> String {
    format!("flux-lingering-{}", Uuid::new_v4())
}

fn nothing_outlives_an_execution_that_ends_by_itself() {
    let mut stage = Stage::start();
    let mark = new_mark();
    let record = stage.probe(&["linger".to_owned(), format!("mark={mark}")]);
    stage.expect_unharmed(&mark);
    assert_eq!(record["output"], "left 10 of 10\n", "{record}");
    assert_eq!(record["reason"], "exited", "{record}");
}

fn nothing_outlives_a_cancel() {
    let mut stage = Stage::start();
    let mark = new_mark();
    let id = stage.start_lingering(&mark);
    stage
        .fleet
        .api
        .delete(&format!("/executions/{id}"))
        .expect(200);
    stage.expect_unharmed(&mark);
    assert_eq!(stage.fleet.await_end(&id)["reason"], "cancelled");
}

fn nothing_outlives_a_timeout() {
    let mut stage = Stage::start();
    let mark = new_mark();
    let arguments = json!({"args": ["linger", "hold", format!("mark={mark}")]});
    let headers = [
        ("x-flux-timeout", "2s"),
        ("content-type", "application/json"),
    ];
    let reply = stage.fleet.api.call(
        "POST",
        "/execute/prober",
        &headers,
        arguments.to_string().as_bytes(),
    );
    stage.expect_unharmed(&mark);
    let record: Value = reply.json();
    assert_eq!(record["reason"], "timed_out", "{record}");
}

fn who_kills_everybody_in_reach_reaches_nobody_else() {
    let mut stage = Stage::start();
    let record = stage.probe(&["rampage".to_owned()]);
    stage.expect_others_alive();
    assert_eq!(record["output"], "has killed whom it could\n", "{record}");
}
