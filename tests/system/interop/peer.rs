//! A Python script at work: what it says, a JSON object a line, and the words that it is told.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::{Receiver, unbounded};
use serde_json::Value;
use tempfile::NamedTempFile;

use super::environment::environment;
use crate::harness::process::{self, PATIENCE};

/// Killed and reaped when dropped.
pub struct Peer {
    child: Child,
    words: Option<ChildStdin>,
    said: Receiver<Value>,
    reader: Option<JoinHandle<()>>,
    errors: NamedTempFile,
}

impl Peer {
    /// Skips the test where there is no Python for it.
    pub fn start(script: &str, argument: &Value) -> Peer {
        let errors = NamedTempFile::new().unwrap();
        let mut child = environment()
            .command(script)
            .arg(argument.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors.reopen().unwrap())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, said) = unbounded();
        let reader = Builder::new().name(script.to_owned()).spawn(move || {
            for line in lines.map_while(Result::ok) {
                let value = serde_json::from_str(&line);
                // The test may have ended.
                let _ = sender.send(value.unwrap_or(Value::String(line)));
            }
        });
        Peer {
            words: child.stdin.take(),
            child,
            said,
            reader: Some(reader.unwrap()),
            errors,
        }
    }

    /// What it says next.
    #[track_caller]
    pub fn says(&self) -> Value {
        match self.said.recv_timeout(PATIENCE) {
            Ok(value) => value,
            Err(reason) => panic!("nothing comes from Python ({reason}):\n{}", self.errors()),
        }
    }

    #[track_caller]
    pub fn tell(&mut self, word: &str) {
        let words = self.words.as_mut().unwrap();
        writeln!(words, "{word}").unwrap();
    }

    /// Waits for its end, which has to be a good one and without another word.
    #[track_caller]
    pub fn ends(self) {
        let more = self.says_to_the_end();
        assert!(more.is_empty(), "Python also said {more:?}");
    }

    /// All that it says, to its end, which has to be a good one.
    #[track_caller]
    pub fn says_to_the_end(mut self) -> Vec<Value> {
        drop(self.words.take());
        let status = process::wait(&mut self.child, PATIENCE);
        let is_well = status.is_some_and(|status| status.success());
        assert!(is_well, "Python ended with {status:?}:\n{}", self.errors());
        self.said.iter().collect()
    }

    fn errors(&self) -> String {
        fs::read_to_string(self.errors.path()).unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}
