//! The annotated examples are what they claim: valid, complete, and true about defaults.

use std::path::Path;

use super::fixture::{empty, source};
use crate::config::agent::{AgentConfig, AgentLimits, read_agent};
use crate::config::document::Node;
use crate::config::function::{parse_function_yaml, read_function};
use crate::config::isolation::AgentIsolation;
use crate::config::section::{Report, Section};
use crate::config::server::{ServerConfig, ServerLimits, read_server};
use crate::config::yaml;
use crate::model::isolation::Isolation;

const SERVER: &str = include_str!("../../../conf/example.flux.yaml");
const AGENT: &str = include_str!("../../../conf/example.agent.yaml");
const FUNCTION: &str = include_str!("../../../conf/example.function.yaml");

/// The example with everything that is commented out switched on.
fn switched_on(example: &str) -> String {
    let lines = example.lines().map(|line| {
        let bare = line.trim_start();
        let is_setting = bare.strip_prefix('#').is_some_and(|rest| {
            rest.split_once(':').is_some_and(|(key, _)| {
                !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            })
        });
        if is_setting {
            line.replacen('#', "", 1)
        } else {
            line.to_owned()
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn known(read: impl FnOnce(&Report, &Node)) -> Vec<String> {
    let root = yaml::parse(b"").expect("empty");
    let report = Report::default();
    read(&report, &root);
    report.known()
}

fn assert_names_all(example: &str, known: &[String]) {
    assert!(!known.is_empty());
    for path in known {
        let key = path.rsplit('.').next().expect("a key");
        let stands_there = example.lines().any(|line| {
            line.trim_start()
                .trim_start_matches('#')
                .strip_prefix(key)
                .is_some_and(|rest| rest.starts_with(':'))
        });
        assert!(stands_there, "{path} is not in the example");
    }
}

#[test]
fn the_examples_name_every_key_that_is_known() {
    assert_names_all(
        SERVER,
        &known(|report, root| {
            read_server(Section::root(report, root), Path::new(""), &empty);
        }),
    );
    assert_names_all(
        AGENT,
        &known(|report, root| {
            read_agent(Section::root(report, root), Path::new(""), &empty);
        }),
    );
    assert_names_all(
        FUNCTION,
        &known(|report, root| {
            read_function(Section::root(report, root));
        }),
    );
}

#[test]
fn the_server_example_is_valid_and_shows_the_defaults() {
    ServerConfig::from_source(source(SERVER), &empty).expect("as it stands");
    let all = ServerConfig::from_source(source(&switched_on(SERVER)), &empty).expect("all of it");
    assert_eq!(all.limits, ServerLimits::default());
    let default = ServerConfig::with_defaults(all.api_key.clone(), "/s".into(), "/c".into());
    assert_eq!(all.listen, default.listen);
    assert!(all.redis_addr.is_some() && all.tls.is_some());
}

#[test]
fn the_agent_example_is_valid_and_shows_the_defaults() {
    let as_it_stands = AgentConfig::from_source(source(AGENT), &empty).expect("as it stands");
    let all = AgentConfig::from_source(source(&switched_on(AGENT)), &empty).expect("all of it");
    let default = AgentLimits {
        max_executions: all.limits.max_executions,
        file_size: all.limits.file_size,
        memory: all.limits.memory,
        cpu_millicores: all.limits.cpu_millicores,
        ..AgentLimits::default()
    };
    assert_eq!(all.limits, default);
    assert_eq!(all.isolation, AgentIsolation::default());
    assert_eq!(as_it_stands.isolation, AgentIsolation::default());
    assert_eq!(all.state_dir, as_it_stands.state_dir);
    assert_eq!(all.apps_dir, as_it_stands.apps_dir);
    assert_eq!(all.public_ip_lookup, as_it_stands.public_ip_lookup);
    assert_eq!(all.runner_user, as_it_stands.runner_user);
    let tls = all.tls.expect("switched on");
    assert_eq!(tls.ca_cert, as_it_stands.state_dir.join("certs/ca.pem"));
}

#[test]
fn the_function_example_is_valid_and_shows_the_defaults() {
    let minimal = parse_function_yaml(b"name: hello\nhandler: run.sh\n").expect("minimal");
    let as_it_stands = parse_function_yaml(FUNCTION.as_bytes()).expect("as it stands");
    assert_eq!(as_it_stands, minimal);
    let mut all = parse_function_yaml(switched_on(FUNCTION).as_bytes()).expect("all of it");
    assert_eq!(all.env.remove("GREETING").as_deref(), Some("hello"));
    (all.cpu_millicores, all.memory) = (None, None);
    let limits = AgentLimits::default();
    assert_eq!(all.disk.take(), Some(limits.disk));
    assert_eq!(all.pids.take(), Some(limits.pids));
    let asked = std::mem::take(&mut all.isolation);
    assert_eq!(asked.user, Some(Isolation::DEFAULT.user));
    assert_eq!(asked.network, Some(Isolation::DEFAULT.network));
    assert_eq!(asked.files, Some(Isolation::DEFAULT.files));
    assert_eq!(asked.syscalls, Some(Isolation::DEFAULT.syscalls));
    assert_eq!(all, minimal);
}
