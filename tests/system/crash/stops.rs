//! SIGTERM: what is under way gets its answer before the daemon goes.

use nix::sys::signal::Signal;

use super::caller::{Answer, Caller};
use super::kills::await_started;
use super::scene::fleet;
use super::witness::Witness;
use crate::harness::{Fleet, eventually};
use crate::runner::tests;

tests![
    a_stopping_control_plane_answers_the_calls_under_way,
    a_stopping_agent_answers_the_calls_under_way,
    an_accepted_execution_ends_well_before_its_stopping_agent_goes,
    a_stopping_agent_takes_on_nothing_more_and_says_so,
];

const CALLS: usize = 6;
/// Long enough that every call is under way when the first could end.
const RUN_MILLIS: u64 = 1500;

fn a_stopping_control_plane_answers_the_calls_under_way() {
    let (mut fleet, witness) = fleet();
    let answers = calls_under_way(&mut fleet, &witness, |fleet| {
        assert!(fleet.flux.stop().success(), "{}", fleet.flux.log());
    });
    assert_all_succeeded(&answers, &witness);
}

fn a_stopping_agent_answers_the_calls_under_way() {
    let (mut fleet, witness) = fleet();
    let answers = calls_under_way(&mut fleet, &witness, |fleet| {
        let agent = &mut fleet.agents[0].daemon;
        assert!(agent.stop().success(), "{}", agent.log());
    });
    assert_all_succeeded(&answers, &witness);
}

fn an_accepted_execution_ends_well_before_its_stopping_agent_goes() {
    let (mut fleet, witness) = fleet();
    let caller = Caller::new(&fleet.api.url);
    let answer = caller
        .execute_async(&witness, RUN_MILLIS)
        .expect("an answer");
    assert_eq!(answer.status, 202, "{answer:?}");
    await_started(&witness, 1);
    assert!(fleet.agents[0].daemon.stop().success());
    assert_eq!(
        witness.testimony().ended.len(),
        1,
        "the agent went before it"
    );
    fleet.agents[0].restart();
    let record = fleet.await_end(&answer.id());
    assert_eq!(record["status"], "success", "{record}");
}

fn a_stopping_agent_takes_on_nothing_more_and_says_so() {
    let (fleet, witness) = fleet();
    let caller = Caller::new(&fleet.api.url);
    std::thread::scope(|scope| {
        let call = scope.spawn(|| caller.execute(&witness, RUN_MILLIS));
        await_started(&witness, 1);
        fleet.agents[0].daemon.signal(Signal::SIGTERM);
        eventually("the agent is known to drain or to be gone", || {
            (fleet.agent(&fleet.agents[0].id)?["status"] != "online").then_some(())
        });
        let refused = caller.execute(&witness, 0).expect("an answer");
        refused.assert_outage();
        let answer = call.join().expect("the caller").expect("an answer");
        assert_eq!(answer.status, 200, "{answer:?}");
    });
    assert_eq!(witness.testimony().started.len(), 1, "a refused call ran");
}

/// Several calls, all running when `stop` is called.
fn calls_under_way(
    fleet: &mut Fleet,
    witness: &Witness,
    stop: impl FnOnce(&mut Fleet),
) -> Vec<Option<Answer>> {
    let caller = Caller::new(&fleet.api.url);
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..CALLS)
            .map(|_| scope.spawn(|| caller.execute(witness, RUN_MILLIS)))
            .collect();
        await_started(witness, CALLS);
        stop(fleet);
        let answers = calls.into_iter().map(|call| call.join().expect("a caller"));
        answers.collect()
    })
}

#[track_caller]
fn assert_all_succeeded(answers: &[Option<Answer>], witness: &Witness) {
    for answer in answers {
        let answer = answer.as_ref().expect("every call gets an answer");
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body["status"], "success", "{answer:?}");
    }
    let testimony = witness.testimony();
    assert_eq!(testimony.started.len(), CALLS, "something ran again");
    assert_eq!(testimony.ended.len(), CALLS, "something did not end");
}
