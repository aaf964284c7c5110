//! Two control planes' memories over one store: what one writes, the other follows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::archive::ArchiveLimits;
use crate::base::units::Mib;
use crate::config::function::parse_function_yaml;
use crate::control::fleet::QueueLimits;
use crate::control::links::Links;
use crate::model::agent::{AgentEvent, AgentState};
use crate::model::resources::NodeStatus;
use crate::rpc::Channels;
use crate::store::EmbeddedStore;
use crate::store::history::SqliteHistory;

const DEADLINE: Duration = Duration::from_secs(30);

/// Dropped in order: the follower uses what comes after it.
struct Plane {
    _news: News,
    fleet: Arc<Fleet>,
    desired: Arc<Desired>,
    _history: tempfile::TempDir,
}

fn plane(store: &Arc<dyn Store>, supervisor: &Supervisor) -> Plane {
    let clock = Clock::system();
    let since = store.revision().expect("revision");
    let limits = QueueLimits {
        per_function: 1,
        in_all: 1,
    };
    let fleet = Fleet::load(Arc::clone(store), clock.clone(), limits).expect("fleet");
    let desired = Desired::load(
        Arc::clone(store),
        Arc::clone(&fleet),
        clock.clone(),
        ArchiveLimits::default(),
    );
    let desired = Arc::new(desired.expect("functions"));
    let directory = tempfile::tempdir().expect("tempdir");
    let contacts = Contacts::start(
        Links::new(Channels::new(None, supervisor), clock.clone()),
        Arc::new(SqliteHistory::open(directory.path()).expect("history")),
        Arc::clone(store),
        &fleet,
        &desired,
        Mib(1),
        supervisor,
    );
    let contacts = contacts.expect("a thread");
    let news = News::follow(
        since,
        Arc::clone(store),
        Arc::clone(&fleet),
        Arc::clone(&desired),
        contacts,
        clock,
        supervisor,
    );
    Plane {
        _news: news.expect("a thread"),
        fleet,
        desired,
        _history: directory,
    }
}

#[track_caller]
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::yield_now();
    }
}

fn node() -> NodeStatus {
    NodeStatus {
        cpu_percent: 0.0,
        memory_percent: 0.0,
        memory_total_mb: 1,
        memory_used_mb: 0,
        active_tasks: 0,
        max_tasks: 1,
        uptime_seconds: 1,
        cpu_millicores: 1000,
        collected_at: Clock::system().now(),
    }
}

#[test]
fn what_one_control_plane_writes_is_true_for_the_other_a_moment_later() {
    let directory = tempfile::tempdir().expect("tempdir");
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(directory.path()).expect("store"));
    let supervisor = Supervisor::new();
    let (ours, theirs) = (plane(&store, &supervisor), plane(&store, &supervisor));
    let id = AgentId::new("a").expect("id");
    let state = |plane: &Plane| plane.fleet.get(&id).map(|view| view.agent.state);

    ours.fleet
        .register(&id, "127.0.0.1:1", true, node())
        .expect("registers");
    eventually("the agent is known", || {
        state(&theirs) == Some(AgentState::Offline)
    });
    for event in [AgentEvent::Contacted, AgentEvent::Synced] {
        theirs.fleet.transition(&id, event).expect("legal");
    }
    ours.fleet
        .transition(&id, AgentEvent::Drain)
        .expect("drains");
    eventually("the drain is known", || {
        state(&theirs) == Some(AgentState::Draining)
    });
    // Written with the revision that was followed, and so no conflict.
    theirs
        .fleet
        .transition(&id, AgentEvent::Undrain)
        .expect("undrains");
    eventually("the drain's end is known", || {
        state(&ours) == Some(AgentState::Syncing)
    });
    theirs
        .fleet
        .transition(&id, AgentEvent::Removed)
        .expect("removes");
    eventually("the removal is known", || state(&ours).is_none());

    let config = parse_function_yaml(b"name: f\nhandler: run\n").expect("valid");
    ours.desired.register(&config).expect("registers");
    eventually("the function is known", || {
        theirs.desired.get(&config.name).is_ok()
    });
    theirs.desired.delete(&config.name).expect("deletes");
    eventually("the deletion is known", || {
        ours.desired.get(&config.name).is_err()
    });
    supervisor.request_shutdown();
}
