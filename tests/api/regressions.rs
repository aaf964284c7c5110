//! What the legacy implementation gets wrong, and nobody else's subject covers: each test is
//! named after the mistake that it would catch.

use std::fs;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::leaving::{is_alive, open_to_functions, pids_in, tree_script};
use crate::api::plain::plain;
use crate::harness::{
    AgentOptions, Fleet, FleetOptions, OPEN_FILES, Shared, eventually, fleet::fs_write,
    function_yaml, script_archive,
};

static PAIR: Shared = Shared::new();

/// Two agents, for tests that only need functions of their own.
fn pair() -> std::sync::Arc<Fleet> {
    PAIR.get(|| FleetOptions {
        flux_yaml: "limits: {queue_per_function: 2}\n".to_owned(),
        agents: vec![AgentOptions::default(), AgentOptions::default()],
    })
}

fn quick() -> FleetOptions {
    FleetOptions {
        flux_yaml: "limits: {heartbeat_interval: 100ms}\n".to_owned(),
        agents: vec![AgentOptions::default()],
    }
}

fn waiting_for(gate: &std::path::Path) -> String {
    format!(
        "echo begun; until [ -e {} ]; do sleep 0.02; done",
        gate.display()
    )
}

// Dispatch.

#[test]
fn a_call_goes_to_the_idle_agent_when_the_best_one_is_full_and_is_refused_when_all_are() {
    let fleet = pair();
    let gate = fleet.directory().join("full-gate");
    fleet.deploy_script("full", "max_concurrency: 1\n", &waiting_for(&gate));
    let running: Vec<_> = (0..2).map(|_| fleet.execute_async("full", &[])).collect();
    let owners: Vec<_> = running
        .iter()
        .map(|id| fleet.api.get(&format!("/executions/{id}")).expect(200)["agent_id"].clone())
        .collect();
    assert_ne!(owners[0], owners[1]);
    // An asynchronous call is refused like any other: never a 202 for what no agent has taken.
    for path in ["/execute/full", "/execute/full/async"] {
        let reply = fleet.api.post_json(path, &json!({}));
        reply.expect_error(503, "at_capacity");
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    fs_write(&gate, "");
    for id in running {
        assert_eq!(fleet.await_end(&id)["status"], "success");
    }
    let listed = fleet.api.get("/executions?function=full").expect(200);
    assert_eq!(listed["executions"].as_array().map(Vec::len), Some(2));
    fleet.execute("full", &[]).expect(200);
}

#[test]
fn a_burst_does_not_pile_up_on_one_agent() {
    let fleet = pair();
    let gate = fleet.directory().join("burst-gate");
    fleet.deploy_script("burst", "max_concurrency: 4\n", &waiting_for(&gate));
    let ids: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| fleet.execute_async("burst", &[])))
            .collect();
        calls
            .into_iter()
            .map(|call| call.join().expect("accepted"))
            .collect()
    });
    for agent in ["agent-1", "agent-2"] {
        let on_it = ids
            .iter()
            .filter(|id| {
                fleet.api.get(&format!("/executions/{id}")).expect(200)["agent_id"] == agent
            })
            .count();
        assert_eq!(on_it, 4, "{agent}");
    }
    fleet.execute("burst", &[]).expect_error(503, "at_capacity");
    fs_write(&gate, "");
    for id in ids {
        fleet.await_end(&id);
    }
}

#[test]
fn an_agent_at_capacity_under_a_burst_refuses_and_lives_on() {
    let fleet = plain();
    fleet.deploy_script("crush", "max_concurrency: 2\n", "sleep 0.1");
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..24)
            .map(|_| scope.spawn(|| fleet.execute("crush", &[]).status))
            .collect();
        calls
            .into_iter()
            .map(|call| call.join().expect("call"))
            .collect()
    });
    assert!(
        statuses.iter().all(|status| matches!(status, 200 | 503)),
        "{statuses:?}"
    );
    assert!(statuses.contains(&503), "{statuses:?}");
    fleet.execute("crush", &[]).expect(200);
}

#[test]
fn waiting_calls_run_first_in_first_out_the_moment_a_slot_frees() {
    let fleet = plain();
    let order = fleet.directory().join("fifo-order");
    fs_write(&order, "");
    fs::set_permissions(&order, std::os::unix::fs::PermissionsExt::from_mode(0o666))
        .expect("chmod");
    let gate = fleet.directory().join("fifo-gate");
    let script = format!("{}; echo $1 >> {}", waiting_for(&gate), order.display());
    let yaml = &format!("max_concurrency: 1\nmax_concurrency_behavior: wait\n{OPEN_FILES}");
    fleet.deploy_script("fifo", yaml, &script);
    let first = fleet.execute_async("fifo", &["0"]);
    let open: Vec<_> = (1..=6)
        .map(|i| {
            // One connection after the other; asynchronous calls wait in the same queue.
            let suffix = if i % 2 == 0 { "/async" } else { "" };
            let body = json!({"args": [i.to_string()]}).to_string();
            let line = format!("POST /execute/fifo{suffix} HTTP/1.1");
            let length = format!("Content-Length: {}", body.len());
            let stream = fleet.api.begin(
                &[&line, "Content-Type: application/json", &length],
                body.as_bytes(),
            );
            // A request that has arrived is in the queue soon; nothing outside shows when.
            std::thread::park_timeout(Duration::from_millis(100));
            stream
        })
        .collect();
    fs_write(&gate, "");
    for stream in open {
        let answer = std::io::read_to_string(stream).expect("answer");
        assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    }
    fleet.await_end(&first);
    let lines = eventually("all have run", || {
        let text = fs::read_to_string(&order).expect("order");
        (text.lines().count() == 7).then_some(text)
    });
    assert_eq!(lines, "0\n1\n2\n3\n4\n5\n6\n");
}

#[test]
fn waiting_is_bounded_in_time_and_in_length() {
    let fleet = pair();
    let gate = fleet.directory().join("bounded-gate");
    let yaml = "max_concurrency: 1\nmax_concurrency_behavior: wait\nmax_wait: 1s\n";
    fleet.deploy_script("bounded", yaml, &waiting_for(&gate));
    let running: Vec<_> = (0..2)
        .map(|_| fleet.execute_async("bounded", &[]))
        .collect();
    let began = Instant::now();
    let replies: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..5)
            .map(|_| scope.spawn(|| fleet.execute("bounded", &[])))
            .collect();
        calls
            .into_iter()
            .map(|call| call.join().expect("call"))
            .collect()
    });
    assert!(began.elapsed() < Duration::from_secs(15));
    let full = replies
        .iter()
        .filter(|reply| reply.json()["error"]["code"] == "queue_full")
        .count();
    assert_eq!(full, 3, "two may wait");
    for reply in &replies {
        assert_eq!(reply.status, 503, "{}", reply.text());
        assert!(reply.header("retry-after").is_some());
    }
    let waited = replies
        .iter()
        .filter(|reply| reply.json()["error"]["code"] == "at_capacity")
        .count();
    assert_eq!(waited, 2);
    fs_write(&gate, "");
    for id in running {
        fleet.await_end(&id);
    }
}

#[test]
fn a_call_for_more_memory_than_any_agent_has_is_429_and_not_queued_behind_capacity() {
    let fleet = plain();
    let yaml = "resources: {memory: 16777216}\n";
    fleet.deploy_script("huge", yaml, "true");
    for path in ["/execute/huge", "/execute/huge/async"] {
        let reply = fleet.api.post_json(path, &json!({}));
        reply.expect_error(429, "resource_pressure");
        assert!(reply.header("retry-after").is_some());
    }
}

#[test]
fn an_agent_that_dies_during_a_synchronous_call_neither_hangs_its_caller_nor_stays_online() {
    let mut fleet = Fleet::with(&quick());
    fleet.deploy_script("dies", "", "echo begun; sleep 600");
    let api = fleet.api.clone();
    let (caller, id) = std::thread::scope(|scope| {
        let caller = scope.spawn(|| api.post_json("/execute/dies", &json!({})));
        let id = eventually("it runs", || {
            let listed = api.get("/executions?function=dies").expect(200);
            listed["executions"][0]["execution_id"]
                .as_str()
                .map(str::to_owned)
        });
        fleet.await_output(&id, "begun");
        fleet.agents[0].daemon.kill9();
        (caller.join().expect("caller"), id)
    });
    // Nobody can tell yet how it ended, and that is what the caller hears: not that it failed.
    let message = caller.expect_error(503, "outcome_unknown");
    assert!(message.contains(&id), "{message}");
    fleet.await_status("agent-1", "offline");
    fleet.execute("dies", &[]).expect_error(503, "no_agent");
    // The agent knows when it is back.
    fleet.agents[0].restart();
    fleet.await_status("agent-1", "online");
    let kept = fleet.api.get(&format!("/executions/{id}")).expect(200);
    assert_eq!(
        (&kept["status"], &kept["reason"]),
        (&json!("failed"), &json!("lost"))
    );
}

#[test]
fn the_figures_of_an_agent_do_not_freeze() {
    let fleet = Fleet::with(&quick());
    let seen = || {
        let agent = fleet.agent("agent-1").expect("listed");
        (
            agent["last_heartbeat"].clone(),
            agent["node_status"]["collected_at"].clone(),
        )
    };
    let before = seen();
    eventually("both move on", || {
        let now = seen();
        (now.0 != before.0 && now.1 != before.1).then_some(())
    });
}

#[test]
fn active_executions_are_counted_while_they_run_and_not_after() {
    let fleet = Fleet::with(&quick());
    let gate = fleet.directory().join("gate");
    fleet.deploy_script("counted", "", &waiting_for(&gate));
    let ids: Vec<_> = (0..3)
        .map(|_| fleet.execute_async("counted", &[]))
        .collect();
    let count = || fleet.agent("agent-1").expect("listed")["active_count"].clone();
    assert_eq!(count(), 3);
    fs_write(&gate, "");
    for id in ids {
        fleet.await_end(&id);
    }
    eventually("none is active", || (count() == 0).then_some(()));
}

// State.

#[test]
fn a_draining_agent_does_not_become_online_by_being_probed() {
    let fleet = Fleet::with(&quick());
    fleet
        .api
        .call("POST", "/agents/agent-1/drain", &[], b"")
        .expect(200);
    for _ in 0..10 {
        let before = fleet.agent("agent-1").expect("listed")["last_heartbeat"].clone();
        let agent = eventually("another probe", || {
            fleet
                .agent("agent-1")
                .filter(|agent| agent["last_heartbeat"] != before)
        });
        assert_eq!(agent["status"], "draining");
    }
}

#[test]
fn a_store_that_cannot_be_written_is_503_and_never_a_202_or_a_404() {
    let fleet = Fleet::start();
    fleet.deploy_script("kept", "", "echo ran");
    let id = fleet.execute_async("kept", &[]);
    fleet.await_end(&id);
    let other = rusqlite::Connection::open(fleet.directory().join("state/flux.db")).expect("open");
    // Whoever holds this lock keeps all writers out, as a disk that hangs would.
    other.execute_batch("BEGIN IMMEDIATE").expect("lock");
    std::thread::scope(|scope| {
        let calls = [
            scope.spawn(|| fleet.api.post_json("/execute/kept/async", &json!({}))),
            scope.spawn(|| {
                fleet
                    .api
                    .put("/functions", function_yaml("fresh", "").as_bytes())
            }),
            scope.spawn(|| fleet.api.put("/deploy/kept", &script_archive("echo new"))),
            scope.spawn(|| fleet.api.delete("/functions/kept")),
            scope.spawn(|| {
                let headers = [("idempotency-key", "key")];
                fleet.api.call("POST", "/execute/kept", &headers, b"")
            }),
        ];
        for call in calls {
            let reply = call.join().expect("call");
            reply.expect_error(503, "store_unavailable");
            assert!(reply.header("retry-after").is_some());
        }
        // What needs no store goes on.
        fleet.api.get("/health").expect(200);
        assert_eq!(fleet.execute("kept", &[]).expect(200)["output"], "ran\n");
    });
    other.execute_batch("ROLLBACK").expect("unlock");
    // Nothing of what was refused has happened.
    fleet
        .api
        .get("/functions/fresh")
        .expect_error(404, "function_not_found");
    assert_eq!(
        fleet.api.get("/functions/kept").expect(200)["active_version"],
        1
    );
    let accepted = fleet.execute_async("kept", &[]);
    fleet.await_end(&accepted);
    let listed = fleet.api.get("/executions?function=kept").expect(200);
    assert_eq!(listed["executions"].as_array().map(Vec::len), Some(3));
}

#[test]
fn states_are_words_in_every_answer() {
    let fleet = plain();
    fleet.deploy_script("words", "", "true");
    let record = fleet.execute("words", &[]).expect(200);
    assert!(record["status"].is_string() && record["reason"].is_string());
    let agent = fleet.agent("agent-1").expect("listed");
    assert!(agent["status"].is_string());
    let resources = fleet.api.get("/resources").expect(200);
    assert!(resources["agents"][0]["status"].is_string());
}

// Execution.

#[test]
fn a_function_with_a_child_that_holds_its_output_open_ends_when_it_ends() {
    let fleet = plain();
    let pids = fleet.directory().join("holder-pids");
    fs::create_dir(&pids).expect("directory");
    open_to_functions(&pids);
    let script = tree_script(&pids)
        .replace(
            "echo grown",
            &format!(
                "until [ $(ls {} | wc -l) = 4 ]; do sleep 0.02; done",
                pids.display()
            ),
        )
        .replace("sleep 600", "echo left")
        .replace("exec echo left", "exec sleep 600");
    fleet.deploy_script("holder", OPEN_FILES, &script);
    let began = Instant::now();
    let record = fleet.execute("holder", &[]).expect(200);
    assert_eq!(record["output"], "left\n");
    assert!(began.elapsed() < Duration::from_secs(20));
    for pid in pids_in(&pids) {
        assert!(!is_alive(pid), "{pid} is alive");
    }
}

#[test]
fn output_of_many_megabytes_makes_a_success_no_error() {
    let fleet = plain();
    fleet.deploy_script("flood", "", "head -c 62914560 /dev/zero; exit 0");
    let record = fleet.execute("flood", &[]).expect(200);
    assert_eq!(record["status"], "success");
    assert_eq!(record["truncated"], true);
    assert_eq!(record["stdout_bytes"], 62_914_560);
}

#[test]
fn two_streams_written_at_once_lose_and_mix_nothing() {
    let fleet = plain();
    let script = "(i=0; while [ $i -lt 3000 ]; do echo out $i; i=$((i+1)); done) &\n\
                  i=0; while [ $i -lt 3000 ]; do echo err $i >&2; i=$((i+1)); done; wait";
    fleet.deploy_script("both", "", script);
    let record = fleet.execute("both", &[]).expect(200);
    let id = record["execution_id"].as_str().expect("id");
    for (stream, word) in [("stdout", "out"), ("stderr", "err")] {
        let expected: String = (0..3000).map(|i| format!("{word} {i}\n")).collect();
        let found = fleet
            .api
            .get(&format!("/executions/{id}/output?stream={stream}"));
        assert_eq!(found.text(), expected, "{stream}");
        assert_eq!(record[format!("{stream}_bytes")], expected.len());
    }
}

#[test]
fn a_cancel_that_races_the_end_and_the_record_agree() {
    let fleet = plain();
    fleet.deploy_script("race", "max_concurrency: 100\n", "sleep 0.0$1");
    let seen = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for i in 0..24 {
            let (fleet, seen) = (&fleet, &seen);
            scope.spawn(move || {
                let id = fleet.execute_async("race", &[&(i % 9).to_string()]);
                let path = format!("/executions/{id}");
                let cancelled = fleet.api.delete(&path).status;
                let record = fleet.api.get(&path).expect(200);
                let expected = match cancelled {
                    200 => "cancelled",
                    409 => "success",
                    other => panic!("{other}"),
                };
                assert_eq!(record["status"], expected, "{record}");
                assert_eq!(fleet.await_end(&id), record, "a final record never changes");
                seen.lock().expect("lock").push(cancelled);
            });
        }
    });
    assert_eq!(seen.lock().expect("lock").len(), 24);
}

#[test]
fn a_record_does_not_expire_while_it_runs_and_does_after_its_end() {
    let fleet = Fleet::with(&FleetOptions {
        flux_yaml: "retention: {success: 1s}\n".to_owned(),
        agents: vec![AgentOptions::default()],
    });
    fleet.deploy_script("outlives", "", "echo begun; sleep 2.5; echo done");
    let id = fleet.execute_async("outlives", &[]);
    let record = fleet.await_end(&id);
    assert_eq!(
        (&record["status"], &record["output"]),
        (&json!("success"), &json!("begun\ndone\n"))
    );
    eventually("the record expires", || {
        let reply = fleet.api.get(&format!("/executions/{id}"));
        (reply.status == 404).then_some(())
    });
}

#[test]
fn an_agent_that_was_killed_says_lost_of_what_ran_and_leaves_no_orphans() {
    let mut fleet = Fleet::with(&quick());
    let pids = fleet.directory().join("pids");
    fs::create_dir(&pids).expect("directory");
    open_to_functions(&pids);
    fleet.deploy_script("orphan", OPEN_FILES, &tree_script(&pids));
    let id = fleet.execute_async("orphan", &[]);
    let tree = eventually("the tree has grown", || {
        let tree = pids_in(&pids);
        (tree.len() == 4).then_some(tree)
    });
    fleet.await_output(&id, "grown");
    fleet.agents[0].daemon.kill9();
    fleet.agents[0].restart();
    for pid in tree {
        eventually("the orphan is dead", || (!is_alive(pid)).then_some(()));
    }
    fleet.await_status("agent-1", "online");
    let record = fleet.await_end(&id);
    assert_eq!(
        (&record["status"], &record["reason"]),
        (&json!("failed"), &json!("lost"))
    );
    assert_eq!(record["output"], "grown\n", "what it wrote is kept");
    eventually("nothing is counted as active", || {
        (fleet.agent("agent-1")?["active_count"] == 0).then_some(())
    });
}

#[test]
fn executions_from_before_a_restart_of_the_control_plane_are_found_and_undisturbed() {
    let mut fleet = Fleet::start();
    let gate = fleet.directory().join("gate");
    fleet.deploy_script("before", "", &format!("{}; echo done", waiting_for(&gate)));
    let running = fleet.execute_async("before", &[]);
    fleet.await_output(&running, "begun");
    fleet.deploy_script("before-sync", "", "echo ended");
    let ended = fleet.execute("before-sync", &[]).expect(200);
    fleet.kill_flux();
    fleet.restart_flux();
    // At once, before any probe: an agent that was not asked yet is no reason for a 404.
    let id = ended["execution_id"].as_str().expect("id");
    assert_eq!(
        fleet.api.get(&format!("/executions/{id}")).expect(200),
        ended
    );
    let record = fleet.api.get(&format!("/executions/{running}")).expect(200);
    assert_eq!(
        (&record["status"], &record["output"]),
        (&json!("running"), &json!("begun\n"))
    );
    // A call made while the agents are being asked waits for them instead of failing.
    assert_eq!(
        fleet.execute("before-sync", &[]).expect(200)["output"],
        "ended\n"
    );
    fs_write(&gate, "");
    let record = fleet.await_end(&running);
    assert_eq!(
        (&record["status"], &record["output"]),
        (&json!("success"), &json!("begun\ndone\n"))
    );
    let restored = fleet.api.get("/functions").expect(200);
    let names: Vec<&Value> = restored
        .as_array()
        .expect("array")
        .iter()
        .map(|f| &f["name"])
        .collect();
    assert_eq!(names, ["before", "before-sync"]);
}

#[test]
fn a_function_cannot_plant_a_link_through_which_the_agent_touches_other_files() {
    let fleet = plain();
    let victim = fleet.directory().join("victim");
    fs_write(&victim, "untouched");
    let before = fs::metadata(&victim).expect("victim");
    let script = format!(
        "ln -s {0} link; ln -s {0} \"$TMPDIR/link\"; ln -s / root; echo planted",
        victim.display()
    );
    fleet.deploy_script("planter", "", &script);
    assert_eq!(
        fleet.execute("planter", &[]).expect(200)["output"],
        "planted\n"
    );
    let code = script_archive("echo next");
    fleet.api.put("/deploy/planter", &code).expect(200);
    fleet.execute("planter", &[]).expect(200);
    let after = fs::metadata(&victim).expect("still there");
    use std::os::unix::fs::MetadataExt;
    assert_eq!(
        (after.uid(), after.mode(), after.len()),
        (before.uid(), before.mode(), before.len())
    );
    assert_eq!(fs::read_to_string(&victim).expect("text"), "untouched");
}
