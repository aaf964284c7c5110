//! Cancels that nobody can confirm: the answer says so, and never that all is well.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::scenes::text;
use crate::harness::{AgentOptions, Fleet, FleetOptions, Reply, eventually};
use crate::runner::{Need, needs, tests};

tests![
    a_cancel_that_a_frozen_agent_does_not_answer_is_unconfirmed_and_done_once_it_goes_on,
    a_cancel_of_a_process_that_is_stuck_in_the_kernel_is_unconfirmed,
];

/// Tells its number, and runs until it is ended.
const HOLD: &str = "echo $$ started; exec sleep 600";
/// For an agent that says nothing; what users are told to wait for.
const BOUND: Duration = Duration::from_secs(45);

fn cancel(fleet: &Fleet, id: &str) -> Reply {
    fleet.api.delete(&format!("/executions/{id}"))
}

/// Whether there is such a process, and no zombie.
fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z"))
}

/// Threads that run stop one after the other, and until then take part in what is asked.
fn are_stopped(pid: i32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("threads");
    let mut states = threads.filter_map(|thread| {
        let stat = std::fs::read_to_string(thread.ok()?.path().join("stat"));
        Some(stat.ok()?.contains(") T "))
    });
    states.all(|is_stopped| is_stopped)
}

/// Says the same again, however often it is asked.
#[track_caller]
fn final_record(fleet: &Fleet, id: &str) -> Value {
    let record = fleet.await_end(id);
    assert_eq!(fleet.await_end(id), record, "a final record never changes");
    record
}

fn a_cancel_that_a_frozen_agent_does_not_answer_is_unconfirmed_and_done_once_it_goes_on() {
    let fleet = super::scenes::fleet(1);
    fleet.deploy_script("hold", "", HOLD);
    let id = fleet.execute_async("hold", &[]);
    fleet.await_output(&id, "started");
    let record = fleet.api.get(&format!("/executions/{id}")).expect(200);
    let (pid, _) = text(&record, "output").split_once(' ').expect("a number");

    let agent = &fleet.agents[0].daemon;
    agent.signal(Signal::SIGSTOP);
    eventually("all of its threads are stopped", || {
        are_stopped(agent.pid()).then_some(())
    });
    let began = Instant::now();
    let reply = cancel(&fleet, &id);
    let took = began.elapsed();
    // Also when an assertion fails, so that the agent can be ended in order.
    agent.signal(Signal::SIGCONT);
    let message = reply.expect_error(503, "cancel_unconfirmed");
    assert!(
        message.contains(&id) && message.contains("agent-1"),
        "{message}"
    );
    assert!(took < BOUND, "{took:?}");

    // The first may have been carried out by now: then it is over, and by nothing else.
    eventually("the cancel is confirmed", || {
        let reply = cancel(&fleet, &id);
        match reply.status {
            503 => return None,
            409 => drop(reply.expect_error(409, "execution_ended")),
            _ => drop(reply.expect(200)),
        }
        Some(())
    });
    assert!(!is_alive(pid));
    let record = final_record(&fleet, &id);
    assert_eq!(text(&record, "status"), "cancelled", "{record}");
}

fn a_cancel_of_a_process_that_is_stuck_in_the_kernel_is_unconfirmed() {
    // To get a process stuck in the kernel.
    needs(&[Need::Root, Need::Fuse]);
    let fleet = Fleet::with(&FleetOptions {
        agents: vec![AgentOptions {
            mount: Some("true"),
            ..AgentOptions::default()
        }],
        ..FleetOptions::default()
    });
    let mut dead_disk = DeadDisk::mount(&fleet);
    let path = dead_disk.directory.join("file");
    fleet.deploy_script(
        "stuck",
        "isolation: {files: open}\n",
        "echo $$ started; exec cat \"$1\"",
    );
    fleet.deploy_script("well", "", "echo hello");
    let id = fleet.execute_async("stuck", &[path.to_str().expect("UTF-8")]);
    fleet.await_output(&id, "started");
    let record = fleet.api.get(&format!("/executions/{id}")).expect(200);
    let pid = text(&record, "output")
        .split_once(' ')
        .expect("a number")
        .0
        .to_owned();
    dead_disk.await_question();

    let message = cancel(&fleet, &id).expect_error(503, "cancel_unconfirmed");
    assert!(message.contains("not known to be dead"), "{message}");
    assert!(is_alive(&pid), "and it is true");
    let record = final_record(&fleet, &id);
    assert_eq!(text(&record, "status"), "cancelled");
    assert!(
        text(&record, "error").contains("not known to be dead"),
        "{record}"
    );
    fleet.execute("well", &[]).expect(200);

    // It answers after all: whoever was killed dies.
    drop(dead_disk);
    eventually("it is dead", || (!is_alive(&pid)).then_some(()));
    assert_eq!(final_record(&fleet, &id), record);
}

/// A file system that takes questions and never answers, as a disk or server that is gone
/// (fuse(4)): who asks can be killed only when it is unmounted or this is dropped.
struct DeadDisk {
    device: File,
    directory: PathBuf,
}

/// Kernel's `include/uapi/linux/fuse.h`.
const QUESTION_MIN_BYTES: usize = 8192;
const INIT: u32 = 26;
const VERSION: [u32; 2] = [7, 31];
const ANSWER_BYTES: usize = 16 + 64;

impl DeadDisk {
    /// In the mount namespace of the fleet's agent.
    #[expect(clippy::disallowed_methods, reason = "tests ask the system")]
    fn mount(fleet: &Fleet) -> DeadDisk {
        let directory = fleet.directory().join("dead");
        std::fs::create_dir(&directory).expect("a directory");
        let device = File::options()
            .read(true)
            .write(true)
            .custom_flags(nix::libc::O_NONBLOCK)
            .open("/dev/fuse")
            .expect("/dev/fuse");
        let agent = fleet.agents[0].daemon.pid();
        let status = Command::new("nsenter")
            .args(["--target", &agent.to_string(), "--mount"])
            .args(["mount", "-i", "-t", "fuse", "-o"])
            .arg("fd=0,rootmode=40000,user_id=0,group_id=0,allow_other")
            .arg("dead")
            .arg(&directory)
            .stdin(Stdio::from(device.try_clone().expect("a descriptor")))
            .status()
            .expect("nsenter");
        assert!(status.success(), "{status}");
        let mut disk = DeadDisk { device, directory };
        let question = disk.await_question();
        assert_eq!(question[4..8], INIT.to_ne_bytes());
        disk.answer_init(&question[8..16]);
        disk
    }

    /// Of whoever is stuck from then on.
    fn await_question(&mut self) -> Vec<u8> {
        let mut question = vec![0; QUESTION_MIN_BYTES];
        eventually("somebody asks", || {
            let count = self.device.read(&mut question).ok()?;
            Some(question[..count].to_vec())
        })
    }

    fn answer_init(&mut self, unique: &[u8]) {
        let mut answer = Vec::with_capacity(ANSWER_BYTES);
        answer.extend((ANSWER_BYTES as u32).to_ne_bytes());
        answer.extend(0_u32.to_ne_bytes());
        answer.extend(unique);
        answer.extend(VERSION.map(u32::to_ne_bytes).concat());
        // Read-ahead, flags, background requests: none, and the kernel's own.
        answer.extend([0; 12]);
        let max_write: u32 = 4096;
        answer.extend(max_write.to_ne_bytes());
        answer.resize(ANSWER_BYTES, 0);
        self.device.write_all(&answer).expect("an answer");
    }
}
