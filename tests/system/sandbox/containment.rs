//! What a program finds around itself.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::AsRawFd;

use flux::model::execution::Ending;
use flux::sandbox::{
    CgroupMode, Enforced, FileAccess, Identity, Sandbox, SandboxConfig, SandboxError, SpawnWay,
    Spec, StopReason,
};

use super::place::{Opening, Place, config, eventually, is_alive, is_root, strings};
use crate::runner::{Need, needs, skip, tests};

tests![
    the_environment_is_the_given_one_and_nothing_else,
    only_the_three_standard_descriptors_are_open,
    the_program_leads_a_session_and_a_group_of_its_own,
    no_signal_is_blocked_or_ignored,
    privileges_can_neither_be_had_nor_gained,
    the_bounding_set_of_capabilities_is_empty,
    root_gives_its_user_group_and_groups_away,
    the_program_dies_with_its_agent_even_after_the_change_of_user,
    resource_limits_hold,
    the_program_is_born_in_its_cgroup_in_every_way,
    what_is_missing_is_listed_and_refused_where_isolation_is_required,
    names_and_roots_that_would_lead_elsewhere_are_refused,
    the_memory_limit_kills_the_whole_tree_and_is_named,
    the_limits_of_processes_and_processor_are_in_force,
    a_tree_that_may_hardly_compute_dies_in_time,
    an_agent_that_is_spared_when_memory_runs_out_starts_nothing_that_is,
];

const NOBODY: Identity = Identity {
    uid: 65_534,
    gid: 65_534,
};

fn as_nobody(mode: CgroupMode) -> Place {
    Opening {
        mode,
        identity: Some(NOBODY),
        ..Opening::default()
    }
    .open()
}

/// What `script` prints, in every mode and way.
fn in_every_way(script: &str, check: impl Fn(&str)) {
    run_in_every_way(|place| place.shell(script), check);
}

fn run_in_every_way(spec: impl Fn(&Place) -> Spec, check: impl Fn(&str)) {
    for mode in [CgroupMode::Auto, CgroupMode::Off] {
        for way in [SpawnWay::Clone3, SpawnWay::Clone] {
            let place = Opening {
                mode,
                way,
                ..Opening::default()
            }
            .open();
            let (outcome, recorder) = place.run(&spec(&place));
            assert_eq!(
                outcome.ending,
                Ending::Exited(0),
                "{way:?}: {outcome:?} {}",
                recorder.err()
            );
            check(&recorder.out());
        }
    }
}

fn the_environment_is_the_given_one_and_nothing_else() {
    let place = Place::new(CgroupMode::Auto);
    let mut spec = place.spec("/usr/bin/env");
    spec.env.push(("EMPTY".into(), "".into()));
    spec.env.push(("LINES".into(), "a=b\nc".into()));
    let (_, recorder) = place.run(&spec);
    let expected: String = spec
        .env
        .iter()
        .map(|(name, value)| format!("{}={}\n", name.display(), value.display()))
        .collect();
    assert_eq!(recorder.out(), expected);
}

fn only_the_three_standard_descriptors_are_open() {
    // One that would be inherited, if it were not closed.
    let file = std::fs::File::open("/dev/null").expect("a descriptor");
    let flags = nix::fcntl::FcntlArg::F_DUPFD(100);
    let inheritable = nix::fcntl::fcntl(&file, flags).expect("a copy without close-on-exec");
    assert!(inheritable >= 100 && file.as_raw_fd() > 2);
    in_every_way("ls /proc/$$/fd; true", |out| assert_eq!(out, "0\n1\n2\n"));
}

fn the_program_leads_a_session_and_a_group_of_its_own() {
    in_every_way("cut -d' ' -f1,5,6 /proc/$$/stat; true", |out| {
        let numbers: BTreeSet<&str> = out.split_whitespace().collect();
        assert_eq!(numbers.len(), 1, "{out}");
    });
}

fn no_signal_is_blocked_or_ignored() {
    // Rust ignores SIGPIPE, and this thread blocks one more.
    let mut blocked = nix::sys::signal::SigSet::empty();
    blocked.add(nix::sys::signal::Signal::SIGUSR1);
    blocked.thread_block().expect("a blocked signal");
    // No shell between: it would unblock them itself.
    let grep = |place: &Place| {
        let mut spec = place.spec("/bin/grep");
        spec.args = strings(&["-E", "^Sig(Blk|Ign):", "/proc/self/status"]);
        spec
    };
    run_in_every_way(grep, |out| {
        assert_eq!(
            out,
            "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
        );
    });
    assert!(
        nix::sys::signal::SigSet::thread_get_mask()
            .expect("own mask")
            .contains(nix::sys::signal::Signal::SIGUSR1),
        "the caller's own mask is as before"
    );
}

fn privileges_can_neither_be_had_nor_gained() {
    in_every_way(
        "grep -E '^(NoNewPrivs|Cap)' /proc/self/status; umask",
        |out| {
            assert!(out.contains("NoNewPrivs:\t1\n"), "{out}");
            for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
                assert!(
                    out.contains(&format!("{set}:\t0000000000000000\n")),
                    "{out}"
                );
            }
            assert!(out.ends_with("0077\n"), "{out}");
        },
    );
}

fn the_bounding_set_of_capabilities_is_empty() {
    needs(&[Need::Root]);
    in_every_way("grep CapBnd /proc/self/status", |out| {
        assert_eq!(out, "CapBnd:\t0000000000000000\n");
    });
}

fn root_gives_its_user_group_and_groups_away() {
    needs(&[Need::Root]);
    let groups = [1, 2, 3].map(nix::unistd::Gid::from_raw);
    nix::unistd::setgroups(&groups).expect("groups to give away");
    for mode in [CgroupMode::Auto, CgroupMode::Off] {
        let place = as_nobody(mode);
        assert!(place.enforces(Enforced::User));
        let spec = place.shell("grep -E '^(Uid|Gid|Groups):' /proc/self/status; touch /proc/1/x");
        let (_, recorder) = place.run(&spec);
        let ids = "65534\t65534\t65534\t65534\n";
        assert_eq!(
            recorder.out(),
            format!("Uid:\t{ids}Gid:\t{ids}Groups:\t \n")
        );
        assert!(!recorder.err().is_empty());
    }
}

fn the_program_dies_with_its_agent_even_after_the_change_of_user() {
    // PR_GET_PDEATHSIG has no file in /proc; the leftovers' tests see the deed itself. Here: that the
    // change of user, which clears it, comes first.
    needs(&[Need::Root, Need::Program("/usr/bin/python3")]);
    let place = as_nobody(CgroupMode::Auto);
    let mut spec = place.spec("/usr/bin/python3");
    let script = "import ctypes; n = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(n), 0, 0, 0); print(n.value)";
    spec.args = vec!["-c".into(), script.into()];
    let (outcome, recorder) = place.run(&spec);
    assert_eq!(recorder.out(), "9\n", "{outcome:?} {}", recorder.err());
}

fn resource_limits_hold() {
    let place = Place::new(CgroupMode::Auto);
    let mut spec =
        place.shell("ulimit -n; ulimit -Hn; ulimit -c; ulimit -f; head -c 5000 /dev/zero >big");
    spec.limits.nofile = Some(64);
    spec.limits.fsize = Some(4096);
    let (outcome, recorder) = place.run(&spec);
    assert_eq!(recorder.out(), "64\n64\n0\n8\n");
    assert_ne!(outcome.ending, Ending::Exited(0));
    assert_eq!(
        std::fs::metadata(place.root().join("big"))
            .expect("a file")
            .len(),
        4096
    );
    spec = place.shell("ulimit -n");
    spec.limits.nofile = Some(u64::MAX);
    let (outcome, _) = place.run(&spec);
    assert_eq!(
        outcome.ending,
        Ending::Exited(0),
        "more than the agent has is what the agent has"
    );
}

fn the_program_is_born_in_its_cgroup_in_every_way() {
    for way in [SpawnWay::Clone3, SpawnWay::Clone] {
        let place = Opening {
            mode: CgroupMode::Auto,
            way,
            identity: is_root().then_some(NOBODY),
            ..Opening::default()
        }
        .open();
        place.needs(Enforced::CgroupKill);
        let spec = place.shell("grep ^0:: /proc/self/cgroup");
        let (_, recorder) = place.run(&spec);
        assert!(
            recorder
                .out()
                .trim_end()
                .ends_with(spec.execution_id.as_str()),
            "{way:?}: {}",
            recorder.out()
        );
    }
}

fn what_is_missing_is_listed_and_refused_where_isolation_is_required() {
    let root = tempfile::tempdir().expect("a directory");
    let open = |require_isolation| {
        Sandbox::open(SandboxConfig {
            require_isolation,
            ..config(root.path(), CgroupMode::Off, None)
        })
    };
    let sandbox = open(false).expect("a sandbox with less");
    for what in Enforced::ALL {
        let missing = sandbox
            .missing()
            .iter()
            .any(|it| it.what == what && !it.reason.is_empty());
        assert_ne!(
            sandbox.enforced().contains(&what),
            missing,
            "{what} is the one or the other"
        );
    }
    let error = open(true).expect_err("no cgroup, no isolation");
    assert!(matches!(error, SandboxError::NotIsolated { .. }));
    let text = error.to_string();
    assert!(
        text.contains("memory") && text.contains("switched off"),
        "{text}"
    );
}

fn names_and_roots_that_would_lead_elsewhere_are_refused() {
    for name in ["", "a/b", "../x"] {
        let config = SandboxConfig {
            name: name.to_owned(),
            ..config("/tmp".as_ref(), CgroupMode::Auto, None)
        };
        assert!(
            matches!(Sandbox::open(config), Err(SandboxError::Name { .. })),
            "{name}"
        );
    }
    let relative = config("work".as_ref(), CgroupMode::Auto, None);
    assert!(matches!(
        Sandbox::open(relative),
        Err(SandboxError::WorkRoot { .. })
    ));
}

fn the_memory_limit_kills_the_whole_tree_and_is_named() {
    let place = Place::new(CgroupMode::Auto);
    place.needs(Enforced::Memory);
    let mut spec = place.shell("sleep 1000 & echo $!; tail /dev/zero; exit 0");
    spec.limits.memory = Some(flux::base::units::Mib(32));
    let (outcome, recorder) = place.run(&spec);
    assert_eq!(outcome.ending, Ending::OutOfMemory, "{outcome:?}");
    assert!(outcome.error.contains("32 MiB"), "{}", outcome.error);
    eventually("its neighbour is dead", || !is_alive(recorder.out().trim()));
}

fn the_limits_of_processes_and_processor_are_in_force() {
    let place = Place::new(CgroupMode::Auto);
    place.needs(Enforced::Pids);
    place.needs(Enforced::Cpu);
    let mut spec = place.shell("dir=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup); cat $dir/pids.max $dir/cpu.max $dir/memory.swap.max");
    spec.limits.pids = std::num::NonZeroU32::new(20);
    spec.limits.cpu_millicores = std::num::NonZeroU32::new(250);
    let (_, recorder) = place.run(&spec);
    assert!(
        recorder.out().starts_with("20\n25000 100000\n"),
        "{}",
        recorder.out()
    );
}

/// Processes take processor time to die.
#[expect(clippy::disallowed_methods, reason = "a file of the kernel's")]
fn a_tree_that_may_hardly_compute_dies_in_time() {
    let place = Place::new(CgroupMode::Auto);
    place.needs(Enforced::Cpu);
    let script = "n=0; while [ $n -lt 300 ]; do sleep 1000 & n=$((n + 1)); done; \
                  echo $(cut -d: -f3 /proc/self/cgroup) ready; wait";
    let (outcome, _) = place.run_until(&place.shell(script), "ready", |control, out| {
        // Not from the start, with which they would take minutes to begin.
        let cgroup = out.split(' ').next().unwrap_or_default();
        let file = format!("/sys/fs/cgroup{cgroup}/cpu.max");
        fs::write(file, "1000 1000000").expect("a limit");
        control.stop(StopReason::Cancelled);
    });
    assert!(outcome.tree_confirmed_dead, "{}", outcome.error);
}

#[expect(clippy::disallowed_methods, reason = "a file of the kernel's")]
fn an_agent_that_is_spared_when_memory_runs_out_starts_nothing_that_is() {
    let file = "/proc/self/oom_score_adj";
    if let Err(error) = fs::write(file, "-300") {
        skip!("it takes CAP_SYS_RESOURCE to be spared when memory runs out: {error}");
    }
    for way in [SpawnWay::Clone3, SpawnWay::Clone] {
        let place = Opening {
            way,
            identity: Some(NOBODY),
            ..Opening::default()
        }
        .open();
        let script = format!("cat {file}; echo -1 >{file} || echo 0 >{file} && cat {file}");
        let mut spec = place.shell(&script);
        // So that nothing but the score's own rule refuses a lower one.
        spec.files = FileAccess::Open;
        let (outcome, recorder) = place.run(&spec);
        assert_eq!(recorder.out(), "0\n0\n", "{outcome:?} {}", recorder.err());
    }
    // What shares the agent's memory for a moment shares no score with it.
    assert_eq!(fs::read_to_string(file).expect("own").trim(), "-300");
}
