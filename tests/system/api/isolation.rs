//! Functions are kept apart: as whom they run, what they reach of each other, and what becomes of
//! what they ask for.

use serde_json::Value;

use crate::api::plain::plain;
use crate::harness::{AgentOptions, Fleet, FleetOptions, function_yaml};
use crate::runner::{skip, tests};

tests![
    each_function_runs_as_a_user_of_its_own_and_reaches_nothing_of_another,
    without_network_a_function_sees_its_loopback_interface_alone_or_gets_no_agent,
    a_function_has_the_system_calls_that_it_may_whatever_ran_before_it,
    with_strict_files_a_function_reads_the_system_and_its_own_and_nothing_else,
    a_function_keeps_its_user_over_restarts_and_new_versions,
    its_directories_belong_to_the_user_that_a_function_runs_as_and_its_code_does_not,
    a_shared_user_is_refused_in_words_where_it_is_not_allowed,
    functions_that_may_share_the_runner_do_and_can_have_their_own_user_back,
    what_runs_keeps_its_code_when_its_function_gets_another_user,
    an_agent_lists_what_it_enforces_and_why_the_rest_is_missing,
    without_file_isolation_too_a_function_reaches_nothing_that_is_the_agents,
    a_user_that_cannot_be_had_any_more_is_said_in_the_answer_to_a_registration,
    what_a_function_asks_for_is_shown,
];

/// systemd's list of user ids has them as unused: the default of `isolation.runner_uids`.
const OWN: std::ops::RangeInclusive<u32> = 1_879_048_192..=1_879_113_727;

/// Prints its user, its directory and where its code is, and stays.
const RESIDENT: &str =
    "id -u; pwd; dirname $(readlink run); echo secret > mine; echo ready; sleep 60";

/// Tries to read another's directory and code; says for each whether it could.
const INTRUDER: &str = "
for path in \"$1\" \"$2\" \"$(dirname \"$2\")\" \"$(dirname \"$(dirname \"$2\")\")\"; do
    ls \"$path\" >/dev/null 2>&1 && echo \"lists $path\"
done
for path in \"$1/mine\" \"$2/run\"; do
    cat \"$path\" 2>/dev/null && echo \"reads $path\"
done
touch \"$1/theirs\" \"$2/theirs\" 2>/dev/null && echo \"writes\"
cat run >/dev/null && touch here && echo done";

fn enforces(fleet: &Fleet, word: &str) -> bool {
    let agent = fleet.agent("agent-1").expect("listed");
    let enforced = agent["isolation"].as_array().expect("array");
    enforced.iter().any(|enforced| enforced == word)
}

/// Skips the test where the agent cannot enforce it, for the agent's own reason.
fn needs_enforced(fleet: &Fleet, word: &str) {
    let agent = fleet.agent("agent-1").expect("listed");
    let missing = agent["isolation_missing"].as_array().expect("array");
    if let Some(missing) = missing.iter().find(|missing| missing["what"] == word) {
        skip!("the agent cannot enforce {word}: {}", missing["reason"]);
    }
}

/// With an agent that lets functions have what they ask for.
fn lenient() -> Fleet {
    Fleet::with(&FleetOptions {
        agents: vec![AgentOptions {
            agent_yaml: "isolation: {allow: [shared_user, open_files]}\n".to_owned(),
            ..AgentOptions::default()
        }],
        ..FleetOptions::default()
    })
}

fn uid_of(fleet: &Fleet, name: &str) -> u32 {
    let record = fleet.execute(name, &[]).expect(200);
    let output = record["output"].as_str().expect("text");
    output.trim().parse().expect("a user id")
}

fn each_function_runs_as_a_user_of_its_own_and_reaches_nothing_of_another() {
    let fleet = lenient();
    needs_enforced(&fleet, "own_user");
    // Both without file isolation: their users alone keep them apart.
    fleet.deploy_script("resident", "isolation: {files: open}\n", RESIDENT);
    fleet.deploy_script("intruder", "isolation: {files: open}\n", INTRUDER);
    fleet.deploy_script("who", "", "id -u");
    let id = fleet.execute_async("resident", &[]);
    fleet.await_output(&id, "ready");
    let record = fleet.api.get(&format!("/executions/{id}")).expect(200);
    let output = record["output"].as_str().expect("text").to_owned();
    let lines: Vec<&str> = output.lines().collect();
    let [uid, directory, code, "ready"] = lines[..] else {
        panic!("{output}");
    };
    let uid: u32 = uid.parse().expect("a user id");
    let other = uid_of(&fleet, "who");
    assert!(OWN.contains(&uid) && OWN.contains(&other), "{uid} {other}");
    assert_ne!(uid, other);
    let tried = fleet.execute("intruder", &[directory, code]).expect(200);
    assert_eq!(tried["output"], "done\n");
    fleet.api.delete(&format!("/executions/{id}")).expect(200);
}

fn without_network_a_function_sees_its_loopback_interface_alone_or_gets_no_agent() {
    let fleet = plain();
    let script = "cut -d: -f1 /proc/net/dev | tail -n +3";
    fleet.deploy_script("iso-net", "isolation: {network: none}\n", script);
    fleet.deploy_script("iso-host", "isolation: {network: host}\n", script);
    let reply = fleet.execute("iso-net", &[]);
    // Both are promises: which of them holds here depends on the machine, and never neither.
    if enforces(&fleet, "network_none") {
        let output = reply.expect(200)["output"]
            .as_str()
            .expect("text")
            .to_owned();
        assert_eq!(output.split_whitespace().collect::<Vec<_>>(), ["lo"]);
    } else {
        reply.expect_error(503, "not_isolated");
    }
    fleet.execute("iso-host", &[]).expect(200);
}

fn a_function_has_the_system_calls_that_it_may_whatever_ran_before_it() {
    let fleet = Fleet::with(&FleetOptions {
        agents: vec![AgentOptions {
            agent_yaml: "isolation: {allow: [open_syscalls]}\n".to_owned(),
            ..AgentOptions::default()
        }],
        ..FleetOptions::default()
    });
    needs_enforced(&fleet, "syscalls");
    let script = "grep Seccomp: /proc/self/status; unshare -U true 2>&1 && echo made";
    fleet.deploy_script("iso-filtered", "isolation: {syscalls: filtered}\n", script);
    fleet.deploy_script("iso-open", "isolation: {syscalls: open}\n", script);
    // Whoever runs the tests may be under a filter; such a function is under no other.
    let own = std::fs::read_to_string("/proc/self/status").expect("status");
    let own = own.lines().find(|line| line.starts_with("Seccomp:"));
    for _ in 0..3 {
        // Whatever its status: the machine may refuse namespaces in another way.
        let open = fleet.execute("iso-open", &[]).json();
        assert_eq!(open["output"].as_str().expect("text").lines().next(), own);
        let filtered = fleet.execute("iso-filtered", &[]).expect(500);
        let output = filtered["output"].as_str().expect("text");
        assert!(output.starts_with("Seccomp:\t2\n"), "{output}");
        assert!(output.contains("not permitted"), "{output}");
    }
}

fn with_strict_files_a_function_reads_the_system_and_its_own_and_nothing_else() {
    let fleet = plain();
    needs_enforced(&fleet, "files");
    let directory = tempfile::tempdir_in("/var/tmp").expect("tempdir");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(directory.path(), open).expect("chmod");
    let file = directory.path().join("theirs");
    crate::harness::fleet::fs_write(&file, "of somebody else");
    let script = "cat \"$1\" 2>&1; cat /etc/passwd >/dev/null && cat run >/dev/null && echo mine > mine \
                  && cat mine && echo x > $TMPDIR/x && echo x 2>&1 > \"$(dirname \"$1\")/new\"; true";
    fleet.deploy_script("iso-files", "isolation: {files: strict}\n", script);
    let path = file.display().to_string();
    let record = fleet.execute("iso-files", &[&path]).expect(200);
    let output = record["output"].as_str().expect("text");
    assert!(!output.contains("of somebody else"), "{output}");
    assert!(output.contains("\nmine\n"), "{output}");
    assert!(output.contains("theirs: Permission denied"), "{output}");
    assert!(!directory.path().join("new").exists(), "written elsewhere");
}

fn a_function_keeps_its_user_over_restarts_and_new_versions() {
    let mut fleet = Fleet::start();
    needs_enforced(&fleet, "own_user");
    for name in ["first", "second"] {
        fleet.deploy_script(name, "", "id -u");
    }
    let before = (uid_of(&fleet, "first"), uid_of(&fleet, "second"));
    assert_ne!(before.0, before.1);
    fleet.agents[0].daemon.kill9();
    fleet.agents[0].restart();
    fleet.await_status("agent-1", "online");
    fleet.deploy_script("first", "timeout: 60\n", "id -u; true");
    let after = (uid_of(&fleet, "first"), uid_of(&fleet, "second"));
    assert_eq!(after, before);
}

fn its_directories_belong_to_the_user_that_a_function_runs_as_and_its_code_does_not() {
    let fleet = plain();
    needs_enforced(&fleet, "own_user");
    let script = "id -u; stat -c %u . \"$TMPDIR\" \"$(readlink run)\"";
    fleet.deploy_script("iso-owner", "", script);
    let record = fleet.execute("iso-owner", &[]).expect(200);
    let output = record["output"].as_str().expect("text");
    let owners: Vec<&str> = output.lines().collect();
    let [user, directory, temporary, code] = owners[..] else {
        panic!("{record}");
    };
    assert_eq!((directory, temporary), (user, user), "{record}");
    assert_ne!(code, user, "a shipped file was given away");
}

fn a_shared_user_is_refused_in_words_where_it_is_not_allowed() {
    let fleet = plain();
    let yaml = function_yaml("iso-shared", "isolation: {user: shared}\n");
    let registered = fleet.api.put("/functions", yaml.as_bytes()).expect(201);
    assert_eq!(registered["agents"][0]["status"], "success");
    let message = registered["agents"][0]["message"].as_str().expect("text");
    fleet.deploy_script("iso-shared", "isolation: {user: shared}\n", "id -u");
    let record = fleet.execute("iso-shared", &[]).expect(500);
    assert_eq!(record["reason"], "spawn_failed");
    let error = record["error"].as_str().expect("text");
    for text in [message, error] {
        for part in ["isolation.user: shared", "isolation.allow", "shared_user"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    assert_eq!(record["output"], "");
}

fn functions_that_may_share_the_runner_do_and_can_have_their_own_user_back() {
    let fleet = lenient();
    needs_enforced(&fleet, "own_user");
    fleet.deploy_script("one", "isolation: {user: shared}\n", "id -u");
    fleet.deploy_script("two", "isolation: {user: shared}\n", "id -u");
    let shared = uid_of(&fleet, "one");
    assert_eq!(shared, uid_of(&fleet, "two"));
    let yaml = function_yaml("one", "");
    fleet.api.put("/functions", yaml.as_bytes()).expect(201);
    let own = uid_of(&fleet, "one");
    assert!(
        OWN.contains(&own) && !OWN.contains(&shared),
        "{own} {shared}"
    );
    let yaml = function_yaml("one", "isolation: {user: shared}\n");
    fleet.api.put("/functions", yaml.as_bytes()).expect(201);
    assert_eq!(uid_of(&fleet, "one"), shared);
}

fn what_runs_keeps_its_code_when_its_function_gets_another_user() {
    let fleet = lenient();
    let script = "echo ready; while ! [ -e go ]; do sleep 0.01; done; cat run";
    fleet.deploy_script("moving", "isolation: {user: shared}\n", script);
    let id = fleet.execute_async("moving", &[]);
    fleet.await_output(&id, "ready");
    let yaml = function_yaml("moving", "");
    fleet.api.put("/functions", yaml.as_bytes()).expect(201);
    let work = fleet.agents[0].state_dir().join("work").join(&id);
    crate::harness::fleet::fs_write(&work.join("go"), "");
    let record = fleet.await_end(&id);
    let output = record["output"].as_str().expect("text");
    assert!(output.contains("while ! [ -e go ]"), "{record}");
}

fn an_agent_lists_what_it_enforces_and_why_the_rest_is_missing() {
    let fleet = plain();
    let agent = fleet.agent("agent-1").expect("listed");
    let enforced = agent["isolation"].as_array().expect("array");
    assert!(enforced.contains(&Value::from("no_new_privs")), "{agent}");
    let is_root = nix::unistd::Uid::effective().is_root();
    assert_eq!(enforces(&fleet, "own_user"), is_root, "{agent}");
    for missing in agent["isolation_missing"].as_array().expect("array") {
        assert!(!enforced.contains(&missing["what"]), "{missing}");
        let reason = missing["reason"].as_str().expect("text");
        assert!(!reason.is_empty(), "{missing}");
    }
}

fn without_file_isolation_too_a_function_reaches_nothing_that_is_the_agents() {
    let fleet = plain();
    needs_enforced(&fleet, "user");
    let script = "for path in \"$@\"; do
        ls \"$path\" >/dev/null 2>&1 && echo \"lists $path\"
        cat \"$path\" >/dev/null 2>&1 && echo \"reads $path\"
        touch \"$path/x\" 2>/dev/null && echo \"writes $path\"
    done
    ls . >/dev/null && echo done";
    fleet.deploy_script("iso-agents", crate::harness::OPEN_FILES, script);
    let agent = &fleet.agents[0];
    let state = agent.state_dir();
    let paths = [
        state.clone(),
        state.join("journal"),
        state.join("journal/journal.db"),
        state.join("output"),
        state.join("work"),
        state.join("work/.spares"),
        state.join("apps"),
        state.join("apps/.incoming"),
        agent.directory().join("certs"),
        agent.directory().join("certs/agent-key.pem"),
        fleet.directory().join("state"),
        fleet.directory().join("certs"),
    ];
    let there: Vec<_> = paths.iter().filter(|path| path.exists()).collect();
    assert_eq!(there.len(), paths.len(), "only {there:?} are there");
    let args: Vec<_> = paths
        .iter()
        .map(|path| path.to_str().expect("UTF-8"))
        .collect();
    let record = fleet.execute("iso-agents", &args).expect(200);
    assert_eq!(record["output"], "done\n");
}

fn a_user_that_cannot_be_had_any_more_is_said_in_the_answer_to_a_registration() {
    let fleet = Fleet::with(&FleetOptions {
        agents: vec![AgentOptions {
            agent_yaml: "isolation: {runner_uids: 70000-70099}\n".to_owned(),
            ..AgentOptions::default()
        }],
        ..FleetOptions::default()
    });
    needs_enforced(&fleet, "own_user");
    for number in 0..100 {
        let yaml = function_yaml(&format!("f{number}"), "");
        let answer = fleet.api.put("/functions", yaml.as_bytes()).expect(201);
        assert_eq!(answer["agents"][0]["status"], "success", "{answer}");
    }
    let yaml = function_yaml("one-more", "");
    let answer = fleet.api.put("/functions", yaml.as_bytes()).expect(201);
    assert_eq!(answer["agents"][0]["status"], "failed", "{answer}");
    let message = answer["agents"][0]["message"].as_str().expect("text");
    for part in ["70000 to 70099", "isolation.runner_uids"] {
        assert!(message.contains(part), "{message}");
    }
    fleet.api.delete("/functions/f0").expect(200);
    let answer = fleet.api.put("/functions", yaml.as_bytes()).expect(201);
    assert_eq!(answer["agents"][0]["status"], "success", "{answer}");
}

fn what_a_function_asks_for_is_shown() {
    let fleet = plain();
    let yaml = function_yaml(
        "iso-shown",
        "resources: {disk: 5, pids: 6}\nisolation: {network: none, syscalls: filtered}\n",
    );
    fleet.api.put("/functions", yaml.as_bytes()).expect(201);
    let shown = fleet.api.get("/functions/iso-shown").expect(200);
    assert_eq!(shown["resources"]["disk"], 5);
    assert_eq!(shown["resources"]["pids"], 6);
    let expected = serde_json::json!({
        "user": null, "network": "none", "files": null, "syscalls": "filtered"
    });
    assert_eq!(shown["isolation"], expected);
}
