//! One execution from admission to its final record, on a thread of its own.
//!
//! The order of the last steps carries the promises: the process tree is dead, then the record
//! is written, then the end is visible, then the slot is free, then the caller is answered.

use std::io::{Seek, Write};
use std::sync::Arc;
use std::time::Duration;

use super::admission::Slot;
use super::context::Context;
use super::environment::Belongings;
use super::live::{Last, Live};
use crate::agent::functions::Function;
use crate::agent::release::Release;
use crate::agent::who::isolation::files;
use crate::base::causes::with_causes;
use crate::model::execution::{Ending, ExecutionRecord, Usage};
use crate::model::function::{Env, FunctionConfig};
use crate::model::isolation::SyscallIsolation;
use crate::model::output::Stream;
use crate::sandbox::{Outcome, OutputSink, ResourceLimits, Spec, Stdin};

/// Everything one run needs; consumed by running it.
pub(crate) struct Execution {
    /// Its entry among what runs.
    pub live: Arc<Live>,
    /// The function as it was at admission.
    pub function: Arc<Function>,
    /// The code as it was at admission.
    pub release: Arc<Release>,
    /// Arguments after the program's name.
    pub args: Vec<String>,
    /// Its standard input.
    pub stdin: Vec<u8>,
    /// The variables that the call adds.
    pub env: Env,
    /// The timeout of the call, which can only tighten the function's.
    pub timeout: Option<Duration>,
    /// Whether its acceptance was made durable, so that its end has to be too.
    pub durable: bool,
    pub slot: Slot,
}

struct Recorder<'a>(&'a Live);

impl OutputSink for Recorder<'_> {
    fn write(&mut self, stream: Stream, data: &[u8]) {
        self.0.output().append(stream, data);
    }
}

impl Execution {
    /// Which system calls its program will have; any answer serves what cannot start.
    pub(crate) fn syscalls(&self) -> SyscallIsolation {
        match &self.function.containment {
            Ok(containment) => containment.isolation.syscalls,
            Err(_) => SyscallIsolation::Filtered,
        }
    }

    /// Runs to the end and returns the final record, which is on disk.
    pub(crate) fn run(self, context: &Context) -> ExecutionRecord {
        let outcome = self.run_process(context);
        let output = self.live.output();
        output.finish();
        let totals = output.totals();
        let record = ExecutionRecord {
            ending: Some(outcome.ending),
            error: outcome.error,
            status_at: context.clock.now(),
            duration: self.live.elapsed(),
            stdout_bytes: totals.stdout_bytes,
            stderr_bytes: totals.stderr_bytes,
            truncated: totals.truncated,
            usage: outcome.usage,
            ..self.live.accepted().clone()
        };
        let record = context.write_final(record, self.durable);
        let last = Last {
            record: record.clone(),
            tree_confirmed_dead: outcome.tree_confirmed_dead,
        };
        context.live.finish(&self.live, last);
        drop(self.slot);
        // Whoever waits for the answer learns it from that.
        if self.durable {
            context.events.ended(&record);
        }
        record
    }

    fn run_process(&self, context: &Context) -> Outcome {
        let id = &self.live.accepted().id;
        let containment = match &self.function.containment {
            Ok(containment) => containment,
            Err(unacceptable) => return not_started(&with_causes(unacceptable)),
        };
        let (isolation, identity) = (containment.isolation, containment.identity);
        let owner = identity.map(|identity| (identity.uid, identity.gid));
        let mut workdir = match context.workdirs.create(id, &self.release, owner) {
            Ok(workdir) => workdir,
            Err(error) => {
                return not_started(&format!("no working directory: {}", with_causes(&error)));
            }
        };
        let stdin = match stdin(&self.stdin) {
            Ok(stdin) => stdin,
            Err(error) => {
                return not_started(&format!("no standard input: {}", with_causes(&error)));
            }
        };
        let config = &self.function.config;
        let env = context.environment.build(
            &config.env,
            &self.env,
            Belongings {
                execution: id,
                function: &config.name,
                version: self.release.code.version,
                home: workdir.cwd(),
                temporary: &workdir.tmp(),
            },
        );
        let spec = Spec {
            execution_id: id.clone(),
            program: self.release.dir.join(config.handler.as_str()),
            args: self.args.iter().map(Into::into).collect(),
            env: env
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            cwd: workdir.cwd().to_owned(),
            project: workdir.project(),
            stdin,
            identity,
            files: files(isolation, &self.release.dir, workdir.cwd()),
            network: isolation.network,
            syscalls: isolation.syscalls,
            limits: ResourceLimits {
                timeout: config.timeout_of_call(self.timeout),
                ..limits(config, context.limits)
            },
            kill_grace: context.kill_grace,
            pipe_grace: context.pipe_grace,
        };
        let outcome = context
            .sandbox
            .run(&spec, self.live.control(), &mut Recorder(&self.live));
        if !outcome.tree_confirmed_dead {
            // Something may still run as this user, and write in this project: nobody else gets them before
            // the next start, which ends leftovers first.
            std::mem::forget(containment.user.clone());
            std::mem::forget(workdir.project());
            workdir.never_reuse();
        }
        outcome
    }
}

/// The function's own, and `defaults` for what it does not name.
fn limits(config: &FunctionConfig, defaults: ResourceLimits) -> ResourceLimits {
    ResourceLimits {
        memory: config.memory.or(defaults.memory),
        cpu_millicores: config.cpu_millicores.or(defaults.cpu_millicores),
        pids: config.pids.or(defaults.pids),
        disk: config.disk.or(defaults.disk),
        ..defaults
    }
}

/// Input as a file in memory: complete before the process starts, so nothing has to be fed to it
/// while it runs, and a function that never reads holds nobody up.
fn stdin(bytes: &[u8]) -> std::io::Result<Stdin> {
    if bytes.is_empty() {
        return Ok(Stdin::Null);
    }
    let memory = nix::sys::memfd::memfd_create(c"stdin", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)?;
    let mut file = std::fs::File::from(memory);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(Stdin::File(file))
}

fn not_started(error: &str) -> Outcome {
    Outcome {
        ending: Ending::SpawnFailed,
        error: error.to_owned(),
        usage: Usage::default(),
        duration: Duration::ZERO,
        leaked_pipes: false,
        tree_confirmed_dead: true,
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::base::units::Mib;
    use crate::config::function::parse_function_yaml;

    #[test]
    fn a_function_has_its_own_limits_and_the_agents_for_what_it_does_not_name() {
        let config = |resources: &str| {
            let yaml = format!("name: f\nhandler: run\nresources: {{{resources}}}\n");
            parse_function_yaml(yaml.as_bytes()).expect("valid")
        };
        let defaults = ResourceLimits {
            memory: Some(Mib(100)),
            cpu_millicores: NonZeroU32::new(200),
            pids: NonZeroU32::new(300),
            disk: Some(Mib(400)),
            nofile: Some(500),
            ..ResourceLimits::NONE
        };
        assert_eq!(limits(&config(""), defaults), defaults);
        let own = limits(&config("memory: 1, cpu: 2, pids: 3, disk: 4"), defaults);
        let expected = ResourceLimits {
            memory: Some(Mib(1)),
            cpu_millicores: NonZeroU32::new(2),
            pids: NonZeroU32::new(3),
            disk: Some(Mib(4)),
            ..defaults
        };
        assert_eq!(own, expected);
    }
}
