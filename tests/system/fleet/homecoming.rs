//! What executions came to outlives the agents that ran them.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::records::{all_events, await_age, await_home, await_released, history, journal};
use super::scenes::{HOLD, fleet, text};
use crate::harness::{AgentOptions, Fleet, FleetOptions, eventually};
use crate::runner::tests;

tests![
    a_record_and_its_output_are_there_when_its_agent_is_not,
    long_output_comes_home_whole_with_its_streams_apart,
    output_that_could_not_be_fetched_is_fetched_later_without_another_end,
    output_that_cannot_be_fetched_holds_back_no_other,
    output_that_waits_for_another_try_gets_it_before_its_agent_is_removed,
    output_that_was_not_fetched_before_its_agent_left_is_gone_and_its_record_stays,
    an_accepted_execution_that_its_agent_has_forgotten_is_lost_and_not_unknown,
    removing_an_agent_keeps_what_ended_there_and_its_return_changes_nothing,
    a_control_plane_that_was_away_longer_than_records_are_kept_there_loses_none,
    what_a_key_stands_for_is_answered_when_its_agent_is_gone,
];

/// Writes more than comes along with an end, from both streams in turn.
const LONG: &str =
    "for i in 1 2 3 4; do head -c 500000 /dev/zero | tr '\\0' $i; echo err$i >&2; sleep 0.05; done";

fn a_record_and_its_output_are_there_when_its_agent_is_not() {
    let mut fleet = fleet(1);
    fleet.deploy_script("both", "", "echo out; sleep 0.1; echo err >&2; exit 3");
    let async_id = fleet.execute_async("both", &[]);
    let sync_record = fleet.execute("both", &[]).expect(500);
    let sync_id = text(&sync_record, "execution_id").to_owned();
    let async_record = fleet.await_end(&async_id);
    await_home(&fleet, &[&async_id, &sync_id]);
    let listed = fleet.api.get("/executions").expect(200);
    let events = all_events(&fleet, &async_id);

    fleet.agents[0].daemon.kill9();
    fleet.await_status("agent-1", "offline");
    for (id, record) in [(&async_id, &async_record), (&sync_id, &sync_record)] {
        assert_eq!(
            fleet.api.get(&format!("/executions/{id}")).expect(200),
            *record
        );
        for (query, expected) in [
            ("", "out\nerr\n"),
            ("?stream=stdout", "out\n"),
            ("?stream=stderr&offset=1", "rr\n"),
        ] {
            let output = fleet.api.get(&format!("/executions/{id}/output{query}"));
            assert_eq!((output.status, output.text().as_str()), (200, expected));
        }
    }
    let now_listed = fleet.api.get("/executions").expect(200);
    assert_eq!(now_listed["executions"], listed["executions"]);
    assert_eq!(all_events(&fleet, &async_id), events);
    fleet
        .api
        .delete(&format!("/executions/{async_id}"))
        .expect_error(409, "execution_ended");
}

fn long_output_comes_home_whole_with_its_streams_apart() {
    let mut fleet = fleet(1);
    fleet.deploy_script("long", "", LONG);
    let async_id = fleet.execute_async("long", &[]);
    let sync_record = fleet.execute("long", &[]).expect(200);
    let sync_id = text(&sync_record, "execution_id").to_owned();
    fleet.await_end(&async_id);
    await_home(&fleet, &[&async_id, &sync_id]);
    fleet.agents[0].daemon.kill9();
    fleet.await_status("agent-1", "offline");
    let expected: String = ["1", "2", "3", "4"]
        .map(|digit| digit.repeat(500_000))
        .concat();
    for id in [&async_id, &sync_id] {
        let record = fleet.api.get(&format!("/executions/{id}")).expect(200);
        assert_eq!(record["truncated"], false);
        assert_eq!(text(&record, "output").len(), 2_000_000 + 4 * 5);
        let read = |stream| {
            let path = format!("/executions/{id}/output?stream={stream}");
            fleet.api.get(&path).text()
        };
        assert!(read("stdout") == expected);
        assert_eq!(read("stderr"), "err1\nerr2\nerr3\nerr4\n");
    }
}

fn output_that_could_not_be_fetched_is_fetched_later_without_another_end() {
    let mut fleet = fleet(1);
    fleet.deploy_script("long", "", LONG);
    let (id, broken) = end_with_broken_output(&mut fleet);
    fleet.restart_flux();
    eventually("it could not be fetched", || {
        let complaint = format!("the output of execution {id} stays there");
        fleet.flux.log().contains(&complaint).then_some(())
    });
    // What begins with a connection is over then, and nothing but probes asks for it.
    await_probes(&fleet, 5);
    broken.mend();
    await_home(&fleet, &[&id]);
}

fn output_that_cannot_be_fetched_holds_back_no_other() {
    let mut fleet = fleet(1);
    fleet.deploy_script("long", "", LONG);
    let (broken_id, _broken) = end_with_broken_output(&mut fleet);
    fleet.restart_flux();
    fleet.await_status("agent-1", "online");
    let id = fleet.execute_async("long", &[]);
    await_home(&fleet, &[&id]);
    let record = fleet.api.get(&format!("/executions/{broken_id}"));
    record.expect_error(503, "agent_unreachable");
    // Time for another try, which comes after two seconds at the most.
    await_probes(&fleet, 15);
    let complaint = format!("the output of execution {broken_id} stays there");
    let said = fleet.flux.log().matches(&complaint).count();
    assert_eq!(said, 1, "with every try");

    fleet.api.delete("/agents/agent-1").expect(200);
    let log = fleet.flux.log();
    assert!(
        log.contains("agent-1 is removed without having told all"),
        "{log}"
    );
    let record = fleet.api.get(&format!("/executions/{broken_id}"));
    assert_eq!(record.expect(200)["truncated"], true);
}

fn output_that_waits_for_another_try_gets_it_before_its_agent_is_removed() {
    let mut fleet = fleet(1);
    fleet.deploy_script("long", "", LONG);
    let (id, broken) = end_with_broken_output(&mut fleet);
    fleet.restart_flux();
    eventually("it could not be fetched", || {
        let complaint = format!("the output of execution {id} stays there");
        fleet.flux.log().contains(&complaint).then_some(())
    });
    broken.mend();
    fleet.api.delete("/agents/agent-1").expect(200);
    let record = fleet.api.get(&format!("/executions/{id}")).expect(200);
    assert_eq!(record["truncated"], false, "{record}");
}

fn output_that_was_not_fetched_before_its_agent_left_is_gone_and_its_record_stays() {
    let mut fleet = fleet(1);
    fleet.deploy_script("long", "", LONG);
    let id = fleet.execute_async("long", &[]);
    fleet.await_end(&id);
    await_home(&fleet, &[&id]);
    fleet.api.delete("/agents/agent-1").expect(200);
    fleet.stop_flux();
    // As an end leaves it that is kept a moment after the agent is gone.
    let marked = history(&fleet).execute(
        "UPDATE records SET output = 2, output_bytes = 0, changes = NULL",
        (),
    );
    assert_eq!(marked, Ok(1));
    fleet.restart_flux();
    let record = fleet.api.get(&format!("/executions/{id}")).expect(200);
    assert_eq!(
        (&record["status"], &record["truncated"], &record["output"]),
        (&json!("success"), &json!(true), &json!(""))
    );
    let output = fleet.api.get(&format!("/executions/{id}/output"));
    assert_eq!((output.status, output.text().as_str()), (200, ""));
    let events = all_events(&fleet, &id);
    assert_eq!(events.len(), 1, "{events:?}");
}

fn an_accepted_execution_that_its_agent_has_forgotten_is_lost_and_not_unknown() {
    let mut fleet = fleet(1);
    fleet.deploy_script("quick", "", "sleep 1; echo done");
    let keyed = |fleet: &Fleet| {
        let headers = [
            ("idempotency-key", "k"),
            ("content-type", "application/json"),
        ];
        let reply = fleet
            .api
            .call("POST", "/execute/quick/async", &headers, b"{}");
        text(&reply.expect(202), "execution_id").to_owned()
    };
    // It ends while the control plane is away, and that for longer than its agent remembers it.
    let id = keyed(&fleet);
    fleet.kill_flux();
    await_age(&fleet, &id, Duration::ZERO);
    fleet.agents[0].daemon.kill9();
    let journal = journal(&fleet);
    let forgotten = journal.execute("DELETE FROM executions WHERE id = ?1", [&id]);
    assert_eq!(forgotten, Ok(1));
    journal
        .execute(
            "INSERT INTO marks (name, value) VALUES ('forgotten_until', ?1)",
            [i64::MAX],
        )
        .expect("mark");
    drop(journal);
    fleet.agents[0].restart();
    fleet.restart_flux();
    let record = fleet.await_end(&id);
    assert_eq!(record["reason"], "lost");
    assert_eq!(keyed(&fleet), id);
    await_home(&fleet, &[&id]);
    assert_eq!(fleet.await_end(&id), record);
}

fn removing_an_agent_keeps_what_ended_there_and_its_return_changes_nothing() {
    let fleet = fleet(1);
    fleet.deploy_script("quick", "max_concurrency: 40\n", "echo $1; [ $1 != 7 ]");
    fleet.deploy_script("long", "", LONG);
    fleet.deploy_script("hold", "", HOLD);
    let held = fleet.execute_async("hold", &[]);
    fleet.await_output(&held, "started");
    let long = fleet.execute_async("long", &[]);
    fleet.await_end(&long);
    let ids: Vec<_> = (0..20)
        .map(|i| fleet.execute_async("quick", &[&i.to_string()]))
        .collect();
    let records: Vec<_> = ids.iter().map(|id| fleet.await_end(id)).collect();

    fleet.api.delete("/agents/agent-1").expect(200);
    let is_unchanged = || {
        for (id, record) in ids.iter().zip(&records) {
            assert_eq!(
                fleet.api.get(&format!("/executions/{id}")).expect(200),
                *record
            );
        }
        let record = fleet.api.get(&format!("/executions/{long}")).expect(200);
        assert_eq!(text(&record, "output").len(), 2_000_000 + 4 * 5);
        let record = fleet.api.get(&format!("/executions/{held}")).expect(200);
        assert_eq!(record["reason"], "lost");
        let listed = fleet.api.get("/executions?limit=500").expect(200);
        assert_eq!(listed["executions"].as_array().map(Vec::len), Some(22));
        assert_eq!(listed["unreachable_agents"], json!([]));
    };
    is_unchanged();
    let address = &fleet.agents[0].address;
    let register = json!({ "address": address });
    fleet
        .api
        .post_json("/agents/register", &register)
        .expect(201);
    fleet.await_status("agent-1", "online");
    // Another end tells that those before it have been read again.
    let again = fleet.execute_async("quick", &["again"]);
    fleet.await_end(&again);
    await_home(&fleet, &[&again]);
    fleet.api.delete("/agents/agent-1").expect(200);
    fleet.api.get(&format!("/executions/{again}")).expect(200);
    let listed = fleet.api.get("/executions?limit=500").expect(200);
    assert_eq!(listed["executions"].as_array().map(Vec::len), Some(23));
}

fn a_control_plane_that_was_away_longer_than_records_are_kept_there_loses_none() {
    let mut fleet = Fleet::with(&FleetOptions {
        flux_yaml: "limits:\n  heartbeat_interval: 200ms\n".to_owned(),
        agents: vec![AgentOptions {
            agent_yaml: "limits:\n  record_retention: 1s\n".to_owned(),
            ..AgentOptions::default()
        }],
    });
    fleet.deploy_script("slow", "", "sleep $1; echo done");
    let before = fleet.execute_async("slow", &["0"]);
    fleet.await_end(&before);
    await_home(&fleet, &[&before]);
    await_released(&fleet);
    let id = fleet.execute_async("slow", &["0.5"]);
    fleet.kill_flux();
    await_age(&fleet, &id, Duration::from_secs(3));
    fleet.restart_flux();
    let record = fleet.await_end(&id);
    assert_eq!(
        (&record["status"], &record["output"]),
        (&json!("success"), &json!("done\n"))
    );
    await_home(&fleet, &[&id]);
}

fn what_a_key_stands_for_is_answered_when_its_agent_is_gone() {
    let fleet = fleet(1);
    fleet.deploy_script("once", "", "echo $$");
    let keyed = |path: &str| {
        let headers = [
            ("idempotency-key", "k"),
            ("content-type", "application/json"),
        ];
        fleet.api.call("POST", path, &headers, b"{}")
    };
    let first = keyed("/execute/once").expect(200);
    let accepted = keyed("/execute/once/async");
    accepted.expect_error(409, "idempotency_key_reused");
    fleet.api.delete("/agents/agent-1").expect(200);
    assert_eq!(keyed("/execute/once").expect(200), first);
}

/// Until the agent has answered that many more of them.
#[track_caller]
fn await_probes(fleet: &Fleet, count: usize) {
    let last = || fleet.agent("agent-1").expect("listed")["last_heartbeat"].clone();
    for _ in 0..count {
        let before = last();
        eventually("it answers a probe", || (last() != before).then_some(()));
    }
}

/// An execution of "long" that ends while the control plane is away, and whose output its agent cannot
/// read then.
#[track_caller]
fn end_with_broken_output(fleet: &mut Fleet) -> (String, BrokenOutput) {
    let id = fleet.execute_async("long", &[]);
    fleet.kill_flux();
    await_age(fleet, &id, Duration::ZERO);
    let spool = fleet.agents[0].state_dir().join("output");
    let file = spool.join(format!("{id}.out"));
    let aside = spool.join("aside");
    std::fs::rename(&file, &aside).expect("rename");
    // It follows none.
    std::os::unix::fs::symlink(&aside, &file).expect("symlink");
    (id, BrokenOutput { file, aside })
}

struct BrokenOutput {
    file: PathBuf,
    aside: PathBuf,
}

impl BrokenOutput {
    fn mend(&self) {
        std::fs::rename(&self.aside, &self.file).expect("rename");
    }
}
