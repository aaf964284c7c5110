//! A sandbox in a directory of its own, a specification to change, and a recorder of what comes out.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::runner::{Case, skip};
use flux::model::ids::ExecutionId;
use flux::model::isolation::{NetworkIsolation, SyscallIsolation};
use flux::model::output::Stream;
use flux::sandbox::{
    CgroupMode, Control, Enforced, FileAccess, Identities, Identity, KillWay, Outcome, OutputSink,
    ResourceLimits, Sandbox, SandboxConfig, SpawnWay, Spec, Stdin, Ways, default_system_paths,
};

/// For conditions that hold in a moment; longer than any honest delay of a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Removes its directory when dropped.
pub struct Place {
    pub sandbox: Sandbox,
    /// Of the sandbox's part of the cgroups.
    pub name: String,
    identity: Option<Identity>,
    root: tempfile::TempDir,
}

/// What to open; all there is, and as the agent's own user, where nothing else is said.
#[derive(Default)]
pub struct Opening {
    pub mode: CgroupMode,
    pub way: SpawnWay,
    pub kill: KillWay,
    pub identity: Option<Identity>,
    /// The range of functions' own users.
    pub own: Option<(u32, u32)>,
}

impl Place {
    pub fn new(mode: CgroupMode) -> Place {
        Opening {
            mode,
            ..Opening::default()
        }
        .open()
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }

    pub fn enforces(&self, what: Enforced) -> bool {
        self.sandbox.enforced().contains(&what)
    }

    /// Skips the test where this machine cannot enforce it.
    pub fn needs(&self, what: Enforced) {
        let missing = self.sandbox.missing();
        if let Some(missing) = missing.iter().find(|it| it.what == what) {
            skip!("this machine cannot enforce it: {missing}");
        }
    }

    /// A shell that runs `script`.
    pub fn shell(&self, script: &str) -> Spec {
        let mut spec = self.spec("/bin/sh");
        spec.args = vec!["-c".into(), script.into()];
        spec
    }

    /// As contained as can be on the machine's network: only the root to write, a filter of system calls.
    pub fn spec(&self, program: impl Into<PathBuf>) -> Spec {
        let execution_id = ExecutionId::generate();
        let tmpdir = self.root().join(execution_id.as_str()).join("tmp");
        Spec {
            execution_id,
            program: program.into(),
            args: Vec::new(),
            env: vec![
                ("PATH".into(), "/usr/bin:/bin".into()),
                ("TMPDIR".into(), tmpdir.into()),
            ],
            cwd: self.root().to_owned(),
            project: None,
            stdin: Stdin::Null,
            identity: self.identity,
            files: FileAccess::Only {
                read: Vec::new(),
                write: vec![self.root().to_owned()],
            },
            network: NetworkIsolation::Host,
            syscalls: SyscallIsolation::Filtered,
            limits: ResourceLimits {
                // No test waits for ever.
                timeout: Some(PATIENCE),
                ..ResourceLimits::NONE
            },
            kill_grace: Spec::KILL_GRACE,
            pipe_grace: Spec::PIPE_GRACE,
        }
    }

    /// A file in the root with these contents and permission bits.
    pub fn file(&self, name: &str, contents: &[u8], mode: u32) -> PathBuf {
        let path = self.root().join(name);
        let mut file = fs::File::create(&path).expect("a file");
        std::io::Write::write_all(&mut file, contents).expect("its contents");
        drop(file);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
        path
    }

    pub fn run(&self, spec: &Spec) -> (Outcome, Recorder) {
        let control = Control::new().expect("control");
        let mut recorder = Recorder::default();
        let outcome = self.sandbox.run(spec, &control, &mut recorder);
        (outcome, recorder)
    }

    /// Runs, and calls `at_mark` once, on the run's own thread, when stdout contains `mark`.
    pub fn run_until(
        &self,
        spec: &Spec,
        mark: &'static str,
        at_mark: impl FnOnce(&Control, &str) + 'static,
    ) -> (Outcome, Recorder) {
        let control = Control::new().expect("control");
        let for_hook = control.clone();
        let mut recorder = Recorder {
            hook: Some((mark, Box::new(move |text| at_mark(&for_hook, text)))),
            ..Recorder::default()
        };
        let outcome = self.sandbox.run(spec, &control, &mut recorder);
        assert!(
            recorder.hook.is_none(),
            "{mark:?} never came: {outcome:?}, {:?}",
            recorder.out()
        );
        (outcome, recorder)
    }
}

impl Opening {
    pub fn open(self) -> Place {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let root = tempfile::Builder::new()
            .prefix("flux-sandbox-")
            .tempdir()
            .expect("a directory");
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("open to all");
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("test-{}-{number}", std::process::id());
        let mut config = SandboxConfig {
            name: name.clone(),
            ..config(root.path(), self.mode, self.identity)
        };
        if let Some(identities) = &mut config.identities {
            identities.own = self.own;
        }
        let ways = Ways {
            spawn: self.way,
            kill: self.kill,
        };
        Place {
            sandbox: Sandbox::open_by(config, ways).expect("a sandbox"),
            name,
            identity: self.identity,
            root,
        }
    }
}

pub fn config(root: &Path, cgroup: CgroupMode, identity: Option<Identity>) -> SandboxConfig {
    SandboxConfig {
        name: "test".to_owned(),
        work_root: root.to_owned(),
        identities: identity.map(|shared| Identities { shared, own: None }),
        system_paths: default_system_paths(),
        require_isolation: false,
        cgroup,
    }
}

/// How trees are ended: with cgroups and without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    WithCgroups,
    /// As it is before Linux 5.14.
    WithoutCgroupKill,
    WithoutCgroups,
}

impl Mode {
    pub const BOTH: [Mode; 2] = [Mode::WithCgroups, Mode::WithoutCgroups];
    pub const IN_CGROUPS: [Mode; 2] = [Mode::WithCgroups, Mode::WithoutCgroupKill];
    pub const EVERY: [Mode; 3] = [
        Mode::WithCgroups,
        Mode::WithoutCgroupKill,
        Mode::WithoutCgroups,
    ];

    /// Skips the test where cgroups are not to be had and this is a mode with them.
    pub fn place(self) -> Place {
        let (mode, kill) = match self {
            Mode::WithCgroups => (CgroupMode::Auto, KillWay::Auto),
            Mode::WithoutCgroupKill => (CgroupMode::Auto, KillWay::OneByOne),
            Mode::WithoutCgroups => (CgroupMode::Off, KillWay::Auto),
        };
        let place = Opening {
            mode,
            kill,
            ..Opening::default()
        }
        .open();
        if mode == CgroupMode::Auto {
            place.needs(Enforced::CgroupKill);
        }
        place
    }
}

impl Case for Mode {
    fn name(&self) -> &'static str {
        match self {
            Mode::WithCgroups => "with_cgroups",
            Mode::WithoutCgroupKill => "without_cgroup_kill",
            Mode::WithoutCgroups => "without_cgroups",
        }
    }
}

type Hook = (&'static str, Box<dyn FnOnce(&str)>);

/// Keeps everything.
#[derive(Default)]
pub struct Recorder {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub pid: Option<u32>,
    hook: Option<Hook>,
}

impl Recorder {
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

impl OutputSink for Recorder {
    fn write(&mut self, stream: Stream, data: &[u8]) {
        assert!(!data.is_empty());
        match stream {
            Stream::Stdout => self.stdout.extend_from_slice(data),
            Stream::Stderr => self.stderr.extend_from_slice(data),
        }
        let text = self.out();
        if let Some((_, hook)) = self.hook.take_if(|(mark, _)| text.contains(*mark)) {
            hook(&text);
        }
    }

    fn started(&mut self, pid: u32) {
        assert_eq!(self.pid.replace(pid), None);
    }
}

/// Counts, for outputs that are too large to keep.
#[derive(Default)]
pub struct Counter(pub u64);

impl OutputSink for Counter {
    fn write(&mut self, _stream: Stream, data: &[u8]) {
        self.0 += data.len() as u64;
    }
}

/// Neither gone nor a zombie that waits for its parent.
pub fn is_alive(pid: &str) -> bool {
    !matches!(state(pid), None | Some('Z' | 'X'))
}

/// The kernel's letter for what a process does, while it is there.
pub fn state(pid: &str) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Looks until `condition` holds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::yield_now();
    }
}

/// Cgroups of this name.
pub fn cgroups_called(name: &str) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
    let mount = mounts
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(_, rest)| rest.split_once(' '))
        .find(|(_, rest)| rest.starts_with("cgroup2 "))
        .map(|(point, _)| point);
    let mut found = Vec::new();
    let mut waiting: Vec<PathBuf> = mount.into_iter().map(PathBuf::from).collect();
    while let Some(directory) = waiting.pop() {
        // Others come and go meanwhile.
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
        waiting.extend(entries.map(|entry| entry.path()).filter(|it| it.is_dir()));
        if directory.ends_with(name) {
            found.push(directory);
        }
    }
    found
}

pub fn strings(values: &[&str]) -> Vec<OsString> {
    values.iter().map(Into::into).collect()
}

/// Gives these calls these errors in this thread and what it starts from now on, as a container around an
/// agent does (seccomp(2)); the number of the call is at the start of a filter's data. Of several
/// errors for one call the last one given holds.
pub fn refuse_calls(refused: &[(libc::c_long, i32)]) {
    let statement = |code: u32, jf: u8, k: u32| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf,
        k,
    };
    let give = libc::BPF_RET | libc::BPF_K;
    let mut filter = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for (call, errno) in refused {
        let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        filter.push(statement(equal, 1, *call as u32));
        filter.push(statement(give, 0, libc::SECCOMP_RET_ERRNO | *errno as u32));
    }
    filter.push(statement(give, 0, libc::SECCOMP_RET_ALLOW));
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    nix::sys::prctl::set_no_new_privs().expect("a condition of filters");
    // SAFETY: the program and its filter outlive the call.
    let result = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}
