//! Executions that nobody has a record of any more.

use super::scenes::{HOLD, text};
use crate::harness::eventually;
use crate::runner::tests;

tests![an_execution_that_its_agent_knows_nothing_of_is_lost_until_records_of_its_time_expire,];

fn an_execution_that_its_agent_knows_nothing_of_is_lost_until_records_of_its_time_expire() {
    let mut fleet =
        super::scenes::with_limits(1, "heartbeat_interval: 200ms\nretention:\n  failure: 8s");
    fleet.deploy_script("hold", "", HOLD);
    let id = fleet.execute_async("hold", &[]);
    fleet.await_output(&id, "started");
    let path = format!("/executions/{id}");
    fleet.agents[0].daemon.kill9();
    std::fs::remove_dir_all(fleet.agents[0].state_dir().join("journal")).expect("its disk");
    fleet.agents[0].restart();
    // Without that anybody asks for it.
    let lost = format!("execution {id} is lost: ");
    fleet.flux.await_log(&lost, 0);

    let record = fleet.api.get(&path).expect(200);
    assert_eq!(text(&record, "status"), "failed");
    assert_eq!(text(&record, "reason"), "lost");
    assert_eq!(fleet.api.get(&path).expect(200), record, "it never changes");
    let reply = eventually("it is forgotten", || {
        let reply = fleet.api.get(&path);
        (reply.status != 200).then_some(reply)
    });
    reply.expect_error(404, "execution_not_found");
    // Once was enough: asking does not make it last.
    assert_eq!(fleet.flux.log().matches(&lost).count(), 1);
}
