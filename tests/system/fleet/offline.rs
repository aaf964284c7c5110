//! Questions about agents that are known to be away.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::json;

use super::scenes::{HOLD, fleet};
use crate::runner::tests;

tests![questions_about_an_agent_that_is_offline_do_not_wait_for_it,];

/// Twenty times the three seconds for which a call waits for a connection would be a minute.
const QUESTIONS: usize = 10;
const BOUND: Duration = Duration::from_secs(15);

fn questions_about_an_agent_that_is_offline_do_not_wait_for_it() {
    let mut fleet = fleet(2);
    fleet.deploy_script("hold", "", HOLD);
    let id = fleet.execute_async("hold", &[]);
    fleet.await_output(&id, "started");
    let record = fleet.api.get(&format!("/executions/{id}")).expect(200);
    let agent = super::scenes::text(&record, "agent_id").to_owned();
    let index = super::scenes::index_of(&fleet, &agent);
    fleet.agents[index].daemon.kill9();
    // In its place somebody who takes connections and says nothing.
    let silent = TcpListener::bind(&fleet.agents[index].address).expect("its port");
    fleet.await_status(&agent, "offline");

    let began = Instant::now();
    for _ in 0..QUESTIONS {
        fleet
            .api
            .get(&format!("/executions/{id}"))
            .expect_error(503, "agent_unreachable");
        let listed = fleet.api.get("/executions").expect(200);
        assert_eq!(listed["unreachable_agents"], json!([agent]));
    }
    let took = began.elapsed();
    assert!(took < BOUND, "{took:?}");

    // And it is found again when it is back.
    drop(silent);
    fleet.agents[index].restart();
    fleet.await_status(&agent, "online");
    let record = fleet.api.get(&format!("/executions/{id}")).expect(200);
    assert_eq!(record["reason"], "lost", "{record}");
}
