//! flux.yaml.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::fixture::{empty, fields, names, source};
use crate::config::error::ConfigError;
use crate::config::redis_address::RedisAddress;
use crate::config::server::{HttpTls, ServerConfig, ServerLimits};

const KEY: &str = "api_key: a-long-enough-key\n";

fn load(text: &str) -> Result<ServerConfig, ConfigError> {
    ServerConfig::from_source(source(text), &empty)
}

fn with(lines: &str) -> ServerConfig {
    load(&format!("{KEY}{lines}")).unwrap_or_else(|error| panic!("{lines}: {error}"))
}

fn refused(lines: &str) -> ConfigError {
    load(&format!("{KEY}{lines}")).expect_err(lines)
}

#[test]
fn a_key_is_enough_and_the_rest_has_defaults() {
    let config = load(KEY).expect("valid");
    assert_eq!(config.api_key.expose(), "a-long-enough-key");
    assert_eq!(config.listen.to_string(), "0.0.0.0:7227");
    assert_eq!(config.state_dir, Path::new("/var/lib/flux"));
    assert_eq!(config.certs_dir, Path::new("/etc/flux/certs"));
    assert_eq!(config.agent_port, 50052);
    assert_eq!(config.tls, None);
    assert!(config.redis_addr.is_none() && config.agent_redis_url.is_none());
    assert!(!config.public_agents && !config.disable_grpc_tls);
    assert_eq!(config.limits, ServerLimits::default());
    assert_eq!(config.log, "info");
}

#[test]
fn a_file_without_a_key_is_an_error_and_not_a_panic() {
    for text in ["", "{}", "listen: 127.0.0.1:1\n", "api_key:\n"] {
        let error = load(text).expect_err(text);
        assert_eq!(names(fields(&error)), ["api_key"], "{text}");
    }
}

#[test]
fn a_redis_address_is_taken_in_all_its_forms() {
    for (text, shown, url) in [
        (
            "127.0.0.1:6379",
            "redis://127.0.0.1:6379",
            "redis://127.0.0.1:6379",
        ),
        (
            "redis.internal:7000",
            "redis://redis.internal:7000",
            "redis://redis.internal:7000",
        ),
        ("[::1]:6379", "redis://[::1]:6379", "redis://[::1]:6379"),
        ("redis://host", "redis://host:6379", "redis://host:6379"),
        (
            "redis://user:s3cret@host:1/2",
            "redis://host:1/2",
            "redis://user:s3cret@host:1/2",
        ),
        (
            "rediss://:s3c@ret@host",
            "rediss://host:6379",
            "rediss://:s3c@ret@host:6379",
        ),
        (
            "unix:/run/redis.sock",
            "unix:///run/redis.sock",
            "unix:///run/redis.sock",
        ),
        (
            "unix:///run/redis.sock",
            "unix:///run/redis.sock",
            "unix:///run/redis.sock",
        ),
    ] {
        let address = with(&format!("redis_addr: '{text}'\n"))
            .redis_addr
            .expect(text);
        assert_eq!(address.to_string(), shown);
        assert_eq!(address.url().expose(), url);
        assert_eq!(format!("{address:?}"), format!("RedisAddress({shown})"));
    }
}

#[test]
fn what_is_no_redis_address_is_refused_without_its_password() {
    for text in [
        "localhost",
        "host:0",
        "host:70000",
        "http://host:1",
        "redis://",
        "redis://user:s3cret@:1",
        "redis://user:s3cret@host:x",
        "user:s3cret@host:1",
        "redis://host:1/two",
        "unix:relative.sock",
        "ho st:1",
        "[::zz]:1",
    ] {
        let message = RedisAddress::parse(text).expect_err(text);
        assert!(
            message.starts_with("expected ") && !message.contains("s3cret"),
            "{message}"
        );
    }
}

#[test]
fn no_error_and_no_debug_output_shows_the_key() {
    let config = load("api_key: s3cret-key\n").expect("valid");
    assert!(!format!("{config:?}").contains("s3cret"));
    for text in [
        "api_key: s3cret\n",
        "api_key: 's3cret key with spaces'\n",
        "api_key: [s3cret-key]\n",
        "api_key: s3cret-key\nlisten: nowhere\n",
        "api_key: s3cret-key\napi_key: s3cret-key\n",
        "api_key: \"s3cret-key\n",
        "api_key: s3cret-key: x\n",
    ] {
        let error = load(text).expect_err(text);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

#[test]
fn a_secret_comes_from_the_environment_or_from_a_file() {
    let directory = tempfile::tempdir().expect("tempdir");
    let file = directory.path().join("key");
    crate::base::atomic_file::write(&file, b"key-from-the-file\n", 0o600).expect("write");
    let environment = |name: &str| (name == "MY_KEY").then(|| "key-from-outside".to_owned());
    for (text, key) in [
        ("${MY_KEY}".to_owned(), "key-from-outside"),
        (format!("file:{}", file.display()), "key-from-the-file"),
    ] {
        let source = source(&format!("api_key: {text}\n"));
        let config = ServerConfig::from_source(source, &environment).expect("valid");
        assert_eq!(config.api_key.expose(), key);
    }
    for (text, expected) in [("${OTHER}", "OTHER"), ("file:/absent/key", "/absent/key")] {
        let error = load(&format!("api_key: {text}\n")).expect_err(text);
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn an_error_names_file_line_key_value_and_expectation() {
    let error = refused("agent_port: 70000\n");
    assert_eq!(
        error.to_string(),
        "/conf/test.yaml, line 2: agent_port: expected a whole number from 1 to 65535, found \"70000\""
    );
    let error = load("api_key: [\n").expect_err("malformed");
    assert!(
        error
            .to_string()
            .starts_with("/conf/test.yaml, line 1, column 10: "),
        "{error}"
    );
}

#[test]
fn all_bad_keys_are_named_at_once() {
    let error = refused(
        "listen: here\npublic_agent: true\nlimits:\n  heartbeat_misses: 0\n  drain_timeout: soon\n  \
         archive_mb: 3\nlog: loud\n",
    );
    assert_eq!(
        names(fields(&error)),
        [
            "listen",
            "public_agent",
            "limits.heartbeat_misses",
            "limits.drain_timeout",
            "limits.archive_mb",
            "log",
        ]
    );
    let text = error.to_string();
    assert!(text.contains("did you mean public_agents?"), "{text}");
    assert!(text.contains("did you mean archive_max_mb?"), "{text}");
}

#[test]
fn zero_is_a_value() {
    let limits = with("limits: {queue_per_function: 0, drain_timeout: 0}\n").limits;
    assert_eq!(limits.queue_per_function, 0);
    assert_eq!(limits.drain_timeout, Duration::ZERO);
    let error = refused("limits: {heartbeat_interval: 0}\n");
    assert!(error.to_string().contains("from 50ms to 5m"), "{error}");
}

#[test]
fn tls_needs_both_files_and_takes_them_beside_the_configuration() {
    let config = with("tls_cert: api.crt\ntls_key: /keys/api.key\n");
    assert_eq!(
        config.tls,
        Some(HttpTls {
            cert: "/conf/api.crt".into(),
            key: "/keys/api.key".into(),
        })
    );
    assert_eq!(names(fields(&refused("tls_cert: a\n"))), ["tls_key"]);
    assert_eq!(names(fields(&refused("tls_key: a\n"))), ["tls_cert"]);
}

#[test]
fn providers_are_refused_unless_they_are_empty() {
    for text in ["providers:\n", "providers: {}\n", "providers: []\n"] {
        with(text);
    }
    let error = refused("providers: {aws: {region: eu-west-1}}\n");
    assert_eq!(names(fields(&error)), ["providers"]);
    assert!(error.to_string().contains("not in this version"), "{error}");
}

#[test]
fn listen_takes_addresses_with_a_port() {
    for (text, address) in [
        (":7000", "0.0.0.0:7000"),
        ("localhost:0", "127.0.0.1:0"),
        ("'[::]:7227'", "[::]:7227"),
    ] {
        assert_eq!(
            with(&format!("listen: {text}\n")).listen.to_string(),
            address
        );
    }
    for text in ["7227", "example.org:1", "127.0.0.1", ":99999"] {
        assert_eq!(
            names(fields(&refused(&format!("listen: '{text}'\n")))),
            ["listen"]
        );
    }
}

#[test]
fn the_search_names_every_place_and_a_named_file_must_be_there() {
    let error = ServerConfig::load(Some(Path::new("/absent/flux.yaml"))).expect_err("absent");
    assert!(
        matches!(&error, ConfigError::Read { path, .. } if path == Path::new("/absent/flux.yaml"))
    );
    let error = ConfigError::NotFound {
        searched: vec![
            PathBuf::from("./flux.yaml"),
            PathBuf::from("/etc/flux/flux.yaml"),
        ],
        variable: "FLUX_CONFIG",
    };
    assert_eq!(
        error.to_string(),
        "no configuration file: none at ./flux.yaml, /etc/flux/flux.yaml (set FLUX_CONFIG to use another place)"
    );
}

#[test]
fn a_named_file_is_loaded_and_an_oversized_one_refused() {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("flux.yaml");
    crate::base::atomic_file::write(&path, format!("{KEY}state_dir: here\n").as_bytes(), 0o600)
        .expect("write");
    let config = ServerConfig::load(Some(&path)).expect("valid");
    assert_eq!(config.state_dir, directory.path().join("here"));
    let huge = vec![b'#'; (1 << 20) + 1];
    crate::base::atomic_file::write(&path, &huge, 0o600).expect("write");
    let error = ServerConfig::load(Some(&path)).expect_err("too large");
    assert!(matches!(error, ConfigError::TooLarge { .. }), "{error}");
}
