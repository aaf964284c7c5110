//! What becomes of executions and of what they leave.

use std::fs;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::fleets::{quick, waiting_for};
use crate::api::leaving::{is_alive, open_to_functions, pids_in, tree_script};
use crate::api::plain::plain;
use crate::harness::{
    AgentOptions, Fleet, FleetOptions, OPEN_FILES, eventually, fleet::fs_write, script_archive,
};
use crate::runner::tests;

tests![
    a_function_with_a_child_that_holds_its_output_open_ends_when_it_ends,
    output_of_many_megabytes_makes_a_success_no_error,
    two_streams_written_at_once_lose_and_mix_nothing,
    a_cancel_that_races_the_end_and_the_record_agree,
    a_record_does_not_expire_while_it_runs_and_does_after_its_end,
    an_agent_that_was_killed_says_lost_of_what_ran_and_leaves_no_orphans,
    executions_from_before_a_restart_of_the_control_plane_are_found_and_undisturbed,
    a_function_cannot_plant_a_link_through_which_the_agent_touches_other_files,
];

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

fn output_of_many_megabytes_makes_a_success_no_error() {
    let fleet = plain();
    fleet.deploy_script("flood", "", "head -c 62914560 /dev/zero; exit 0");
    let record = fleet.execute("flood", &[]).expect(200);
    assert_eq!(record["status"], "success");
    assert_eq!(record["truncated"], true);
    assert_eq!(record["stdout_bytes"], 62_914_560);
}

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
    assert_eq!(record["stdout_bytes"], 6, "and counted");
    eventually("nothing is counted as active", || {
        (fleet.agent("agent-1")?["active_count"] == 0).then_some(())
    });
}

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
