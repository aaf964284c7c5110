//! System calls that no function needs are gone, and programs run as if they were there.

use flux::model::execution::Ending;
use flux::model::isolation::SyscallIsolation;
use flux::sandbox::{CgroupMode, Enforced, Outcome};

use super::place::{Place, Recorder, strings};
use crate::runner::{Case, Need, needs, skip, tests};

tests![
    each_call_that_is_taken_away_answers_so,
    some_of_the_calls_would_do_otherwise_without_the_filter,
    the_filter_holds_what_a_program_starts,
    the_convention_of_x32_is_no_way_around,
    the_convention_of_32_bits_is_no_way_around,
    with_all_system_calls_too_each_execution_has_a_session_keyring_of_its_own,
    a_thread_that_has_given_up_calls_starts_nothing_that_should_have_them,
    what_people_run_runs in POPULAR,
];

const PYTHON: &str = "/usr/bin/python3";

/// A Python program of one line: with `call(number, …)`, which prints the name of its errno or `ok`.
const TRY: &str = "
import ctypes, errno, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_ulong(a) for a in arguments])
    print('ok' if result >= 0 else errno.errorcode[ctypes.get_errno()])
";

fn filtering() -> Place {
    let place = Place::new(CgroupMode::Auto);
    place.needs(Enforced::Syscalls);
    place
}

/// On a thread as any, and on one that has given up what following an execution does not need.
fn on_either_thread(check: impl Fn(&Place) + Sync) {
    let place = filtering();
    check(&place);
    std::thread::scope(|scope| {
        let contained = scope.spawn(|| {
            place.sandbox.contain_thread().expect("the shared part");
            check(&place);
        });
        contained.join().expect("the same on such a thread");
    });
}

fn python(place: &Place, program: &str, syscalls: SyscallIsolation) -> (Outcome, Recorder) {
    let mut spec = place.spec(PYTHON);
    spec.args = vec!["-c".into(), format!("{TRY}{program}").into()];
    spec.syscalls = syscalls;
    place.run(&spec)
}

/// Each call with arguments that succeed or fail by another errno than EPERM where they are let through
/// to an ordinary user, and the errno that it gets.
fn tries() -> Vec<(libc::c_long, &'static str, &'static str)> {
    vec![
        (libc::SYS_unshare, "0x10000000", "EPERM"),
        (libc::SYS_unshare, "0x40000000", "EPERM"),
        (
            libc::SYS_clone,
            "0x10000000 | signal.SIGCHLD, 0, 0, 0, 0",
            "EPERM",
        ),
        (libc::SYS_clone3, "0, 0", "ENOSYS"),
        (libc::SYS_ptrace, "0, 0, 0, 0", "EPERM"),
        (libc::SYS_bpf, "99, 0, 0", "EPERM"),
        (libc::SYS_userfaultfd, "0xffff", "EPERM"),
        (libc::SYS_io_uring_setup, "0, 0", "EPERM"),
        (libc::SYS_perf_event_open, "0, 0, 0, 0, 0xff", "EPERM"),
        (libc::SYS_keyctl, "99", "EPERM"),
        (libc::SYS_add_key, "0, 0, 0, 0, 0", "EPERM"),
        (libc::SYS_kcmp, "os.getpid(), os.getpid(), 0, 0, 0", "EPERM"),
        (
            libc::SYS_process_vm_readv,
            "os.getpid(), 0, 0, 0, 0, 0",
            "EPERM",
        ),
        (libc::SYS_pidfd_getfd, "0, 0, 0", "EPERM"),
        (libc::SYS_fsopen, "0, 0", "EPERM"),
        (libc::SYS_move_mount, "0, 0, 0, 0, 0", "EPERM"),
        (libc::SYS_shmget, "0, 4096, 0o600", "EPERM"),
        (libc::SYS_mq_open, "0, 0, 0, 0", "EPERM"),
        (libc::SYS_personality, "0x0400000", "EPERM"),
        (libc::SYS_ioctl, "0, 0x5412, 0", "EPERM"),
        // FS_IOC_FSSETXATTR, FS_IOC_SETFLAGS, BTRFS_IOC_SUBVOL_CREATE and BTRFS_IOC_SUBVOL_SETFLAGS.
        (libc::SYS_ioctl, "os.open('.', 0), 0x401c5820, 0", "EPERM"),
        (libc::SYS_ioctl, "os.open('.', 0), 0x40086602, 0", "EPERM"),
        (libc::SYS_ioctl, "0, 0x5000940e, 0", "EPERM"),
        (libc::SYS_ioctl, "0, 0x4008941a, 0", "EPERM"),
        // file_setattr.
        (469, "0, 0, 0, 0, 0", "EPERM"),
        (libc::SYS_prlimit64, "os.getppid(), 7, 1, 0", "EPERM"),
        // A pointer of which the lower half alone is null.
        (libc::SYS_prlimit64, "os.getpid(), 7, 1 << 32, 0", "EPERM"),
        (libc::SYS_prlimit64, "os.getpid(), 7, 0, 0", "ok"),
        (libc::SYS_socket, "38, 5, 0", "EAFNOSUPPORT"),
        (libc::SYS_socket, "40, 1, 0", "EAFNOSUPPORT"),
        (libc::SYS_socket, "16, 3, 12", "EAFNOSUPPORT"),
    ]
}

fn each_call_that_is_taken_away_answers_so() {
    on_either_thread(|place| {
        for (number, arguments, expected) in tries() {
            let program = format!("call({number}, {arguments})");
            let (outcome, recorder) = python(place, &program, SyscallIsolation::Filtered);
            assert_eq!(outcome.ending, Ending::Exited(0), "{}", recorder.err());
            assert_eq!(recorder.out().trim(), expected, "{program}");
        }
    });
}

fn some_of_the_calls_would_do_otherwise_without_the_filter() {
    let place = filtering();
    for (number, arguments) in [
        (libc::SYS_bpf, "99, 0, 0"),
        (libc::SYS_keyctl, "99"),
        (libc::SYS_shmget, "0, 0, 0"),
        (libc::SYS_personality, "0x0400000"),
        (libc::SYS_clone3, "0, 0"),
        (libc::SYS_ioctl, "os.open('.', 0), 0x401c5820, 0"),
        (libc::SYS_ioctl, "os.open('.', 0), 0x40086602, 0"),
        (libc::SYS_socket, "16, 3, 12"),
    ] {
        let program = format!("call({number}, {arguments})");
        let (_, recorder) = python(&place, &program, SyscallIsolation::Open);
        let out = recorder.out();
        assert!(
            !["EPERM", "ENOSYS", "EAFNOSUPPORT"].contains(&out.trim()),
            "{program}: {out}"
        );
    }
}

fn the_filter_holds_what_a_program_starts() {
    let place = filtering();
    let (_, recorder) = place.run(&place.shell("grep Seccomp: /proc/self/status; unshare -U true"));
    assert_eq!(recorder.out(), "Seccomp:\t2\n");
    assert!(
        recorder.err().contains("not permitted"),
        "{}",
        recorder.err()
    );
    let mut spec = place.shell("grep Seccomp: /proc/self/status");
    spec.syscalls = SyscallIsolation::Open;
    // This process itself may run under a filter; an execution has no other.
    let own = std::fs::read_to_string("/proc/self/status").expect("status");
    let mode = own
        .lines()
        .find(|line| line.starts_with("Seccomp:"))
        .expect("its mode");
    assert_eq!(place.run(&spec).1.out().trim(), mode);
}

fn the_convention_of_x32_is_no_way_around() {
    on_x86_64();
    on_either_thread(|place| {
        let (_, recorder) = python(
            place,
            &format!("call(0x40000000 + {}); call(0x40000000)", libc::SYS_getpid),
            SyscallIsolation::Filtered,
        );
        assert_eq!(recorder.out(), "ENOSYS\nENOSYS\n");
    });
}

/// Machine code that calls exit(42) by the 32-bit convention: mov eax, 1; mov ebx, 42; int 0x80; ret.
const EXIT_IN_32_BITS: &str = "
import mmap
code = mmap.mmap(-1, 4096, prot=7)
code.write(bytes.fromhex('b801000000bb2a000000cd80c3'))
address = ctypes.addressof(ctypes.c_char.from_buffer(code))
ctypes.CFUNCTYPE(None)(address)()
";

fn the_convention_of_32_bits_is_no_way_around() {
    on_x86_64();
    let place = filtering();
    let (outcome, _) = python(&place, EXIT_IN_32_BITS, SyscallIsolation::Open);
    if outcome.ending != Ending::Exited(42) {
        skip!("this kernel has no 32-bit convention: {:?}", outcome.ending);
    }
    on_either_thread(|place| {
        let (outcome, _) = python(place, EXIT_IN_32_BITS, SyscallIsolation::Filtered);
        assert_eq!(
            outcome.ending,
            Ending::Signalled(libc::SIGSYS),
            "{outcome:?}"
        );
        assert!(outcome.error.contains("32-bit"), "{}", outcome.error);
    });
}

fn on_x86_64() {
    if !cfg!(target_arch = "x86_64") {
        skip!("this processor has one convention");
    }
}

fn with_all_system_calls_too_each_execution_has_a_session_keyring_of_its_own() {
    needs(&[Need::Keyrings]);
    let place = filtering();
    // KEYCTL_GET_KEYRING_ID of KEY_SPEC_SESSION_KEYRING.
    // SAFETY: no memory is involved.
    let own = unsafe { libc::syscall(libc::SYS_keyctl, 0, -3, 1) };
    let program = format!(
        "print(libc.syscall({}, 0, ctypes.c_long(-3), 0))",
        libc::SYS_keyctl
    );
    let of_execution = || {
        let (_, recorder) = python(&place, &program, SyscallIsolation::Open);
        let id: i64 = recorder.out().trim().parse().expect("a number");
        assert!(id > 0, "{id}");
        id
    };
    let (first, second) = (of_execution(), of_execution());
    assert_ne!(first, own);
    assert_ne!(second, own);
}

fn a_thread_that_has_given_up_calls_starts_nothing_that_should_have_them() {
    let place = filtering();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..2 {
                place.sandbox.contain_thread().expect("once, and again");
            }
            let own = std::fs::read_to_string("/proc/thread-self/status").expect("status");
            assert!(own.contains("\nNoNewPrivs:\t1\n"), "{own}");
            assert!(own.contains("\nSeccomp:\t2\n"), "{own}");
            let mut spec = place.shell("echo ran");
            spec.syscalls = SyscallIsolation::Open;
            let (outcome, recorder) = place.run(&spec);
            assert_eq!(outcome.ending, Ending::SpawnFailed);
            assert!(
                outcome.error.contains("has given some up"),
                "{}",
                outcome.error
            );
            assert_eq!((recorder.out().as_str(), recorder.pid), ("", None));
        });
    });
    // The others are as they were.
    let mut spec = place.shell("echo ran");
    spec.syscalls = SyscallIsolation::Open;
    assert_eq!(place.run(&spec).1.out(), "ran\n");
}

/// What people run, in a program that does more than compute.
#[derive(Clone, Copy)]
struct Popular {
    name: &'static str,
    path: &'static str,
    arguments: &'static [&'static str],
    /// Beside it, and what is in it.
    file: Option<(&'static str, &'static str)>,
    prints: &'static str,
}

impl Case for Popular {
    fn name(&self) -> &'static str {
        self.name
    }
}

const POPULAR: [Popular; 6] = [
    Popular {
        name: "bash",
        path: "/bin/bash",
        arguments: &["-c", "a=(1 2); cat <(echo ${a[1]})"],
        file: None,
        prints: "2\n",
    },
    Popular {
        name: "python",
        path: PYTHON,
        arguments: &["main.py"],
        file: Some(("main.py", IN_PYTHON)),
        prints: "process\nthread\nprogram\nTrue\n4\n",
    },
    Popular {
        name: "perl",
        path: "/usr/bin/perl",
        arguments: &["-e", "print `echo program`"],
        file: None,
        prints: "program\n",
    },
    Popular {
        name: "node",
        path: "/usr/bin/node",
        arguments: &["main.js"],
        file: Some(("main.js", IN_JAVASCRIPT)),
        prints: "program\n",
    },
    Popular {
        name: "java",
        path: "/usr/bin/java",
        arguments: &["Main.java"],
        file: Some(("Main.java", IN_JAVA)),
        prints: "thread\nprogram\n",
    },
    Popular {
        name: "curl",
        path: "/usr/bin/curl",
        arguments: &["-s", "file:///proc/self/comm"],
        file: None,
        prints: "curl\n",
    },
];

const IN_PYTHON: &str = "
import multiprocessing, socket, subprocess, tempfile, threading
def child(pipe): pipe.send('process')
if __name__ == '__main__':
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=child, args=(there,))
    process.start(); print(here.recv()); process.join()
    thread = threading.Thread(target=print, args=('thread',))
    thread.start(); thread.join()
    print(subprocess.run(['echo', 'program'], capture_output=True, text=True).stdout, end='')
    print(len(socket.getaddrinfo('127.0.0.1', 80)) > 0)
    with tempfile.TemporaryFile() as file: print(file.write(b'four'))
";

const IN_JAVASCRIPT: &str = "
const { Worker, isMainThread } = require('worker_threads');
if (isMainThread) new Worker(process.argv[1]).on('exit', () =>
  require('fs').writeFile('f', 'x', () =>
    require('child_process').exec('echo program', (e, out) =>
      require('dns').lookup('localhost', () => console.log(out.trim())))));
";

const IN_JAVA: &str = "public class Main { public static void main(String[] a) throws Exception {
    Thread t = new Thread(() -> System.out.println(\"thread\")); t.start(); t.join();
    new ProcessBuilder(\"echo\", \"program\").inheritIO().start().waitFor(); } }";

fn what_people_run_runs(popular: Popular) {
    needs(&[Need::Program(popular.path)]);
    // Not every container has it, and the file that bash opens is below.
    if popular.name == "bash" {
        needs(&[Need::Program("/dev/fd")]);
    }
    let place = filtering();
    if let Some((name, text)) = popular.file {
        place.file(name, text.as_bytes(), 0o644);
    }
    let mut spec = place.spec(popular.path);
    spec.args = strings(popular.arguments);
    let (outcome, recorder) = place.run(&spec);
    assert_eq!(
        (outcome.ending, recorder.out().as_str()),
        (Ending::Exited(0), popular.prints),
        "{} {}",
        outcome.error,
        recorder.err()
    );
}
