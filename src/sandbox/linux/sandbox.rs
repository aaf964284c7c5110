//! The sandbox itself: what this machine can enforce, what an earlier agent left, and one run.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::super::{
    Enforced, Missing, Outcome, OutputSink, SandboxConfig, SandboxError, Spec, StopReason,
};
use super::cgroup::{CgroupError, KillWay, Subtree};
use super::disk::{AtTheEnd, Limit, Projects};
use super::follow::Control;
use super::follow::ending;
use super::follow::leader::Leader;
use super::follow::pipes::Pipes;
use super::follow::processes;
use super::follow::tree::{DEATH_DEADLINE, Tree};
use super::follow::usage;
use super::follow::watch::{self, Verdict, Watched};
use super::means::demands::Demands;
use super::means::findings::Findings;
use super::means::identities;
use super::means::inspect;
use super::start::clone::SpawnWay;
use super::start::explain;
use super::start::spawn::{SpawnError, Spawner};
use crate::base::causes::with_causes;
use crate::model::execution::{Ending, Usage};

/// Between two tries to start a program that is open for writing, and how many there are: a
/// process that is just being made keeps a program busy for less than a millisecond.
const BUSY_PAUSE: Duration = Duration::from_millis(5);
const BUSY_TRIES: u32 = 40;

/// What runs executions. Shared by all of one agent.
#[derive(Debug)]
pub struct Sandbox {
    spawner: Spawner,
    demands: Demands,
    subtree: Option<Subtree>,
    projects: Option<Projects>,
    work_root: PathBuf,
    enforced: Vec<Enforced>,
    missing: Vec<Missing>,
}

/// What older systems lack, left out on purpose.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Ways {
    /// How processes are started.
    pub spawn: SpawnWay,
    /// How a tree in a cgroup is ended.
    pub kill: KillWay,
}

impl Sandbox {
    /// Finds out what can be enforced here. Without a cgroup this process becomes a child subreaper:
    /// processes whose parent dies then stay below it, where they can be found and ended.
    ///
    /// # Errors
    /// A name or work root that cannot be used, or isolation that is required and not to be had.
    pub fn open(config: SandboxConfig) -> Result<Sandbox, SandboxError> {
        Sandbox::open_by(config, Ways::default())
    }

    /// For tests of every way to start a process and to end a tree.
    ///
    /// # Errors
    /// As [`Sandbox::open`].
    #[doc(hidden)]
    pub fn open_by(config: SandboxConfig, ways: Ways) -> Result<Sandbox, SandboxError> {
        check(&config)?;
        let mut findings = Findings::default();
        let subtree = inspect::cgroups(&config, ways.kill, &mut findings);
        identities::inspect(config.identities, &mut findings);
        let means = inspect::means(&config, &mut findings);
        let projects = inspect::disk(&config, &mut findings);
        let spawner = Spawner::new(ways.spawn, means);
        let demands = Demands {
            identities: config.identities,
            no_network: inspect::network(&spawner, &mut findings),
        };
        if config.require_isolation {
            findings.demand_isolation()?;
        }
        if subtree.is_none() {
            become_subreaper()?;
        }
        Ok(Sandbox {
            spawner,
            demands,
            subtree,
            projects,
            work_root: config.work_root,
            enforced: findings.enforced,
            missing: findings.missing,
        })
    }

    /// What every execution is held to.
    pub fn enforced(&self) -> &[Enforced] {
        &self.enforced
    }

    /// What is not enforced, and why.
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// Where the file system of the work root holds quotas: what gives working directories theirs, for
    /// [`Spec::project`]. Without, their disk limit is measured.
    pub(crate) fn projects(&self) -> Option<&Projects> {
        self.projects.as_ref()
    }

    /// Ends what an earlier agent process of this name and work root left running, and waits until it is
    /// dead. Returns how many processes that were. To be called before the first run.
    ///
    /// # Errors
    /// Some are alive after the deadline, or it cannot be said.
    pub fn clear_leftovers(&self) -> Result<usize, SandboxError> {
        let deadline = Instant::now() + DEATH_DEADLINE;
        let in_cgroups = match &self.subtree {
            Some(subtree) => clear_leaves(subtree, deadline)?,
            None => 0,
        };
        // Also with cgroups: the earlier agent may have had none.
        let others = processes::end_leftovers(&self.work_root, deadline).map_err(|error| {
            SandboxError::Undead {
                count: 1,
                detail: with_causes(&error),
            }
        })?;
        Ok(in_cgroups + others)
    }

    /// Makes starts from this thread cheaper: it enters, for good, that part of the executions' filter of
    /// system calls which following an execution does not need, and its children inherit it. Such a
    /// thread, and threads that it makes, cannot run what asks for open system calls. Does
    /// nothing where there is no filter, or when it has been called.
    ///
    /// # Errors
    /// The kernel's refusal. Executions are contained all the same.
    pub fn contain_thread(&self) -> std::io::Result<()> {
        self.spawner.contain_thread()
    }

    /// Runs one process to its end, on the calling thread. Returns when its whole tree is dead.
    pub fn run(&self, spec: &Spec, control: &Control, output: &mut dyn OutputSink) -> Outcome {
        if let Some(reason) = control.stopped() {
            return stopped_before_start(reason);
        }
        if let Err(refusal) = self.demands.check(spec) {
            return never_started(
                Ending::SpawnFailed,
                format!("could not be started: {}", with_causes(&refusal)),
            );
        }
        if let Err(error) = set_quota(spec) {
            return never_started(
                Ending::SpawnFailed,
                format!(
                    "could not be started: cannot set its disk limit: {}",
                    with_causes(&error)
                ),
            );
        }
        let tree = match self.tree(spec) {
            Ok(tree) => tree,
            Err(error) => {
                return never_started(
                    Ending::SpawnFailed,
                    format!("could not be started: {}", with_causes(&error)),
                );
            }
        };
        let began = Instant::now();
        match self.spawn(spec, &tree, control) {
            Ok((leader, pipes)) => follow(&tree, leader, pipes, spec, control, began, output),
            Err(error) => {
                tree.clean_up();
                // A stop during the tries to start it.
                match control.stopped() {
                    Some(reason) if error.is_passing() => stopped_before_start(reason),
                    _ => never_started(Ending::SpawnFailed, explain::spawn_error(&error, spec)),
                }
            }
        }
    }

    fn tree(&self, spec: &Spec) -> Result<Tree<'_>, CgroupError> {
        match &self.subtree {
            Some(subtree) => subtree
                .create_leaf(&spec.execution_id, &spec.limits)
                .map(Tree::Cgroup),
            None => Ok(Tree::Processes(
                self.work_root.join(spec.execution_id.as_str()),
            )),
        }
    }

    fn spawn(
        &self,
        spec: &Spec,
        tree: &Tree<'_>,
        control: &Control,
    ) -> Result<(Leader, Pipes), SpawnError> {
        let mut tries = 1;
        loop {
            match self.spawner.spawn(spec, tree.birthplace()) {
                Err(error)
                    if error.is_passing() && tries < BUSY_TRIES && control.stopped().is_none() =>
                {
                    tries += 1;
                    pause(control);
                }
                result => return result,
            }
        }
    }
}

/// Also where there is no limit: a directory that is used again has that of its last execution.
fn set_quota(spec: &Spec) -> std::io::Result<()> {
    match &spec.project {
        Some(project) => project.limit(spec.limits.disk.map(Limit::new)),
        None => Ok(()),
    }
}

/// From the start to the outcome.
fn follow(
    tree: &Tree<'_>,
    leader: Leader,
    mut pipes: Pipes,
    spec: &Spec,
    control: &Control,
    began: Instant,
    output: &mut dyn OutputSink,
) -> Outcome {
    output.started(leader.pid() as u32);
    let watched = watch::watch(tree, &leader, &mut pipes, control, spec, began, output);
    let ended = tree.end(&leader);
    let leader_ended = watched.leader_ended.unwrap_or_else(Instant::now);
    pipes.drain(output);
    let mut outcome = conclude(tree, &leader, watched, spec);
    outcome.duration = leader_ended - began;
    if let Err(error) = ended {
        let cause = with_causes(&error);
        log::error!("execution {}: {cause}", spec.execution_id);
        ending::add(
            &mut outcome.error,
            &format!("its processes are not known to be dead: {cause}"),
        );
        outcome.tree_confirmed_dead = false;
    }
    // The leader is reaped; its registration goes before orphans are looked for.
    drop(leader);
    tree.clean_up();
    outcome
}

/// Reaps the leader and reads what is left of the execution.
fn conclude(tree: &Tree<'_>, leader: &Leader, watched: Watched, spec: &Spec) -> Outcome {
    let (death, mut used) = match leader.reap() {
        Ok((death, counted)) => (Some(death), usage::of(&counted, tree)),
        Err(error) => {
            log::error!(
                "execution {}: its end cannot be waited for: {}",
                spec.execution_id,
                with_causes(&error)
            );
            (None, Usage::default())
        }
    };
    let disk = AtTheEnd::look(spec, watched.disk_peak);
    used.max_disk_bytes = disk.peak;
    let ran_out_of_memory = watched.verdict == Verdict::Ended && tree.ran_out_of_memory();
    let verdict = ending::settle(
        watched.verdict,
        death,
        ran_out_of_memory,
        |was_at_file_limit| disk.cause(spec, was_at_file_limit),
    );
    let ending = ending::of(verdict, death, ran_out_of_memory);
    Outcome {
        ending,
        error: ending::text(ending, verdict, spec),
        usage: used,
        duration: Duration::ZERO,
        leaked_pipes: watched.leaked_pipes,
        tree_confirmed_dead: true,
    }
}

fn stopped_before_start(reason: StopReason) -> Outcome {
    let text = match reason {
        StopReason::Cancelled => "cancelled before it started",
        StopReason::Shutdown => "the agent was shut down before it started",
    };
    never_started(ending::of_stop(reason), text.to_owned())
}

fn never_started(ending: Ending, error: String) -> Outcome {
    Outcome {
        ending,
        error,
        usage: Usage::default(),
        duration: Duration::ZERO,
        leaked_pipes: false,
        tree_confirmed_dead: true,
    }
}

/// Until the next try, or a stop.
fn pause(control: &Control) {
    let mut fds = [PollFd::new(control.event(), PollFlags::POLLIN)];
    let timeout = PollTimeout::try_from(BUSY_PAUSE).unwrap_or(PollTimeout::ZERO);
    // Interrupted or not: the next try is due.
    let _ = poll(&mut fds, timeout);
}

fn check(config: &SandboxConfig) -> Result<(), SandboxError> {
    if config.name.is_empty() || config.name.contains(['/', '\0']) {
        return Err(SandboxError::Name {
            name: config.name.clone(),
        });
    }
    if !config.work_root.is_absolute() {
        return Err(SandboxError::WorkRoot {
            path: config.work_root.clone(),
        });
    }
    Ok(())
}

fn become_subreaper() -> Result<(), SandboxError> {
    nix::sys::prctl::set_child_subreaper(true).map_err(|errno| SandboxError::System {
        action: "become the parent of orphans",
        source: errno.into(),
    })
}

fn clear_leaves(subtree: &Subtree, deadline: Instant) -> Result<usize, SandboxError> {
    let leaves = subtree.leaves().map_err(|source| SandboxError::System {
        action: "list the cgroups of an earlier agent",
        source,
    })?;
    let mut processes = 0;
    let mut failures = Vec::new();
    for leaf in leaves {
        processes += leaf.population();
        match leaf.end(deadline).and_then(|()| leaf.remove()) {
            Ok(()) => {}
            Err(error) => failures.push(with_causes(&error)),
        }
    }
    if failures.is_empty() {
        return Ok(processes);
    }
    Err(SandboxError::Undead {
        count: failures.len(),
        detail: failures.join("; "),
    })
}
