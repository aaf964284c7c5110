//! The other commands, and what a script can rely on: JSON alone on stdout, and exit codes.

use std::fs;

use serde_json::{Value, json};

use super::user::{Dev, User};
use crate::harness::eventually;
use crate::runner::tests;

tests![
    json_is_all_that_stdout_gets_whatever_the_command,
    versions_go_back_and_forth,
    an_execution_is_cancelled_once,
    login_takes_a_key_from_stdin_and_keeps_only_a_good_one,
    certificates_are_listed_with_their_holders_and_damage_is_not_hidden,
    every_command_and_option_explains_itself,
];

fn length(value: &Value) -> Option<usize> {
    value.as_array().map(Vec::len)
}

fn json_is_all_that_stdout_gets_whatever_the_command() {
    let dev = Dev::start();
    let user = &dev.user;
    user.json(&["init", "tool"]);
    let deployed = user.json(&["deploy", "tool"]);
    assert_eq!(deployed["deployed"]["deployed_count"], 1, "{deployed}");
    user.json(&["deploy", "tool"]);
    let record = user.json(&["exec", "tool", "--", "x"]);
    assert_eq!(record["status"], "success");
    assert!(
        record["output"]
            .as_str()
            .is_some_and(|text| text.contains("argument: x"))
    );
    let id = record["execution_id"].as_str().expect("id").to_owned();
    assert_eq!(user.json(&["execution", &id]), record);
    assert_eq!(user.json(&["logs", &id])["output"], record["output"]);
    let events = user.run(&["logs", &id, "--follow", "--json"]).exits(0);
    let lines: Vec<Value> = events
        .stdout()
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines[0]["stream"], "stdout");
    assert_eq!(lines.last().expect("a last one")["status"], "success");
    let listed = user.json(&["executions", "--function", "tool", "--limit", "5"]);
    assert_eq!(length(&listed["executions"]), Some(1), "{listed}");
    let functions = user.json(&["functions"]);
    assert_eq!(
        (length(&functions), &functions[0]["name"]),
        (Some(1), &json!("tool"))
    );
    assert_eq!(user.json(&["functions", "tool"])["handler"], "run.sh");
    assert!(length(&user.json(&["versions", "tool"])).is_some());
    let agents = user.json(&["agents"]);
    assert_eq!(
        (length(&agents), &agents[0]["status"]),
        (Some(1), &json!("online"))
    );
    assert_eq!(user.json(&["status"])["ready"]["status"], "ready");
    assert!(user.json(&["agent", "enroll", "other"])["token"].is_string());
    assert_eq!(
        user.json(&["agent", "drain", "local"])["status"],
        "draining"
    );
    assert_eq!(
        user.json(&["agent", "drain", "local", "--undo"])["id"],
        "local"
    );
    eventually("it gets work again", || {
        (user.json(&["agents"])[0]["status"] == "online").then_some(())
    });
    let certs = user.path("state/certs").display().to_string();
    assert_eq!(length(&user.json(&["pki", "--certs-dir", &certs])), Some(3));
    let key = user.path("state/api-key").display().to_string();
    let login = user.json(&["login", &dev.url(), "--api-key-file", &key]);
    assert_eq!(login["url"], dev.url());
    user.json(&["delete", "tool"]);
    assert_eq!(user.json(&["functions"]), json!([]));
    let refused = user.run(&["functions", "tool", "--json"]).exits(1);
    assert_eq!(refused.stdout(), "");
    refused.says(&["flux: ", "hint: "]);
}

fn versions_go_back_and_forth() {
    let dev = Dev::start();
    let user = &dev.user;
    for text in ["one", "two", "three"] {
        user.deploy("steps", "", &format!("echo {text}"));
    }
    let says = |text: &str| {
        let ran = user.run(&["exec", "steps"]).exits(0);
        assert_eq!(ran.stdout().trim_end(), text);
    };
    says("three");
    let ran = user.run(&["rollback", "steps"]).exits(0);
    assert_eq!(ran.stdout(), "steps is at version 2\n");
    says("two");
    user.run(&["rollback", "steps", "1"]).exits(0);
    says("one");
    user.run(&["rollback", "steps", "9"])
        .exits(1)
        .says(&["version 9", "hint: "]);
    user.run(&["rollback", "steps", "0"]).exits(2);
    let versions = user.run(&["versions", "steps"]).exits(0);
    assert_eq!(versions.stdout().lines().count(), 4, "{versions:?}");
    user.run(&["delete", "steps"]).exits(0);
    user.run(&["exec", "steps"]).exits(127);
    user.run(&["delete", "steps"]).exits(1);
}

fn an_execution_is_cancelled_once() {
    let dev = Dev::start();
    let user = &dev.user;
    user.deploy("nap", "", "sleep 1000");
    let id = user.exec_async(&["nap"]);
    user.run(&["cancel", &id]).exits(0);
    assert_eq!(user.json(&["execution", &id])["reason"], "cancelled");
    user.run(&["cancel", &id]).exits(1).says(&["hint: "]);
    user.run(&["cancel", "no-such-execution"])
        .exits(1)
        .says(&["no-such-execution"]);
}

fn login_takes_a_key_from_stdin_and_keeps_only_a_good_one() {
    let dev = Dev::start();
    let key = fs::read_to_string(dev.user.path("state/api-key")).expect("key");
    let other = User::new();
    other
        .run(&["functions"])
        .exits(2)
        .says(&["flux dev", "flux login"]);
    let wrong = other.run_with_stdin(&["login", &dev.url()], b"a-wrong-key\n");
    wrong.exits(1).says(&["401"]);
    other.run_with_stdin(&["login", &dev.url()], b"\n").exits(2);
    assert!(!other.path(".config").exists());
    let ran = other
        .run_with_stdin(&["login", &dev.url()], key.as_bytes())
        .exits(0);
    assert!(!ran.stdout().contains(&key) && !ran.stderr.contains(&key));
    other.run(&["functions"]).exits(0);
    // Another address needs a key of its own.
    let elsewhere = dev.url().replace("127.0.0.1", "localhost");
    other
        .run(&["functions", "--url", &elsewhere])
        .exits(1)
        .says(&["401", "login"]);
}

fn certificates_are_listed_with_their_holders_and_damage_is_not_hidden() {
    let dev = Dev::start();
    let certs = dev.user.path("state/certs");
    let args = ["pki", "--certs-dir", certs.to_str().expect("UTF-8")];
    let ran = dev.user.run(&args).exits(0);
    for part in ["authority", "control plane", "agent local"] {
        assert!(ran.stdout().contains(part), "{ran:?}");
    }
    dev.user
        .write("state/certs/agents/local/agent.pem", "not a certificate");
    let ran = dev.user.run(&args).exits(1);
    assert!(ran.stdout().contains("agents/local/agent.pem"), "{ran:?}");
    dev.user
        .run(&["pki", "--certs-dir", "absent"])
        .exits(1)
        .says(&["absent"]);
}

fn every_command_and_option_explains_itself() {
    let user = User::new();
    let help = user.run(&["--help"]).exits(0);
    let mut commands: Vec<String> = help
        .stdout()
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next().expect("a name").to_owned();
            assert!(words.next().is_some(), "{name} is not explained");
            name
        })
        .collect();
    assert!(commands.len() > 15, "{commands:?}");
    // clap's own help about help.
    commands.retain(|command| command != "help");
    for command in &commands {
        let ran = user.run(&[command, "--help"]).exits(0);
        assert!(ran.stdout().contains("Usage: flux"), "{ran:?}");
        let lines: Vec<&str> = ran.stdout().lines().collect();
        for pair in lines.windows(2) {
            let line = pair[0].trim_start();
            let is_option = line.starts_with('-') && !line.starts_with("- ")
                || line.starts_with('<')
                || line.starts_with("[A");
            // Explained on the same line after two spaces, or on the next one.
            if is_option && !line.contains("  ") {
                assert!(
                    pair[1].trim_start().starts_with(char::is_alphanumeric),
                    "flux {command}: {line} is not explained"
                );
            }
        }
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = user.run(&["completions", shell]).exits(0);
        for command in &commands {
            assert!(ran.stdout().contains(command), "{shell}: {command}");
        }
    }
}
