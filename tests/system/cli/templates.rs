//! `flux init` in each language: what it writes is deployed and runs as its README says.

use std::fs;
use std::process::Command;

use super::user::{Dev, User};
use crate::runner::{Need, needs, tests};

tests![
    a_shell_function_runs_as_it_is_written,
    a_python_function_runs_as_it_is_written,
    a_rust_function_is_built_as_its_readme_says_and_runs,
    a_go_function_is_built_as_its_readme_says_and_runs,
    nothing_that_is_there_is_written_over,
];

/// Without what a toolchain needs of the environment, rustup does not find its own.
fn build(user: &User, name: &str) {
    let yaml = fs::read_to_string(user.path(name).join("function.yaml")).expect("function.yaml");
    let command = yaml
        .lines()
        .find_map(|line| line.strip_prefix("# build: "))
        .expect("a build command");
    let readme = fs::read_to_string(user.path(name).join("README.md")).expect("README.md");
    assert!(readme.contains(command), "{readme}");
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(user.path(name))
        .env_remove("CARGO_TARGET_DIR")
        // Gone with the rest, where Go's own place for it would stay.
        .env("GOCACHE", user.path(".go-cache"))
        .output()
        .expect("sh");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[track_caller]
fn deployed_it_says_hello(user: &User, name: &str) {
    user.run(&["deploy", name]).exits(0);
    let ran = user.run(&["exec", name, "--", "one", "two three"]).exits(0);
    let lines: Vec<_> = ran.stdout().lines().collect();
    assert!(
        lines[0].starts_with(&format!("hello from {name}, execution ")),
        "{ran:?}"
    );
    assert_eq!(lines[1..], ["argument: one", "argument: two three"]);
}

fn a_shell_function_runs_as_it_is_written() {
    let dev = Dev::start();
    // The language when none is given.
    dev.user.run(&["init", "plain"]).exits(0);
    deployed_it_says_hello(&dev.user, "plain");
}

fn a_python_function_runs_as_it_is_written() {
    let dev = Dev::start();
    dev.user
        .run(&["init", "snake", "--lang", "python"])
        .exits(0);
    deployed_it_says_hello(&dev.user, "snake");
}

fn a_rust_function_is_built_as_its_readme_says_and_runs() {
    let dev = Dev::start();
    dev.user.run(&["init", "rusty", "--lang", "rust"]).exits(0);
    dev.user
        .run(&["deploy", "rusty"])
        .exits(2)
        .says(&["bin/rusty", "build it first: cargo build"]);
    build(&dev.user, "rusty");
    deployed_it_says_hello(&dev.user, "rusty");
}

fn a_go_function_is_built_as_its_readme_says_and_runs() {
    needs(&[Need::Program("go")]);
    let dev = Dev::start();
    dev.user.run(&["init", "gopher", "--lang", "go"]).exits(0);
    build(&dev.user, "gopher");
    deployed_it_says_hello(&dev.user, "gopher");
}

fn nothing_that_is_there_is_written_over() {
    let user = User::new();
    let mine = user.function("mine", "", "echo mine");
    for lang in ["sh", "python", "rust", "go"] {
        user.run(&["init", "mine", "--lang", lang])
            .exits(2)
            .says(&["mine is there already"]);
    }
    assert_eq!(fs::read_dir(mine).expect("list").count(), 2);
    user.run(&["init", "../elsewhere"]).exits(2);
    user.run(&["init", "x", "--lang", "cobol"])
        .exits(2)
        .says(&["python"]);
    assert!(!user.path("x").exists());
}
