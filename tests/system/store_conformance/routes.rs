//! Properties of routes.

use flux::store::{ROUTES_PER_PAGE, Route, Store};

use super::bench::{Bench, agent, at, execution, function};

pub fn a_route_is_found_as_it_was_stored(bench: &dyn Bench) {
    let store = bench.open();
    assert_eq!(get(&*store, "e1"), None);
    let (first, second) = (route("e1", "a1"), route("e2", "a2"));
    for route in [&first, &second] {
        store.put_route(route).expect("put");
    }
    drop(store);
    let store = bench.open();
    assert_eq!(get(&*store, "e1"), Some(first));
    assert_eq!(get(&*store, "e2"), Some(second));
}

pub fn a_lazily_stored_route_is_visible_at_once_and_after_a_flush(bench: &dyn Bench) {
    let store = bench.open();
    store.put_route_lazily(&route("e1", "a1"));
    assert_eq!(get(&*store, "e1"), Some(route("e1", "a1")));
    store.put_route_lazily(&route("e1", "a2"));
    assert_eq!(get(&*store, "e1"), Some(route("e1", "a2")), "the newer");
    store.flush().expect("flush");
    assert_eq!(get(&*store, "e1"), Some(route("e1", "a2")));
    store.put_route_lazily(&route("e2", "a1"));
    drop(store);
    let store = bench.open();
    assert_eq!(get(&*store, "e1"), Some(route("e1", "a2")));
    assert!(get(&*store, "e2").is_some(), "closing flushes");
}

pub fn changes_apply_to_a_lazily_stored_route_in_order(bench: &dyn Bench) {
    let store = bench.open();
    for id in ["e1", "e2", "e3", "e4"] {
        store.put_route_lazily(&route(id, "a1"));
    }
    assert_eq!(forget(&*store, &["e1", "e3"]), 2);
    assert_eq!(get(&*store, "e1"), None, "not brought back");
    store.put_route_lazily(&route("e5", "a1"));
    store.put_route(&route("e5", "a2")).expect("put");
    store.put_route_lazily(&route("e6", "a1"));
    assert_eq!(
        listed(&*store, "a1"),
        ["e2", "e4", "e6"],
        "lists see what waits"
    );
}

pub fn a_route_goes_and_may_lead_elsewhere_then(bench: &dyn Bench) {
    let store = bench.open();
    assert_eq!(forget(&*store, &["e1"]), 0);
    store.put_route(&route("e1", "a1")).expect("put");
    assert_eq!(forget(&*store, &["e1"]), 1);
    assert_eq!(get(&*store, "e1"), None);
    store.put_route(&route("e1", "a2")).expect("put");
    assert_eq!(get(&*store, "e1"), Some(route("e1", "a2")));
    assert!(listed(&*store, "a1").is_empty());
    assert_eq!(listed(&*store, "a2"), ["e1"]);
    assert_eq!(forget(&*store, &["e1", "e2"]), 1);
    drop(store);
    assert_eq!(get(&*bench.open(), "e1"), None);
}

pub fn routes_of_an_agent_are_listed_in_pages(bench: &dyn Bench) {
    let store = bench.open();
    let count = 2 * ROUTES_PER_PAGE + 1;
    for i in 0..count {
        store.put_route_lazily(&route(&format!("e{i:06}"), "a1"));
    }
    store.put_route_lazily(&route("e0", "a2"));
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
}

fn route(id: &str, to: &str) -> Route {
    Route {
        execution: execution(id),
        agent: agent(to),
        function: function("f"),
        accepted_at: at(1),
    }
}

fn forget(store: &dyn Store, ids: &[&str]) -> usize {
    let ids: Vec<_> = ids.iter().map(|id| execution(id)).collect();
    store.forget_routes(&ids).expect("forget")
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
