//! The daemons and their configuration files: found, checked, followed, or refused with reasons.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use super::user::{Running, User};
use crate::harness::fleet::{FLUX, FLUX_AGENT, fs_write};
use crate::harness::{Api, Daemon};
use crate::runner::{skip, tests};

tests![
    the_annotated_examples_start_real_daemons,
    plain_flux_helps_where_it_finds_no_configuration,
    plain_flux_serves_where_it_finds_a_configuration,
    a_configuration_that_is_nowhere_is_missed_at_every_place,
    a_configuration_that_is_not_where_the_environment_says_is_missed_there,
    checking_a_good_configuration_starts_and_makes_nothing,
    every_bad_key_is_named_with_its_line_and_nothing_starts,
    a_store_that_this_version_has_not_is_refused,
    the_key_comes_from_the_environment_or_a_file,
    a_state_directory_that_cannot_be_used_is_named,
    ports_that_are_taken_end_both_daemons_with_a_reason,
    half_an_authority_is_refused_instead_of_replaced,
];

/// EX_CONFIG of sysexits.h.
const BAD_CONFIGURATION: i32 = 78;

const FLUX_EXAMPLE: &str = include_str!("../../../conf/example.flux.yaml");
const AGENT_EXAMPLE: &str = include_str!("../../../conf/example.agent.yaml");
const FUNCTION_EXAMPLE: &str = include_str!("../../../conf/example.function.yaml");

/// Runs a daemon that has to end by itself; its exit code and its standard error.
fn ends(user: &User, program: &str, args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(user.home())
        .stdin(Stdio::null())
        .env_clear()
        .env("HOME", user.home())
        .envs(env.iter().copied());
    let ran = Running::start(&mut command, args).end();
    assert_eq!(ran.stdout(), "", "{program} {args:?}");
    // What stands for a character that a terminal must not get: none of Flux's own texts has one.
    assert!(!ran.stderr.contains('\u{fffd}'), "{}", ran.stderr);
    (ran.code, ran.stderr)
}

#[track_caller]
fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no {word:?} in:\n{text}");
    }
}

#[track_caller]
fn assert_each_line_begins(text: &str, beginning: &str, lines: usize) {
    let begins = text.lines().filter(|line| line.starts_with(beginning));
    assert_eq!(begins.count(), lines, "{text}");
    assert_eq!(text.lines().count(), lines, "{text}");
}

/// A minimal flux.yaml in the user's directory, with these lines more.
fn flux_yaml(user: &User, lines: &str) -> String {
    let home = user.home().display();
    user.write(
        "flux.yaml",
        &format!("listen: 127.0.0.1:0\nstate_dir: {home}/state\ncerts_dir: {home}/certs\n{lines}"),
    )
}

fn the_annotated_examples_start_real_daemons() {
    let user = User::new();
    let home = user.home().display().to_string();
    let api_key = "change-me-to-a-long-random-text";
    let flux = FLUX_EXAMPLE
        .replace("#listen: 0.0.0.0:7227", "listen: 127.0.0.1:0")
        .replace(
            "#state_dir: /var/lib/flux",
            &format!("state_dir: {home}/flux"),
        )
        .replace(
            "#certs_dir: /etc/flux/certs",
            &format!("certs_dir: {home}/certs"),
        );
    let flux_yaml = user.write("example.flux.yaml", &flux);
    let agent = AGENT_EXAMPLE
        .replace("#port: 50052", "port: 0")
        .replace(
            "#state_dir: /var/lib/flux-agent",
            &format!("state_dir: {home}/agent"),
        )
        .replace("#public_ip_lookup: true", "public_ip_lookup: false");
    let agent_yaml = user.write("example.agent.yaml", &agent);
    let (args, env) = (["server"], [("FLUX_CONFIG", flux_yaml.as_str())]);
    let mut control = Daemon::start(FLUX, &args, &env, user.home(), "flux");
    let url = control.await_log("listening on ", 0);
    let env = [("AGENT_CONFIG", agent_yaml.as_str())];
    let mut worker = Daemon::start(FLUX_AGENT, &[], &env, user.home(), "agent");
    worker.await_log("listening on ", 0);
    let api = Api::new(&url, api_key);
    api.put("/functions", FUNCTION_EXAMPLE.as_bytes())
        .expect(201);
    assert_eq!(api.get("/functions").expect(200)[0]["name"], "hello");
    assert_eq!(worker.stop().code(), Some(0));
    assert_eq!(control.stop().code(), Some(0));
}

/// Skips the test on a machine where Flux is configured.
fn needs_no_configuration_of_the_machine() {
    for path in ["/etc/flux/flux.yaml", "/etc/flux-agent/agent.yaml"] {
        if std::path::Path::new(path).exists() {
            skip!("this machine has {path}");
        }
    }
}

fn plain_flux_helps_where_it_finds_no_configuration() {
    needs_no_configuration_of_the_machine();
    let (code, stderr) = ends(&User::new(), FLUX, &[], &[]);
    assert_eq!(code, Some(2));
    assert_says(&stderr, &["\nUsage: flux", "\n  deploy  "]);
    assert!(!stderr.starts_with("flux: "), "{stderr}");
}

fn plain_flux_serves_where_it_finds_a_configuration() {
    let user = User::new();
    flux_yaml(&user, "api_key: found-in-this-directory\n");
    let mut flux = Daemon::start(FLUX, &[], &[], user.home(), "flux");
    let url = flux.await_log("listening on ", 0);
    Api::new(&url, "found-in-this-directory")
        .get("/functions")
        .expect(200);
    assert_eq!(flux.stop().code(), Some(0));
}

fn a_configuration_that_is_nowhere_is_missed_at_every_place() {
    needs_no_configuration_of_the_machine();
    let user = User::new();
    let server: &[&str] = &["server"];
    for (program, args, etc, variable) in [
        (FLUX, server, "/etc/flux/flux.yaml", "FLUX_CONFIG"),
        (
            FLUX_AGENT,
            &[],
            "/etc/flux-agent/agent.yaml",
            "AGENT_CONFIG",
        ),
    ] {
        let (code, stderr) = ends(&user, program, args, &[]);
        assert_eq!(code, Some(BAD_CONFIGURATION), "{stderr}");
        let here = format!("./{}", etc.rsplit('/').next().expect("name"));
        assert_says(&stderr, &[&here, etc, variable]);
    }
}

fn a_configuration_that_is_not_where_the_environment_says_is_missed_there() {
    let user = User::new();
    let server: &[&str] = &["server"];
    for (program, args, variable) in [
        (FLUX, server, "FLUX_CONFIG"),
        (FLUX_AGENT, &[], "AGENT_CONFIG"),
    ] {
        let (code, stderr) = ends(&user, program, args, &[(variable, "nowhere.yaml")]);
        assert_eq!(code, Some(BAD_CONFIGURATION), "{stderr}");
        assert_says(&stderr, &["nowhere.yaml", "No such file"]);
    }
}

fn checking_a_good_configuration_starts_and_makes_nothing() {
    let user = User::new();
    flux_yaml(&user, "api_key: a-good-long-key\n");
    let home = user.home().display();
    user.write(
        "agent.yaml",
        &format!("agent_id: a\nstate_dir: {home}/agent\n"),
    );
    for (program, args, good) in [
        (
            FLUX,
            ["server", "--check-config"].as_slice(),
            "flux: the configuration is good\n",
        ),
        (
            FLUX_AGENT,
            &["--check-config"],
            "flux-agent: the configuration is good\n",
        ),
    ] {
        let (code, stderr) = ends(&user, program, args, &[]);
        assert_eq!((code, stderr.as_str()), (Some(0), good));
    }
    assert_eq!(fs::read_dir(user.home()).expect("list").count(), 2);
}

fn every_bad_key_is_named_with_its_line_and_nothing_starts() {
    let user = User::new();
    flux_yaml(
        &user,
        "api_key: short\nlimits:\n  drain_timeout: soon\n  heartbeat_misses: 0\nretries: 3\n",
    );
    user.write(
        "agent.yaml",
        "agent_id: BAD ID\nport: 99999\nlimits: {pids: -1}\nworkers: 4\n",
    );
    for check in [true, false] {
        let mut args = vec!["server"];
        args.extend(check.then_some("--check-config"));
        let (code, stderr) = ends(&user, FLUX, &args, &[]);
        assert_eq!(code, Some(BAD_CONFIGURATION), "{stderr}");
        assert_says(
            &stderr,
            &[
                "flux.yaml, line 4: api_key",
                "line 6: limits.drain_timeout",
                "soon",
                "line 7: limits.heartbeat_misses",
                "line 8: retries",
            ],
        );
        assert!(!stderr.contains("short\n"), "{stderr}");
        assert_each_line_begins(&stderr, "flux server: ./flux.yaml, line ", 4);
        let (code, stderr) = ends(&user, FLUX_AGENT, &args[1..], &[]);
        assert_eq!(code, Some(BAD_CONFIGURATION), "{stderr}");
        let words = [
            "agent_id",
            "BAD ID",
            "port",
            "99999",
            "limits.pids",
            "workers",
        ];
        assert_says(&stderr, &words);
        assert_each_line_begins(&stderr, "flux-agent: ./agent.yaml, line ", 4);
    }
    assert!(!user.path("state").exists());
    user.write("flux.yaml", "api_key: [unclosed\n");
    let (code, stderr) = ends(&user, FLUX, &["server", "--check-config"], &[]);
    assert_eq!(code, Some(BAD_CONFIGURATION), "{stderr}");
    assert_says(&stderr, &["flux.yaml, line "]);
}

fn a_store_that_this_version_has_not_is_refused() {
    let user = User::new();
    flux_yaml(
        &user,
        "api_key: a-good-long-key\nredis_addr: 127.0.0.1:6379\n",
    );
    user.write(
        "agent.yaml",
        "agent_id: a\nredis_addr: redis://:s3cret@10.0.0.1:6379\n",
    );
    for (program, args) in [(FLUX, ["server"].as_slice()), (FLUX_AGENT, &[])] {
        let (code, stderr) = ends(&user, program, args, &[]);
        assert_eq!(code, Some(BAD_CONFIGURATION), "{stderr}");
        assert_says(&stderr, &["redis_addr", "remove the key"]);
        assert!(!stderr.contains("s3cret"), "{stderr}");
    }
}

fn the_key_comes_from_the_environment_or_a_file() {
    let user = User::new();
    user.write("key", "a-key-from-a-file\n");
    for (value, env, key) in [
        ("file:key", None, "a-key-from-a-file"),
        (
            "${THE_KEY}",
            Some("a-key-of-the-environment"),
            "a-key-of-the-environment",
        ),
    ] {
        flux_yaml(&user, &format!("api_key: {value}\n"));
        let env: Vec<_> = env.map(|value| ("THE_KEY", value)).into_iter().collect();
        let mut flux = Daemon::start(FLUX, &["server"], &env, user.home(), key);
        let url = flux.await_log("listening on ", 0);
        Api::new(&url, key).get("/functions").expect(200);
        Api::new(&url, value)
            .get("/functions")
            .expect_error(401, "unauthorized");
        assert_eq!(flux.stop().code(), Some(0));
        assert!(!flux.log().contains(key));
    }
    let (code, stderr) = ends(&user, FLUX, &["server"], &[]);
    assert_eq!(code, Some(BAD_CONFIGURATION), "{stderr}");
    assert_says(&stderr, &["api_key", "THE_KEY"]);
}

fn a_state_directory_that_cannot_be_used_is_named() {
    let user = User::new();
    flux_yaml(&user, "api_key: a-good-long-key\n");
    user.write("state", "a file, no directory");
    let (code, stderr) = ends(&user, FLUX, &["server"], &[]);
    assert_eq!(code, Some(1), "{stderr}");
    let state = user.path("state").display().to_string();
    assert_says(
        &stderr,
        &[&format!(
            "cannot open the store: the store cannot be used: cannot create {state}: "
        )],
    );
    let home = user.home().display();
    user.write(
        "agent.yaml",
        &format!("agent_id: a\nport: 0\nstate_dir: {home}/state\n"),
    );
    let (code, stderr) = ends(&user, FLUX_AGENT, &[], &[]);
    assert_eq!(code, Some(1), "{stderr}");
    assert_says(
        &stderr,
        &[&format!(
            "cannot prepare the state directory: cannot create {state}: "
        )],
    );
}

fn ports_that_are_taken_end_both_daemons_with_a_reason() {
    let user = User::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = taken.local_addr().expect("address");
    let home = user.home().display();
    fs_write(
        &user.path("flux.yaml"),
        &format!(
            "api_key: a-good-long-key\nlisten: {address}\nstate_dir: {home}/state\ncerts_dir: {home}/certs\n"
        ),
    );
    let (code, stderr) = ends(&user, FLUX, &["server"], &[]);
    assert_eq!(code, Some(1), "{stderr}");
    assert_says(&stderr, &[&address.to_string(), "in use"]);
    user.write(
        "agent.yaml",
        &format!(
            "agent_id: a\nport: {}\nstate_dir: {home}/agent\npublic_ip_lookup: false\n",
            address.port()
        ),
    );
    let (code, stderr) = ends(&user, FLUX_AGENT, &[], &[]);
    assert_eq!(code, Some(1), "{stderr}");
    assert_says(&stderr, &[&address.to_string(), "in use"]);
}

fn half_an_authority_is_refused_instead_of_replaced() {
    let user = User::new();
    flux_yaml(&user, "api_key: a-good-long-key\n");
    let mut flux = Daemon::start(FLUX, &["server"], &[], user.home(), "flux");
    flux.await_log("listening on ", 0);
    flux.stop();
    for missing in ["ca.pem", "ca-key.pem"] {
        let (path, aside) = (user.path("certs/ca").join(missing), user.path("aside"));
        fs::rename(&path, &aside).expect("away");
        let (code, stderr) = ends(&user, FLUX, &["server"], &[]);
        assert_eq!(code, Some(1), "{stderr}");
        assert_says(&stderr, &[missing, "backup", "enrol"]);
        assert!(!path.exists(), "a new authority was made");
        fs::rename(&aside, &path).expect("back");
    }
    let mut flux = Daemon::start(FLUX, &["server"], &[], user.home(), "flux");
    flux.await_log("listening on ", 1);
    assert_eq!(flux.stop().code(), Some(0));
}
