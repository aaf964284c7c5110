//! Connections to agents that break while the agents live on.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use flux::base::threads::{Joined, Supervisor, lock};
use serde_json::json;

use super::scenes::{HOLD, agent_of, call_aside, cancel, hold, text};
use crate::harness::{AgentOptions, Fleet, eventually};
use crate::runner::tests;

tests![
    a_call_whose_connection_broke_gets_its_true_end,
    an_end_that_nobody_heard_of_frees_its_slot_when_the_agent_is_back,
    ends_are_heard_of_again_after_the_connection_broke,
];

/// A way to an agent that a test can close and open.
struct Link {
    address: SocketAddr,
    shared: Arc<Shared>,
    // Ends once `Drop` has closed the link and knocked.
    _acceptor: Joined,
}

struct Shared {
    agent: String,
    is_closed: AtomicBool,
    is_over: AtomicBool,
    sockets: Mutex<Vec<TcpStream>>,
    copiers: Mutex<VecDeque<Joined>>,
    supervisor: Supervisor,
}

impl Link {
    fn to(agent: &str) -> Link {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let supervisor = Supervisor::new();
        let shared = Arc::new(Shared {
            agent: agent.to_owned(),
            is_closed: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            sockets: Mutex::default(),
            copiers: Mutex::default(),
            supervisor: supervisor.clone(),
        });
        let for_acceptor = Arc::clone(&shared);
        let acceptor = supervisor
            .spawn("link", move || for_acceptor.accept(&listener))
            .expect("a thread");
        Link {
            address,
            shared,
            _acceptor: acceptor,
        }
    }

    /// Breaks what goes through it, and lets nothing through until it is opened.
    fn close(&self) {
        self.shared.is_closed.store(true, Ordering::SeqCst);
        self.shared.cut();
    }

    fn open(&self) {
        self.shared.is_closed.store(false, Ordering::SeqCst);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        self.shared.cut();
        // Wakes the acceptor.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.is_over.load(Ordering::SeqCst) {
                break;
            }
            let client = client.expect("a connection");
            if self.is_closed.load(Ordering::SeqCst) {
                continue;
            }
            let Ok(agent) = TcpStream::connect(&self.agent) else {
                continue;
            };
            self.copy(&client, &agent);
            self.copy(&agent, &client);
            lock(&self.sockets).extend([client, agent]);
            if self.is_closed.load(Ordering::SeqCst) {
                self.cut();
            }
        }
        self.cut();
        let copiers = std::mem::take(&mut *lock(&self.copiers));
        drop(copiers);
    }

    fn copy(&self, from: &TcpStream, to: &TcpStream) {
        let [mut from, mut to] = [from, to].map(|socket| socket.try_clone().expect("a socket"));
        let copier = self.supervisor.spawn("copy", move || {
            let mut piece = [0; 16 << 10];
            while let Ok(count @ 1..) = from.read(&mut piece) {
                if to.write_all(&piece[..count]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Both);
        });
        lock(&self.copiers).push_back(copier.expect("a thread"));
    }

    fn cut(&self) {
        for socket in lock(&self.sockets).drain(..) {
            // It may be closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// An agent that is reached through a link. The link outlives the fleet.
fn linked() -> (Fleet, Link) {
    let mut fleet = super::scenes::fleet(0);
    let agent = fleet.start_agent("agent-1", &AgentOptions::default());
    let link = Link::to(&agent.address);
    fleet.agents.push(agent);
    fleet
        .api
        .post_json(
            "/agents/register",
            &json!({ "address": link.address.to_string() }),
        )
        .expect(201);
    fleet.await_status("agent-1", "online");
    (fleet, link)
}

fn a_call_whose_connection_broke_gets_its_true_end() {
    let (fleet, link) = linked();
    fleet.deploy_script("slow", "", "sleep 1.5; echo ended");
    thread::scope(|scope| {
        let call = call_aside(scope, &fleet, "/execute/slow", &[]);
        eventually("the call runs", || {
            let listed = fleet.api.get("/executions?status=running").expect(200);
            listed["executions"].as_array()?.first().map(drop)
        });
        link.close();
        link.open();
        let record = call.join().expect("no panic").expect(200);
        assert_eq!(record["output"], "ended\n", "{record}");
    });
    drop(fleet);
}

fn an_end_that_nobody_heard_of_frees_its_slot_when_the_agent_is_back() {
    let (fleet, link) = linked();
    fleet.deploy_script("short", "max_concurrency: 1\n", "echo started; sleep 1");
    let id = fleet.execute_async("short", &[]);
    fleet.await_output(&id, "started");
    link.close();
    fleet.await_status("agent-1", "offline");
    // An outage is not a missing execution.
    fleet
        .api
        .get(&format!("/executions/{id}"))
        .expect_error(503, "agent_unreachable");
    link.open();
    let record = fleet.await_end(&id);
    assert_eq!(record["status"], "success");
    eventually("its slot is free", || {
        let reply = fleet.execute("short", &[]);
        (reply.status == 200).then_some(())
    });
    drop(fleet);
}

fn ends_are_heard_of_again_after_the_connection_broke() {
    let (mut fleet, link) = linked();
    let waits = "max_concurrency: 1\nmax_concurrency_behavior: wait\n";
    fleet.deploy_script(
        "f",
        waits,
        &format!("[ $# -eq 0 ] || {{ {HOLD}; }}; echo hello"),
    );
    let id = fleet.execute_async("f", &["hold"]);
    fleet.await_output(&id, "started");
    link.close();
    fleet.await_status("agent-1", "offline");
    link.open();
    fleet.await_status("agent-1", "online");
    thread::scope(|scope| {
        let waiting = call_aside(scope, &fleet, "/execute/f", &[]);
        fleet.flux.await_log("waits for room", 0);
        fleet.api.delete(&format!("/executions/{id}")).expect(200);
        agent_of(&waiting.join().expect("no panic"));
    });
    // And the slot that was heard of is no other's.
    fleet.deploy_script("hold", "max_concurrency: 1\n", HOLD);
    let held = hold(&fleet, "hold");
    assert_eq!(text(&held, "status"), "running");
    fleet.execute("hold", &[]).expect_error(503, "at_capacity");
    cancel(&fleet, &held);
    drop(fleet);
}
