//! `flux dev`: the first five minutes.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use super::user::{Dev, User, processes_with, state_dir, unique_sleep};
use crate::runner::tests;

tests![
    it_starts_at_once_without_configuration_and_runs_a_first_function,
    an_ordinary_user_needs_no_rights_and_no_options,
    a_second_one_in_the_same_directory_is_refused_and_the_first_goes_on,
    a_port_that_is_taken_is_named_together_with_the_way_out,
    it_serves_no_other_machine,
    functions_versions_and_executions_are_there_after_a_restart,
    a_second_ctrl_c_ends_at_once_and_the_next_start_clears_up,
];

/// What a person takes for "at once", several times over for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(5);

fn first_function_runs(user: &User) {
    let ran = user.run(&["init", "hello", "--lang", "sh"]).exits(0);
    assert!(ran.stdout().contains("hello/"), "{ran:?}");
    user.run(&["deploy", "./hello"]).exits(0);
    let ran = user.run(&["exec", "hello", "--", "wide", "world"]).exits(0);
    let lines: Vec<_> = ran.stdout().lines().collect();
    assert!(
        lines[0].starts_with("hello from hello, execution "),
        "{ran:?}"
    );
    assert_eq!(lines[1..], ["argument: wide", "argument: world"]);
    assert_eq!(ran.stderr, "");
}

fn it_starts_at_once_without_configuration_and_runs_a_first_function() {
    let before = Instant::now();
    let dev = Dev::start();
    assert!(before.elapsed() < AT_ONCE, "{:?}", before.elapsed());
    let log = dev.daemon.log();
    for part in [
        "flux: ready at http://127.0.0.1:",
        "flux exec hello",
        &state_dir(&dev.user),
        "context.json",
    ] {
        assert!(log.contains(part), "no {part:?} in {log}");
    }
    let context = dev.user.path(".config/flux/context.json");
    let mode = fs::metadata(&context)
        .expect("context")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(
        fs::read_to_string(&context)
            .expect("context")
            .contains(&dev.url())
    );
    first_function_runs(&dev.user);
}

fn an_ordinary_user_needs_no_rights_and_no_options() {
    let mut dev = Dev::of(User::ordinary());
    let state = dev.user.path(".local/state/flux/dev");
    assert!(state.is_dir(), "the state is not below the home");
    first_function_runs(&dev.user);
    dev.daemon.signal(Signal::SIGINT);
    assert_eq!(dev.daemon.wait().code(), Some(0));
}

fn a_second_one_in_the_same_directory_is_refused_and_the_first_goes_on() {
    let dev = Dev::start();
    let state_dir = state_dir(&dev.user);
    let args = ["dev", "--listen", "127.0.0.1:0", "--state-dir", &state_dir];
    dev.user.run(&args).exits(1).says(&[
        "flux dev",
        &state_dir,
        "another process holds it; end that one",
    ]);
    dev.user.run(&["status"]).exits(0);
}

fn a_port_that_is_taken_is_named_together_with_the_way_out() {
    let user = User::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = taken.local_addr().expect("address").to_string();
    let state_dir = state_dir(&user);
    user.run(&["dev", "--listen", &address, "--state-dir", &state_dir])
        .exits(1)
        .says(&[&address, "in use", "--listen"]);
    assert!(!user.path(".config/flux/context.json").exists());
}

fn it_serves_no_other_machine() {
    let user = User::new();
    let state_dir = state_dir(&user);
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        user.run(&["dev", "--listen", address, "--state-dir", &state_dir])
            .exits(1)
            .says(&[address, "loopback", "flux server"]);
    }
    assert!(!user.path("state").exists());
}

fn functions_versions_and_executions_are_there_after_a_restart() {
    let mut dev = Dev::start();
    dev.user.deploy("kept", "", "echo one");
    dev.user
        .deploy("kept", "", "echo two; echo also >&2; exit 3");
    let id = dev.user.exec_async(&["kept"]);
    let before = dev.user.await_record(&id, "status", &json!("failed"));
    let key = fs::read_to_string(dev.user.path("state/api-key")).expect("key");
    dev.daemon.signal(Signal::SIGTERM);
    assert_eq!(dev.daemon.wait().code(), Some(0));

    dev.restart();
    assert_eq!(
        fs::read_to_string(dev.user.path("state/api-key")).expect("key"),
        key
    );
    let versions = dev.user.json(&["versions", "kept"]);
    assert_eq!(versions.as_array().map(Vec::len), Some(2), "{versions}");
    assert_eq!(dev.user.json(&["execution", &id]), before);
    let ran = dev.user.run(&["logs", &id]).exits(0);
    assert_eq!(ran.stdout(), "two\nalso\n");
    dev.user.run(&["exec", "kept"]).exits(3).says(&["also"]);
    dev.user.run(&["rollback", "kept"]).exits(0);
    let ran = dev.user.run(&["exec", "kept"]).exits(0);
    assert_eq!(ran.stdout(), "one\n");
}

fn a_second_ctrl_c_ends_at_once_and_the_next_start_clears_up() {
    let mut dev = Dev::start();
    let sleep = unique_sleep();
    dev.user.deploy("long", "", "sleep \"$1\" & sleep \"$1\"");
    let id = dev.user.exec_async(&["long", "--", &sleep]);
    crate::harness::eventually("both sleep", || {
        (processes_with(&format!("sleep {sleep}")).len() >= 2).then_some(())
    });
    dev.daemon.signal(Signal::SIGINT);
    dev.daemon.await_log("a second Ctrl-C ends at once", 0);
    assert!(dev.daemon.is_running(), "it waits for what runs");
    let before = Instant::now();
    dev.daemon.signal(Signal::SIGINT);
    assert_eq!(dev.daemon.wait().code(), Some(130));
    assert!(before.elapsed() < AT_ONCE, "{:?}", before.elapsed());

    dev.restart();
    dev.user.await_record(&id, "reason", &json!("lost"));
    assert_eq!(
        processes_with(&format!("sleep {sleep}")),
        Vec::<String>::new()
    );
}
