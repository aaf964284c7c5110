//! A control plane whose disk is full: what cannot be stored is refused and said, what is known
//! is still told.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::scenes::text;
use crate::harness::fleet::FLUX;
use crate::harness::{AgentOptions, Fleet, FleetOptions, eventually, function_yaml, process};
use crate::runner::{Need, needs, tests};

tests![a_full_disk_is_never_an_empty_list_nor_an_acceptance,];

/// Becomes the control plane, with a small disk of its own under its state.
const ON_A_SMALL_DISK: &str =
    "mkdir -p \"$2\" && mount -t tmpfs -o size=3m tmpfs \"$2\" && exec \"$1\" server";

fn a_full_disk_is_never_an_empty_list_nor_an_acceptance() {
    needs(&[Need::MountNamespace]);
    let fleet = fleet_on_a_small_disk();
    fleet.deploy_script("echo", "", "echo hello");

    // The way into its namespace.
    let state = state_of(&fleet);
    let seen_there = PathBuf::from(format!(
        "/proc/{}/root{}",
        fleet.flux.pid(),
        state.display()
    ));
    let filler = seen_there.join("filler");
    fill(&filler);
    let refused = eventually("there is no room for another function", || {
        let name = format!("f{}", std::process::id());
        let reply = fleet
            .api
            .put("/functions", function_yaml(&name, "").as_bytes());
        (reply.status != 201).then_some(reply)
    });
    let message = refused.expect_error(503, "store_full");
    assert!(message.ends_with(" stored: the store is full"), "{message}");
    eventually("there is no room for another route", || {
        let reply = fleet.api.post_json("/execute/echo/async", &json!({}));
        if reply.status == 202 {
            return None;
        }
        reply.expect_error(503, "store_full");
        Some(())
    });
    let functions = fleet.api.get("/functions").expect(200);
    assert!(functions.to_string().contains("echo"), "{functions}");
    assert!(fleet.agent("agent-1").is_some());
    // The way of a synchronous call waits for no disk.
    // Nor does its record vanish when it cannot be kept.
    let record = fleet.execute("echo", &[]).expect(200);
    eventually("nothing can be kept", || {
        let said = "what nobody waits for is not stored";
        fleet.flux.log().contains(said).then_some(())
    });
    let path = format!("/executions/{}", text(&record, "execution_id"));
    assert_eq!(fleet.api.get(&path).expect(200), record);

    process::pause(Duration::from_secs(3));
    let said = fleet
        .flux
        .log()
        .matches("nobody waits for is not stored")
        .count();
    // By the store and by the history.
    assert!(said <= 2, "{said} times, with every try");
    std::fs::remove_file(&filler).expect("room again");
    eventually("it says that things are well again", || {
        let said = "what nobody waits for is stored again";
        fleet.flux.log().contains(said).then_some(())
    });
    let id = fleet.execute_async("echo", &[]);
    assert_eq!(text(&fleet.await_end(&id), "status"), "success");
}

#[track_caller]
fn fleet_on_a_small_disk() -> Fleet {
    let mut fleet = Fleet::with(&FleetOptions::default());
    assert!(fleet.flux.stop().success());
    let state = state_of(&fleet);
    let args = [
        "--mount",
        "--map-root-user",
        "sh",
        "-c",
        ON_A_SMALL_DISK,
        "sh",
        FLUX,
    ];
    let args = [&args[..], &[state.to_str().expect("UTF-8")]].concat();
    fleet.restart_flux_as("unshare", &args, &[]);
    fleet.add_agent(&AgentOptions::default());
    fleet
}

fn state_of(fleet: &Fleet) -> PathBuf {
    fleet.directory().join("state")
}

/// Writes until nothing more goes in.
fn fill(file: &std::path::Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(file).expect("filler");
    for size in [64 << 10, 4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}
