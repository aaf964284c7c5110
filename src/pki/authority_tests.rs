//! The authority on real directories, and its certificates before the real `openssl`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use openssl::x509::X509Req;

use super::super::expiry::{Holder, expiries};
use super::super::join::key_and_request;
use super::super::material::staging;
use super::*;

fn id(text: &str) -> AgentId {
    AgentId::new(text).expect(text)
}

fn open(directory: &Path) -> Result<Authority, PkiError> {
    Authority::open_or_create(directory)
}

fn refusal(directory: &Path) -> String {
    open(directory).expect_err("refused").to_string()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("stat").permissions().mode() & 0o777
}

#[expect(clippy::disallowed_methods, reason = "a test asks the real openssl")]
fn openssl_cli(arguments: &[&str]) -> (bool, String) {
    let output = std::process::Command::new("openssl")
        .args(arguments)
        .output()
        .expect("openssl runs");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

fn path_text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn a_first_start_makes_everything_and_a_second_changes_nothing() {
    let directory = tempfile::tempdir().expect("tempdir");
    let certs = directory.path().join("certs");
    let first = open(&certs).expect("first start");
    let files = [
        "ca/ca.pem",
        "ca/ca-key.pem",
        "flux/flux.pem",
        "flux/flux-key.pem",
    ];
    let contents = || files.map(|file| fs::read(certs.join(file)).expect(file));
    let before = contents();
    let second = open(&certs).expect("second start");
    assert_eq!(contents(), before);
    assert_eq!(
        first.fingerprint().expect("hash"),
        second.fingerprint().expect("hash")
    );
    assert_eq!(first.control().key, second.control().key);
    for file in ["ca/ca-key.pem", "flux/flux-key.pem"] {
        assert_eq!(mode(&certs.join(file)), 0o600, "{file}");
    }
    for file in ["", "ca", "flux"] {
        assert_eq!(mode(&certs.join(file)), 0o700, "{file:?}");
    }
    assert_eq!(
        fs::read_dir(&certs).expect("list").count(),
        2,
        "nothing beside"
    );
}

#[test]
fn the_certificates_are_what_openssl_expects_of_their_roles() {
    let directory = tempfile::tempdir().expect("tempdir");
    let authority = open(directory.path()).expect("authority");
    let agent = id("agent-1.rack_2");
    let own = key_and_request(&agent).expect("request");
    let csr = Csr::from_pem(&own.request).expect("csr");
    authority.issue_agent(&agent, &csr).expect("certificate");
    let layout = authority.layout();
    let ca = layout.ca_certificate();
    let control = layout.control().certificate;
    let agent_certificate = layout.agent_certificate(&agent);
    assert!(
        !layout.agent_key(&agent).exists(),
        "the agent's key is its own"
    );

    let verify = |purpose: &str, certificate: &Path| {
        let (ca, certificate) = (path_text(&ca), path_text(certificate));
        openssl_cli(&[
            "verify",
            "-x509_strict",
            "-purpose",
            purpose,
            "-CAfile",
            ca,
            certificate,
        ])
    };
    for (purpose, certificate, is_valid) in [
        ("sslserver", &agent_certificate, true),
        ("sslclient", &agent_certificate, false),
        ("sslclient", &control, true),
        ("sslserver", &control, false),
    ] {
        let (verified, text) = verify(purpose, certificate);
        assert_eq!(
            verified,
            is_valid,
            "{purpose} {}: {text}",
            certificate.display()
        );
    }
    let text = |path: &Path| openssl_cli(&["x509", "-noout", "-text", "-in", path_text(path)]).1;
    for expected in ["CA:TRUE, pathlen:0", "Certificate Sign", "prime256v1"] {
        assert!(text(&ca).contains(expected), "{expected}");
    }
    let shown = text(&agent_certificate);
    for expected in [
        "DNS:agent-1.rack_2.agent.flux.internal\n",
        "TLS Web Server",
        "CA:FALSE",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    assert!(text(&control).contains("DNS:control.flux.internal\n"));
}

#[test]
fn the_names_in_a_request_are_ignored() {
    let directory = tempfile::tempdir().expect("tempdir");
    let authority = open(directory.path()).expect("authority");
    let key = generate_key().expect("key");
    let mut builder = X509Req::builder().expect("builder");
    builder.set_pubkey(&key).expect("key");
    let mut extensions = openssl::stack::Stack::new().expect("stack");
    let wish = openssl::x509::extension::SubjectAlternativeName::new()
        .dns(CONTROL_NAME)
        .build(&builder.x509v3_context(None))
        .expect("extension");
    extensions.push(wish).expect("push");
    builder.add_extensions(&extensions).expect("extensions");
    builder.sign(&key, MessageDigest::sha256()).expect("sign");
    let csr = Csr::from_pem(&builder.build().to_pem().expect("pem")).expect("csr");
    let pem = authority.issue_agent(&id("a"), &csr).expect("certificate");
    let certificate = X509::from_pem(&pem).expect("certificate");
    assert_eq!(dns_names(&certificate), ["a.agent.flux.internal"]);
}

#[test]
fn an_agent_whose_key_flux_makes_keeps_it_over_renewals() {
    let directory = tempfile::tempdir().expect("tempdir");
    let authority = open(directory.path()).expect("authority");
    let first = authority.issue_agent_with_key(&id("dev")).expect("first");
    let second = authority.issue_agent_with_key(&id("dev")).expect("second");
    assert_eq!(first.key, second.key);
    assert_ne!(first.certificate, second.certificate);
    assert_eq!(mode(&authority.layout().agent_key(&id("dev"))), 0o600);
}

#[test]
fn half_a_ca_is_refused_and_never_replaced() {
    for (lost, kept) in [("ca.pem", "ca-key.pem"), ("ca-key.pem", "ca.pem")] {
        let directory = tempfile::tempdir().expect("tempdir");
        open(directory.path()).expect("first start");
        let ca = directory.path().join("ca");
        fs::remove_file(ca.join(lost)).expect("remove");
        let text = refusal(directory.path());
        assert!(text.contains(lost) && text.contains("backup"), "{text}");
        assert!(!ca.join(lost).exists() && ca.join(kept).exists());
    }
}

#[test]
fn no_new_ca_is_made_where_something_of_an_old_one_is_left() {
    let directory = tempfile::tempdir().expect("tempdir");
    let authority = open(directory.path()).expect("first start");
    authority.issue_agent_with_key(&id("a")).expect("agent");
    fs::remove_dir_all(directory.path().join("ca")).expect("remove");
    let text = refusal(directory.path());
    assert!(
        text.contains("flux.pem") && text.contains("backup"),
        "{text}"
    );
    fs::remove_dir_all(directory.path().join("flux")).expect("remove");
    let text = refusal(directory.path());
    assert!(
        text.contains("agents/a") && text.contains("backup"),
        "{text}"
    );
    assert!(!directory.path().join("ca").exists());
}

#[test]
fn a_key_of_another_pair_is_refused() {
    for pair in ["ca/ca", "flux/flux"] {
        let (ours, theirs) = (
            tempfile::tempdir().expect("dir"),
            tempfile::tempdir().expect("dir"),
        );
        open(ours.path()).expect("ours");
        open(theirs.path()).expect("theirs");
        let key = format!("{pair}-key.pem");
        fs::copy(theirs.path().join(&key), ours.path().join(&key)).expect("copy");
        let text = refusal(ours.path());
        assert!(
            text.contains("is not the key of") && text.contains(&key),
            "{text}"
        );
    }
}

#[test]
fn unreadable_files_are_refused_by_name() {
    for file in [
        "ca/ca.pem",
        "ca/ca-key.pem",
        "flux/flux.pem",
        "flux/flux-key.pem",
    ] {
        let directory = tempfile::tempdir().expect("tempdir");
        open(directory.path()).expect("first start");
        let path = directory.path().join(file);
        let whole = fs::read(&path).expect("read");
        for content in [&b""[..], &whole[..whole.len() / 2], b"\0\0\0"] {
            atomic_file::write(&path, content, 0o600).expect("write");
            assert!(refusal(directory.path()).contains(file), "{file}");
        }
    }
}

/// A CA that was valid from `first` to `last` day, counted from today.
fn write_ca(directory: &Path, first_day: i64, last_day: i64) {
    let day = |days: i64| {
        let now = crate::base::clock::Clock::system().now().as_millis() / 1000;
        Asn1Time::from_unix(now + days * 86_400).expect("time")
    };
    let key = generate_key().expect("key");
    let name = create_ca(generate_key().expect("key")).expect("ca");
    let mut builder = X509::builder().expect("builder");
    builder.set_version(2).expect("version");
    builder
        .set_subject_name(name.certificate.subject_name())
        .expect("subject");
    builder
        .set_issuer_name(name.certificate.subject_name())
        .expect("issuer");
    builder.set_not_before(&day(first_day)).expect("not before");
    builder.set_not_after(&day(last_day)).expect("not after");
    builder.set_pubkey(&key).expect("key");
    builder.sign(&key, MessageDigest::sha256()).expect("sign");
    let pair = Pair {
        certificate: builder.build(),
        key,
    };
    store_new(&Layout::new(directory).ca(), &pem(&pair).expect("pem")).expect("store");
}

#[test]
fn a_ca_out_of_its_time_is_refused() {
    for (first, last, expected) in [(-20, -10, "expired"), (10, 20, "clock")] {
        let directory = tempfile::tempdir().expect("tempdir");
        write_ca(directory.path(), first, last);
        let text = refusal(directory.path());
        assert!(
            text.contains(expected) && text.contains("ca/ca.pem"),
            "{text}"
        );
    }
    let directory = tempfile::tempdir().expect("tempdir");
    write_ca(directory.path(), -10, 10);
    open(directory.path()).expect("in its time");
}

#[test]
fn a_certificate_that_is_no_ca_is_refused_as_one() {
    let (ours, theirs) = (
        tempfile::tempdir().expect("dir"),
        tempfile::tempdir().expect("dir"),
    );
    open(theirs.path()).expect("theirs");
    let ca = ours.path().join("ca");
    fs::create_dir(&ca).expect("directory");
    for (from, to) in [("flux.pem", "ca.pem"), ("flux-key.pem", "ca-key.pem")] {
        fs::copy(theirs.path().join("flux").join(from), ca.join(to)).expect("copy");
    }
    let text = refusal(ours.path());
    assert!(text.contains("the certificate of a CA"), "{text}");
}

#[test]
fn a_self_signed_certificate_that_may_not_sign_others_is_no_ca() {
    let directory = tempfile::tempdir().expect("tempdir");
    let key = generate_key().expect("key");
    let mut builder = X509::builder().expect("builder");
    builder.set_version(2).expect("version");
    let (from, to) = (Asn1Time::from_unix(0), Asn1Time::days_from_now(9));
    builder.set_not_before(&from.expect("time")).expect("set");
    builder.set_not_after(&to.expect("time")).expect("set");
    builder.set_pubkey(&key).expect("key");
    let usage = openssl::x509::extension::KeyUsage::new()
        .digital_signature()
        .build()
        .expect("usage");
    builder.append_extension(usage).expect("append");
    builder.sign(&key, MessageDigest::sha256()).expect("sign");
    let certificate = builder.build();
    let pem = pem(&Pair { certificate, key }).expect("pem");
    store_new(&Layout::new(directory.path()).ca(), &pem).expect("store");
    let text = refusal(directory.path());
    assert!(text.contains("the certificate of a CA"), "{text}");
}

/// Every state that a first start can leave when it is killed between two of its steps.
#[test]
fn a_first_start_that_was_killed_anywhere_is_completed() {
    let whole = tempfile::tempdir().expect("tempdir");
    open(whole.path()).expect("a whole one to copy from");
    let copy = |from: &str, to: &Path| {
        fs::create_dir_all(to.parent().expect("parent")).expect("directory");
        fs::copy(whole.path().join(from), to).expect("copy");
    };
    let new_ca = |root: &Path| staging(&root.join("ca"));
    let new_flux = |root: &Path| staging(&root.join("flux"));
    type Prefix<'a> = (&'a str, Box<dyn Fn(&Path) + 'a>);
    let prefixes: Vec<Prefix<'_>> = vec![
        ("nothing", Box::new(|_| {})),
        (
            "an empty staging directory",
            Box::new(|root| {
                fs::create_dir(new_ca(root)).expect("directory");
            }),
        ),
        (
            "a staged temporary file",
            Box::new(|root| {
                copy("ca/ca-key.pem", &new_ca(root).join(".tmp-abc"));
            }),
        ),
        (
            "a staged key",
            Box::new(|root| copy("ca/ca-key.pem", &new_ca(root).join("ca-key.pem"))),
        ),
        (
            "a staged pair",
            Box::new(|root| {
                copy("ca/ca-key.pem", &new_ca(root).join("ca-key.pem"));
                copy("ca/ca.pem", &new_ca(root).join("ca.pem"));
            }),
        ),
        (
            "a CA alone",
            Box::new(|root| {
                copy("ca/ca-key.pem", &root.join("ca/ca-key.pem"));
                copy("ca/ca.pem", &root.join("ca/ca.pem"));
            }),
        ),
        (
            "a CA and a staged control key",
            Box::new(|root| {
                copy("ca/ca-key.pem", &root.join("ca/ca-key.pem"));
                copy("ca/ca.pem", &root.join("ca/ca.pem"));
                copy("flux/flux-key.pem", &new_flux(root).join("flux-key.pem"));
            }),
        ),
    ];
    for (what, prepare) in prefixes {
        let directory = tempfile::tempdir().expect("tempdir");
        prepare(directory.path());
        assert_completed(what, directory.path());
    }
}

/// A start after one that was killed makes what is missing, keeps what is there, and leaves nothing else.
fn assert_completed(what: &str, root: &Path) {
    let had_ca = fs::read(root.join("ca/ca.pem")).ok();
    open(root).unwrap_or_else(|error| panic!("{what}: {error}"));
    let ca = fs::read(root.join("ca/ca.pem")).expect("CA");
    assert!(
        had_ca.is_none_or(|before| before == ca),
        "{what}: the CA was replaced"
    );
    for pair in ["ca", "flux"] {
        let files = fs::read_dir(root.join(pair)).expect("list").count();
        assert_eq!(files, 2, "{what}: left beside the pair in {pair}");
    }
    open(root).unwrap_or_else(|error| panic!("{what}, again: {error}"));
    assert_eq!(fs::read_dir(root).expect("list").count(), 2, "{what}");
}

#[test]
fn a_control_certificate_near_its_end_is_renewed_with_its_key() {
    let directory = tempfile::tempdir().expect("tempdir");
    let authority = open(directory.path()).expect("first start");
    let paths = authority.layout().control();
    let key = load(&paths, "").expect("load").expect("pair").key;
    let mut builder = X509::builder().expect("builder");
    builder.set_version(2).expect("version");
    builder.set_pubkey(&key).expect("key");
    builder
        .set_not_before(&Asn1Time::days_from_now(0).expect("time"))
        .expect("set");
    builder
        .set_not_after(&Asn1Time::days_from_now(RENEW_WITHIN_DAYS - 1).expect("t"))
        .expect("s");
    let names = openssl::x509::extension::SubjectAlternativeName::new()
        .dns(CONTROL_NAME)
        .build(&builder.x509v3_context(None, None))
        .expect("names");
    builder.append_extension(names).expect("append");
    builder
        .sign(&authority.ca.key, MessageDigest::sha256())
        .expect("sign");
    let old = builder.build().to_pem().expect("pem");
    atomic_file::write(&paths.certificate, &old, 0o644).expect("write");

    let renewed = open(directory.path()).expect("second start");
    assert_eq!(renewed.control().key, authority.control().key);
    assert_ne!(renewed.control().certificate, old);
    let certificate = X509::from_pem(&renewed.control().certificate).expect("certificate");
    assert!(!is_past(certificate.not_after(), LEAST_DAYS_LEFT).expect("compare"));
}

const LEAST_DAYS_LEFT: u32 = super::super::issue::LEAF_LIFETIME_DAYS - 1;

#[test]
fn expiries_are_listed_with_the_unreadable_ones_in_their_place() {
    let directory = tempfile::tempdir().expect("tempdir");
    let authority = open(directory.path()).expect("authority");
    for name in ["b", "a"] {
        authority.issue_agent_with_key(&id(name)).expect("agent");
    }
    let broken = authority.layout().agent_certificate(&id("a"));
    atomic_file::write(&broken, b"no certificate", 0o644).expect("write");
    let listed = expiries(directory.path()).expect("list");
    let holders: Vec<_> = listed
        .iter()
        .map(|entry| entry.as_ref().map(|expiry| expiry.holder.clone()).ok())
        .collect();
    let expected = [
        Some(Holder::Ca),
        Some(Holder::Control),
        None,
        Some(Holder::Agent(id("b"))),
    ];
    assert_eq!(holders, expected);
    let days = |entry: &Result<_, PkiError>| {
        let expiry: &super::super::expiry::Expiry = entry.as_ref().expect("readable");
        expiry
            .not_after
            .since(crate::base::clock::Clock::system().now())
            .as_secs()
            / 86_400
    };
    assert!(
        (3649..=3650).contains(&days(&listed[0])),
        "{}",
        days(&listed[0])
    );
    assert!((364..=365).contains(&days(&listed[1])));
}
