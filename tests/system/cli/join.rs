//! A new machine's way into the fleet by hand, and what keeps it out.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Name};
use serde_json::json;

use super::user::{Running, User};
use crate::harness::fleet::{FLUX_AGENT, fs_write};
use crate::harness::{Daemon, Fleet, FleetOptions, eventually};
use crate::runner::tests;

tests![
    an_agent_is_enrolled_joined_registered_drained_and_removed_by_hand,
    whoever_cannot_join_is_told_why_and_nothing_is_written,
    joining_over_https_trusts_what_the_system_trusts,
    a_public_address_that_cannot_be_learnt_leaves_the_agent_alone,
    an_answer_from_somebody_in_between_is_shown_to_whoever_joins,
];

/// How a call of `flux-agent` ended: its exit code and its standard error.
fn flux_agent(user: &User, args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(FLUX_AGENT);
    command
        .args(args)
        .current_dir(user.home())
        .stdin(Stdio::null())
        .env_clear()
        .envs(env.iter().copied());
    let ran = Running::start(&mut command, args).end();
    assert_eq!(ran.stdout(), "");
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    (ran.code, ran.stderr)
}

fn token(user: &User, id: &str) -> String {
    let ran = user.run(&["agent", "enroll", id]).exits(0);
    let token = ran.stdout().trim().to_owned();
    ran.says(&["one use until", "flux-agent join"]);
    token
}

/// Refused with these words, and nothing is written.
#[track_caller]
fn refused(user: &User, args: &[&str], words: &[&str]) {
    let config = user.path("new/agent.yaml");
    let args: Vec<&str> = ["join"].iter().chain(args).copied().collect();
    let with_config = [&args[..], &["--config", config.to_str().expect("UTF-8")]].concat();
    let (code, stderr) = flux_agent(user, &with_config, &[]);
    assert_eq!(code, Some(1), "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "no {word:?} in {stderr}");
    }
    assert!(!user.path("new").exists(), "written: {stderr}");
}

fn mode(path: &Path) -> u32 {
    let metadata = fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    metadata.permissions().mode() & 0o777
}

/// Port 0 and directories of its own, without questions to the outside.
fn adapt(config: &Path, state_dir: &Path) {
    let yaml = fs::read_to_string(config).expect("agent.yaml");
    let kept: Vec<_> = yaml
        .lines()
        .filter(|line| !line.starts_with("port:"))
        .collect();
    let kept = kept.join("\n");
    let state_dir = state_dir.display();
    fs_write(
        config,
        &format!("{kept}\nport: 0\nstate_dir: {state_dir}\npublic_ip_lookup: false\n"),
    );
}

fn an_agent_is_enrolled_joined_registered_drained_and_removed_by_hand() {
    let fleet = Fleet::with(&FleetOptions::default());
    let user = User::of(&fleet);
    let token = token(&user, "worker-7");
    let url = &fleet.api.url;
    let config = user.path("etc/agent.yaml");
    let path = config.to_str().expect("UTF-8");
    let (code, stderr) = flux_agent(&user, &["join", url, &token, "--config", path], &[]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stderr.starts_with("flux-agent: joined as worker-7")
            && stderr.contains("flux agent register"),
        "{stderr}"
    );
    assert_eq!(mode(&user.path("etc/certs/agent-key.pem")), 0o600);
    assert_eq!(mode(&user.path("etc/certs")), 0o700);
    assert_eq!(mode(&config), 0o600, "functions may read below /etc");

    // What join wrote is a whole configuration, checked and used as it is.
    let (code, stderr) = flux_agent(&user, &["--check-config", "--config", path], &[]);
    assert_eq!((code, stderr.contains("good")), (Some(0), true), "{stderr}");
    adapt(&config, &user.path("state"));
    let mut agent = Daemon::start(FLUX_AGENT, &["--config", path], &[], user.home(), "agent");
    let address = agent.await_log("listening on ", 0);
    let port = address.rsplit_once(':').expect("port").1;
    let address = format!("127.0.0.1:{port}");
    let ran = user.run(&["agent", "register", &address]).exits(0);
    assert_eq!(ran.stdout(), format!("registered worker-7 at {address}\n"));
    let status = || user.json(&["agents"])[0]["status"].clone();
    eventually("online", || (status() == "online").then_some(()));
    user.deploy("where", "", "echo here");
    user.run(&["exec", "where"]).exits(0);

    let ran = user.run(&["agent", "drain", "worker-7"]).exits(0);
    assert_eq!(ran.stdout(), "worker-7 is draining\n");
    assert_eq!(status(), "draining");
    user.run(&["exec", "where"]).exits(125).says(&["hint: "]);
    user.run(&["agent", "drain", "worker-7", "--undo"]).exits(0);
    eventually("online again", || (status() == "online").then_some(()));
    user.run(&["exec", "where"]).exits(0);

    user.run(&["agent", "remove", "worker-7"]).exits(0);
    assert_eq!(user.json(&["agents"]), json!([]));
    user.run(&["agent", "remove", "worker-7"])
        .exits(1)
        .says(&["worker-7"]);
    user.run(&["agent", "drain", "worker-7"])
        .exits(1)
        .says(&["worker-7"]);
    assert_eq!(agent.stop().code(), Some(0));
}

fn whoever_cannot_join_is_told_why_and_nothing_is_written() {
    let fleet = Fleet::with(&FleetOptions::default());
    let user = User::of(&fleet);
    let url = fleet.api.url.as_str();
    let good = token(&user, "worker-8");
    refused(&user, &[url, "rubbish"], &["the token cannot be used"]);
    // Of the right form, from a control plane that does not exist any more.
    let half = &good[..good.len() - 4];
    refused(&user, &[url, half], &["token"]);
    let free = TcpListener::bind("127.0.0.1:0")
        .expect("bind")
        .local_addr()
        .expect("address");
    refused(
        &user,
        &[&format!("http://{free}"), &good],
        &[&free.to_string()],
    );
    refused(&user, &["not-a-url", &good], &["http://"]);
    refused(&user, &[&format!("{url}/elsewhere"), &good], &["elsewhere"]);

    let taken = user.write("agent.yaml", "agent_id: me\n");
    let args = ["join", url, &good, "--config", &taken];
    let (code, stderr) = flux_agent(&user, &args, &[]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stderr.contains(&taken) && stderr.contains("there already"),
        "{stderr}"
    );
    assert_eq!(fs::read_to_string(&taken).expect("kept"), "agent_id: me\n");

    // A place that cannot be written to does not use the token up.
    user.write("blocked", "a file, no directory");
    let args = ["join", url, &good, "--config", "blocked/agent.yaml"];
    let (code, stderr) = flux_agent(&user, &args, &[]);
    assert_eq!(
        (code, stderr.contains("blocked")),
        (Some(1), true),
        "{stderr}"
    );
    let args = ["join", url, &good, "--config", "first/agent.yaml"];
    let (code, stderr) = flux_agent(&user, &args, &[]);
    assert_eq!(code, Some(0), "{stderr}");
    refused(&user, &[url, &good], &["used", "flux agent enroll"]);
}

fn an_answer_from_somebody_in_between_is_shown_to_whoever_joins() {
    let fleet = Fleet::with(&FleetOptions::default());
    let user = User::of(&fleet);
    let token = token(&user, "worker-10");
    let between = TcpListener::bind("127.0.0.1:0").expect("bind");
    let url = format!("http://{}", between.local_addr().expect("address"));
    let args = ["join", &url, &token, "--config", "etc/agent.yaml"];
    let mut command = Command::new(FLUX_AGENT);
    let join = Running::start(command.args(args).current_dir(user.home()), &args);
    let (mut connection, _) = between.accept().expect("it asks");
    let answer = "HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\n\r\nno such host: flux";
    connection.write_all(answer.as_bytes()).expect("answered");
    // The whole request has to be read, or closing the connection would reset it.
    connection.shutdown(Shutdown::Write).expect("closed");
    connection.read_to_end(&mut Vec::new()).expect("read");
    join.end()
        .exits(1)
        .says(&["refused (502 Bad Gateway): no such host: flux\n"]);
    assert!(!user.path("etc").exists());
}

fn joining_over_https_trusts_what_the_system_trusts() {
    let user = User::new();
    let (certificate, key) = self_signed();
    let (cert, key) = (
        user.write("api.pem", &certificate),
        user.write("api.key", &key),
    );
    let fleet = Fleet::with(&FleetOptions::default());
    let directory = fleet.directory().join("https");
    fs::create_dir(&directory).expect("mkdir");
    let root = directory.display();
    fs_write(
        &directory.join("flux.yaml"),
        &format!(
            "api_key: a-key-for-https\nlisten: 127.0.0.1:0\nstate_dir: {root}/state\ncerts_dir: {root}/certs\ntls_cert: {cert}\ntls_key: {key}\n"
        ),
    );
    let program = crate::harness::fleet::FLUX;
    let mut flux = Daemon::start(program, &["server"], &[], &directory, "flux");
    let url = flux.await_log("listening on ", 0);
    assert!(url.starts_with("https://"), "{url}");
    let user = user
        .with("FLUX_URL", &url)
        .with("FLUX_API_KEY", "a-key-for-https");
    user.run(&["functions"])
        .exits(69)
        .says(&[&url, "certificate"]);
    let user = user.with("SSL_CERT_FILE", &cert);
    let token = token(&user, "worker-9");
    let args = ["join", &url, &token, "--config", "etc/agent.yaml"];
    let (code, stderr) = flux_agent(&user, &args, &[]);
    assert_eq!(
        (code, stderr.contains("certificate")),
        (Some(1), true),
        "{stderr}"
    );
    assert!(!user.path("etc").exists());
    let (code, stderr) = flux_agent(&user, &args, &[("SSL_CERT_FILE", &cert)]);
    assert_eq!(code, Some(0), "{stderr}");
}

fn a_public_address_that_cannot_be_learnt_leaves_the_agent_alone() {
    let user = User::new();
    // Takes the connection, and says nothing that TLS could begin with.
    let service = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = service.local_addr().expect("address");
    let state = user.path("state").display().to_string();
    user.write(
        "agent.yaml",
        &format!(
            "agent_id: a\nport: 0\nstate_dir: {state}\npublic_ip_lookup: https://{address}/\n"
        ),
    );
    let mut agent = Daemon::start(FLUX_AGENT, &[], &[], user.home(), "agent");
    agent.await_log("listening on ", 0);
    drop(service.accept().expect("it asks"));
    agent.await_log("the public address is unknown", 0);
    assert!(agent.is_running());
    assert_eq!(agent.stop().code(), Some(0));
}

/// For 127.0.0.1.
fn self_signed() -> (String, String) {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("group");
    let key = PKey::from_ec_key(EcKey::generate(&group).expect("key")).expect("key");
    let mut name = X509Name::builder().expect("name");
    name.append_entry_by_nid(Nid::COMMONNAME, "127.0.0.1")
        .expect("cn");
    let name = name.build();
    let mut builder = X509::builder().expect("builder");
    builder.set_version(2).expect("version");
    builder.set_subject_name(&name).expect("subject");
    builder.set_issuer_name(&name).expect("issuer");
    builder.set_pubkey(&key).expect("pubkey");
    let (from, to) = (Asn1Time::days_from_now(0), Asn1Time::days_from_now(2));
    builder.set_not_before(&from.expect("now")).expect("before");
    builder.set_not_after(&to.expect("then")).expect("after");
    let basic = BasicConstraints::new().ca().build().expect("basic");
    builder.append_extension(basic).expect("basic");
    let context = builder.x509v3_context(None, None);
    let names = SubjectAlternativeName::new()
        .ip("127.0.0.1")
        .build(&context)
        .expect("names");
    builder.append_extension(names).expect("names");
    builder.sign(&key, MessageDigest::sha256()).expect("signed");
    let pem = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (
        pem(builder.build().to_pem().expect("pem")),
        pem(key.private_key_to_pem_pkcs8().expect("pem")),
    )
}
