//! The same server under TLS.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use flux::http::{Limits, TlsConfig, TlsError};
use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode, SslVersion};
use openssl::x509::{X509, X509Name};

use super::support::{BIG_BYTES, Client, Fixture, Held, PATIENCE, get};
use crate::runner::tests;

tests![
    requests_are_served_under_tls,
    a_client_that_leaves_is_noticed_under_tls,
    versions_before_1_2_are_refused,
    stalling_handshakes_hold_no_worker_and_end_at_their_deadline,
    plain_http_on_a_tls_port_is_closed,
    a_key_that_is_not_the_certificates_is_refused,
];

fn key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a curve");
    PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key")
}

fn certificate(key: &PKey<Private>) -> X509 {
    let mut name = X509Name::builder().expect("a name");
    name.append_entry_by_text("CN", "localhost")
        .expect("a name");
    let name = name.build();
    let mut builder = X509::builder().expect("a certificate");
    builder.set_version(2).expect("version 3");
    builder.set_subject_name(&name).expect("a subject");
    builder.set_issuer_name(&name).expect("an issuer");
    builder.set_pubkey(key).expect("a key");
    let start = Asn1Time::days_from_now(0).expect("a time");
    builder.set_not_before(&start).expect("a start");
    let end = Asn1Time::days_from_now(1).expect("a time");
    builder.set_not_after(&end).expect("an end");
    builder
        .sign(key, MessageDigest::sha256())
        .expect("a signature");
    builder.build()
}

fn config() -> TlsConfig {
    let key = key();
    let chain = certificate(&key).to_pem().expect("PEM");
    TlsConfig::from_pem(&chain, &key.private_key_to_pem_pkcs8().expect("PEM")).expect("a config")
}

fn try_connect(
    fixture: &Fixture,
    most: Option<SslVersion>,
) -> Option<Client<SslStream<TcpStream>>> {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).expect("a connector");
    builder.set_verify(SslVerifyMode::NONE);
    builder.set_min_proto_version(None).expect("any version");
    builder.set_max_proto_version(most).expect("a version");
    builder
        .set_cipher_list("DEFAULT:@SECLEVEL=0")
        .expect("ciphers");
    let stream = TcpStream::connect(fixture.address()).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let connected = builder.build().connect("localhost", stream).ok()?;
    Some(Client::over(connected))
}

fn connect(fixture: &Fixture) -> Client<SslStream<TcpStream>> {
    try_connect(fixture, None).expect("a handshake")
}

fn requests_are_served_under_tls() {
    let fixture = Fixture::start_with(Limits::default(), Some(config()));
    let mut client = connect(&fixture);
    client.send(&get("/tls"));
    assert_eq!(client.answer().body, "true");
    client.send(&get("/hello").repeat(2));
    assert_eq!(client.answer().body, "hello");
    assert_eq!(client.answer().body, "hello");
    client.send(&get("/big"));
    assert_eq!(client.answer().body.len(), BIG_BYTES);
    client.send("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    // The last record holds the body's end and a request, which the handler's reading leaves
    // in the TLS layer, not in the socket.
    client.send(&format!("{}{}", "b".repeat(1_000_000), get("/hello")));
    assert_eq!(client.answer().body, "1000000");
    assert_eq!(client.answer().body, "hello");
    client.send(&get("/stream"));
    assert_eq!(client.answer().body, "one two three");
    client.send(&get("/close"));
    assert_eq!(client.answer().body, "bye");
    assert!(client.is_closed());
}

fn a_client_that_leaves_is_noticed_under_tls() {
    let fixture = Fixture::start_with(Limits::default(), Some(config()));
    let mut client = connect(&fixture);
    client.send(&get("/hold"));
    assert_eq!(fixture.next_held(), Held::Begun);
    drop(client);
    assert_eq!(fixture.next_held(), Held::ClientGone);
}

fn versions_before_1_2_are_refused() {
    let fixture = Fixture::start_with(Limits::default(), Some(config()));
    assert!(try_connect(&fixture, Some(SslVersion::TLS1_1)).is_none());
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let mut client = try_connect(&fixture, Some(version)).expect("a handshake");
        client.send(&get("/hello"));
        assert_eq!(client.answer().body, "hello");
    }
}

fn stalling_handshakes_hold_no_worker_and_end_at_their_deadline() {
    let fixture = Fixture::start_with(
        Limits {
            workers: 1,
            handshake_deadline: Duration::from_millis(1_500),
            ..Limits::default()
        },
        Some(config()),
    );
    // Silent, and stopped within the ClientHello: a record of 512 bytes announced, 5 sent.
    let mut stalling: Vec<_> = (0..20).map(|_| fixture.connect()).collect();
    for client in &mut stalling[10..] {
        let hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3];
        client.stream.write_all(&hello).expect("send");
    }
    let mut good = connect(&fixture);
    good.send(&get("/hello"));
    assert_eq!(good.answer().body, "hello");
    for client in &mut stalling {
        assert!(client.is_closed());
    }
}

fn plain_http_on_a_tls_port_is_closed() {
    let fixture = Fixture::start_with(Limits::default(), Some(config()));
    let mut client = fixture.connect();
    client.send(&get("/hello"));
    assert!(client.try_answer(true).is_err());
}

fn a_key_that_is_not_the_certificates_is_refused() {
    let chain = certificate(&key()).to_pem().expect("PEM");
    let other = key().private_key_to_pem_pkcs8().expect("PEM");
    assert!(matches!(
        TlsConfig::from_pem(&chain, &other),
        Err(TlsError::Rejected(_))
    ));
    assert!(matches!(
        TlsConfig::from_pem(b"", &other),
        Err(TlsError::NoCertificate)
    ));
    let missing = std::path::Path::new("/nonexistent/chain.pem");
    let error = TlsConfig::from_files(missing, missing).expect_err("no file");
    assert!(error.to_string().contains("chain.pem"), "{error}");
}
