//! agent.yaml.

use std::path::Path;
use std::time::Duration;

use super::fixture::{empty, fields, names, source};
use crate::base::units::Mib;
use crate::config::agent::{AgentConfig, AgentTls};
use crate::config::error::ConfigError;
use crate::config::isolation::AgentIsolation;
use crate::model::isolation::{
    FileIsolation, Isolation, Loosening, NetworkIsolation, SyscallIsolation, UserIsolation,
};

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
    assert_eq!(config.limits.disk, Mib(1024));
    assert_eq!(
        (config.limits.memory, config.limits.cpu_millicores),
        (None, None)
    );
    assert_eq!(config.isolation, AgentIsolation::default());
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

#[test]
fn limits_have_defaults_for_functions_that_name_none() {
    let limits = with("limits: {memory_mb: 256, cpu_millicores: 500, disk_mb: 10}\n").limits;
    assert_eq!((limits.memory, limits.disk), (Some(Mib(256)), Mib(10)));
    assert_eq!(limits.cpu_millicores.expect("cpu").get(), 500);
    let error = refused("limits: {memory_mb: 0, cpu_millicores: 0, disk_mb: 0}\n");
    assert_eq!(
        names(fields(&error)),
        [
            "limits.memory_mb",
            "limits.cpu_millicores",
            "limits.disk_mb"
        ]
    );
}

#[test]
fn isolation_has_defaults_allowances_users_and_paths() {
    let isolation = with(
        "isolation:\n  defaults: {user: shared, network: none, files: open, syscalls: open}\n  \
         allow: [host_network, open_files]\n  runner_uids: 70000-79999\n  read_paths: [/opt/data]\n",
    )
    .isolation;
    let expected = AgentIsolation {
        defaults: Isolation {
            user: UserIsolation::Shared,
            network: NetworkIsolation::None,
            files: FileIsolation::Open,
            syscalls: SyscallIsolation::Open,
        },
        allow: vec![Loosening::HostNetwork, Loosening::OpenFiles],
        runner_uids: 70_000..=79_999,
        read_paths: vec!["/opt/data".into()],
    };
    assert_eq!(isolation, expected);
}

#[test]
fn user_ids_that_have_another_use_are_refused_with_the_reason() {
    for (range, reason) in [
        ("0-70000", "root's"),
        ("999-70000", "system's"),
        ("79999-70000", "comes after"),
        ("60000-70000", "nobody's"),
        ("65535-70000", "nobody's"),
        ("2147483600-2147483800", "end at 2147483647"),
        ("70000-70098", "at least 100"),
        ("70000", "two user ids"),
        ("a-b", "two user ids"),
        ("70000-4294967297", "two user ids"),
        ("[70000, 80000]", "found a list"),
    ] {
        let error = refused(&format!("isolation: {{runner_uids: {range}}}\n"));
        assert_eq!(names(fields(&error)), ["isolation.runner_uids"], "{range}");
        assert!(error.to_string().contains(reason), "{range}: {error}");
    }
    for range in ["70000-70099", "1000-65533", "2147483000-2147483647"] {
        with(&format!("isolation: {{runner_uids: {range}}}\n"));
    }
}

#[test]
fn paths_to_read_are_absolute_and_never_the_agents_own() {
    for (path, reason) in [
        ("data", "absolute"),
        ("/opt/../var", "absolute"),
        ("/", "everything"),
        ("/srv", "agent's own /srv/agent"),
        ("/srv/agent", "agent's own"),
        ("/srv/agent/journal", "agent's own"),
        ("/code/resize", "agent's own /code"),
    ] {
        let error = refused(&format!(
            "state_dir: /srv/agent\napps_dir: /code\nisolation: {{read_paths: [/opt, {path}]}}\n"
        ));
        assert_eq!(names(fields(&error)), ["isolation.read_paths"], "{path}");
        let text = error.to_string();
        assert!(text.contains("item 2") && text.contains(reason), "{text}");
    }
}

#[test]
fn an_allowance_that_does_not_exist_is_refused_by_name() {
    let error = refused("isolation: {allow: [shared], defaults: {user: root}, network: none}\n");
    let mut found = names(fields(&error));
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "isolation.allow",
            "isolation.defaults.user",
            "isolation.network"
        ]
    );
}
