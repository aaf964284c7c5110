//! A daemon dies at a chosen step of an end's way home: from the agent's journal, through the reading
//! of its ends, into the control plane's history, to the forgetting of the route.
//!
//! The steps are writes to the daemons' own files, and the kernel tells when one happens: the victim is
//! killed with the write that was chosen, or right after it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use serde_json::{Value, json};

use super::witness::Witness;
use crate::harness::fleet::fs_write;
use crate::harness::{AgentOptions, Api, Fleet, FleetOptions, OPEN_FILES, eventually};
use crate::runner::tests;

tests![
    an_end_comes_home_once_whichever_step_the_control_plane_dies_at,
    an_end_comes_home_once_whichever_step_its_agent_dies_at,
    an_end_comes_home_once_whichever_step_both_daemons_die_at,
];

/// Says so to the witness when it starts and when it ends, and waits for a gate in between.
const SCRIPT: &str = "\
echo \"started $FLUX_EXECUTION_ID $$\" >> \"$1\"
until [ -e \"$2\" ]; do sleep 0.02; done
head -c \"$3\" /dev/zero | tr '\\0' x
echo \"ended $FLUX_EXECUTION_ID\" >> \"$1\"";
/// Comes along with its end.
const SHORT: usize = 10;
/// Is fetched after.
const LONG: usize = 300_000;
/// Writes of one file in a round, of which each is a step.
const WRITES: usize = 4;
/// Without a further write for this long, the way home is over.
const QUIET: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Victim {
    ControlPlane,
    Agent,
    Both,
}

fn an_end_comes_home_once_whichever_step_the_control_plane_dies_at() {
    die_at_every_step(Victim::ControlPlane);
}

fn an_end_comes_home_once_whichever_step_its_agent_dies_at() {
    die_at_every_step(Victim::Agent);
}

fn an_end_comes_home_once_whichever_step_both_daemons_die_at() {
    die_at_every_step(Victim::Both);
}

fn die_at_every_step(victim: Victim) {
    let mut bench = Bench::new();
    for file in [
        bench.agent_file("journal.db-wal"),
        bench.control_file("history.db-wal"),
        bench.control_file("flux.db-wal"),
    ] {
        for write in 1..=WRITES {
            let step = format!("{victim:?} at write {write} of {}", file.display());
            bench.round(victim, &file, write, &step);
        }
    }
    bench.judge();
}

struct Bench {
    fleet: Fleet,
    witness: Witness,
    rounds: usize,
    /// Every record that was seen to be final.
    ends: Vec<Value>,
}

impl Bench {
    fn new() -> Bench {
        let fleet = Fleet::with(&FleetOptions {
            flux_yaml: "limits:\n  heartbeat_interval: 200ms\n".to_owned(),
            agents: vec![AgentOptions::default()],
        });
        fleet.keep_address();
        let witness = Witness::new(fleet.directory());
        let yaml = format!("max_concurrency: 8\n{OPEN_FILES}");
        fleet.deploy_script("gated", &yaml, SCRIPT);
        Bench {
            fleet,
            witness,
            rounds: 0,
            ends: Vec::new(),
        }
    }

    fn agent_file(&self, name: &str) -> PathBuf {
        self.fleet.agents[0].state_dir().join("journal").join(name)
    }

    fn control_file(&self, name: &str) -> PathBuf {
        self.fleet.directory().join("state").join(name)
    }

    /// Three executions end at once: two accepted ones, and one whose caller waits with a key.
    fn round(&mut self, victim: Victim, file: &Path, write: usize, step: &str) {
        self.rounds += 1;
        let gate = self.fleet.directory().join(format!("gate-{}", self.rounds));
        let key = format!("key-{}", self.rounds);
        let accepted: Vec<_> = [SHORT, LONG]
            .iter()
            .map(|size| self.accept(&self.call(&gate, *size)))
            .collect();
        let api = self.fleet.api.clone();
        let call = self.call(&gate, SHORT);
        let answered = std::thread::scope(|scope| {
            let caller = scope.spawn(|| keyed(&api, &key, &call));
            self.await_started(3 * self.rounds);
            let watch = Watch::new(file);
            fs_write(&gate, "");
            watch.await_write(write);
            self.kill(victim);
            self.revive(victim);
            caller.join().expect("the caller")
        });

        for (id, size) in accepted.iter().zip([SHORT, LONG]) {
            let record = self.await_end(id);
            self.check(&record, victim, size, step);
            self.ends.push(record);
        }
        let repeated = eventually("the key's execution is settled", || {
            let reply = keyed(&self.fleet.api, &key, &call)?;
            (reply.0 != 503 && code(&reply.1) != Some("idempotency_pending")).then_some(reply)
        });
        if let Some((200 | 500, first)) = &answered
            && first["execution_id"].is_string()
        {
            assert_eq!(
                repeated.1, *first,
                "{step}: another answer for the same key"
            );
        }
        if repeated.1["execution_id"].is_string() {
            self.check(&repeated.1, victim, SHORT, step);
            self.ends.push(repeated.1);
        } else {
            // Nothing was written down before it ended, and its caller is gone too.
            assert_eq!(code(&repeated.1), Some("outcome_unknown"), "{step}");
            assert_eq!(victim, Victim::Both, "{step}");
        }
    }

    /// The agent may be seen to have died and come back only now.
    fn accept(&self, call: &Value) -> String {
        eventually("it is accepted", || {
            let reply = self.fleet.api.post_json("/execute/gated/async", call);
            assert!(matches!(reply.status, 202 | 503), "{}", reply.text());
            let id = reply.json()["execution_id"].as_str().map(str::to_owned);
            id.filter(|_| reply.status == 202)
        })
    }

    /// After all rounds: nothing was lost on the way, nothing came twice, nothing has changed.
    fn judge(mut self) {
        self.await_home();
        self.fleet.kill_flux();
        self.fleet.restart_flux();
        self.fleet.await_status("agent-1", "online");
        for record in &self.ends {
            let id = record["execution_id"].as_str().expect("id");
            let again = self.fleet.api.get(&format!("/executions/{id}")).expect(200);
            assert_eq!(again, *record, "a final record changed");
        }
        let listed = self.fleet.api.get("/executions?limit=500").expect(200);
        let listed = listed["executions"].as_array().expect("a list");
        let mut ids: Vec<_> = listed
            .iter()
            .map(|it| it["execution_id"].as_str())
            .collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "one was listed twice");
        assert_eq!(count, self.ends.len(), "not every execution is listed");
        let testimony = self.witness.testimony();
        for (id, times) in testimony.started.iter().chain(&testimony.ended) {
            assert_eq!(*times, 1, "{id} ran twice");
        }
        assert_eq!(testimony.started.len(), 3 * self.rounds);
        assert_eq!(self.rows("state/flux.db", "routes"), 0, "a route stayed");
    }

    fn check(&self, record: &Value, victim: Victim, size: usize, step: &str) {
        let output = record["output"].as_str().expect("output");
        match (&record["status"], &record["reason"]) {
            (Value::String(status), _) if status == "success" => {
                assert_eq!(output.len(), size, "{step}: {record}");
                assert_eq!(record["truncated"], false, "{step}");
            }
            // Its agent died before it had written down the end.
            (_, Value::String(reason)) if reason == "lost" => {
                assert_ne!(victim, Victim::ControlPlane, "{step}: {record}");
            }
            _ => panic!("{step}: {record}"),
        }
    }

    fn kill(&mut self, victim: Victim) {
        if matches!(victim, Victim::ControlPlane | Victim::Both) {
            self.fleet.flux.kill9();
        }
        if matches!(victim, Victim::Agent | Victim::Both) {
            self.fleet.agents[0].daemon.kill9();
        }
    }

    fn revive(&mut self, victim: Victim) {
        if matches!(victim, Victim::Agent | Victim::Both) {
            self.fleet.agents[0].restart();
        }
        if matches!(victim, Victim::ControlPlane | Victim::Both) {
            self.fleet.restart_flux();
        }
        self.fleet.await_status("agent-1", "online");
    }

    /// An outage is no answer, "not found" is a lie.
    fn await_end(&self, id: &str) -> Value {
        eventually("it ends", || {
            let reply = self.fleet.api.get(&format!("/executions/{id}"));
            assert!(matches!(reply.status, 200 | 503), "{}", reply.text());
            let record = reply.json();
            (reply.status == 200 && record["status"] != "running").then_some(record)
        })
    }

    fn await_started(&self, count: usize) {
        eventually("all have started", || {
            (self.witness.testimony().started.len() == count).then_some(())
        });
    }

    fn await_home(&self) {
        eventually("everything is home", || {
            let records = self.rows("state/history.db", "records WHERE output = 0");
            (records == self.ends.len() && self.rows("state/flux.db", "routes") == 0).then_some(())
        });
    }

    fn rows(&self, file: &str, from: &str) -> usize {
        let file = self.fleet.directory().join(file);
        let database = rusqlite::Connection::open(file).expect("open");
        let count: i64 = database
            .query_row(&format!("SELECT count(*) FROM {from}"), (), |row| {
                row.get(0)
            })
            .expect("count");
        usize::try_from(count).expect("a count")
    }

    fn call(&self, gate: &Path, size: usize) -> Value {
        let witness = self.witness.path().display().to_string();
        json!({ "args": [witness, gate.display().to_string(), size.to_string()] })
    }
}

/// Tells of the writes to one file.
struct Watch(Inotify);

impl Watch {
    fn new(file: &Path) -> Watch {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK).expect("inotify");
        inotify
            .add_watch(file, AddWatchFlags::IN_MODIFY)
            .expect("watch");
        Watch(inotify)
    }

    /// Returns with the write of that number, or when there are no more.
    fn await_write(&self, number: usize) {
        let mut seen = 0;
        let mut deadline = Instant::now() + QUIET;
        while seen < number && Instant::now() < deadline {
            match self.0.read_events() {
                Ok(events) => {
                    seen += events.len();
                    deadline = Instant::now() + QUIET;
                }
                // Nothing yet. It has to be noticed at once, so nobody sleeps here.
                Err(Errno::EAGAIN) => std::thread::yield_now(),
                Err(error) => panic!("inotify: {error}"),
            }
        }
    }
}

/// Status and body; `None` when the connection broke.
fn keyed(api: &Api, key: &str, call: &Value) -> Option<(u16, Value)> {
    let headers = [
        ("idempotency-key", key),
        ("content-type", "application/json"),
    ];
    let body = call.to_string();
    let reply = api
        .try_call("POST", "/execute/gated", &headers, body.as_bytes())
        .ok()?;
    Some((reply.status, reply.json()))
}

fn code(body: &Value) -> Option<&str> {
    body["error"]["code"].as_str()
}
