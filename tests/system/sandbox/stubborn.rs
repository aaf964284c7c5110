//! Trees that do what they can not to be ended: they fork while they are killed, are stopped, deaf or
//! far from their parents. With `cgroup.kill`, without it as before Linux 5.14, and without cgroups.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flux::model::execution::Ending;
use flux::sandbox::{Enforced, FileAccess, StopReason};

use super::place::{Mode, cgroups_called, eventually, is_alive, state, strings};
use crate::runner::{helper, tests};

tests![
    a_tree_that_forks_while_it_is_killed_is_dead_when_the_stop_answers in Mode::IN_CGROUPS,
    who_is_stopped_or_deaf_or_far_from_its_parents_dies_all_the_same in Mode::EVERY,
];

const HEADS: usize = 6;
/// Silence after which a head counts as cut off.
const SILENCE_MS: u64 = 50;
/// After which its heads are at every stage of their lives.
const HYDRA_YOUTH: Duration = Duration::from_millis(100);
/// For the case that nobody ends it.
const HYDRA_LIFE: Duration = Duration::from_secs(20);

/// Stopped, and deaf to what can be ignored; both say that they are there.
const STOPPED: &str = ": >here.$$.stopped; kill -STOP $$; sleep 1000\n";
const DEAF: &str = "trap '' TERM HUP INT QUIT TSTP; : >here.$$.deaf; sleep 1000; sleep 1000\n";
/// The second of each kind was forked twice, and has a session of its own.
const STUBBORN: &str =
    "sh stopped.sh & sh deaf.sh & (setsid sh stopped.sh &) ; (setsid sh deaf.sh &)
until set -- here.*; [ $# -eq 4 ]; do sleep 0.2; done
printf '%s\\n' $* ready; sleep 1000";

fn a_tree_that_forks_while_it_is_killed_is_dead_when_the_stop_answers(mode: Mode) {
    let place = mode.place();
    // More than once, because each time is another race.
    for _ in 0..3 {
        let mut spec = place.spec(helper::this_program());
        spec.args = strings(&helper::arguments("sandbox::stubborn::a_hydra"));
        spec.files = FileAccess::Open;
        let (outcome, _) = place.run_until(&spec, "ready", |control, _| {
            control.stop(StopReason::Cancelled);
        });
        assert_eq!(outcome.ending, Ending::Cancelled);
        assert!(outcome.tree_confirmed_dead, "{}", outcome.error);
        assert_eq!(living_in(place.root()), Vec::<String>::new());
        assert_eq!(
            cgroups_called(spec.execution_id.as_str()),
            Vec::<PathBuf>::new()
        );
    }
}

/// The program of the test above.
pub fn a_hydra() {
    nix::sys::prctl::set_child_subreaper(true).expect("a parent of orphans");
    let hydra = Hydra::new();
    for head in 0..HEADS {
        if fork() == 0 {
            hydra.live(head, 0);
        }
    }
    // Whoever has started a successor is reaped here: the machine's init may be slow at it.
    let mut is_grown = false;
    while nix::sys::wait::wait().is_ok() {
        if !is_grown && hydra.began.elapsed() > HYDRA_YOUTH {
            is_grown = true;
            println!("ready");
        }
    }
}

/// Heads of which each is another process at every moment, because each starts its successor and
/// ends: who was listed is gone, and somebody else is there. Each also grows its neighbour anew when
/// that is cut off. So all must die at one blow.
#[derive(Clone, Copy)]
struct Hydra {
    /// In shared memory: when each head last moved, in milliseconds, and in the highest 16 bits how often
    /// it was grown anew. One that lives and finds itself replaced ends: there are never many more.
    heads: &'static [AtomicU64; HEADS],
    began: Instant,
}

impl Hydra {
    fn new() -> Hydra {
        // SAFETY: nothing is there before it.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size_of::<[AtomicU64; HEADS]>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(memory, libc::MAP_FAILED);
        Hydra {
            // SAFETY: a page of zeros, which is aligned, large enough and never unmapped.
            heads: unsafe { &*memory.cast() },
            began: Instant::now(),
        }
    }

    /// In a child of a process with threads: system calls alone.
    fn live(self, mut head: usize, mut growth: u64) -> ! {
        while self.began.elapsed() < HYDRA_LIFE {
            let now = self.began.elapsed().as_millis() as u64;
            let moved = self.heads[head].fetch_max(growth << 48 | now, Ordering::SeqCst);
            if moved >> 48 != growth {
                break;
            }
            let neighbour = (head + 1) % HEADS;
            let seen = self.heads[neighbour].load(Ordering::SeqCst);
            let regrown = (seen >> 48) + 1;
            let is_cut_off = now > (seen & 0xffff_ffff_ffff) + SILENCE_MS;
            if is_cut_off && self.take(neighbour, seen, regrown << 48 | now) && fork() == 0 {
                (head, growth) = (neighbour, regrown);
            } else if fork() > 0 {
                break;
            }
        }
        // SAFETY: ends this process, and runs nothing of its parent's.
        unsafe { libc::_exit(0) }
    }

    fn take(self, head: usize, seen: u64, own: u64) -> bool {
        let heads = &self.heads[head];
        let taken = heads.compare_exchange(seen, own, Ordering::SeqCst, Ordering::SeqCst);
        taken.is_ok()
    }
}

fn fork() -> i32 {
    // SAFETY: the child makes system calls alone.
    unsafe { libc::fork() }
}

fn who_is_stopped_or_deaf_or_far_from_its_parents_dies_all_the_same(mode: Mode) {
    let place = mode.place();
    place.file("stopped.sh", STOPPED.as_bytes(), 0o644);
    place.file("deaf.sh", DEAF.as_bytes(), 0o644);
    let spec = place.shell(STUBBORN);
    let in_cgroup = usize::from(place.sandbox.enforced().contains(&Enforced::CgroupKill));
    let id = spec.execution_id.clone();
    let (outcome, recorder) = place.run_until(&spec, "ready", move |control, out| {
        assert_eq!(cgroups_called(id.as_str()).len(), in_cgroup);
        for (pid, kind) in told(out) {
            match kind {
                "stopped" => eventually("it stops", || state(pid) == Some('T')),
                _ => assert!(is_alive(pid)),
            }
        }
        control.stop(StopReason::Cancelled);
    });
    assert_eq!(outcome.ending, Ending::Cancelled);
    assert!(outcome.tree_confirmed_dead, "{}", outcome.error);
    let out = recorder.out();
    assert_eq!(told(&out).len(), 4, "{out}");
    assert!(told(&out).iter().all(|(pid, _)| !is_alive(pid)), "{out}");
    assert_eq!(living_in(place.root()), Vec::<String>::new());
    assert_eq!(
        cgroups_called(spec.execution_id.as_str()),
        Vec::<PathBuf>::new()
    );
}

/// Number and kind, from lines of `here.NUMBER.KIND`.
fn told(out: &str) -> Vec<(&str, &str)> {
    let lines = out.lines().filter_map(|line| line.strip_prefix("here."));
    lines.filter_map(|line| line.split_once('.')).collect()
}

/// Processes whose working directory this is.
fn living_in(directory: &Path) -> Vec<String> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let names = processes.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| name.parse::<i32>().is_ok())
        .filter(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == directory))
        .filter(|pid| is_alive(pid))
        .collect()
}
