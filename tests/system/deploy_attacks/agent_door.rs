//! The agent's own two doors, `PushRelease` and `DeployFunction`: what no control plane of ours
//! would let through, the agent refuses by itself.

use std::io::Cursor;

use flux::archive::{ArchiveLimits, inspect, verify};
use flux::model::ids::Digest;
use flux::wire::error::ErrorKind;

use super::scene::Scene;
use super::thief::Thief;
use crate::harness::script_archive;
use crate::hostile_archives::corpus;
use crate::runner::tests;

tests![
    every_attack_that_is_pushed_is_refused_with_its_reason_and_leaves_nothing,
    every_attack_in_one_message_is_refused_with_its_reason_and_leaves_nothing,
    an_archive_that_was_cut_off_at_any_byte_is_refused,
    an_archive_that_is_not_the_announced_one_is_refused,
];

/// In words, as they have to arrive.
fn reason(archive: &[u8]) -> String {
    inspect(Cursor::new(archive), &ArchiveLimits::default())
        .and_then(|plan| verify(Cursor::new(archive), &plan))
        .expect_err("an attack")
        .to_string()
}

fn every_attack_that_is_pushed_is_refused_with_its_reason_and_leaves_nothing() {
    let scene = Scene::set();
    let thief = Thief::at(&scene.fleet);
    for attack in corpus() {
        let archive = (attack.build)();
        let error = thief.push(2, &archive).expect_err(attack.name);
        let refusal = error
            .refusal()
            .unwrap_or_else(|| panic!("{}: {error}", attack.name));
        assert_eq!(refusal.kind, ErrorKind::ArchiveRefused, "{}", attack.name);
        let reason = reason(&archive);
        assert!(
            refusal.message.contains(&reason),
            "{}: {} instead of {reason}",
            attack.name,
            refusal.message
        );
        scene.assert_untouched(attack.name);
    }
    scene.assert_undisturbed();
}

fn every_attack_in_one_message_is_refused_with_its_reason_and_leaves_nothing() {
    let scene = Scene::set();
    let thief = Thief::at(&scene.fleet);
    for attack in corpus() {
        let archive = (attack.build)();
        let reason = reason(&archive);
        let error = thief.deploy(archive).expect_err(attack.name);
        let message = &error.refusal().expect("a refusal").message;
        assert!(
            message.contains(&reason),
            "{}: {message} instead of {reason}",
            attack.name
        );
        scene.assert_untouched(attack.name);
    }
    scene.assert_undisturbed();
}

fn an_archive_that_was_cut_off_at_any_byte_is_refused() {
    let scene = Scene::set();
    let thief = Thief::at(&scene.fleet);
    let whole = script_archive("echo torn");
    for length in 0..whole.len() {
        let error = thief.push(2, &whole[..length]).expect_err("cut off");
        let refusal = error
            .refusal()
            .unwrap_or_else(|| panic!("{length}: {error}"));
        assert_eq!(refusal.kind, ErrorKind::ArchiveRefused, "{length}");
    }
    scene.assert_untouched("all lengths");
    scene.assert_undisturbed();
}

fn an_archive_that_is_not_the_announced_one_is_refused() {
    let scene = Scene::set();
    let thief = Thief::at(&scene.fleet);
    let (sound, other) = (script_archive("echo a"), script_archive("echo b"));
    let digest = |bytes: &[u8]| Digest::from_sha256(openssl::sha::sha256(bytes));
    let length = sound.len() as u64;
    for (name, digest, length) in [
        ("another digest", digest(&other), length),
        ("one byte more announced", digest(&sound), length + 1),
        ("one byte less announced", digest(&sound), length - 1),
        ("everything announced", digest(&sound), u64::MAX >> 1),
        ("nothing announced", digest(&sound), 0),
    ] {
        let error = thief.push_as(2, &sound, &digest, length).expect_err(name);
        let refusal = error.refusal().unwrap_or_else(|| panic!("{name}: {error}"));
        assert_eq!(
            refusal.kind,
            ErrorKind::ArchiveRefused,
            "{name}: {}",
            refusal.message
        );
        scene.assert_untouched(name);
    }
    scene.assert_undisturbed();
}
