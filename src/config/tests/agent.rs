//! agent.yaml.

use std::path::Path;
use std::time::Duration;

use super::{empty, fields, names, source};
use crate::base::units::Mib;
use crate::config::agent::{AgentConfig, AgentTls};
use crate::config::error::ConfigError;

const ID: &str = "agent_id: worker-1\n";

fn load(text: &str) -> Result<AgentConfig, ConfigError> {
    AgentConfig::from_source(source(text), &empty)
}

fn with(lines: &str) -> AgentConfig {
    load(&format!("{ID}{lines}")).unwrap_or_else(|error| panic!("{lines}: {error}"))
}

fn refused(lines: &str) -> ConfigError {
    load(&format!("{ID}{lines}")).expect_err(lines)
}

#[test]
fn an_id_is_enough_and_the_rest_has_defaults() {
    let config = load(ID).expect("valid");
    assert_eq!(config.agent_id.as_str(), "worker-1");
    assert_eq!(config.state_dir, Path::new("/var/lib/flux-agent"));
    assert_eq!(config.apps_dir, Path::new("/var/lib/flux-agent/apps"));
    assert_eq!(config.runner_user, "flux-runner");
    assert_eq!(
        config.public_ip_lookup.as_deref(),
        Some("https://api.ipify.org")
    );
    assert!(!config.require_isolation);
    assert_eq!(config.limits.output_max, Mib(8));
    assert_eq!(config.limits.pipe_grace, Duration::from_millis(250));
    assert!(config.limits.max_executions.get() >= 16);
    assert_eq!(names(fields(&load("").expect_err("no id"))), ["agent_id"]);
}

#[test]
fn without_tls_only_the_loopback_address_listens() {
    for lines in ["", "tls:\n", "tls: {}\n"] {
        assert_eq!(with(lines).listen.to_string(), "127.0.0.1:50052", "{lines}");
    }
}

#[test]
fn every_address_listens_with_tls_or_when_the_file_says_that_there_is_none() {
    assert_eq!(
        with("tls: {enabled: true}\n").listen.to_string(),
        "0.0.0.0:50052"
    );
    let open = with("tls: {enabled: false}\n");
    assert_eq!(open.listen.to_string(), "0.0.0.0:50052");
    assert_eq!(open.tls, None);
}

#[test]
fn the_port_may_be_a_number_or_a_text() {
    for line in ["port: 6000\n", "port: '6000'\n", "port: \"6000\"\n"] {
        assert_eq!(with(line).listen.port(), 6000, "{line}");
    }
    for line in ["port: 65536\n", "port: -1\n", "port: x\n", "port: [1]\n"] {
        assert_eq!(names(fields(&refused(line))), ["port"], "{line}");
    }
}

#[test]
fn certificate_files_start_at_the_configuration_or_where_enrolment_puts_them() {
    let config =
        with("tls: {enabled: true, ca_cert: ca.crt, cert_file: a.crt, key_file: /k/a.key}\n");
    assert_eq!(
        config.tls,
        Some(AgentTls {
            ca_cert: "/conf/ca.crt".into(),
            cert_file: "/conf/a.crt".into(),
            key_file: "/k/a.key".into(),
        })
    );
    let tls = with("state_dir: s\ntls: {enabled: true}\n")
        .tls
        .expect("on");
    assert_eq!(tls.key_file, Path::new("/conf/s/certs/agent-key.pem"));
}

#[test]
fn certificate_files_without_a_word_on_tls_are_refused() {
    let error = refused("tls: {ca_cert: ca.crt}\n");
    assert_eq!(names(fields(&error)), ["tls.enabled"]);
}

#[test]
fn node_addresses_must_be_addresses() {
    let config = with("network: {node_private_ip: 10.0.0.5, node_public_ip: '2001:db8::1'}\n");
    assert_eq!(
        config.node_private_ip,
        Some("10.0.0.5".parse().expect("ip"))
    );
    assert!(config.node_public_ip.is_some_and(|ip| ip.is_ipv6()));
    let error = refused("network: {node_private_ip: my-host, node_public_ip: 1.2.3}\n");
    assert_eq!(
        names(fields(&error)),
        ["network.node_private_ip", "network.node_public_ip"]
    );
}

#[test]
fn the_public_address_lookup_can_be_turned_off_or_elsewhere() {
    assert_eq!(with("public_ip_lookup: false\n").public_ip_lookup, None);
    let usual = with("public_ip_lookup: true\n").public_ip_lookup;
    assert_eq!(usual.as_deref(), Some("https://api.ipify.org"));
    let own = with("public_ip_lookup: http://10.0.0.1/ip\n").public_ip_lookup;
    assert_eq!(own.as_deref(), Some("http://10.0.0.1/ip"));
    assert_eq!(
        names(fields(&refused("public_ip_lookup: maybe\n"))),
        ["public_ip_lookup"]
    );
}

#[test]
fn zero_is_a_value_where_it_can_be_one() {
    let limits = with(
        "limits: {output_max_mb: 0, stdin_max_mb: 0, kill_grace: 0, pipe_grace: 0, drain_timeout: 0}\n",
    )
    .limits;
    assert_eq!((limits.output_max, limits.stdin_max), (Mib(0), Mib(0)));
    assert_eq!(
        limits.kill_grace + limits.pipe_grace + limits.drain_timeout,
        Duration::ZERO
    );
    let error = refused("limits: {max_executions: 0, pids: 0, open_files: 0}\n");
    assert_eq!(
        names(fields(&error)),
        ["limits.max_executions", "limits.pids", "limits.open_files"]
    );
}

#[test]
fn unknown_keys_are_refused_at_every_level() {
    let error = refused("prot: 1\ntls: {cert: x}\nnetwork: {ip: x}\nlimits: {pid: 3}\n");
    let mut found = names(fields(&error));
    found.sort_unstable();
    assert_eq!(found, ["limits.pid", "network.ip", "prot", "tls.cert"]);
    assert!(error.to_string().contains("did you mean port?"), "{error}");
}

#[test]
fn a_runner_is_a_user_name() {
    for line in [
        "runner_user: ''\n",
        "runner_user: Root\n",
        "runner_user: a b\n",
        "runner_user: 0\n",
    ] {
        assert_eq!(names(fields(&refused(line))), ["runner_user"], "{line}");
    }
}
