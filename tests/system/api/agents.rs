//! Agents: registered, drained, taken back, removed.

use std::net::TcpListener;

use serde_json::json;

use crate::api::plain::plain;
use crate::harness::{AgentOptions, Fleet, FleetOptions, eventually, fleet::fs_write};
use crate::runner::tests;

tests![
    registering_dials_the_agent_and_answers_with_its_id_and_figures,
    an_address_where_no_agent_of_this_fleet_answers_is_502_and_nothing_is_added,
    an_agent_of_another_fleet_is_refused,
    registrations_that_make_no_sense_are_refused_by_name,
    unknown_agents_are_404_and_impossible_ids_422,
    a_draining_agent_finishes_what_runs_gets_nothing_new_and_can_be_taken_back,
    a_removed_agent_is_gone_its_executions_are_lost_and_it_may_come_back,
    a_late_probe_does_not_bring_a_removed_agent_back,
];

#[track_caller]
fn agents_listed(fleet: &Fleet) -> usize {
    let listed = fleet.api.get("/agents").expect(200);
    listed.as_array().expect("a list").len()
}

fn registering_dials_the_agent_and_answers_with_its_id_and_figures() {
    let mut fleet = Fleet::with(&FleetOptions::default());
    let agent = fleet.start_agent("agent-1", &AgentOptions::default());
    let body = json!({"address": agent.address, "tls": true});
    let registered = fleet.api.post_json("/agents/register", &body).expect(201);
    assert_eq!(registered["status"], "registered");
    assert_eq!(registered["id"], "agent-1");
    assert_eq!(registered["address"], agent.address.as_str());
    assert!(
        registered["node"]["memory_total_mb"].as_u64() > Some(0),
        "{registered}"
    );
    assert!(registered["node"]["uptime_seconds"].is_u64());
    fleet.await_status("agent-1", "online");
    // Once more is no change.
    fleet.api.post_json("/agents/register", &body).expect(201);
    assert_eq!(agents_listed(&fleet), 1);

    // The same id elsewhere is somebody else, or a mistake.
    let (_, port) = agent.address.rsplit_once(':').expect("port");
    let elsewhere = json!({"address": format!("localhost:{port}")});
    let conflict = fleet.api.post_json("/agents/register", &elsewhere);
    assert!(
        conflict
            .expect_error(409, "agent_conflict")
            .contains(&agent.address)
    );
    let listed = fleet.agent("agent-1").expect("listed");
    assert_eq!(listed["address"], agent.address.as_str());
    fleet.agents.push(agent);
}

fn an_address_where_no_agent_of_this_fleet_answers_is_502_and_nothing_is_added() {
    let fleet = plain();
    let agents = agents_listed(&fleet);
    let closed = TcpListener::bind("127.0.0.1:0")
        .expect("bind")
        .local_addr()
        .expect("address");
    let flux = fleet
        .api
        .url
        .strip_prefix("http://")
        .expect("http")
        .to_owned();
    for address in [closed.to_string(), flux] {
        let reply = fleet
            .api
            .post_json("/agents/register", &json!({"address": address}));
        let message = reply.expect_error(502, "agent_unreachable");
        assert!(message.contains(&address), "{message}");
    }
    // An agent that wants TLS, dialled without.
    let body = json!({"address": fleet.agents[0].address, "tls": false});
    fleet
        .api
        .post_json("/agents/register", &body)
        .expect_error(502, "agent_unreachable");
    assert_eq!(agents_listed(&fleet), agents);
}

fn an_agent_of_another_fleet_is_refused() {
    let ours = plain();
    let theirs = Fleet::start();
    let body = json!({"address": theirs.agents[0].address});
    ours.api
        .post_json("/agents/register", &body)
        .expect_error(502, "agent_unreachable");
    assert_eq!(
        ours.api.get("/agents").expect(200).as_array().map(Vec::len),
        Some(1)
    );
}

fn registrations_that_make_no_sense_are_refused_by_name() {
    let fleet = plain();
    let register = |body: serde_json::Value| fleet.api.post_json("/agents/register", &body);
    register(json!({})).expect_invalid(&["address"]);
    register(json!({"address": 5, "tls": "yes", "id": "x"}))
        .expect_invalid(&["address", "tls", "id"]);
    for address in [
        "",
        "host",
        "host:0",
        "http://h:1",
        "169.254.169.254:80",
        "0.0.0.0:1",
        "a b:1",
    ] {
        register(json!({ "address": address })).expect_error(422, "invalid_address");
    }
    let reply = fleet.api.call("POST", "/agents/register", &[], b"{");
    reply.expect_error(400, "malformed_json");
    let large = vec![b' '; 70_000];
    let reply = fleet.api.call("POST", "/agents/register", &[], &large);
    reply.expect_error(413, "body_too_large");
}

fn unknown_agents_are_404_and_impossible_ids_422() {
    let fleet = plain();
    fleet
        .api
        .delete("/agents/nobody")
        .expect_error(404, "agent_not_found");
    let drain = |id: &str| {
        fleet
            .api
            .call("POST", &format!("/agents/{id}/drain"), &[], b"")
    };
    drain("nobody").expect_error(404, "agent_not_found");
    fleet
        .api
        .delete("/agents/Nobody")
        .expect_error(422, "invalid_name");
    drain("Nobody").expect_error(422, "invalid_name");
    let body = json!({"drain": "yes", "force": true});
    fleet
        .api
        .post_json("/agents/agent-1/drain", &body)
        .expect_invalid(&["drain", "force"]);
    assert_eq!(fleet.agent("agent-1").expect("there")["status"], "online");
}

fn a_draining_agent_finishes_what_runs_gets_nothing_new_and_can_be_taken_back() {
    let mut fleet = Fleet::start();
    let gate = fleet.directory().join("gate");
    let script = format!(
        "echo begun; until [ -e {} ]; do sleep 0.02; done; echo done",
        gate.display()
    );
    fleet.deploy_script("drained", "", &script);
    let running = fleet.execute_async("drained", &[]);
    fleet.await_output(&running, "begun");

    let reply = fleet
        .api
        .call("POST", "/agents/agent-1/drain", &[], b"")
        .expect(200);
    assert_eq!(
        (&reply["id"], &reply["status"]),
        (&json!("agent-1"), &json!("draining"))
    );
    assert_eq!(fleet.agent("agent-1").expect("there")["status"], "draining");
    fleet
        .api
        .post_json("/agents/agent-1/drain", &json!({"drain": true}))
        .expect(200);
    fleet.execute("drained", &[]).expect_error(503, "no_agent");
    fleet
        .api
        .post_json("/execute/drained/async", &json!({}))
        .expect_error(503, "no_agent");

    // A restart of the control plane does not forget it.
    fleet.stop_flux();
    fleet.restart_flux();
    eventually("the agent is heard of again", || {
        fleet.agent("agent-1")?["last_heartbeat"].as_str().map(drop)
    });
    assert_eq!(fleet.agent("agent-1").expect("there")["status"], "draining");
    fleet.execute("drained", &[]).expect_error(503, "no_agent");

    fs_write(&gate, "");
    let record = fleet.await_end(&running);
    assert_eq!(
        (&record["status"], &record["output"]),
        (&json!("success"), &json!("begun\ndone\n"))
    );

    fleet
        .api
        .post_json("/agents/agent-1/drain", &json!({"drain": false}))
        .expect(200);
    fleet.await_status("agent-1", "online");
    fleet.execute("drained", &[]).expect(200);
    let twice = fleet
        .api
        .post_json("/agents/agent-1/drain", &json!({"drain": false}));
    twice.expect_error(409, "illegal_transition");
}

fn a_removed_agent_is_gone_its_executions_are_lost_and_it_may_come_back() {
    let fleet = Fleet::with(&FleetOptions {
        agents: vec![AgentOptions::default(), AgentOptions::default()],
        ..FleetOptions::default()
    });
    fleet.deploy_script("left", "", "echo begun; sleep 600");
    let running = fleet.execute_async("left", &[]);
    fleet.await_output(&running, "begun");
    let record = fleet.api.get(&format!("/executions/{running}")).expect(200);
    let owner = record["agent_id"].as_str().expect("agent").to_owned();
    let removed = fleet.api.delete(&format!("/agents/{owner}")).expect(200);
    assert_eq!(removed, json!({"status": "removed", "id": owner}));
    assert_eq!(fleet.agent(&owner), None);
    fleet
        .api
        .delete(&format!("/agents/{owner}"))
        .expect_error(404, "agent_not_found");

    let lost = fleet.api.get(&format!("/executions/{running}")).expect(200);
    assert_eq!(
        (&lost["status"], &lost["reason"]),
        (&json!("failed"), &json!("lost"))
    );
    let events: Vec<_> = fleet.api.events(&running, None).collect();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].data["reason"], "lost");
    fleet
        .api
        .delete(&format!("/executions/{running}"))
        .expect_error(409, "execution_ended");

    // The other one still works.
    let other = fleet.execute_async("left", &[]);
    fleet.await_output(&other, "begun");

    let agent = fleet
        .agents
        .iter()
        .find(|agent| agent.id == owner)
        .expect("agent");
    let body = json!({"address": agent.address});
    fleet.api.post_json("/agents/register", &body).expect(201);
    fleet.await_status(&owner, "online");
    // It still runs there, and now that can be asked again.
    let found = fleet.api.get(&format!("/executions/{running}")).expect(200);
    assert_eq!(found["output"], "begun\n");
    fleet
        .api
        .delete(&format!("/executions/{running}"))
        .expect(200);
}

fn a_late_probe_does_not_bring_a_removed_agent_back() {
    let fleet = Fleet::with(&FleetOptions {
        flux_yaml: "limits: {heartbeat_interval: 50ms}\n".to_owned(),
        agents: vec![AgentOptions::default(), AgentOptions::default()],
    });
    fleet.api.delete("/agents/agent-1").expect(200);
    let beat = |id: &str| fleet.agent(id).map(|agent| agent["last_heartbeat"].clone());
    // As many rounds of probes as any late answer could take.
    for _ in 0..5 {
        let before = beat("agent-2");
        eventually("another probe", || {
            (beat("agent-2") != before).then_some(())
        });
        assert_eq!(fleet.agent("agent-1"), None);
    }
}
