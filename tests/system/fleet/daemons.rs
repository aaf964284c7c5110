//! How the daemons behave as daemons: signals, the service manager, one at a time, few
//! descriptors.

use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::thread;

use nix::sys::signal::Signal;

use super::scenes::{HOLD, agent_of, call_aside, fleet, hold};
use crate::harness::fleet::{FLUX, FLUX_AGENT, run};
use crate::harness::{DEADLINE, Daemon, Fleet, eventually};
use crate::runner::tests;

tests![
    a_second_signal_ends_the_control_plane_at_once,
    a_second_signal_ends_the_agent_at_once,
    a_stopping_control_plane_answers_the_calls_that_run,
    the_service_manager_hears_of_readiness_and_of_the_end,
    a_second_daemon_on_the_same_state_is_refused_and_says_why,
    a_control_plane_without_descriptors_lives_on_and_serves_again,
    an_agent_without_descriptors_says_so_and_lives_on,
];

/// What a shell reports of a process that SIGTERM ended.
const ENDED_BY_SIGTERM: i32 = 143;

fn a_second_signal_ends_the_control_plane_at_once() {
    let mut fleet = fleet(1);
    fleet.deploy_script("hold", "", HOLD);
    thread::scope(|scope| {
        let api = fleet.api.clone();
        let call = scope.spawn(move || api.try_call("POST", "/execute/hold", &[], b"{}"));
        await_running(&fleet);
        fleet.flux.signal(Signal::SIGTERM);
        fleet.flux.await_log("finishing what runs", 0);
        refuses_new_clients(&fleet);
        assert!(fleet.flux.is_running(), "it waits for the call");
        let status = fleet.flux.stop();
        assert_eq!(status.code(), Some(ENDED_BY_SIGTERM));
        // Its client sees the connection break.
        assert!(call.join().expect("no panic").is_err());
    });
}

fn a_second_signal_ends_the_agent_at_once() {
    let mut fleet = fleet(1);
    fleet.deploy_script("hold", "", HOLD);
    hold(&fleet, "hold");
    let agent = &mut fleet.agents[0].daemon;
    agent.signal(Signal::SIGTERM);
    agent.await_log("waiting for 1 executions", 0);
    assert_eq!(agent.stop().code(), Some(ENDED_BY_SIGTERM));
}

fn a_stopping_control_plane_answers_the_calls_that_run() {
    let mut fleet = fleet(1);
    fleet.deploy_script("slow", "", "sleep 1.5; echo ended");
    thread::scope(|scope| {
        let call = call_aside(scope, &fleet, "/execute/slow", &[]);
        await_running(&fleet);
        fleet.flux.signal(Signal::SIGTERM);
        let record = call.join().expect("no panic").expect(200);
        assert_eq!(record["output"], "ended\n");
    });
    assert!(fleet.flux.wait().success());
}

fn the_service_manager_hears_of_readiness_and_of_the_end() {
    let mut fleet = fleet(1);
    let path = fleet.directory().join("notify");
    let manager = UnixDatagram::bind(&path).expect("socket");
    manager.set_read_timeout(Some(DEADLINE)).expect("timeout");
    let env = [("NOTIFY_SOCKET", path.to_str().expect("UTF-8"))];

    assert!(fleet.flux.stop().success());
    fleet.restart_flux_as(FLUX, &["server"], &env);
    assert_eq!(heard(&manager), "READY=1");
    assert!(fleet.flux.stop().success());
    assert!(heard(&manager).starts_with("STOPPING=1"));

    let agent = &mut fleet.agents[0];
    assert!(agent.daemon.stop().success());
    agent.restart_with(&env);
    assert_eq!(heard(&manager), "READY=1");
    assert!(agent.daemon.stop().success());
    assert!(heard(&manager).starts_with("STOPPING=1"));
}

fn a_second_daemon_on_the_same_state_is_refused_and_says_why() {
    let fleet = fleet(1);
    fleet.deploy_script("echo", "", "echo hello");
    let directory = fleet.directory();
    let second = [
        (FLUX, "FLUX_CONFIG", directory.join("flux.yaml"), "flux-2"),
        (
            FLUX_AGENT,
            "AGENT_CONFIG",
            fleet.agents[0].directory().join("agent.yaml"),
            "agent-1-2",
        ),
    ];
    for (program, variable, config, name) in second {
        let args: &[&str] = if program == FLUX { &["server"] } else { &[] };
        let env = [(variable, config.to_str().expect("UTF-8"))];
        let mut daemon = Daemon::start(program, args, &env, directory, name);
        assert_eq!(daemon.wait().code(), Some(1), "{}", daemon.log());
        let log = daemon.log();
        assert!(log.contains("another process holds it"), "{log}");
        assert!(log.contains("state"), "it names the place: {log}");
    }
    // The first ones did not notice.
    agent_of(&fleet.execute("echo", &[]));
}

/// prlimit(1) of util-linux: the soft limit of a running process.
fn limit_descriptors(pid: i32, limit: &str) {
    run(
        "prlimit",
        &["--pid", &pid.to_string(), &format!("--nofile={limit}:")],
    );
}

fn descriptors(pid: i32) -> usize {
    std::fs::read_dir(Path::new("/proc").join(pid.to_string()).join("fd"))
        .expect("its descriptors")
        .count()
}

fn a_control_plane_without_descriptors_lives_on_and_serves_again() {
    let mut fleet = fleet(1);
    fleet.deploy_script("echo", "", "echo hello");
    let pid = fleet.flux.pid();
    limit_descriptors(pid, &(descriptors(pid) + 4).to_string());
    let address = fleet
        .api
        .url
        .strip_prefix("http://")
        .expect("plain")
        .to_owned();
    let crowd: Vec<_> = (0..50)
        .map(|_| TcpStream::connect(&address).expect("the kernel's queue has room"))
        .collect();
    drop(crowd);
    limit_descriptors(pid, "4096");
    eventually("it serves again", || {
        let reply = fleet.api.try_call("POST", "/execute/echo", &[], b"{}");
        reply.is_ok_and(|reply| reply.status == 200).then_some(())
    });
    assert!(fleet.flux.is_running());
}

fn an_agent_without_descriptors_says_so_and_lives_on() {
    let mut fleet = fleet(1);
    fleet.deploy_script("echo", "", "echo hello");
    let pid = fleet.agents[0].daemon.pid();
    limit_descriptors(pid, &descriptors(pid).to_string());
    for _ in 0..5 {
        let reply = fleet.execute("echo", &[]);
        assert!(matches!(reply.status, 500 | 503), "{}", reply.text());
    }
    limit_descriptors(pid, "4096");
    eventually("it runs functions again", || {
        (fleet.execute("echo", &[]).status == 200).then_some(())
    });
    assert!(fleet.agents[0].daemon.is_running());
}

#[track_caller]
fn await_running(fleet: &Fleet) {
    eventually("the call runs", || {
        let listed = fleet.api.get("/executions?status=running").expect(200);
        listed["executions"].as_array()?.first().map(drop)
    });
}

/// The listening socket is closed before anything else ends, which is what a balancer sees.
#[track_caller]
fn refuses_new_clients(fleet: &Fleet) {
    let address = fleet.api.url.strip_prefix("http://").expect("plain");
    eventually("new clients are refused", || {
        TcpStream::connect(address).is_err().then_some(())
    });
}

fn heard(manager: &UnixDatagram) -> String {
    let mut message = [0; 512];
    let count = manager.recv(&mut message).expect("a message");
    String::from_utf8_lossy(&message[..count]).trim().to_owned()
}
