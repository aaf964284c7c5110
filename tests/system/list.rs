//! Every module of tests, and every helper. What is missing here is dead code, and a warning.

use crate::runner::{Helper, Test};

/// The tests of these modules, in this order.
macro_rules! modules {
    ($($($directory:ident)::+: [$($module:ident),* $(,)?]),* $(,)?) => {
        [$({
            use crate::$($directory)::+ as directory;
            [$(directory::$module::tests()),*].concat()
        }),*].concat()
    };
}

/// Functions of these paths under the paths as their names.
macro_rules! helpers {
    ($($directory:ident::$module:ident::$helper:ident),* $(,)?) => {
        &[$((
            concat!(stringify!($directory), "::", stringify!($module), "::", stringify!($helper)),
            crate::$directory::$module::$helper as fn(),
        )),*]
    };
}

/// In the order in which they come; those beside guests wait for all others.
pub fn tests() -> Vec<Test> {
    let beside_guests: Vec<Test> = modules![
        hosts: [guests, sandbox, packages, escape, ends, quota],
    ];
    let alone: Vec<Test> = modules![
        sandbox: [
            containment, disk, endings, fallbacks, files, frozen, identities, leftovers, many, network, output,
            starting, strangers, stubborn, syscalls, trees,
        ],
    ];
    let here: Vec<Test> = modules![
        api: [
            agents, asynchronous, auth, deploy, enrolment, environment, events, execute, functions,
            idempotency, isolation, leaving, listing, machine, output, requests, routing,
            timeouts, versions,
        ],
        api::regressions: [dispatch, state, execution],
        architecture: [causes, confined, layers, map, shape, tree, wildcards],
        cli: [commands, configuration, dev, exec, join, secrecy, templates],
        cli_client: [commands, context, deploy, documents, examples, exec],
        crash: [homecoming, kills, stops, storm],
        deploy_attacks: [agent_door, front_door, planted],
        durability: [full_disk, kill, syncs],
        escape: [endings, leftovers, lines, planted],
        fleet: [
            broken_links, daemons, deploys, drain, homecoming, identity, large_answers, losses, no_access_lists, offline, outage,
            placement, queue, removal, restarts, told_ends, unconfirmed,
        ],
        http_server: [gone, overload, refusals, requests, shutdown, slow_clients, streams, tls],
        interop: [existing, our_client, our_client_streams, our_server, our_server_ends],
        rpc: [
            calls, connection, floods, hostile_agents, hostile_answers, keepalive, legacy, security, stalls, strangers, streams,
        ],
        store_conformance: [embedded, sqlite_history],
    ];
    let beside_guests = beside_guests.into_iter().map(Test::beside_guests);
    // The sandbox adopts orphans and counts children for its whole process: it gets one a test. The
    // tests of `hosts::sandbox` run these in guests too.
    let alone = alone.into_iter().map(|it| it.alone().also_in_guests());
    alone
        .chain(here)
        .chain(crate::packaging::tests())
        .chain(crate::workdir::tests())
        .chain(beside_guests)
        .collect()
}

/// See `runner::helper`.
pub const HELPERS: &[Helper] = helpers![
    durability::full_disk::on_a_small_disk,
    durability::kill::hold_a_store,
    durability::kill::write_to_a_journal,
    durability::kill::write_to_a_store,
    sandbox::disk::hold_by_mapping,
    sandbox::leftovers::an_agent_to_be_killed,
    sandbox::stubborn::a_hydra,
];
