//! The events in their order, and the agents that they happen to.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;

use crate::base::clock::{Clock, Hands, Timestamp};
use crate::base::threads::lock;
use crate::config::function::parse_function_yaml;
use crate::control::fleet::{Current, Fleet, Held};
use crate::control::health::Reach;
use crate::model::agent::{Agent, AgentEvent};
use crate::model::ends::Mark;
use crate::model::function::Code;
use crate::model::ids::{AgentId, Digest, FunctionName};
use crate::model::resources::NodeStatus;
use crate::rpc::RpcError;
use crate::wire::node::NodeReport;

/// What can happen, at a time.
pub(super) struct Agenda<E> {
    events: BinaryHeap<Reverse<(Duration, u64, usize)>>,
    payloads: Vec<Option<E>>,
    next: u64,
    passed: Duration,
    hands: Hands,
}

impl<E> Agenda<E> {
    pub(super) fn new(hands: Hands) -> Agenda<E> {
        Agenda {
            events: BinaryHeap::new(),
            payloads: Vec::new(),
            next: 0,
            passed: Duration::ZERO,
            hands,
        }
    }

    /// Has it happen so long from now. Of two at the same time the one that was added first is first.
    pub(super) fn after(&mut self, pause: Duration, event: E) {
        self.payloads.push(Some(event));
        let index = self.payloads.len() - 1;
        self.events
            .push(Reverse((self.passed + pause, self.next, index)));
        self.next += 1;
    }

    /// Moves the clock on to the next one, unless that is after `end`.
    pub(super) fn next_before(&mut self, end: Duration) -> Option<E> {
        let Reverse((due, _, index)) = *self.events.peek()?;
        if due > end {
            return None;
        }
        self.events.pop();
        self.hands.advance(due - self.passed);
        self.passed = due;
        self.payloads[index].take()
    }

    pub(super) fn passed(&self) -> Duration {
        self.passed
    }
}

/// How an agent is, whatever the control plane believes.
#[derive(Debug, Clone, Default)]
pub(super) struct Machine {
    pub is_up: bool,
    /// Counts its starts.
    pub boots: u64,
    /// What it holds is gone with its disk, and has to be brought.
    pub holds_function: bool,
    /// Since it went away, how often it was asked in vain.
    pub missed: u32,
}

/// The agents, as they answer.
pub(super) struct Machines {
    fleet: Arc<Fleet>,
    clock: Clock,
    current: Current,
    states: Mutex<BTreeMap<AgentId, Machine>>,
    /// Agents that are to be brought up to date.
    to_sync: Mutex<Vec<AgentId>>,
}

impl Machines {
    pub(super) fn new(fleet: Arc<Fleet>, clock: Clock, yaml: &str) -> Arc<Machines> {
        let config = parse_function_yaml(yaml.as_bytes()).expect("a function");
        let current = Current {
            config,
            config_digest: "config".to_owned(),
            code: Some(Code {
                version: 1,
                digest: Digest::from_sha256([7; 32]),
            }),
        };
        fleet.set_current(&current.config.name, Some(current.clone()));
        Arc::new(Machines {
            fleet,
            clock,
            current,
            states: Mutex::default(),
            to_sync: Mutex::default(),
        })
    }

    pub(super) fn function(&self) -> &FunctionName {
        &self.current.config.name
    }

    /// Adds one that is up.
    pub(super) fn add(&self, id: &AgentId) {
        let node = self.node();
        self.fleet
            .register(id, &format!("{id}:1"), false, node)
            .expect("registers");
        let machine = Machine {
            is_up: true,
            boots: 1,
            ..Machine::default()
        };
        lock(&self.states).insert(id.clone(), machine);
    }

    pub(super) fn with<T>(&self, id: &AgentId, act: impl FnOnce(&mut Machine) -> T) -> T {
        act(lock(&self.states).get_mut(id).expect("an agent"))
    }

    pub(super) fn all(&self) -> BTreeMap<AgentId, Machine> {
        lock(&self.states).clone()
    }

    /// Agents that are to be brought up to date by now.
    pub(super) fn take_syncs(&self) -> Vec<AgentId> {
        let mut wanted = std::mem::take(&mut *lock(&self.to_sync));
        wanted.sort();
        wanted.dedup();
        wanted
    }

    /// What a syncer does, as far as the agent is there for it.
    pub(super) fn sync(&self, id: &AgentId) {
        let is_up = self.with(id, |machine| {
            machine.holds_function |= machine.is_up;
            machine.is_up
        });
        if !is_up {
            return;
        }
        let held = Held {
            config_digest: self.current.config_digest.clone(),
            code: self.current.code.clone(),
        };
        let function = self.function().clone();
        self.fleet
            .replace_held(id, HashMap::from([(function, held)]));
        // It may have gone offline meanwhile.
        let _ = self.fleet.transition(id, AgentEvent::Synced);
    }

    fn node(&self) -> NodeStatus {
        NodeStatus {
            cpu_percent: 0.0,
            memory_percent: 0.0,
            memory_total_mb: 4096,
            memory_used_mb: 100,
            active_tasks: 0,
            max_tasks: 64,
            uptime_seconds: 1,
            cpu_millicores: 4000,
            collected_at: self.clock.now(),
        }
    }
}

impl Reach for Machines {
    fn probe(&self, agent: &Agent) -> Result<NodeReport, RpcError> {
        let boots = self.with(&agent.id, |machine| {
            if machine.is_up {
                machine.missed = 0;
                Some(machine.boots)
            } else {
                machine.missed += 1;
                None
            }
        });
        let boots = boots.ok_or(RpcError::Unreachable)?;
        Ok(NodeReport {
            agent: agent.id.clone(),
            status: self.node(),
            boot_id: Some(format!("boot {boots}")),
            draining: false,
            functions_digest: None,
            isolation: Vec::new(),
            isolation_missing: Vec::new(),
            ends_sequence: 0,
        })
    }

    fn sync(&self, agent: &AgentId) {
        lock(&self.to_sync).push(agent.clone());
    }

    fn listen(&self, agent: &Agent, anew: bool, _: Option<&Mark>) {
        if anew {
            // A new process runs nothing.
            self.fleet.replace_running(&agent.id, Vec::new());
        }
    }

    fn drain(&self, _: &Agent, _: bool) -> Result<(), RpcError> {
        Ok(())
    }

    fn forget(&self, _: &AgentId) {}
}

/// Between so many seconds, exponentially more often near the lower end than near the upper one.
pub(super) fn seconds(random: &mut Rng, shortest: f64, longest: f64) -> Duration {
    let drawn = shortest * (longest / shortest).powf(random.f64());
    Duration::from_secs_f64(drawn)
}

/// Every day begins then.
pub(super) const MORNING: Timestamp = Timestamp::from_millis(1_772_323_200_000);
