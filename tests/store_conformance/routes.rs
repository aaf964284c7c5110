//! Properties of routes.

use flux::base::clock::Timestamp;
use flux::store::{ROUTES_PER_PAGE, Route, Store};

use crate::bench::{Bench, agent, at, execution, function};

pub fn a_route_is_found_as_it_was_stored(bench: &dyn Bench) {
    let store = bench.open();
    assert_eq!(get(&*store, "e1"), None);
    let (open, ended) = (route("e1", "a1", None), route("e2", "a1", Some(at(9))));
    let lost = Route {
        lost: true,
        ..route("e3", "a1", Some(at(9)))
    };
    for route in [&open, &ended, &lost] {
        store.put_route(route).expect("put");
    }
    drop(store);
    let store = bench.open();
    assert_eq!(get(&*store, "e1"), Some(open));
    assert_eq!(get(&*store, "e2"), Some(ended));
    assert_eq!(get(&*store, "e3"), Some(lost));
}

pub fn a_lazily_stored_route_is_visible_at_once_and_after_a_flush(bench: &dyn Bench) {
    let store = bench.open();
    let mut expected = route("e1", "a1", None);
    store.put_route_lazily(&expected);
    assert_eq!(get(&*store, "e1").as_ref(), Some(&expected));
    expected.expires_at = Some(at(9));
    store.put_route_lazily(&expected);
    assert_eq!(get(&*store, "e1").as_ref(), Some(&expected), "the newer");
    store.flush().expect("flush");
    assert_eq!(get(&*store, "e1").as_ref(), Some(&expected));
    store.put_route_lazily(&route("e2", "a1", None));
    drop(store);
    let store = bench.open();
    assert_eq!(get(&*store, "e1"), Some(expected));
    assert!(get(&*store, "e2").is_some(), "closing flushes");
}

pub fn changes_apply_to_a_lazily_stored_route_in_order(bench: &dyn Bench) {
    let store = bench.open();
    for id in ["e1", "e2", "e3", "e4"] {
        store.put_route_lazily(&route(id, "a1", None));
    }
    assert!(store.delete_route(&execution("e1")).expect("delete"));
    assert_eq!(get(&*store, "e1"), None, "not brought back");
    store.put_route_lazily(&route("e5", "a1", None));
    assert!(
        store
            .move_route(&execution("e5"), &agent("a2"))
            .expect("move")
    );
    store.put_route_lazily(&route("e6", "a1", None));
    assert!(store.end_route(&execution("e6"), at(5)).expect("end"));
    store.put_route_lazily(&route("e7", "a1", None));
    assert_eq!(
        listed(&*store, "a1"),
        ["e2", "e3", "e4", "e6", "e7"],
        "lists see what waits"
    );
    store.put_route_lazily(&route("e8", "a1", Some(at(5))));
    assert_eq!(store.expire_routes(at(5)).expect("expire"), 2);
    assert_eq!(get(&*store, "e8"), None);
}

pub fn a_route_moves_ends_and_goes(bench: &dyn Bench) {
    let store = bench.open();
    let id = execution("e1");
    assert!(!store.move_route(&id, &agent("a2")).expect("move"));
    assert!(!store.end_route(&id, at(5)).expect("end"));
    assert!(!store.delete_route(&id).expect("delete"));
    store.put_route(&route("e1", "a1", None)).expect("put");
    assert!(store.move_route(&id, &agent("a2")).expect("move"));
    assert!(store.end_route(&id, at(5)).expect("end"));
    assert_eq!(get(&*store, "e1"), Some(route("e1", "a2", Some(at(5)))));
    assert!(listed(&*store, "a1").is_empty());
    assert_eq!(listed(&*store, "a2"), ["e1"]);
    assert!(store.delete_route(&id).expect("delete"));
    assert_eq!(get(&*store, "e1"), None);
}

pub fn only_ended_routes_expire(bench: &dyn Bench) {
    let store = bench.open();
    for (id, expires_at) in [("e1", None), ("e2", Some(at(10))), ("e3", Some(at(11)))] {
        store.put_route(&route(id, "a1", expires_at)).expect("put");
    }
    assert_eq!(store.expire_routes(at(9)).expect("expire"), 0);
    assert_eq!(store.expire_routes(at(10)).expect("expire"), 1);
    assert_eq!(listed(&*store, "a1"), ["e1", "e3"]);
    assert_eq!(store.expire_routes(at(i64::MAX)).expect("expire"), 1);
    assert_eq!(listed(&*store, "a1"), ["e1"]);
}

pub fn routes_of_an_agent_are_listed_in_pages(bench: &dyn Bench) {
    let store = bench.open();
    let count = 2 * ROUTES_PER_PAGE + 1;
    for i in 0..count {
        store.put_route_lazily(&route(&format!("e{i:06}"), "a1", Some(at(1))));
    }
    store.put_route_lazily(&route("e0", "a2", None));
    let mut pages = Vec::new();
    let mut seen: Vec<Route> = Vec::new();
    loop {
        let after = seen.last().map(|route| &route.execution);
        let page = store.list_routes(&agent("a1"), after).expect("list");
        if page.is_empty() {
            break;
        }
        pages.push(page.len());
        seen.extend(page);
    }
    assert_eq!(pages, [ROUTES_PER_PAGE, ROUTES_PER_PAGE, 1]);
    assert!(
        seen.windows(2)
            .all(|pair| pair[0].execution < pair[1].execution)
    );
    assert_eq!(
        store.expire_routes(at(1)).expect("expire"),
        count,
        "in however many portions"
    );
}

fn route(id: &str, to: &str, expires_at: Option<Timestamp>) -> Route {
    Route {
        execution: execution(id),
        agent: agent(to),
        function: function("f"),
        accepted_at: at(1),
        expires_at,
        lost: false,
    }
}

fn get(store: &dyn Store, id: &str) -> Option<Route> {
    store.get_route(&execution(id)).expect("get")
}

fn listed(store: &dyn Store, to: &str) -> Vec<String> {
    let routes = store.list_routes(&agent(to), None).expect("list");
    routes
        .into_iter()
        .map(|route| route.execution.as_str().to_owned())
        .collect()
}
