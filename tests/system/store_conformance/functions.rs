//! Properties of functions.

use flux::model::function::Behavior;

use super::bench::{Bench, archive, at, config, function};

pub fn a_function_is_found_as_it_was_stored(bench: &dyn Bench) {
    let store = bench.open();
    let put = store.put_function(&config("f"), at(5)).expect("put");
    assert_eq!(put.value.config, config("f"));
    assert_eq!(
        (
            put.value.active.clone(),
            put.value.created_at,
            put.value.updated_at
        ),
        (None, at(5), at(5))
    );
    drop(store);
    let found = bench.open().get_function(&function("f")).expect("get");
    assert_eq!(found, Some(put));
}

pub fn an_unknown_function_is_absent_and_no_error(bench: &dyn Bench) {
    let store = bench.open();
    assert_eq!(store.get_function(&function("f")).expect("get"), None);
    assert_eq!(store.list_versions(&function("f")).expect("list"), []);
    assert_eq!(store.delete_function(&function("f")).expect("delete"), None);
}

pub fn a_new_configuration_keeps_creation_and_versions(bench: &dyn Bench) {
    let store = bench.open();
    store.put_function(&config("f"), at(1)).expect("put");
    let archive = archive(&*store, "code");
    let deployed = store
        .add_version(&function("f"), &archive, at(2))
        .expect("add");
    let mut changed = config("f");
    changed.max_concurrency_behavior = Behavior::Exit;
    changed.memory = None;
    let put = store.put_function(&changed, at(3)).expect("put");
    assert_eq!(put.value.config, changed);
    assert_eq!((put.value.created_at, put.value.updated_at), (at(1), at(3)));
    assert_eq!(put.value.active, deployed.value.active);
}

pub fn an_equal_configuration_changes_nothing(bench: &dyn Bench) {
    let store = bench.open();
    let first = store.put_function(&config("f"), at(1)).expect("put");
    assert_eq!(store.put_function(&config("f"), at(2)).expect("put"), first);
}

pub fn functions_are_listed_by_name(bench: &dyn Bench) {
    let store = bench.open();
    assert_eq!(store.list_functions().expect("list"), []);
    for name in ["b", "c", "a"] {
        store.put_function(&config(name), at(1)).expect("put");
    }
    let code = archive(&*store, "code");
    let b = store
        .add_version(&function("b"), &code, at(2))
        .expect("add");
    let listed = store.list_functions().expect("list");
    let names: Vec<_> = listed
        .iter()
        .map(|f| f.value.config.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(listed[1], b, "with its active version");
}

pub fn a_deleted_function_takes_its_versions_along(bench: &dyn Bench) {
    let store = bench.open();
    for name in ["f", "other"] {
        store.put_function(&config(name), at(1)).expect("put");
        let code = archive(&*store, name);
        store
            .add_version(&function(name), &code, at(2))
            .expect("add");
    }
    let gone = store.delete_function(&function("f")).expect("delete");
    assert!(gone.is_some());
    assert_eq!(store.get_function(&function("f")).expect("get"), None);
    assert_eq!(store.list_versions(&function("f")).expect("list"), []);
    assert_eq!(
        store.list_versions(&function("other")).expect("list").len(),
        1
    );
    let again = store.put_function(&config("f"), at(3)).expect("put");
    assert_eq!((again.value.active, again.value.created_at), (None, at(3)));
}
