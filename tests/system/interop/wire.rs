//! An end of ours and an end of theirs, with certificates or without.

use std::fs;
use std::path::Path;

use flux::base::atomic_file;
use flux::base::cancel::Cancel;
use flux::base::threads::{Joined, Supervisor};
use flux::model::execution::{Ending, Executed};
use flux::model::output::Output;
use flux::pki::Identity;
use flux::rpc::{AgentClient, Channels, RpcError};
use flux::wire::execute::ExecuteRequest;
use flux::wire::names::agent_name;
use serde_json::{Value, json};

use super::peer::Peer;
use crate::rpc::double::Seen;
use crate::rpc::fixture::{Agent, Certificates, PATIENCE, id, now, record, tls};
use crate::runner::Case;

/// The name of the only agent.
pub const AGENT: &str = "agent-1";

/// What all tests are run with.
#[derive(Debug, Clone, Copy)]
pub enum Wire {
    Plain,
    MutualTls,
}

impl Wire {
    pub const EVERY: [Wire; 2] = [Wire::Plain, Wire::MutualTls];

    fn certificates(self) -> Option<Certificates> {
        match self {
            Wire::Plain => None,
            Wire::MutualTls => Some(Certificates::new()),
        }
    }
}

impl Case for Wire {
    fn name(&self) -> &'static str {
        match self {
            Wire::Plain => "plain",
            Wire::MutualTls => "mutual_tls",
        }
    }
}

/// An agent of ours for their client. Fields drop in order.
pub struct Ours {
    pub agent: Agent,
    /// What their client is told of TLS.
    pub papers: Value,
    certificates: Option<Certificates>,
}

impl Ours {
    pub fn start(wire: Wire) -> Ours {
        let certificates = wire.certificates();
        let identity = certificates.as_ref().map(|it| it.agent(&id(AGENT)));
        let papers = certificates.as_ref().map_or(Value::Null, |certificates| {
            papers(certificates, certificates.authority.control())
        });
        Ours {
            agent: Agent::start(&id(AGENT), identity),
            papers,
            certificates,
        }
    }

    /// A scenario of `client.py`.
    pub fn called_by_python(&self, scenario: &str) -> Peer {
        let argument = json!({
            "address": self.agent.address,
            "tls": self.papers,
            "scenario": scenario,
        });
        Peer::start("client.py", &argument)
    }

    /// All that a scenario of `client.py` says, to its end.
    #[track_caller]
    pub fn runs(&self, scenario: &str) -> Vec<Value> {
        self.called_by_python(scenario).says_to_the_end()
    }

    /// The next thing that the worker was asked has to be to hold an execution.
    pub fn holds(&self) -> Held {
        match self.agent.next_seen() {
            Seen::Held(request, on_done) => Held { request, on_done },
            _ => panic!("not held"),
        }
    }

    #[track_caller]
    pub fn sees_it_cancelled(&self, held: &Held) {
        match self.agent.next_seen() {
            Seen::Cancelled(id) => assert_eq!(id, held.request.id),
            _ => panic!("not cancelled"),
        }
    }

    /// Lets the server go in order, on a thread of its own.
    pub fn shut_down(&mut self) -> Joined {
        let serving = self.agent.serving.take().unwrap();
        let job = move || serving.shutdown(PATIENCE);
        self.agent.supervisor.spawn("shutdown", job).unwrap()
    }

    /// Another one where this one was.
    pub fn successor(&self) -> Agent {
        let identity = self.certificates.as_ref().map(|it| it.agent(&id(AGENT)));
        Agent::start_at(&self.agent.address, &id(AGENT), identity.as_ref())
    }
}

/// An execution that waits for its end.
pub struct Held {
    pub request: ExecuteRequest,
    on_done: flux::agent::serve::worker_api::OnDone,
}

impl Held {
    pub fn end(self, output: &[u8]) {
        let record = record(&id(AGENT), &self.request, Some(Ending::Exited(0)));
        let output = Output::of_stdout(output.to_vec());
        (self.on_done)(Ok(Executed { record, output }));
    }
}

/// An agent of theirs, and our client on it. Fields drop in order.
pub struct Theirs {
    pub client: AgentClient,
    _channels: Channels,
    pub python: Peer,
    _certificates: Option<Certificates>,
}

impl Theirs {
    pub fn start(wire: Wire) -> Theirs {
        let certificates = wire.certificates();
        let (ours, theirs) = match &certificates {
            None => (None, Value::Null),
            Some(certificates) => {
                let issued = certificates.authority.issue_agent_with_key(&id(AGENT));
                let theirs = papers(certificates, &issued.unwrap());
                (Some(tls(certificates.authority.control())), theirs)
            }
        };
        let python = Peer::start("server.py", &json!({ "tls": theirs }));
        let address = format!("127.0.0.1:{}", python.says()["port"]);
        let is_secure = ours.is_some();
        let channels = Channels::new(ours, &Supervisor::new());
        Theirs {
            client: channels.client(&id(AGENT), &address, is_secure).unwrap(),
            _channels: channels,
            python,
            _certificates: certificates,
        }
    }

    pub fn execute(&self, request: ExecuteRequest) -> Result<Executed, RpcError> {
        let pending = self.client.start_execute(request, Some(PATIENCE), now())?;
        pending.wait(&Cancel::never()).expect("never cancelled")
    }
}

/// Files with the parts of an identity, and where they are.
fn papers(certificates: &Certificates, identity: &Identity) -> Value {
    let directory = certificates.directory.path().join("papers");
    fs::create_dir(&directory).unwrap();
    let file = |name: &str, contents: &[u8]| {
        let path = directory.join(name);
        atomic_file::write(&path, contents, 0o600).unwrap();
        path_text(&path)
    };
    json!({
        "ca": file("ca.pem", &identity.ca),
        "certificate": file("certificate.pem", &identity.certificate),
        "key": file("key.pem", &identity.key),
        "name": agent_name(&id(AGENT)),
    })
}

fn path_text(path: &Path) -> String {
    path.to_str().expect("a path of ASCII").to_owned()
}
