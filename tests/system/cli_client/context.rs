//! `flux login`, and where its key goes.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::double::Double;
use super::flux::Flux;
use crate::runner::tests;

tests![
    a_key_that_works_is_remembered_for_its_address_alone,
    a_key_that_is_refused_is_not_remembered,
    a_key_file_wins_over_the_environment,
    a_redirect_takes_the_key_nowhere,
];

fn a_key_that_works_is_remembered_for_its_address_alone() {
    let (home, other) = (Double::start(), Double::start());
    home.json("GET /functions", 200, json!([]));
    home.json("GET /agents", 200, json!([]));
    other.json("GET /agents", 200, json!([]));
    let flux = Flux::without_target();
    let ran = flux
        .run_with_stdin(&["login", &home.url()], b"the-good-key\n")
        .exits(0);
    assert!(!format!("{ran:?}").contains("the-good-key"));
    let context = flux.path(".config/flux/context.json");
    let mode = std::fs::metadata(&context)
        .expect("a context")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    flux.run(&["agents"]).exits(0);
    flux.run(&["agents", "--url", &other.url()]).exits(0);
    for request in home.requests() {
        assert_eq!(request.header("x-api-key"), Some("the-good-key"));
    }
    assert_eq!(other.requests()[0].header("x-api-key"), None);
}

fn a_key_that_is_refused_is_not_remembered() {
    let double = Double::start();
    double.json(
        "GET /functions",
        401,
        json!({"error": {"code": "unauthorized", "message": "no"}}),
    );
    let flux = Flux::without_target();
    let ran = flux
        .run_with_stdin(&["login", &double.url()], b"wrong-key\n")
        .exits(1);
    assert!(
        ran.stderr.contains("HTTP 401") && !ran.stderr.contains("wrong-key"),
        "{ran:?}"
    );
    assert!(!flux.path(".config/flux/context.json").exists());
    flux.run_with_stdin(&["login", &double.url()], b"\n")
        .exits(2);
    flux.run_with_stdin(&["login", "host:7227"], b"key\n")
        .exits(2);
}

fn a_key_file_wins_over_the_environment() {
    let double = Double::start();
    double.json("GET /agents", 200, json!([]));
    let flux = Flux::at(double.url());
    super::flux::write(&flux.path("key"), "key-of-the-file\n", 0o600);
    flux.run(&["agents", "--api-key-file", "key"]).exits(0);
    assert_eq!(
        double.requests()[0].header("x-api-key"),
        Some("key-of-the-file")
    );
}

fn a_redirect_takes_the_key_nowhere() {
    let (double, elsewhere) = (Double::start(), Double::start());
    let location = elsewhere.url();
    double.on("GET /agents", move |stream| {
        super::double::send(
            stream,
            &format!("HTTP/1.1 302 X\r\nlocation: {location}/agents\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
        );
    });
    Flux::at(double.url()).run(&["agents"]).exits(1);
    double.requests();
    assert!(elsewhere.requests().is_empty());
}
