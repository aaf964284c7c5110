//! What the sandbox costs over the bare minimum: the median of `Sandbox::run` of a program that does
//! nothing beside that of posix_spawn and waitpid of the same, taken turn by turn in one run; what each
//! measure of containment adds to it; and the speed at which output is drained. Figures are
//! ratios: absolute ones depend on the machine.
//!
//! `cargo bench --bench spawn [program]`
#![expect(clippy::print_stdout, reason = "figures are what it is for")]

use std::ffi::{CString, c_char};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flux::model::execution::{Ending, Stream};
use flux::model::ids::ExecutionId;
use flux::model::isolation::{NetworkIsolation, SyscallIsolation};
use flux::sandbox::{
    CgroupMode, Control, FileAccess, OutputSink, ResourceLimits, Sandbox, SandboxConfig, Spec,
    Stdin, default_system_paths,
};

const ROUNDS: usize = 1000;
const OUTPUT_BYTES: u64 = 2 << 30;

fn main() {
    // Cargo passes `--bench` as well.
    let program = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let program = PathBuf::from(program.unwrap_or_else(|| "/bin/true".to_owned()));
    println!("{ROUNDS} rounds of {}", program.display());
    for (name, mode) in [("cgroup", CgroupMode::Auto), ("no cgroup", CgroupMode::Off)] {
        let sandbox = open(mode);
        compare(name, &sandbox, &program);
        measures(name, &sandbox, &program);
        drain(name, &sandbox);
    }
}

fn open(cgroup: CgroupMode) -> Sandbox {
    Sandbox::open(SandboxConfig {
        name: format!("bench-{}", std::process::id()),
        work_root: std::env::temp_dir(),
        identities: None,
        system_paths: default_system_paths(),
        require_isolation: false,
        cgroup,
    })
    .expect("a sandbox")
}

fn compare(name: &str, sandbox: &Sandbox, program: &Path) {
    let mut bare = Vec::new();
    let mut contained = Vec::new();
    for _ in 0..ROUNDS {
        bare.push(timed(|| posix_spawn_and_wait(program)));
        contained.push(timed(|| {
            let ending = run(
                sandbox,
                &spec(program.to_owned(), &[]),
                &mut Discard::default(),
            );
            assert_eq!(ending, Ending::Exited(0));
        }));
    }
    let (bare, contained) = (median(bare), median(contained));
    let ratio = contained.as_secs_f64() / bare.as_secs_f64();
    println!("{name}: posix_spawn {bare:?}, sandbox {contained:?}, ratio {ratio:.2}");
}

/// Turn by turn as well: nothing, each measure alone, and what functions get by default.
fn measures(name: &str, sandbox: &Sandbox, program: &Path) {
    type Measure = fn(&mut Spec);
    let table: [(&str, Measure); 5] = [
        ("open", |_| {}),
        ("files", strict_files),
        ("syscalls", |spec| {
            spec.syscalls = SyscallIsolation::Filtered;
        }),
        ("no network", |spec| spec.network = NetworkIsolation::None),
        ("files and syscalls", |spec| {
            strict_files(spec);
            spec.syscalls = SyscallIsolation::Filtered;
        }),
    ];
    let mut times = [const { Vec::new() }; 5];
    for _ in 0..ROUNDS {
        for ((_, measure), times) in table.iter().zip(&mut times) {
            let mut spec = spec(program.to_owned(), &[]);
            measure(&mut spec);
            times.push(timed(|| {
                let ending = run(sandbox, &spec, &mut Discard::default());
                assert_eq!(ending, Ending::Exited(0));
            }));
        }
    }
    let [open, ..] = times.clone().map(median);
    for ((measure, _), times) in table.iter().zip(times) {
        let time = median(times);
        let more = time.as_secs_f64() - open.as_secs_f64();
        println!("{name}, {measure}: {time:?}, {:+.0} µs", more * 1e6);
    }
}

fn strict_files(spec: &mut Spec) {
    spec.files = FileAccess::Only {
        read: vec!["/usr".into()],
        write: vec![std::env::temp_dir()],
    };
}

fn drain(name: &str, sandbox: &Sandbox) {
    let count = OUTPUT_BYTES.to_string();
    let mut sink = Discard::default();
    let began = Instant::now();
    let ending = run(
        sandbox,
        &spec("/usr/bin/head".into(), &["-c", &count, "/dev/zero"]),
        &mut sink,
    );
    assert_eq!((ending, sink.bytes), (Ending::Exited(0), OUTPUT_BYTES));
    let rate = OUTPUT_BYTES as f64 / began.elapsed().as_secs_f64() / 1e9;
    println!("{name}: output drained at {rate:.2} GB/s");
}

fn run(sandbox: &Sandbox, spec: &Spec, sink: &mut Discard) -> Ending {
    let control = Control::new().expect("control");
    sandbox.run(spec, &control, sink).ending
}

fn spec(program: PathBuf, args: &[&str]) -> Spec {
    Spec {
        execution_id: ExecutionId::generate(),
        program,
        args: args.iter().map(Into::into).collect(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        cwd: "/".into(),
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

#[derive(Default)]
struct Discard {
    bytes: u64,
}

impl OutputSink for Discard {
    fn write(&mut self, _stream: Stream, data: &[u8]) {
        self.bytes += data.len() as u64;
    }
}

fn posix_spawn_and_wait(program: &Path) {
    let path = CString::new(program.as_os_str().as_encoded_bytes()).expect("no NUL");
    let argv = [path.as_ptr().cast_mut(), std::ptr::null_mut::<c_char>()];
    let envp = [std::ptr::null_mut::<c_char>()];
    let mut pid = 0;
    // SAFETY: the strings and lists outlive the call; no file actions, no attributes.
    let result = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            path.as_ptr(),
            std::ptr::null(),
            std::ptr::null(),
            argv.as_ptr(),
            envp.as_ptr(),
        )
    };
    assert_eq!(result, 0);
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert_eq!(status, 0);
}

fn timed(body: impl FnOnce()) -> Duration {
    let began = Instant::now();
    body();
    began.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
