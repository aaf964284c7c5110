//! Properties of agents.

use flux::model::agent::{Agent, AgentState, Machine};
use flux::store::{Revision, StoreError, Stored};

use super::bench::{Bench, agent as id, at, at_once};

pub fn an_agent_is_written_only_over_what_its_writer_saw(bench: &dyn Bench) {
    let store = bench.open();
    let first = store
        .put_agent(&agent(AgentState::Syncing), None)
        .expect("new");
    let second = store
        .put_agent(&agent(AgentState::Online), Some(first))
        .expect("seen");
    assert_ne!(first, second);
    // The late writer: it saw the first state, and would make a draining agent online.
    for late in [Some(first), None] {
        let error = store
            .put_agent(&agent(AgentState::Offline), late)
            .expect_err("late");
        assert_conflict(&error, late, Some(second));
    }
    assert_eq!(
        store.list_agents().expect("list"),
        [Stored {
            value: agent(AgentState::Online),
            revision: second
        }]
    );
}

pub fn a_late_write_does_not_bring_a_deleted_agent_back(bench: &dyn Bench) {
    let store = bench.open();
    let seen = store
        .put_agent(&agent(AgentState::Online), None)
        .expect("new");
    store.delete_agent(&id("a1"), seen).expect("delete");
    let error = store
        .put_agent(&agent(AgentState::Online), Some(seen))
        .expect_err("deleted");
    assert_conflict(&error, Some(seen), None);
    let error = store.delete_agent(&id("a1"), seen).expect_err("deleted");
    assert_conflict(&error, Some(seen), None);
    assert_eq!(store.list_agents().expect("list"), []);
}

pub fn a_revision_of_a_deleted_agent_does_not_fit_its_successor(bench: &dyn Bench) {
    let store = bench.open();
    let seen = store
        .put_agent(&agent(AgentState::Online), None)
        .expect("new");
    store.delete_agent(&id("a1"), seen).expect("delete");
    drop(store);
    let store = bench.open();
    let successor = store
        .put_agent(&agent(AgentState::Syncing), None)
        .expect("new again");
    let error = store
        .put_agent(&agent(AgentState::Online), Some(seen))
        .expect_err("of another life");
    assert_conflict(&error, Some(seen), Some(successor));
    assert!(store.delete_agent(&id("a1"), seen).is_err());
    assert_eq!(store.list_agents().expect("list").len(), 1);
}

pub fn of_simultaneous_writers_one_wins(bench: &dyn Bench) {
    let store = bench.open();
    let seen = store
        .put_agent(&agent(AgentState::Online), None)
        .expect("new");
    let results = at_once(|_| store.put_agent(&agent(AgentState::Draining), Some(seen)));
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
}

pub fn agents_keep_every_field_and_are_listed_by_id(bench: &dyn Bench) {
    let store = bench.open();
    let managed = Agent {
        id: id("b"),
        machine: Some(Machine {
            provider: "aws".to_owned(),
            instance_id: "i-1".to_owned(),
            instance_type: "t3.small".to_owned(),
        }),
        tls: false,
        ..agent(AgentState::Provisioning)
    };
    let last = Agent {
        id: id("c"),
        ..agent(AgentState::Draining)
    };
    let first = Agent {
        id: id("a"),
        ..agent(AgentState::Gone)
    };
    for agent in [&managed, &last, &first] {
        store.put_agent(agent, None).expect("new");
    }
    drop(store);
    let listed = bench.open().list_agents().expect("list");
    let agents: Vec<_> = listed.into_iter().map(|stored| stored.value).collect();
    assert_eq!(agents, [first, managed, last]);
}

fn agent(state: AgentState) -> Agent {
    Agent {
        id: id("a1"),
        address: "10.0.0.1:50052".to_owned(),
        tls: true,
        state,
        machine: None,
        registered_at: at(1),
    }
}

fn assert_conflict(error: &StoreError, seen: Option<Revision>, there: Option<Revision>) {
    assert!(
        matches!(error, StoreError::Conflict { expected, found, .. }
            if *expected == seen && *found == there),
        "{error:?}"
    );
}
