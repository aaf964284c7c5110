//! Fleets of which one half is the implementation that Flux replaces, on the wire as it was released: our real
//! daemons, and for the other half a script with its seven calls. Without TLS: with it nothing of the two mixes.

use std::fs;

use openssl::base64::encode_block;
use serde_json::{Value, json};

use super::peer::Peer;
use crate::harness::fleet::{FLUX_AGENT, fs_write};
use crate::harness::{Daemon, Fleet, FleetOptions, eventually, script_archive};
use crate::runner::tests;

tests![
    an_existing_agent_serves_our_control_plane,
    an_existing_control_plane_commands_our_agent,
];

fn an_existing_agent_serves_our_control_plane() {
    let agent = Peer::start("existing_agent.py", &json!({}));
    let port = agent.says()["port"].as_u64().unwrap();
    let fleet = Fleet::with(&FleetOptions {
        flux_yaml: "disable_grpc_tls: true\nlimits:\n  heartbeat_interval: 200ms\n".to_owned(),
        agents: Vec::new(),
    });
    fleet.deploy_script("echo", "", "not run by a script");
    let address = format!("127.0.0.1:{port}");
    let register = json!({ "address": address });
    fleet
        .api
        .post_json("/agents/register", &register)
        .expect(201);
    fleet.await_status("existing", "online");
    // With its configuration, in one.
    let deployed = json!({ "deployed": "echo", "handler": "run", "is_zip": true });
    assert_eq!(agent.says(), deployed);

    let record = fleet.execute("echo", &["one", "two"]).expect(200);
    assert_eq!(record["output"], "echo ran with one two\n");
    assert_eq!(record["agent_id"], "existing");
    let id = fleet.execute_async("echo", &["three"]);
    let record = fleet.await_end(&id);
    assert_eq!(
        (&record["status"], &record["output"]),
        (&json!("success"), &json!("echo ran with three\n"))
    );
    let id = fleet.execute_async("echo", &["hold"]);
    eventually("it runs there", || {
        let record = fleet.api.get(&format!("/executions/{id}"));
        (record.status == 200 && record.json()["status"] == "running").then_some(())
    });
    fleet.api.delete(&format!("/executions/{id}")).expect(200);
    assert_eq!(fleet.await_end(&id)["status"], "cancelled");
}

fn an_existing_control_plane_commands_our_agent() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().display();
    fs_write(
        &directory.path().join("agent.yaml"),
        &format!("agent_id: worker\nport: 0\nstate_dir: {root}/state\npublic_ip_lookup: false\n"),
    );
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(directory.path(), permissions).unwrap();
    let config = directory.path().join("agent.yaml");
    let env = [("AGENT_CONFIG", config.to_str().unwrap())];
    let mut agent = Daemon::start(FLUX_AGENT, &[], &env, directory.path(), "worker");
    let address = agent.await_log("listening on ", 0);

    let script = "echo \"hello $1\"; if [ \"$1\" = hold ]; then exec sleep 600; fi";
    let argument = json!({ "address": address, "archive": encode_block(&script_archive(script)) });
    let control = Peer::start("existing_control_plane.py", &argument);
    let expected: [Value; 6] = [
        json!({ "agent": "worker", "is_healthy": true }),
        json!({ "registered": true, "deployed": true }),
        json!({ "output": "hello you\n", "error": "" }),
        json!({ "output": "hello all\n" }),
        json!({ "cancelled": true, "status": "cancelled" }),
        json!({ "dropped": "cancelled" }),
    ];
    for said in expected {
        assert_eq!(control.says(), said);
    }
    control.ends();
    assert!(agent.stop().success());
}
