//! Who is let in, and whom a client believes.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use flux::base::threads::Supervisor;
use flux::model::execution::{Ending, Executed};
use flux::model::function::Code;
use flux::model::ids::Digest;
use flux::model::output::Output;
use flux::rpc::limits::CONNECT_BOUND;
use flux::rpc::{Channels, RpcError, TlsIdentity};
use flux::wire::error::ErrorKind;
use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::x509::X509;
use openssl::x509::extension::{ExtendedKeyUsage, SubjectAlternativeName};

use super::double::Seen;
use super::fixture::{
    Agent, Certificates, PATIENCE, Pair, answer_within, id, now, pair, record, request, within,
};
use crate::runner::tests;

tests![
    an_agents_certificate_commands_no_agent,
    a_client_of_another_ca_is_refused,
    an_agent_with_another_agents_certificate_is_not_believed,
    an_agent_under_another_ca_is_not_believed,
    plain_text_gets_nothing_from_a_server_with_tls_and_the_reverse,
    a_client_of_our_ca_with_any_other_name_than_the_control_planes_is_refused,
    no_method_is_open_to_others,
    garbage_on_the_port_does_not_disturb_the_others,
    a_replaced_identity_shows_on_the_next_connection,
    a_clients_replaced_identity_shows_on_its_next_call_and_what_runs_goes_on,
    an_identity_whose_parts_do_not_fit_is_refused_when_it_is_made,
];

const REFUSAL_BOUND: Duration = CONNECT_BOUND.saturating_add(Duration::from_secs(2));

fn refused(channels: &Channels, agent: &Agent, tls: bool) -> RpcError {
    let client = channels
        .client(&id("agent-1"), &agent.address, tls)
        .unwrap();
    within(REFUSAL_BOUND, || client.health()).expect_err("refused")
}

fn an_agents_certificate_commands_no_agent() {
    let Pair {
        agent,
        certificates,
        ..
    } = pair();
    let stolen = Channels::new(Some(certificates.agent(&id("agent-2"))), &Supervisor::new());
    let error = refused(&stolen, &agent, true);
    assert!(matches!(error, RpcError::Unreachable), "{error:?}");
}

fn a_client_of_another_ca_is_refused() {
    let Pair { agent, .. } = pair();
    let error = refused(
        &Channels::new(Some(Certificates::new().control()), &Supervisor::new()),
        &agent,
        true,
    );
    assert!(matches!(error, RpcError::Unreachable), "{error:?}");
}

fn an_agent_with_another_agents_certificate_is_not_believed() {
    let certificates = Certificates::new();
    let agent = Agent::start(&id("agent-1"), Some(certificates.agent(&id("agent-2"))));
    let error = refused(
        &Channels::new(Some(certificates.control()), &Supervisor::new()),
        &agent,
        true,
    );
    assert!(matches!(error, RpcError::Unreachable), "{error:?}");
}

fn an_agent_under_another_ca_is_not_believed() {
    let certificates = Certificates::new();
    let agent = Agent::start(
        &id("agent-1"),
        Some(Certificates::new().agent(&id("agent-1"))),
    );
    let error = refused(
        &Channels::new(Some(certificates.control()), &Supervisor::new()),
        &agent,
        true,
    );
    assert!(matches!(error, RpcError::Unreachable), "{error:?}");
}

fn plain_text_gets_nothing_from_a_server_with_tls_and_the_reverse() {
    let Pair {
        agent,
        certificates,
        ..
    } = pair();
    let error = refused(&Channels::new(None, &Supervisor::new()), &agent, false);
    assert!(matches!(error, RpcError::Unreachable), "{error:?}");
    let plain = Agent::start(&id("agent-1"), None);
    let error = refused(
        &Channels::new(Some(certificates.control()), &Supervisor::new()),
        &plain,
        true,
    );
    assert!(matches!(error, RpcError::Unreachable), "{error:?}");
}

/// A client certificate under our own CA, with a name of the test's choice.
fn client_named(certificates: &Certificates, names: &[&str]) -> TlsIdentity {
    let read = |file: &str| std::fs::read(certificates.directory.path().join(file)).unwrap();
    let (ca_pem, control_key) = (read("ca/ca.pem"), read("flux/flux-key.pem"));
    let ca = X509::from_pem(&ca_pem).unwrap();
    let ca_key = PKey::private_key_from_pem(&read("ca/ca-key.pem")).unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_issuer_name(ca.subject_name()).unwrap();
    builder
        .set_pubkey(&PKey::private_key_from_pem(&control_key).unwrap())
        .unwrap();
    builder
        .set_not_before(&Asn1Time::from_unix(0).unwrap())
        .unwrap();
    builder
        .set_not_after(&Asn1Time::days_from_now(1).unwrap())
        .unwrap();
    let usage = ExtendedKeyUsage::new().client_auth().build().unwrap();
    builder.append_extension(usage).unwrap();
    let mut subject = SubjectAlternativeName::new();
    for name in names {
        subject.dns(name);
    }
    if !names.is_empty() {
        let subject = subject
            .build(&builder.x509v3_context(Some(&ca), None))
            .unwrap();
        builder.append_extension(subject).unwrap();
    }
    builder.sign(&ca_key, MessageDigest::sha256()).unwrap();
    let certificate = builder.build().to_pem().unwrap();
    TlsIdentity::new(&ca_pem, &certificate, &control_key).unwrap()
}

fn a_client_of_our_ca_with_any_other_name_than_the_control_planes_is_refused() {
    let Pair {
        agent,
        certificates,
        ..
    } = pair();
    let names: [&[&str]; 5] = [
        &["agent-1.agent.flux.internal"],
        &["control.flux.internal.example.com"],
        &["*.flux.internal"],
        &["control.flux.internal", "agent-1.agent.flux.internal"],
        &[],
    ];
    for names in names {
        let channels = Channels::new(Some(client_named(&certificates, names)), &Supervisor::new());
        let error = refused(&channels, &agent, true);
        let kind = error.refusal().map(|refusal| refusal.kind);
        assert_eq!(kind, Some(ErrorKind::NotAuthorised), "{names:?}: {error:?}");
    }
    let channels = Channels::new(
        Some(client_named(&certificates, &["control.flux.internal"])),
        &Supervisor::new(),
    );
    let client = channels
        .client(&id("agent-1"), &agent.address, true)
        .unwrap();
    assert!(
        client.health().is_ok(),
        "the same certificate with the right name passes"
    );
}

fn no_method_is_open_to_others() {
    let Pair {
        agent,
        certificates,
        ..
    } = pair();
    let channels = Channels::new(
        Some(client_named(&certificates, &["someone.example"])),
        &Supervisor::new(),
    );
    let client = channels
        .client(&id("agent-1"), &agent.address, true)
        .unwrap();
    let name = super::fixture::function("f");
    let execution = super::fixture::execution("e");
    let code = Code {
        version: 1,
        digest: Digest::from_sha256([0; 32]),
    };
    let release = flux::rpc::release::OutgoingRelease {
        function: &name,
        code: &code,
        size_bytes: 0,
        config: None,
    };
    let never = flux::base::cancel::Cancel::never();
    let errors = [
        client.node_status(now(), None).err(),
        client.remove_function(&name).err(),
        client.list_functions().err(),
        client.cancel(&execution).err(),
        client.get_execution(&execution).err(),
        client.list_executions(&Default::default()).err(),
        client.drain(true).err(),
        client.push_release(&release, || Ok(std::io::empty())).err(),
        client
            .follow(&execution, 0)
            .and_then(|mut follower| follower.next(&never, None))
            .err(),
        client
            .start_execute(super::fixture::request("echo"), None, now())
            .and_then(|pending| pending.wait(&never).unwrap())
            .err(),
    ];
    for (index, error) in errors.into_iter().enumerate() {
        let error = error.unwrap_or_else(|| panic!("call {index} passed"));
        let kind = error.refusal().map(|refusal| refusal.kind);
        assert_eq!(
            kind,
            Some(ErrorKind::NotAuthorised),
            "call {index}: {error:?}"
        );
    }
    assert!(agent.seen.is_empty(), "the worker heard of it");
}

fn garbage_on_the_port_does_not_disturb_the_others() {
    let pair = pair();
    let mut strangers = Vec::new();
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0x16; 4096],
        &[0; 1],
        b"PRI * HTTP/2.0\r\n",
    ] {
        let mut stream = TcpStream::connect(&pair.agent.address).unwrap();
        stream.write_all(garbage).unwrap();
        strangers.push(stream);
    }
    assert!(pair.client.health().is_ok());
}

fn a_replaced_identity_shows_on_the_next_connection() {
    let pair = pair();
    assert!(pair.client.health().is_ok());
    let (name, address) = (id("agent-2"), &pair.agent.address);
    let identity = pair.agent.identity.as_ref().unwrap();
    identity.replace(pair.certificates.agent(&name));
    assert_eq!(pair.channels.identify(address, true).unwrap(), name);
    let client = pair.channels.client(&name, address, true).unwrap();
    assert!(client.health().is_ok());
    assert!(
        pair.client.health().is_ok(),
        "the connection from before goes on"
    );
}

fn a_clients_replaced_identity_shows_on_its_next_call_and_what_runs_goes_on() {
    let pair = pair();
    let pending = pair.client.start_execute(request("hold"), None, now());
    let pending = pending.unwrap();
    let Seen::Held(held, on_done) = pair.agent.next_seen() else {
        panic!("it is handed over");
    };
    let stolen = pair.certificates.agent(&id("agent-2"));
    pair.channels.replace_identity(stolen).unwrap();
    let error = within(REFUSAL_BOUND, || pair.client.health()).expect_err("refused");
    assert!(matches!(error, RpcError::Unreachable), "{error:?}");
    let renewed = pair.certificates.control();
    pair.channels.replace_identity(renewed).unwrap();
    assert!(pair.client.health().is_ok());

    assert!(answer_within(&pending, Duration::from_millis(50)).is_none());
    on_done(Ok(Executed {
        record: record(&id("agent-1"), &held, Some(Ending::Exited(0))),
        output: Output::default(),
    }));
    let executed = answer_within(&pending, PATIENCE).expect("an answer");
    assert_eq!(executed.unwrap().record.id, held.id);
}

fn an_identity_whose_parts_do_not_fit_is_refused_when_it_is_made() {
    let certificates = Certificates::new();
    let ours = certificates.authority.control();
    let other = certificates
        .authority
        .issue_agent_with_key(&id("a"))
        .unwrap();
    assert!(TlsIdentity::new(&ours.ca, &ours.certificate, &other.key).is_err());
    assert!(TlsIdentity::new(b"", &ours.certificate, &ours.key).is_err());
    assert!(TlsIdentity::new(&ours.ca, b"x", &ours.key).is_err());
    assert!(TlsIdentity::new(&ours.ca, &ours.certificate, b"x").is_err());
}
