//! The guests as the rest of this program sees them: tests go in by name, and come out as how they ended.
//!
//! Owns the process inside ([`super::inside`]): it is started for the first test that needs it, once what
//! it needs is there, and ends with the run. Its standard input takes names, one a line, its standard
//! output gives outcomes, one a line of JSON.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use serde_json::Value;

use super::{cache, namespace, requirements};
use crate::harness::process;
use crate::runner::{Elsewhere, Outcome, helper, ran_elsewhere};

static INSIDE: OnceLock<Result<Inside, Outcome>> = OnceLock::new();

/// Runs a test beside the guests.
pub fn outcome_of(test: &str) -> Outcome {
    match INSIDE.get_or_init(Inside::start) {
        Ok(inside) => inside.outcome_of(test),
        Err(outcome) => outcome.clone(),
    }
}

/// Ends the process inside, and with it every guest.
pub fn end() {
    if let Some(Ok(inside)) = INSIDE.get() {
        inside.end();
    }
}

/// Who waits for which test; nothing once the process is over.
type Waiting = Arc<Mutex<Option<HashMap<String, Sender<Outcome>>>>>;

struct Inside {
    names: Mutex<Option<ChildStdin>>,
    waiting: Waiting,
    reader: Mutex<Option<JoinHandle<()>>>,
}

impl Inside {
    /// The process, or what every test ends with where there can be none.
    fn start() -> Result<Inside, Outcome> {
        requirements::check()?;
        cache::build_what_is_missing().map_err(Outcome::Failed)?;
        let waiting = Waiting::new(Mutex::new(Some(HashMap::new())));
        let (names, started) = bounded(1);
        let shared = Arc::clone(&waiting);
        // The process dies with the thread that has started it (PR_SET_PDEATHSIG, prctl(2)): so that is
        // none of a test.
        let reader = thread::Builder::new()
            .name("hosts".to_owned())
            .spawn(move || follow(start_process(), &names, &shared))
            .expect("a thread");
        Ok(Inside {
            names: Mutex::new(started.recv().ok()),
            waiting,
            reader: Mutex::new(Some(reader)),
        })
    }

    fn outcome_of(&self, test: &str) -> Outcome {
        let is_over = || Outcome::Failed("the process beside the guests is over".to_owned());
        let Some(ended) = self.register(test) else {
            return is_over();
        };
        if let Some(names) = lock(&self.names).as_mut() {
            // Where it fails the process is over, and the reader says so to all who wait.
            let _ = writeln!(names, "{test}");
        }
        ended.recv().unwrap_or_else(|_| is_over())
    }

    fn register(&self, test: &str) -> Option<Receiver<Outcome>> {
        let (sender, ended) = bounded(1);
        lock(&self.waiting)
            .as_mut()?
            .insert(test.to_owned(), sender);
        Some(ended)
    }

    fn end(&self) {
        lock(&self.names).take();
        if let Some(reader) = lock(&self.reader).take() {
            reader.join().expect("what it says can be read");
        }
    }
}

fn start_process() -> Child {
    let mut command = namespace::in_new_namespaces(helper::this_program().as_os_str());
    command
        .env(namespace::INSIDE, std::process::id().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command.spawn().expect("setpriv and unshare")
}

/// Hands outcomes to those who wait for them, until the process is over.
fn follow(mut process: Child, names: &Sender<ChildStdin>, waiting: &Waiting) {
    let stdin = process.stdin.take().expect("a pipe");
    names.send(stdin).expect("somebody starts it");
    read(process.stdout.take().expect("a pipe"), waiting);
    let _ = process::wait(&mut process, process::PATIENCE);
    // Who still waits sees his channel closed.
    lock(waiting).take();
}

fn read(lines: ChildStdout, waiting: &Waiting) {
    for line in BufReader::new(lines).lines() {
        let line = line.expect("text");
        let Some((test, outcome)) = parsed(&line) else {
            eprintln!("hosts: {line}");
            continue;
        };
        let sender = lock(waiting).as_mut().and_then(|all| all.remove(&test));
        if let Some(sender) = sender {
            sender.send(outcome).expect("it waits");
        }
    }
}

fn parsed(line: &str) -> Option<(String, Outcome)> {
    let value: Value = serde_json::from_str(line).ok()?;
    let elsewhere = value["elsewhere"].as_array()?.iter();
    ran_elsewhere(
        elsewhere
            .filter_map(|it| Elsewhere::from_json(it["place"].as_str()?, it))
            .collect(),
    );
    Some((
        value["test"].as_str()?.to_owned(),
        Outcome::from_json(&value)?,
    ))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
