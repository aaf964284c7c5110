//! System calls that no function needs are gone, and programs run as if they were there.

use flux::model::execution::Ending;
use flux::model::isolation::SyscallIsolation;
use flux::sandbox::{CgroupMode, Enforced, Outcome};

use super::harness::{Place, Recorder};

const PYTHON: &str = "/usr/bin/python3";

/// A Python program of one line: with `call(number, …)`, which prints the name of its errno or `ok`.
const TRY: &str = "
import ctypes, errno, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_ulong(a) for a in arguments])
    print('ok' if result >= 0 else errno.errorcode[ctypes.get_errno()])
";

fn filtering() -> Option<Place> {
    let place = Place::new(CgroupMode::Auto);
    place.enforces(Enforced::Syscalls).then_some(place)
}

/// On a thread as any, and on one that has given up what following an execution does not need.
fn on_either_thread(check: impl Fn(&Place) + Sync) {
    let Some(place) = filtering() else { return };
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

#[test]
fn each_call_that_is_taken_away_answers_so_and_would_do_otherwise() {
    on_either_thread(|place| {
        for (number, arguments, expected) in tries() {
            let program = format!("call({number}, {arguments})");
            let (outcome, recorder) = python(place, &program, SyscallIsolation::Filtered);
            assert_eq!(outcome.ending, Ending::Exited(0), "{}", recorder.err());
            assert_eq!(recorder.out().trim(), expected, "{program}");
        }
    });
    let Some(place) = filtering() else { return };
    // Some of them without the filter: what answers above is the filter.
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

#[test]
fn the_filter_holds_what_a_program_starts() {
    let Some(place) = filtering() else { return };
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

/// Machine code that calls exit(42) by the 32-bit convention (int 0x80), and getpid by x32.
#[cfg(target_arch = "x86_64")]
#[test]
fn other_conventions_are_no_way_around() {
    on_either_thread(|place| {
        let (_, recorder) = python(
            place,
            &format!("call(0x40000000 + {}); call(0x40000000)", libc::SYS_getpid),
            SyscallIsolation::Filtered,
        );
        assert_eq!(recorder.out(), "ENOSYS\nENOSYS\n");
    });
    // mov eax, 1; mov ebx, 42; int 0x80; ret
    let program = "
import mmap
code = mmap.mmap(-1, 4096, prot=7)
code.write(bytes.fromhex('b801000000bb2a000000cd80c3'))
address = ctypes.addressof(ctypes.c_char.from_buffer(code))
ctypes.CFUNCTYPE(None)(address)()
";
    let Some(place) = filtering() else { return };
    let (outcome, _) = python(&place, program, SyscallIsolation::Open);
    if outcome.ending != Ending::Exited(42) {
        println!("skipped: this kernel has no 32-bit convention: {outcome:?}");
        return;
    }
    on_either_thread(|place| {
        let (outcome, _) = python(place, program, SyscallIsolation::Filtered);
        assert_eq!(
            outcome.ending,
            Ending::Signalled(libc::SIGSYS),
            "{outcome:?}"
        );
        assert!(outcome.error.contains("32-bit"), "{}", outcome.error);
    });
}

#[test]
fn with_all_system_calls_too_each_execution_has_a_session_keyring_of_its_own() {
    let Some(place) = filtering() else { return };
    // KEYCTL_GET_KEYRING_ID of KEY_SPEC_SESSION_KEYRING, which it makes where there is none.
    // SAFETY: no memory is involved.
    let own = unsafe { libc::syscall(libc::SYS_keyctl, 0, -3, 1) };
    if own < 0 {
        println!("skipped: this kernel has no keys");
        return;
    }
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

#[test]
fn a_thread_that_has_given_up_calls_starts_nothing_that_should_have_them() {
    let Some(place) = filtering() else { return };
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

#[test]
fn what_people_run_runs() {
    let Some(place) = filtering() else { return };
    let processes = "
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
    let node = "
const { Worker, isMainThread } = require('worker_threads');
if (isMainThread) new Worker(process.argv[1]).on('exit', () =>
  require('fs').writeFile('f', 'x', () =>
    require('child_process').exec('echo program', (e, out) =>
      require('dns').lookup('localhost', () => console.log(out.trim())))));
";
    let java = "public class Main { public static void main(String[] a) throws Exception {
        Thread t = new Thread(() -> System.out.println(\"thread\")); t.start(); t.join();
        new ProcessBuilder(\"echo\", \"program\").inheritIO().start().waitFor(); } }";
    let written = [
        ("main.py", processes),
        ("main.js", node),
        ("Main.java", java),
    ];
    for (name, text) in written {
        place.file(name, text.as_bytes(), 0o644);
    }
    for (program, arguments, expected) in [
        ("/bin/bash", "-c|a=(1 2); cat <(echo ${a[1]})", "2\n"),
        (PYTHON, "main.py", "process\nthread\nprogram\nTrue\n4\n"),
        ("/usr/bin/perl", "-e|print `echo program`", "program\n"),
        ("/usr/bin/node", "main.js", "program\n"),
        ("/usr/bin/java", "Main.java", "thread\nprogram\n"),
        ("/usr/bin/curl", "-s|file:///proc/self/comm", "curl\n"),
    ] {
        if !std::path::Path::new(program).exists() {
            println!("skipped: no {program}");
            continue;
        }
        if arguments.contains("<(") && !std::path::Path::new("/dev/fd").exists() {
            println!("skipped: no /dev/fd for {program}");
            continue;
        }
        let mut spec = place.spec(program);
        spec.args = arguments.split('|').map(Into::into).collect();
        let (outcome, recorder) = place.run(&spec);
        assert_eq!(
            (outcome.ending, recorder.out().as_str()),
            (Ending::Exited(0), expected),
            "{program}: {} {}",
            outcome.error,
            recorder.err()
        );
    }
}
