//! `flux exec` and what it starts, from the first byte to the exit code.

use std::process::Stdio;

use serde_json::json;

use super::user::{Dev, User, processes_with, release, unique_sleep};
use crate::harness::eventually;
use crate::harness::{AgentOptions, Fleet, FleetOptions};
use crate::runner::tests;

tests![
    every_line_comes_out_when_it_is_written_and_where,
    every_end_has_its_exit_code,
    input_arguments_and_environment_reach_the_function,
    binary_data_comes_back_byte_by_byte,
    output_beyond_the_cap_is_cut_there_and_said_so,
    ctrl_c_leaves_nothing_running,
    a_reader_that_leaves_cancels_the_execution,
    an_execution_in_the_background_is_found_by_its_id,
    leaving_a_followed_background_execution_leaves_it_running,
    a_control_plane_that_comes_back_is_taken_up_again_where_it_stopped,
];

/// `limits.output_max_mb` of an agent that does not say.
const OUTPUT_CAP: usize = 8 << 20;
/// Waits for a file in its working directory, and for nothing else.
const AWAIT: &str = "await() { while [ ! -e \"$1\" ]; do sleep 0.02; done; }";

fn every_line_comes_out_when_it_is_written_and_where() {
    let dev = Dev::start();
    let script = format!(
        "{AWAIT}; echo $$; await a; echo err >&2; await b; echo out; await c; printf unfinished; await d; exit 7"
    );
    dev.user.deploy("lines", "", &script);
    let mut exec = dev.user.start(&["exec", "lines"], Stdio::null());
    let pid = exec.line();
    // The script goes on only after the line before has arrived here.
    release(&pid, "a");
    assert_eq!(exec.remark(), "err");
    release(&pid, "b");
    assert_eq!(exec.line(), "out");
    let executions = dev.user.json(&["executions"]);
    assert_eq!(
        executions["executions"][0]["status"], "running",
        "{executions}"
    );
    release(&pid, "c");
    release(&pid, "d");
    let ran = exec.end().exits(7);
    assert_eq!((ran.stdout(), ran.stderr.as_str()), ("unfinished", ""));
}

fn every_end_has_its_exit_code() {
    let dev = Dev::start();
    let user = &dev.user;
    user.deploy("code", "", "exit $1");
    for code in [0, 1, 42, 255] {
        user.run(&["exec", "code", "--", &code.to_string()])
            .exits(code);
    }
    user.deploy("signal", "", "kill -9 $$");
    user.run(&["exec", "signal"]).exits(137).says(&["signal 9"]);
    user.deploy("slow", "", "echo begun; sleep 1000");
    let ran = user
        .run(&["exec", "slow", "--timeout", "300ms"])
        .exits(124)
        .says(&["timeout"]);
    assert_eq!(ran.stdout(), "begun\n");
    user.deploy("badly", "", "#!/nowhere/interpreter\n");
    user.run(&["exec", "badly"])
        .exits(126)
        .says(&["could not be started", "/nowhere/interpreter"]);
    user.run(&["exec", "nobody-knows-it"])
        .exits(127)
        .says(&["nobody-knows-it", "hint: "]);
    let yaml = "name: bare\nhandler: run.sh\n";
    let bare = crate::harness::Api::new(&dev.url(), &key(&dev));
    bare.put("/functions", yaml.as_bytes()).expect(201);
    user.run(&["exec", "bare"])
        .exits(125)
        .says(&["bare", "deploy"]);
    user.run(&["exec", "code", "--timeout", "0s"])
        .exits(125)
        .says(&["more than 0"]);
}

fn key(dev: &Dev) -> String {
    std::fs::read_to_string(dev.user.path("state/api-key")).expect("key")
}

fn input_arguments_and_environment_reach_the_function() {
    let dev = Dev::start();
    let user = &dev.user;
    user.deploy(
        "cat",
        "",
        "cat; for a in \"$@\"; do echo \"<$a>\"; done; echo \"${LEVEL-unset}\"",
    );
    let input = user.write("input.txt", "from a file\n");
    let ran = user
        .run(&["exec", "cat", "--stdin", &input, "--", "a b", "--c", ""])
        .exits(0);
    assert_eq!(ran.stdout(), "from a file\n<a b>\n<--c>\n<>\nunset\n");
    let args = ["exec", "cat", "--stdin", "-", "--env", "LEVEL=a=b"];
    let ran = user.run_with_stdin(&args, "Ünïcode".as_bytes()).exits(0);
    assert_eq!(ran.stdout(), "Ünïcodea=b\n");
    user.run(&["exec", "cat"]).exits(0);
    user.run(&["exec", "cat", "--stdin", "absent"])
        .exits(125)
        .says(&["absent"]);
}

fn binary_data_comes_back_byte_by_byte() {
    let dev = Dev::start();
    dev.user.deploy("mirror", "", "cat");
    let mut data = vec![0; 3 << 20];
    openssl::rand::rand_bytes(&mut data).expect("random");
    let ran = dev
        .user
        .run_with_stdin(&["exec", "mirror", "--stdin", "-"], &data)
        .exits(0);
    assert!(
        ran.stdout == data,
        "{} of {} bytes",
        ran.stdout.len(),
        data.len()
    );
    assert_eq!(ran.stderr, "");
}

fn output_beyond_the_cap_is_cut_there_and_said_so() {
    let dev = Dev::start();
    let script = "head -c 20971520 /dev/zero | tr '\\0' x; exit 5";
    dev.user.deploy("chatty", "", script);
    let ran = dev
        .user
        .run(&["exec", "chatty"])
        .exits(5)
        .says(&["longer than the agent keeps"]);
    assert!(ran.stdout.iter().all(|&byte| byte == b'x'));
    assert_eq!(ran.stdout.len(), OUTPUT_CAP);
    let record = dev.user.run(&["exec", "chatty", "--json"]).exits(5).json();
    assert_eq!(record["truncated"], true);
    assert_eq!(record["stdout_bytes"], 20 << 20);
}

fn ctrl_c_leaves_nothing_running() {
    let dev = Dev::start();
    let sleep = unique_sleep();
    let script = "trap '' TERM INT; setsid sleep \"$1\" & (sleep \"$1\") & echo ready; wait";
    dev.user.deploy("tree", "", script);
    let mut exec = dev
        .user
        .start(&["exec", "tree", "--", &sleep], Stdio::null());
    assert_eq!(exec.line(), "ready");
    eventually("both background processes", || {
        (processes_with(&format!("sleep {sleep}")).len() >= 2).then_some(())
    });
    exec.interrupt();
    let ran = exec.end().exits(130).says(&["cancelling", "cancelled"]);
    assert_eq!(
        processes_with(&format!("sleep {sleep}")),
        Vec::<String>::new(),
        "{ran:?}"
    );
    let executions = dev.user.json(&["executions", "--status", "cancelled"]);
    assert_eq!(
        executions["executions"].as_array().map(Vec::len),
        Some(1),
        "{executions}"
    );
}

fn a_reader_that_leaves_cancels_the_execution() {
    let dev = Dev::start();
    dev.user
        .deploy("endless", "", "while :; do echo line; done");
    let mut exec = dev.user.start(&["exec", "endless"], Stdio::null());
    assert_eq!(exec.line(), "line");
    drop(exec.child.stdout.take());
    let status = exec.child.wait().expect("flux ends");
    assert_eq!(status.code(), Some(141));
    let executions = dev.user.json(&["executions"]);
    let id = executions["executions"][0]["execution_id"]
        .as_str()
        .expect("id");
    dev.user.await_record(id, "reason", &json!("cancelled"));
}

fn an_execution_in_the_background_is_found_by_its_id() {
    let dev = Dev::start();
    let user = &dev.user;
    user.deploy(
        "later",
        "",
        &format!("{AWAIT}; echo $$; await go; echo done; exit 9"),
    );
    let id = user.exec_async(&["later"]);
    let pid = eventually("its first line", || {
        let ran = user.run(&["logs", &id]).exits(0);
        ran.stdout().strip_suffix('\n').map(str::to_owned)
    });
    let follow = user.start(&["logs", &id, "--follow"], Stdio::null());
    release(&pid, "go");
    let ran = follow.end().exits(0);
    assert_eq!(ran.stdout(), format!("{pid}\ndone\n"));
    user.await_record(&id, "exit_code", &json!(9));

    user.deploy("quick", "", "echo out; echo err >&2; exit 4");
    let ran = user.run(&["exec", "quick", "--async", "--follow"]).exits(4);
    assert_eq!(ran.stdout(), "out\n");
    ran.says(&["flux: execution ", "err\n"]);
    let answer = user.json(&["exec", "quick", "--async"]);
    assert_eq!(answer["status"], "accepted");
}

fn leaving_a_followed_background_execution_leaves_it_running() {
    let dev = Dev::start();
    let user = &dev.user;
    user.deploy(
        "goes-on",
        "",
        &format!("{AWAIT}; echo $$; await go; echo done"),
    );
    let mut exec = user.start(&["exec", "goes-on", "--async", "--follow"], Stdio::null());
    let remark = exec.remark();
    let id = remark.rsplit(' ').next().expect("id").to_owned();
    let pid = exec.line();
    exec.interrupt();
    exec.child.wait().expect("flux ends");
    assert_eq!(user.json(&["execution", &id])["status"], "running");
    release(&pid, "go");
    user.await_record(&id, "status", &json!("success"));
}

fn a_control_plane_that_comes_back_is_taken_up_again_where_it_stopped() {
    let options = FleetOptions {
        agents: vec![AgentOptions::default()],
        ..FleetOptions::default()
    };
    let mut fleet = Fleet::with(&options);
    fleet.keep_address();
    let user = User::of(&fleet);
    let script = format!("{AWAIT}; echo $$; echo one; await go; echo two >&2; echo three; exit 6");
    user.deploy("patient", "", &script);
    let mut exec = user.start(&["exec", "patient"], Stdio::null());
    let pid = exec.line();
    assert_eq!(exec.line(), "one");
    fleet.flux.kill9();
    release(&pid, "go");
    fleet.restart_flux();
    let ran = exec.end().exits(6);
    assert_eq!((ran.stdout(), ran.stderr.as_str()), ("three\n", "two\n"));
}
