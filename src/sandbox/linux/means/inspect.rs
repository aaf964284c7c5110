//! Finds out what this machine can enforce, by trying, and notes it or why not.

use std::io;

use super::capabilities::{self, CAP_SYS_ADMIN};
use super::findings::Findings;
use crate::base::causes::with_causes;
use crate::model::ids::ExecutionId;
use crate::model::isolation::{NetworkIsolation, SyscallIsolation};
use crate::sandbox::platform::cgroup::{KillWay, Subtree};
use crate::sandbox::platform::disk::Projects;
use crate::sandbox::platform::landlock::{self, Domains};
use crate::sandbox::platform::seccomp::Filter;
use crate::sandbox::platform::start::child::Stage;
use crate::sandbox::platform::start::explain;
use crate::sandbox::platform::start::spawn::{Means, SpawnError, Spawner};
use crate::sandbox::{
    CgroupMode, Enforced, FileAccess, ResourceLimits, SandboxConfig, Spec, Stdin,
};

/// The part of the cgroup tree for executions, where there can be one.
pub(in crate::sandbox) fn cgroups(
    config: &SandboxConfig,
    kill_way: KillWay,
    findings: &mut Findings,
) -> Option<Subtree> {
    const BY_CGROUP: [Enforced; 5] = [
        Enforced::CgroupKill,
        Enforced::Memory,
        Enforced::Swap,
        Enforced::Cpu,
        Enforced::Pids,
    ];
    let opened = match config.cgroup {
        CgroupMode::Auto => {
            Subtree::open(&config.name, kill_way).map_err(|error| with_causes(&error))
        }
        CgroupMode::Off => Err("cgroups are switched off".to_owned()),
    };
    match opened {
        Ok(subtree) => {
            let (enforced, missing) = subtree.controllers().report(subtree.path());
            findings.have(Enforced::CgroupKill);
            findings.enforced.extend(enforced);
            findings.missing.extend(missing);
            Some(subtree)
        }
        Err(reason) => {
            for what in BY_CGROUP {
                findings.miss(what, reason.clone());
            }
            None
        }
    }
}

/// What every execution is contained with beside its cgroup.
pub(in crate::sandbox) fn means(config: &SandboxConfig, findings: &mut Findings) -> Means {
    // No kernel that runs this lacks them.
    for always in [
        Enforced::NoNewPrivs,
        Enforced::Session,
        Enforced::Rlimits,
        Enforced::Descriptors,
    ] {
        findings.have(always);
    }
    Means {
        bounding_drop: bounding_drop(findings),
        reset_oom_score: is_spared(),
        domains: domains(config, findings),
        syscalls: syscalls(findings),
    }
}

/// By its unit (`OOMScoreAdjust=`) or whoever started it, for as long as it runs (proc(5)).
fn is_spared() -> bool {
    std::fs::read_to_string("/proc/self/oom_score_adj")
        .ok()
        .and_then(|score| score.trim().parse::<i32>().ok())
        .is_some_and(|score| score < 0)
}

/// What holds executions to their disk limit, after what else holds them: where none is a quota, it is
/// measured.
pub(in crate::sandbox) fn disk(
    config: &SandboxConfig,
    findings: &mut Findings,
) -> Option<Projects> {
    let found = match unsafe_quota(findings) {
        Some(reason) => Err(reason.to_owned()),
        None => Projects::find(&config.work_root),
    };
    let is_held = found.is_ok() || capabilities::sees_all();
    findings.note(Enforced::Disk, is_held, || {
        "measured, but a function can hide files from an agent without root's rights \
         (CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE, CAP_CHECKPOINT_RESTORE)"
            .to_owned()
    });
    match found {
        Ok(projects) => {
            findings.have(Enforced::DiskQuota);
            Some(projects)
        }
        Err(reason) => {
            findings.miss(Enforced::DiskQuota, format!("measured instead: {reason}"));
            None
        }
    }
}

/// Why a quota would hold no function, if it would not.
fn unsafe_quota(findings: &Findings) -> Option<&'static str> {
    let has = |what| findings.enforced.contains(&what);
    if !has(Enforced::Syscalls) {
        return Some("without a filter of system calls a function could leave its project");
    }
    // CAP_SYS_RESOURCE stands above quotas.
    (!has(Enforced::Capabilities)).then_some("what has capabilities is not held to quotas")
}

fn bounding_drop(findings: &mut Findings) -> u64 {
    let droppable = capabilities::droppable();
    findings.note(
        Enforced::Capabilities,
        droppable.is_some() || capabilities::has_none(),
        || "the agent has capabilities and may not drop them (CAP_SETPCAP)".to_owned(),
    );
    droppable.unwrap_or(0)
}

fn domains(config: &SandboxConfig, findings: &mut Findings) -> Option<Domains> {
    match Domains::open(&config.system_paths) {
        Ok(domains) => {
            findings.have(Enforced::ForeignMemory);
            findings.have(Enforced::Files);
            findings.note(Enforced::ForeignSignals, domains.hold_signals(), || {
                "this kernel's Landlock cannot hold signals: Linux 6.12 can".to_owned()
            });
            Some(domains)
        }
        Err(error) => {
            let reason = landlock::why_missing(&error);
            for what in [
                Enforced::ForeignMemory,
                Enforced::ForeignSignals,
                Enforced::Files,
            ] {
                findings.miss(what, reason.clone());
            }
            None
        }
    }
}

fn syscalls(findings: &mut Findings) -> Option<Filter> {
    match Filter::open() {
        Ok(filter) => {
            findings.have(Enforced::Syscalls);
            Some(filter)
        }
        Err(error) => {
            let reason = format!(
                "system calls cannot be filtered ({}): it takes a kernel with \
                 CONFIG_SECCOMP_FILTER, and nothing around the agent that forbids seccomp",
                with_causes(&error)
            );
            findings.miss(Enforced::Syscalls, reason);
            None
        }
    }
}

/// Why executions cannot have a network of their own, if they cannot.
pub(in crate::sandbox) fn network(spawner: &Spawner, findings: &mut Findings) -> Option<String> {
    let found = if capabilities::has(CAP_SYS_ADMIN) {
        rehearse_network(spawner)
    } else {
        Err(
            "only an agent with CAP_SYS_ADMIN, such as one that runs as root, can make networks"
                .to_owned(),
        )
    };
    findings.note(Enforced::NetworkNone, found.is_ok(), || {
        found.clone().err().unwrap_or_default()
    });
    found.err()
}

/// Starts, in a network of its own, what is no program: when that is all that is wrong with it, all
/// before it works.
fn rehearse_network(spawner: &Spawner) -> Result<(), String> {
    let spec = Spec {
        execution_id: ExecutionId::generate(),
        program: "/".into(),
        args: Vec::new(),
        env: Vec::new(),
        cwd: "/".into(),
        project: None,
        stdin: Stdin::Null,
        identity: None,
        files: FileAccess::Open,
        network: NetworkIsolation::None,
        syscalls: SyscallIsolation::Open,
        limits: ResourceLimits::NONE,
        kill_grace: Spec::KILL_GRACE,
        pipe_grace: Spec::PIPE_GRACE,
    };
    match spawner.spawn(&spec, None) {
        Err(SpawnError::Child(failure)) if failure.stage == Stage::Exec => Ok(()),
        Err(SpawnError::Clone(error)) => Err(why_no_network(&error)),
        Err(error) => Err(explain::spawn_error(&error, &spec)),
        Ok((leader, _)) => {
            // No kernel executes a directory; if one did, its end would be all there is to wait for.
            let _ = leader.reap_when_ended();
            Ok(())
        }
    }
}

fn why_no_network(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EINVAL) => "it takes a kernel with CONFIG_NET_NS".to_owned(),
        Some(libc::ENOSPC) => {
            "the limit user.max_net_namespaces (sysctl) is reached or 0".to_owned()
        }
        _ => format!(
            "network namespaces are refused here: {}",
            with_causes(error)
        ),
    }
}
