//! An agent whose state is on a file system without POSIX access control lists: ramfs has none.

use std::path::Path;

use super::scenes::text;
use crate::harness::{AgentOptions, Fleet, FleetOptions};
use crate::runner::{Need, needs, tests};

tests![
    without_access_control_lists_strict_files_alone_close_code_and_the_log_says_so,
    without_access_control_lists_the_code_of_a_function_that_may_not_run_is_open_to_nobody,
];

/// Says where its code is.
const OWNER: &str = "dirname $(readlink run)";

/// Tries what it may not do with the code of others, and says what it could.
const READER: &str = "
for code in \"$@\"; do
    cat \"$code/run\" >/dev/null 2>&1 && echo \"reads $code\"
    for place in \"$code\" \"$(dirname \"$code\")\"; do
        touch \"$place/theirs\" 2>/dev/null && echo \"writes to $place\"
    done
    ls \"$(dirname \"$(dirname \"$code\")\")\" >/dev/null 2>&1 && echo lists
done
cat run >/dev/null && touch mine && echo done";

const SAID: &str = "has no access control lists";

fn fleet() -> Fleet {
    needs(&[Need::Root]);
    let fleet = Fleet::with(&FleetOptions {
        agents: vec![AgentOptions {
            agent_yaml: "isolation: {allow: [shared_user, open_files]}\n".to_owned(),
            mount: Some("mount -t ramfs -o mode=711 ramfs \"$1\""),
            ..AgentOptions::default()
        }],
        ..FleetOptions::default()
    });
    let agent = &fleet.agents[0];
    assert!(
        !agent.state_dir().join("journal").exists(),
        "its state is on the other file system"
    );
    fleet
}

/// The words that `GET /agents` has for the agent, in a field.
fn words(fleet: &Fleet, field: &str) -> Vec<String> {
    let agent = fleet.agent("agent-1").expect("listed");
    let words = agent[field].as_array().expect("array").iter();
    words
        .map(|word| word["what"].as_str().or(word.as_str()).expect("a word"))
        .map(str::to_owned)
        .collect()
}

fn output(fleet: &Fleet, name: &str, args: &[&str]) -> String {
    text(&fleet.execute(name, args).expect(200), "output").to_owned()
}

fn without_access_control_lists_strict_files_alone_close_code_and_the_log_says_so() {
    let fleet = fleet();
    let users = [("own", "user: own"), ("shared", "user: shared")];
    let mut codes = Vec::new();
    for (word, user) in users {
        let name = format!("owner-{word}");
        fleet.deploy_script(&name, &format!("isolation: {{{user}}}\n"), OWNER);
        codes.push(output(&fleet, &name, &[]).trim().to_owned());
    }
    let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
    assert!(codes.iter().all(|code| Path::new(code).is_absolute()));

    for (word, user) in users {
        let strict = format!("strict-{word}");
        let yaml = format!("isolation: {{{user}, files: strict}}\n");
        fleet.deploy_script(&strict, &yaml, READER);
        if words(&fleet, "isolation").contains(&"files".to_owned()) {
            assert_eq!(output(&fleet, &strict, &codes), "done\n");
        } else {
            assert!(words(&fleet, "isolation_missing").contains(&"files".to_owned()));
            fleet
                .execute(&strict, &codes)
                .expect_error(503, "not_isolated");
        }
        let open = format!("open-{word}");
        let yaml = format!("isolation: {{{user}, files: open}}\n");
        fleet.deploy_script(&open, &yaml, READER);
        // What is lost is to read, no more: nobody writes, and nobody finds what he was not told.
        let expected: String = codes.iter().map(|code| format!("reads {code}\n")).collect();
        assert_eq!(output(&fleet, &open, &codes), format!("{expected}done\n"));
    }
    let log = fleet.agents[0].daemon.log();
    let said: Vec<&str> = log.lines().filter(|line| line.contains(SAID)).collect();
    assert_eq!(said.len(), 1, "{log}");
    assert!(said[0].contains("every function may read every release"));
}

fn without_access_control_lists_the_code_of_a_function_that_may_not_run_is_open_to_nobody() {
    let fleet = fleet();
    let mode = |name: &str| {
        let root = format!("/proc/{}/root", fleet.agents[0].daemon.pid());
        let state = fleet.agents[0].state_dir();
        let directory = format!("{root}{}/apps/{name}", state.display());
        let metadata = std::fs::metadata(directory).expect("the function's directory");
        std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777
    };
    fleet.deploy_script("runs", "", "true");
    assert_eq!(mode("runs"), 0o755);
    // isolation.allow does not have it.
    fleet.deploy_script("refused", "isolation: {syscalls: open}\n", "true");
    assert_eq!(mode("refused"), 0o700);
}
