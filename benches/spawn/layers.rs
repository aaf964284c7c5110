//! The rows: the bare start, and executions with one ingredient more each, up to what the agent does.

use std::num::NonZeroU32;
use std::time::Duration;

use flux::agent::workdir::WorkDir;
use flux::base::units::Mib;
use flux::model::execution::Ending;
use flux::model::ids::ExecutionId;
use flux::model::isolation::{NetworkIsolation, SyscallIsolation};
use flux::model::output::Stream;
use flux::sandbox::{Control, FileAccess, OutputSink, ResourceLimits, Sandbox, Spec, Stdin};

use super::bed::Bed;
use super::floor;

/// One way to start the program.
pub struct Layer {
    pub name: String,
    /// Whether it is the row before and one ingredient more.
    pub adds: bool,
    way: Way,
}

#[derive(Clone, Copy)]
enum Way {
    Bare,
    Contained(Ingredients),
}

#[derive(Clone, Copy, Default)]
struct Ingredients {
    limits: bool,
    user: bool,
    files: bool,
    syscalls: bool,
    contained_thread: bool,
    work_dir: bool,
    no_network: bool,
    no_cgroup: bool,
}

/// All rows; the first is the floor. One whose ingredient cannot be had here says so.
pub fn all(bed: &Bed) -> Vec<Layer> {
    let mut rows = vec![Layer {
        name: "posix_spawn, waitpid".to_owned(),
        adds: true,
        way: Way::Bare,
    }];
    let mut so_far = Ingredients::default();
    let mut add = |name: &str, needs: &str, change: fn(&mut Ingredients)| {
        change(&mut so_far);
        rows.push(row(bed, name, needs, true, so_far));
    };
    add("sandbox: session, pipes, cgroup", "cgroup_kill", |_| {});
    add("+ limits of the cgroup, rlimits", "memory", |it| {
        it.limits = true;
    });
    add("+ user of its own", "user", |it| {
        it.user = true;
    });
    add("+ files (Landlock)", "files", |it| {
        it.files = true;
    });
    add("+ system calls (seccomp)", "syscalls", |it| {
        it.syscalls = true;
    });
    add("the same, of which threads keep most", "syscalls", |it| {
        it.contained_thread = true;
    });
    add("+ working directory: all of it", "", |it| {
        it.work_dir = true;
    });
    let no_network = Ingredients {
        no_network: true,
        ..so_far
    };
    if bed.enforces("network_none") {
        rows.push(row(bed, "all of it, network: none", "", false, no_network));
    }
    let no_cgroup = Ingredients {
        no_cgroup: true,
        ..so_far
    };
    rows.push(row(bed, "all of it without a cgroup", "", false, no_cgroup));
    rows
}

fn row(bed: &Bed, name: &str, needs: &str, adds: bool, ingredients: Ingredients) -> Layer {
    let is_there = needs.is_empty() || bed.enforces(needs);
    let suffix = if is_there { "" } else { " (not here)" };
    Layer {
        name: format!("{name}{suffix}"),
        adds,
        way: Way::Contained(ingredients),
    }
}

impl Layer {
    /// To be called when it is this row's turn. An agent without cgroups is handed the orphans of its
    /// executions and looks for them after each; one with cgroups is not, and this process is both.
    pub fn prepare(&self) {
        let is_handed_orphans = match self.way {
            Way::Bare => false,
            Way::Contained(ingredients) => ingredients.no_cgroup,
        };
        nix::sys::prctl::set_child_subreaper(is_handed_orphans).expect("prctl");
    }

    /// Whether it wants a thread that has given up what following an execution does not need.
    pub fn wants_contained_thread(&self) -> bool {
        matches!(
            self.way,
            Way::Contained(Ingredients {
                contained_thread: true,
                ..
            })
        )
    }

    /// Starts the program and waits for its end.
    pub fn run(&self, bed: &Bed) {
        match self.way {
            Way::Bare => floor::posix_spawn_and_wait(&bed.program()),
            Way::Contained(ingredients) => contained(bed, ingredients),
        }
    }
}

fn contained(bed: &Bed, wanted: Ingredients) {
    let sandbox = match wanted {
        Ingredients {
            no_cgroup: true, ..
        } => &bed.without_cgroup,
        Ingredients { user: true, .. } => &bed.sandbox,
        Ingredients { user: false, .. } => &bed.without_user,
    };
    let execution = ExecutionId::generate();
    let identity = bed.identity.filter(|_| wanted.user);
    let owner = identity.map(|identity| (identity.uid, identity.gid));
    // Removed when dropped, as at the end of an execution.
    let work_dir = wanted.work_dir.then(|| {
        bed.workdirs
            .create(&execution, &bed.release, owner)
            .expect("a working directory")
    });
    let cwd = work_dir.as_ref().map_or(bed.fixed.as_path(), |it| it.cwd());
    let spec = Spec {
        files: if wanted.files {
            FileAccess::Only {
                read: vec![bed.release.dir.clone()],
                write: vec![cwd.to_owned()],
            }
        } else {
            FileAccess::Open
        },
        cwd: cwd.to_owned(),
        project: work_dir.as_ref().and_then(WorkDir::project),
        identity,
        syscalls: if wanted.syscalls {
            SyscallIsolation::Filtered
        } else {
            SyscallIsolation::Open
        },
        network: if wanted.no_network {
            NetworkIsolation::None
        } else {
            NetworkIsolation::Host
        },
        limits: if wanted.limits {
            LIMITS
        } else {
            ResourceLimits::NONE
        },
        ..spec(bed, execution)
    };
    run(sandbox, &spec, &mut Discard::default());
}

/// As the agent's defaults would be, and a disk limit, which is watched for.
const LIMITS: ResourceLimits = ResourceLimits {
    memory: Some(Mib(256)),
    cpu_millicores: NonZeroU32::new(1000),
    pids: NonZeroU32::new(256),
    nofile: Some(1024),
    fsize: Some(1 << 30),
    disk: Some(Mib(512)),
    timeout: Some(Duration::from_secs(60)),
};

/// The program with nothing around it.
pub fn spec(bed: &Bed, execution_id: ExecutionId) -> Spec {
    let temporary = bed.workdirs_path().join(execution_id.as_str()).join(".tmp");
    Spec {
        execution_id,
        program: bed.program(),
        args: Vec::new(),
        env: vec![
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("TMPDIR".into(), temporary.into()),
        ],
        cwd: "/".into(),
        project: None,
        stdin: Stdin::Null,
        identity: None,
        files: FileAccess::Open,
        network: NetworkIsolation::Host,
        syscalls: SyscallIsolation::Open,
        limits: ResourceLimits::NONE,
        kill_grace: Spec::KILL_GRACE,
        pipe_grace: Spec::PIPE_GRACE,
    }
}

/// Runs it to a good end.
pub fn run(sandbox: &Sandbox, spec: &Spec, sink: &mut Discard) {
    let control = Control::new().expect("control");
    let outcome = sandbox.run(spec, &control, sink);
    assert_eq!(outcome.ending, Ending::Exited(0), "{}", outcome.error);
}

/// Counts and forgets.
#[derive(Default)]
pub struct Discard {
    pub bytes: u64,
}

impl OutputSink for Discard {
    fn write(&mut self, _stream: Stream, data: &[u8]) {
        self.bytes += data.len() as u64;
    }
}
