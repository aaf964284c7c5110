//! A function's YAML.

use std::time::Duration;

use super::fixture::names;
use crate::base::units::Mib;
use crate::config::error::FieldError;
use crate::config::function::{FunctionYamlError, parse_function_yaml};
use crate::model::function::{Behavior, FunctionConfig};
use crate::model::isolation::{
    FileIsolation, IsolationRequest, NetworkIsolation, SyscallIsolation, UserIsolation,
};

fn parse(text: &str) -> FunctionConfig {
    parse_function_yaml(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn invalid(text: &str) -> Vec<FieldError> {
    match parse_function_yaml(text.as_bytes()) {
        Err(FunctionYamlError::Invalid(fields)) => fields,
        Err(FunctionYamlError::Malformed(malformed)) => panic!("{text}: {malformed}"),
        Ok(config) => panic!("{text}: accepted as {config:?}"),
    }
}

fn with(line: &str) -> String {
    format!("name: hello\nhandler: run.sh\n{line}\n")
}

#[test]
fn name_and_handler_are_enough_and_the_rest_has_defaults() {
    let config = parse("name: hello\nhandler: ./run.sh\n");
    assert_eq!(config.name.as_str(), "hello");
    assert_eq!(config.handler.as_str(), "run.sh");
    assert_eq!(config.cpu_millicores, None);
    assert_eq!(config.memory, None);
    assert_eq!(config.timeout, None);
    assert_eq!(config.max_concurrency.get(), 5);
    assert_eq!(config.max_concurrency_behavior, Behavior::Exit);
    assert_eq!(config.resource_pressure_behavior, Behavior::Exit);
    assert_eq!(config.max_wait, Duration::from_secs(300));
    assert!(config.env.is_empty());
    assert_eq!((config.disk, config.pids), (None, None));
    assert_eq!(config.isolation, IsolationRequest::default());
}

#[test]
fn every_key_is_read() {
    let config = parse(
        "name: hello\nhandler: bin/run\nresources:\n  cpu: 500\n  memory: 128\n  disk: 64\n  \
         pids: 20\ntimeout: 30s\n\
         max_concurrency: 2\nmax_concurrency_behavior: wait\nresource_pressure_behavior: wait\n\
         max_wait: 10\nenv:\n  VERSION: 1.10\n  ANSWER: yes\n  COUNT: 42\n  EMPTY:\n  TEXT: 'a b'\n",
    );
    assert_eq!(config.cpu_millicores.expect("cpu").get(), 500);
    assert_eq!(config.memory, Some(Mib(128)));
    assert_eq!(config.disk, Some(Mib(64)));
    assert_eq!(config.pids.expect("pids").get(), 20);
    assert_eq!(config.timeout, Some(Duration::from_secs(30)));
    assert_eq!(config.max_concurrency.get(), 2);
    assert_eq!(config.max_concurrency_behavior, Behavior::Wait);
    assert_eq!(config.resource_pressure_behavior, Behavior::Wait);
    assert_eq!(config.max_wait, Duration::from_secs(10));
    let env: Vec<_> = config
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(
        env,
        [
            "ANSWER=yes",
            "COUNT=42",
            "EMPTY=",
            "TEXT=a b",
            "VERSION=1.10"
        ]
    );
}

#[test]
fn a_timeout_of_zero_is_none_and_a_wait_of_zero_is_zero() {
    assert_eq!(parse(&with("timeout: 0")).timeout, None);
    assert_eq!(
        parse(&with("timeout: 90")).timeout,
        Some(Duration::from_secs(90))
    );
    assert_eq!(parse(&with("max_wait: 0")).max_wait, Duration::ZERO);
}

#[test]
fn every_bad_field_is_named_at_once() {
    let fields = invalid(
        "name: Bad Name\nhandler: ../x\nresources:\n  cpu: 0\n  memory: lots\ntimeout: -1\n\
         max_concurrency: 0\nmax_concurrency_behavior: explode\nmax_wait: 25h\ncolour: red\n\
         env: [a]\n",
    );
    assert_eq!(
        names(&fields),
        [
            "name",
            "handler",
            "resources.cpu",
            "resources.memory",
            "timeout",
            "max_concurrency",
            "max_concurrency_behavior",
            "max_wait",
            "colour",
            "env",
        ]
    );
    assert_eq!((fields[2].line, fields[2].column), (4, 8));
}

#[test]
fn missing_keys_are_named() {
    assert_eq!(names(&invalid("timeout: 3\n")), ["name", "handler"]);
    assert_eq!(names(&invalid("name:\nhandler: x\n")), ["name"]);
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    let fields = invalid(&with("max_concurency: 3"));
    assert_eq!(
        fields[0].message,
        "is no known key; did you mean max_concurrency?"
    );
    let fields = invalid(&with("resources: {cores: 3}"));
    assert_eq!(fields[0].field, "resources.cores");
    assert!(fields[0].message.contains("cpu, memory"), "{fields:?}");
}

#[test]
fn numbers_out_of_range_are_refused_and_not_cut() {
    for line in [
        "max_concurrency: 4294967297",
        "max_concurrency: 99999999999999999999999999999999999999999999",
        "max_concurrency: 1.5",
        "max_concurrency: 1e3",
        "max_concurrency: -1",
        "resources: {cpu: 1024001}",
        "resources: {disk: 0}",
        "resources: {pids: 4194305}",
        "resources: {memory: 18446744073709551616}",
        "timeout: 99999999999999999999",
        "timeout: 2147483648",
        "timeout: 500ms",
        "timeout: [1]",
    ] {
        assert_eq!(invalid(&with(line)).len(), 1, "{line}");
    }
}

#[test]
fn an_environment_value_stands_in_no_message() {
    for env in [
        "env: {FLUX_X: s3cret}",
        "env: {'A=B': s3cret}",
        "env: {A: [s3cret]}",
        "env: {A: {b: s3cret}}",
        "env: s3cret",
    ] {
        let fields = invalid(&with(env));
        assert_eq!(names(&fields), ["env"], "{env}");
        assert!(!fields[0].message.contains("s3cret"), "{fields:?}");
    }
}

#[test]
fn what_is_no_mapping_or_too_large_is_malformed() {
    for text in [
        String::new(),
        "hello".into(),
        "- a\n".into(),
        "name: [".into(),
        format!("name: a\nhandler: b\n#{}\n", "x".repeat(64 * 1024)),
    ] {
        let error = parse_function_yaml(text.as_bytes()).expect_err("malformed");
        assert!(matches!(error, FunctionYamlError::Malformed(_)), "{error}");
    }
}

#[test]
fn each_question_of_isolation_is_answered_or_left_to_the_agent() {
    let config = parse(&with(
        "isolation: {user: shared, network: none, files: open, syscalls: filtered}",
    ));
    let all = IsolationRequest {
        user: Some(UserIsolation::Shared),
        network: Some(NetworkIsolation::None),
        files: Some(FileIsolation::Open),
        syscalls: Some(SyscallIsolation::Filtered),
    };
    assert_eq!(config.isolation, all);
    let config = parse(&with("isolation: {user: own}"));
    let one = IsolationRequest {
        user: Some(UserIsolation::Own),
        ..IsolationRequest::default()
    };
    assert_eq!(config.isolation, one);
}

#[test]
fn unknown_answers_and_questions_about_isolation_are_refused_by_name() {
    let fields = invalid(&with(
        "isolation: {user: root, network: None, files: [], syscalls: true, memory: own}",
    ));
    assert_eq!(
        names(&fields),
        [
            "isolation.user",
            "isolation.network",
            "isolation.files",
            "isolation.syscalls",
            "isolation.memory",
        ]
    );
    assert_eq!(fields[0].message, "expected own or shared, found \"root\"");
    assert_eq!(names(&invalid(&with("isolation: strict"))), ["isolation"]);
}
