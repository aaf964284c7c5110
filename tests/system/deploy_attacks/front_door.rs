//! `PUT /deploy`: a 422 with the reason's code, in the one shape of errors.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::scene::{Scene, TARGET, path};
use crate::harness::{eventually, script_archive};
use crate::hostile_archives::{corpus, sound};
use crate::runner::tests;

tests![
    every_attack_is_refused_with_its_code_before_anything_is_stored,
    an_upload_that_was_cut_off_at_any_byte_is_refused,
    odd_archives_are_deployed_as_plain_files_and_run,
];

fn every_attack_is_refused_with_its_code_before_anything_is_stored() {
    let scene = Scene::set();
    for attack in corpus() {
        let reply = scene.fleet.api.put(&path(), &(attack.build)());
        assert_eq!(reply.status, 422, "{}: {}", attack.name, reply.text());
        assert_eq!(
            reply.json()["error"]["code"],
            attack.code,
            "{}: {}",
            attack.name,
            reply.text()
        );
        reply.expect_error(422, attack.code);
        scene.assert_untouched(attack.name);
    }
    scene.assert_undisturbed();
}

fn an_upload_that_was_cut_off_at_any_byte_is_refused() {
    let scene = Scene::set();
    let whole = script_archive("echo torn");
    for length in 0..whole.len() {
        let reply = scene.fleet.api.put(&path(), &whole[..length]);
        reply.expect_error(422, "archive_not_zip");
    }
    scene.assert_untouched("all lengths");
    scene.assert_undisturbed();
}

fn odd_archives_are_deployed_as_plain_files_and_run() {
    let scene = Scene::set();
    for (index, archive) in sound().iter().enumerate() {
        let reply = scene.fleet.api.put(&path(), &(archive.build)());
        let version = index + 2;
        assert_eq!(reply.expect(200)["version"], version, "{}", archive.name);
        let (file, mode) = archive.becomes;
        let release = eventually("the release is there", || {
            let releases = fs::read_dir(scene.apps().join(TARGET)).expect("list");
            releases
                .map(|release| release.expect("entry").path())
                .find(|release| {
                    let name = release.file_name().unwrap_or_default().to_string_lossy();
                    name.starts_with(&format!("{version}-"))
                })
        });
        let found = fs::symlink_metadata(release.join(file)).expect(archive.name);
        assert_eq!(
            found.permissions().mode() & 0o7777,
            mode,
            "{}",
            archive.name
        );
        let record = scene.fleet.execute(TARGET, &[]).expect(200);
        assert_eq!(record["output"], "from the corpus\n", "{}", archive.name);
    }
}
