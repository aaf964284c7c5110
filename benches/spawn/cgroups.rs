//! What the calls that make, limit and remove a cgroup cost by themselves, each with a process that
//! has lived in it: the most that keeping emptied ones for the next execution could save.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::floor::posix_spawn_in;

/// As the sandbox writes them for an execution with every limit.
const LIMITS: [(&str, &str); 5] = [
    ("memory.max", "268435456"),
    ("memory.oom.group", "1"),
    ("memory.swap.max", "0"),
    ("cpu.max", "100000 100000"),
    ("pids.max", "256"),
];
const FIGURES: [&str; 5] = [
    "cpu.stat",
    "memory.peak",
    "memory.events",
    "io.stat",
    "cgroup.events",
];

/// Prints the median of each call, in cgroups that are made anew and in one that is kept.
pub fn report(rounds: usize) {
    let Some(base) = base() else {
        println!("no cgroup v2 to be had here");
        return;
    };
    println!("cgroups in {}", base.display());
    let mut times = Times::default();
    let kept = base.join("kept");
    fs::create_dir(&kept).expect("a cgroup");
    for round in 0..rounds {
        let fresh = base.join(format!("fresh-{round}"));
        times.take("mkdir", || fs::create_dir(&fresh));
        for (name, value) in LIMITS {
            times.take(&format!("write {name}, new"), || write(&fresh, name, value));
        }
        times.take("a process in it, new", || posix_spawn_in(&fresh));
        read(&mut times, &fresh, "new");
        times.take("rmdir", || fs::remove_dir(&fresh));
        for (name, value) in LIMITS {
            times.take(&format!("write {name}, kept"), || write(&kept, name, value));
        }
        times.take("a process in it, kept", || posix_spawn_in(&kept));
        read(&mut times, &kept, "kept");
    }
    times.print();
    for directory in [&kept, &base] {
        fs::remove_dir(directory).expect("remove the cgroup");
    }
}

fn read(times: &mut Times, cgroup: &Path, which: &str) {
    for name in FIGURES {
        times.take(&format!("read {name}, {which}"), || {
            fs::read(cgroup.join(name)).map(drop)
        });
    }
}

/// A cgroup of ours, below the one this process is in or the root, with what controllers there are.
fn base() -> Option<PathBuf> {
    let mounts = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
    let mount = mounts
        .into_iter()
        .find(|mount| mount.join("cgroup.controllers").exists())?;
    let controllers = fs::read_to_string(mount.join("cgroup.controllers")).ok()?;
    let base = mount.join(format!("flux-bench-{}", std::process::id()));
    fs::create_dir(&base).ok()?;
    for place in [mount, &base] {
        for controller in controllers.split_whitespace() {
            // One that is refused only leaves its files out.
            let _ = write(place, "cgroup.subtree_control", &format!("+{controller}"));
        }
    }
    Some(base)
}

fn write(cgroup: &Path, name: &str, value: &str) -> io::Result<()> {
    let mut file = fs::File::options().write(true).open(cgroup.join(name))?;
    file.write_all(value.as_bytes())
}

/// Of each call, in the order of their first.
#[derive(Default)]
struct Times(Vec<(String, Vec<Duration>)>);

impl Times {
    /// A file that this kernel or base lacks has no figure.
    fn take(&mut self, name: &str, call: impl FnOnce() -> io::Result<()>) {
        let began = Instant::now();
        let result = call();
        let took = began.elapsed();
        match result {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => panic!("{name}: {error}"),
        }
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, times)) => times.push(took),
            None => self.0.push((name.to_owned(), vec![took])),
        }
    }

    fn print(&mut self) {
        for (name, times) in &mut self.0 {
            times.sort_unstable();
            println!(
                "{name:<32} {:>7.1} µs",
                times[times.len() / 2].as_secs_f64() * 1e6
            );
        }
    }
}
