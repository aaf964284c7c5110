//! A client for bad times: a connection that breaks is an answer, and the address may change.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::scene::FUNCTION;
use super::witness::Witness;
use crate::harness::fleet::API_KEY;

/// Above every wait of the daemons; nothing ever takes this long when all is well.
const TIMEOUT: Duration = Duration::from_secs(45);

/// Shared by the threads of one storm.
#[derive(Clone)]
pub struct Caller {
    url: Arc<Mutex<String>>,
    agent: ureq::Agent,
}

/// A status and what came with it.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Caller {
    pub fn new(url: &str) -> Caller {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .max_idle_connections(0)
            .build();
        Caller {
            url: Arc::new(Mutex::new(url.to_owned())),
            agent: config.new_agent(),
        }
    }

    /// The control plane is somewhere else now.
    pub fn moved(&self, url: &str) {
        url.clone_into(&mut self.url.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A run that takes so many milliseconds, to its end; `None` when the connection broke.
    pub fn execute(&self, witness: &Witness, millis: u64) -> Option<Answer> {
        self.post(&format!("/execute/{FUNCTION}"), &witness.call(millis))
    }

    /// The same, accepted.
    pub fn execute_async(&self, witness: &Witness, millis: u64) -> Option<Answer> {
        self.post(&format!("/execute/{FUNCTION}/async"), &witness.call(millis))
    }

    /// The record of an execution.
    pub fn record(&self, id: &str) -> Option<Answer> {
        self.call("GET", &format!("/executions/{id}"), String::new())
    }

    fn post(&self, path: &str, body: &Value) -> Option<Answer> {
        self.call("POST", path, body.to_string())
    }

    fn call(&self, method: &str, path: &str, body: String) -> Option<Answer> {
        let url = self
            .url
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{url}{path}"))
            .header("x-api-key", API_KEY)
            .header("content-type", "application/json")
            .body(body)
            .expect("request");
        let mut response = self.agent.run(request).ok()?;
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string().ok()?;
        let body = serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("{method} {path}: {status}, not JSON ({error}): {text}")
        });
        Some(Answer { status, body })
    }
}

impl Answer {
    pub fn id(&self) -> String {
        let id = self.body["execution_id"].as_str();
        id.unwrap_or_else(|| panic!("no id in {self:?}")).to_owned()
    }

    /// Refused without any doubt, in the contract's shape.
    #[track_caller]
    pub fn assert_outage(&self) {
        let message = &self.body["error"]["message"];
        assert!(
            matches!(self.status, 429 | 502 | 503 | 504) && message.is_string(),
            "neither done nor an outage: {self:?}"
        );
    }
}

/// Arguments of a call.
pub fn arguments(args: &[&str]) -> Value {
    json!({ "args": args })
}
