//! Archives: taken whole, refused with a reason, brought to every agent.

use std::io::{Cursor, Write};

use serde_json::json;
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::api::plain::plain;
use crate::harness::{
    AgentOptions, Fleet, FleetOptions, archive_of, eventually, fleet::fs_write, function_yaml,
    script_archive,
};
use crate::runner::tests;

tests![
    a_deploy_answers_with_what_happened_on_every_agent,
    the_same_archive_again_makes_no_new_version,
    hostile_and_broken_archives_are_422_with_their_own_codes_and_change_nothing,
    an_archive_without_the_handler_is_422_and_says_which_file_it_wants,
    a_deploy_without_a_body_is_411_and_one_that_is_too_large_413,
    an_archive_may_come_in_chunks,
    an_upload_that_breaks_off_changes_nothing,
    a_deploy_leaves_running_executions_with_the_code_they_started_with,
    an_agent_that_was_away_during_a_deploy_is_brought_up_to_date_before_it_gets_traffic,
];

fn a_deploy_answers_with_what_happened_on_every_agent() {
    let fleet = plain();
    let yaml = function_yaml("dep-answer", "");
    fleet.api.put("/functions", yaml.as_bytes()).expect(201);
    fleet
        .execute("dep-answer", &[])
        .expect_error(409, "function_not_deployed");
    let reply = fleet
        .api
        .put("/deploy/dep-answer", &script_archive("echo hi"));
    let reply = reply.expect(200);
    assert_eq!(reply["status"], "success");
    assert_eq!(reply["deployed_count"], 1);
    assert_eq!(reply["total_agents"], 1);
    assert_eq!(reply["agents"][0]["agent_id"], "agent-1");
    assert_eq!(reply["agents"][0]["status"], "success");
    assert!(reply["agents"][0]["message"].is_string());
    assert_eq!(
        fleet.execute("dep-answer", &[]).expect(200)["output"],
        "hi\n"
    );
}

fn the_same_archive_again_makes_no_new_version() {
    let fleet = plain();
    let yaml = function_yaml("dep-same", "");
    fleet.api.put("/functions", yaml.as_bytes()).expect(201);
    let (one, two) = (script_archive("echo 1"), script_archive("echo 2"));
    let version = |code: &[u8]| {
        let reply = fleet.api.put("/deploy/dep-same", code).expect(200);
        assert_eq!(reply["deployed_count"], 1);
        reply["version"].clone()
    };
    assert_eq!((version(&one), version(&one)), (json!(1), json!(1)));
    assert_eq!((version(&two), version(&two)), (json!(2), json!(2)));
    let versions = fleet.api.get("/functions/dep-same/versions").expect(200);
    assert_eq!(versions.as_array().expect("array").len(), 2);
}

fn hostile_and_broken_archives_are_422_with_their_own_codes_and_change_nothing() {
    let fleet = plain();
    fleet.deploy_script("dep-hostile", "", "echo sound");
    let sound = script_archive("echo replaced");
    let mut cut = sound.clone();
    cut.truncate(cut.len() - 30);
    let mut trailing = sound.clone();
    trailing.extend(b"more");
    let prefixed = [&b"#!/bin/sh\nexit\n"[..], &sound].concat();
    let mut corrupt = archive_of(&[("run", b"#!/bin/sh\n", true), ("data", &[7; 64], false)]);
    let at = corrupt
        .windows(4)
        .position(|four| four == b"data")
        .expect("name");
    corrupt[at + 5] ^= 0x55;
    let refused = [
        (Vec::new(), "archive_not_zip"),
        (b"no zip at all".to_vec(), "archive_not_zip"),
        (cut, "archive_not_zip"),
        (trailing, "archive_trailing_bytes"),
        (prefixed, "archive_prefixed"),
        (archive_of(&[]), "archive_empty"),
        (with("../run", b"x"), "archive_name_parent"),
        (with("a/../../run", b"x"), "archive_name_parent"),
        (with("/etc/cron.d/run", b"x"), "archive_name_absolute"),
        (with("a\\b", b"x"), "archive_name_backslash"),
        (with("C:run", b"x"), "archive_name_drive"),
        (with("a\nb", b"x"), "archive_name_control"),
        (with("RUN", b"x"), "archive_case_collision"),
        (with("run/inner", b"x"), "archive_file_is_directory"),
        (with(&"d/".repeat(40), b""), "archive_too_deep"),
        (with("bomb", &vec![0; 8 << 20]), "archive_ratio"),
        (twice(), "archive_duplicate"),
        (link(), "archive_symlink"),
    ];
    for (archive, code) in &refused {
        let reply = fleet.api.put("/deploy/dep-hostile", archive);
        assert_eq!(reply.status, 422, "{code}: {}", reply.text());
        reply.expect_error(422, code);
    }
    let broken = fleet.api.put("/deploy/dep-hostile", &corrupt);
    broken.expect_error(422, "archive_checksum");
    let versions = fleet.api.get("/functions/dep-hostile/versions").expect(200);
    assert_eq!(versions.as_array().expect("array").len(), 1);
    assert_eq!(
        fleet.execute("dep-hostile", &[]).expect(200)["output"],
        "sound\n"
    );
}

fn an_archive_without_the_handler_is_422_and_says_which_file_it_wants() {
    let fleet = plain();
    let yaml = "name: dep-handler\nhandler: bin/tool\n";
    fleet.api.put("/functions", yaml.as_bytes()).expect(201);
    let reply = fleet
        .api
        .put("/deploy/dep-handler", &script_archive("true"));
    assert!(
        reply
            .expect_error(422, "handler_missing")
            .contains("bin/tool")
    );
    // A directory of that name is no handler either.
    let reply = fleet.api.put(
        "/deploy/dep-handler",
        &archive_of(&[("bin/tool/x", b"", false)]),
    );
    reply.expect_error(422, "handler_missing");
}

fn a_deploy_without_a_body_is_411_and_one_that_is_too_large_413() {
    let fleet = plain();
    fleet.deploy_script("dep-size", "", "echo small");
    let none = fleet.api.raw(&["PUT /deploy/dep-size HTTP/1.1"], b"");
    none.expect_error(411, "length_required");
    // Refused by what it declares, before a byte of it is sent.
    let head = ["PUT /deploy/dep-size HTTP/1.1", "Content-Length: 1048577"];
    fleet
        .api
        .raw(&head, b"")
        .expect_error(413, "body_too_large");
    // Chunks declare nothing: counted as they come.
    let head = [
        "PUT /deploy/dep-size HTTP/1.1",
        "Transfer-Encoding: chunked",
    ];
    let piece = [
        b"100000\r\n",
        &vec![b'x'; 1 << 20][..],
        b"\r\n1\r\nx\r\n0\r\n\r\n",
    ]
    .concat();
    fleet
        .api
        .raw(&head, &piece)
        .expect_error(413, "body_too_large");
    assert_eq!(
        fleet.execute("dep-size", &[]).expect(200)["output"],
        "small\n"
    );
}

fn an_archive_may_come_in_chunks() {
    let fleet = plain();
    let yaml = function_yaml("dep-chunks", "");
    fleet.api.put("/functions", yaml.as_bytes()).expect(201);
    let code = script_archive("echo in pieces");
    let (one, two) = code.split_at(50);
    let mut body = Vec::new();
    for piece in [one, two] {
        write!(body, "{:x}\r\n", piece.len()).expect("size");
        body.extend(piece);
        body.extend(b"\r\n");
    }
    body.extend(b"0\r\n\r\n");
    let head = [
        "PUT /deploy/dep-chunks HTTP/1.1",
        "Transfer-Encoding: chunked",
    ];
    fleet.api.raw(&head, &body).expect(200);
    assert_eq!(
        fleet.execute("dep-chunks", &[]).expect(200)["output"],
        "in pieces\n"
    );
}

fn an_upload_that_breaks_off_changes_nothing() {
    let fleet = plain();
    fleet.deploy_script("dep-breaks", "", "echo whole");
    let code = script_archive("echo torn");
    let length = format!("Content-Length: {}", code.len());
    let stream = fleet
        .api
        .begin(&["PUT /deploy/dep-breaks HTTP/1.1", &length], &code[..60]);
    stream
        .shutdown(std::net::Shutdown::Write)
        .expect("shutdown");
    let answer = std::io::read_to_string(&stream).unwrap_or_default();
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
        "{answer}"
    );
    assert_eq!(
        fleet.execute("dep-breaks", &[]).expect(200)["function_version"],
        1
    );
}

fn a_deploy_leaves_running_executions_with_the_code_they_started_with() {
    let fleet = plain();
    let gate = fleet.directory().join("dep-gate");
    let archive = |word: &str| {
        let script = format!(
            "#!/bin/sh\necho started\nuntil [ -e {} ]; do sleep 0.02; done\ncat \"${{0%/*}}/word\"\n",
            gate.display()
        );
        archive_of(&[
            ("run", script.as_bytes(), true),
            ("word", word.as_bytes(), false),
        ])
    };
    let yaml = function_yaml("dep-during", "");
    fleet.api.put("/functions", yaml.as_bytes()).expect(201);
    fleet
        .api
        .put("/deploy/dep-during", &archive("old"))
        .expect(200);
    let running = fleet.execute_async("dep-during", &[]);
    fleet.await_output(&running, "started");
    // More deploys than releases are kept: what runs keeps its own all the same.
    for word in ["new 1", "new 2", "new 3", "new 4", "new 5"] {
        fleet
            .api
            .put("/deploy/dep-during", &archive(word))
            .expect(200);
    }
    fs_write(&gate, "");
    let record = fleet.await_end(&running);
    assert_eq!(record["output"], "started\nold");
    assert_eq!(record["function_version"], 1);
    let fresh = fleet.execute("dep-during", &[]).expect(200);
    assert_eq!(fresh["output"], "started\nnew 5");
    assert_eq!(fresh["function_version"], 6);
}

fn an_agent_that_was_away_during_a_deploy_is_brought_up_to_date_before_it_gets_traffic() {
    let mut fleet = Fleet::with(&FleetOptions {
        flux_yaml: "limits: {heartbeat_interval: 100ms}\n".to_owned(),
        agents: vec![AgentOptions::default()],
    });
    fleet.deploy_script("dep-away", "", "echo old");
    fleet.agents[0].daemon.kill9();
    fleet.await_status("agent-1", "offline");
    let reply = fleet
        .api
        .put("/deploy/dep-away", &script_archive("echo new"))
        .expect(200);
    assert_eq!(
        (&reply["deployed_count"], &reply["total_agents"]),
        (&json!(0), &json!(1))
    );
    assert_ne!(reply["agents"][0]["status"], "success");
    fleet.agents[0].restart();
    let record = eventually("somebody runs it", || {
        let reply = fleet.execute("dep-away", &[]);
        (reply.status != 503).then(|| reply.expect(200))
    });
    assert_eq!(record["output"], "new\n");
}

/// A sound handler, and one more entry.
fn with(name: &str, contents: &[u8]) -> Vec<u8> {
    if name.ends_with('/') {
        let name = format!("{name}x");
        return archive_of(&[("run", b"#!/bin/sh\n", true), (&name, contents, false)]);
    }
    archive_of(&[("run", b"#!/bin/sh\n", true), (name, contents, false)])
}

fn twice() -> Vec<u8> {
    let archive = with("rum", b"x");
    let mut patched = archive.clone();
    for at in 0..archive.len() - 2 {
        if &archive[at..at + 3] == b"rum" {
            patched[at + 2] = b'n';
        }
    }
    patched
}

fn link() -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("run", SimpleFileOptions::default().unix_permissions(0o755))
        .expect("entry");
    zip.write_all(b"#!/bin/sh\n").expect("contents");
    zip.add_symlink("link", "/etc/passwd", SimpleFileOptions::default())
        .expect("link");
    zip.finish().expect("archive").into_inner()
}
