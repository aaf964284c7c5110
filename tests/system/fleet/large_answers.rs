//! More output at once than a connection holds.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::records::await_age;
use super::scenes::{call_aside, text};
use crate::harness::{AgentOptions, Fleet, FleetOptions, eventually};
use crate::runner::tests;

tests![answers_that_find_no_room_arrive_all_the_same(alone)];

/// Together more than the 208 MiB that an agent keeps for a control plane that takes nothing.
const CALLS: usize = 12;
const BYTES: usize = 22_000_000;

fn answers_that_find_no_room_arrive_all_the_same() {
    let fleet = Fleet::with(&FleetOptions {
        flux_yaml: String::new(),
        agents: vec![AgentOptions {
            agent_yaml: "limits:\n  output_max_mb: 30\n  max_executions: 40\n".to_owned(),
            ..AgentOptions::default()
        }],
    });
    let script = format!("echo begun >&2; sleep 3; head -c {BYTES} /dev/zero | tr '\\0' x");
    fleet.deploy_script("large", "max_concurrency: 40\n", &script);
    thread::scope(|scope| {
        let call = || call_aside(scope, &fleet, "/execute/large", &[]);
        let calls: Vec<_> = (0..CALLS).map(|_| call()).collect();
        let ids = eventually("all of them run", || {
            let page = fleet.api.get("/executions?status=running").expect(200);
            let listed = page["executions"].as_array().expect("a list");
            let ids = listed.iter().map(|it| text(it, "execution_id").to_owned());
            (listed.len() == CALLS).then(|| ids.collect::<Vec<_>>())
        });
        fleet.flux.signal(Signal::SIGSTOP);
        for id in &ids {
            await_age(&fleet, id, Duration::ZERO);
        }
        eventually("there is no room for one", || {
            let said = fleet.agents[0].daemon.log();
            said.contains("an answer was thrown away").then_some(())
        });
        fleet.flux.signal(Signal::SIGCONT);
        for call in calls {
            let record = call.join().expect("an answer").expect(200);
            assert_eq!(record["status"], "success");
            assert_eq!(record["truncated"], false);
            assert_eq!(text(&record, "output").len(), BYTES + "begun\n".len());
        }
    });
    assert_eq!(fleet.agent("agent-1").expect("listed")["status"], "online");
}
