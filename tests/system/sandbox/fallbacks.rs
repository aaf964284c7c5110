//! What is missing on a machine is said, and never pretended. A filter around this process stands for
//! the older kernel or the stricter container.

use flux::model::execution::Ending;
use flux::model::isolation::NetworkIsolation;
use flux::sandbox::{CgroupMode, Enforced, Identities, Identity, Sandbox, SandboxError};

use super::place::{Opening, Place, config, refuse_calls};
use crate::runner::{Need, needs, tests};

tests![
    without_landlock_executions_run_with_less_and_it_is_said,
    without_filters_of_system_calls_executions_run_with_less_and_it_is_said,
    without_close_range_descriptors_are_closed_one_by_one,
    without_clone3_all_of_the_containment_is_there_all_the_same,
    without_clone3_executions_have_no_network_all_the_same,
    without_clone3_files_are_out_of_reach_all_the_same,
    a_step_that_fails_in_the_child_is_no_start,
    with_all_that_this_machine_has_only_cgroups_can_be_missing,
];

fn reason(place: &Place, what: Enforced) -> String {
    let found = place.sandbox.missing().iter().find(|it| it.what == what);
    found
        .unwrap_or_else(|| panic!("{what} is not missing"))
        .reason
        .clone()
}

/// Whether opening with `require_isolation` is refused and names `what`.
fn is_demanded(what: Enforced) -> bool {
    let root = tempfile::tempdir().expect("a directory");
    let mut config = config(root.path(), CgroupMode::Auto, None);
    config.require_isolation = true;
    match Sandbox::open(config) {
        Err(SandboxError::NotIsolated { missing }) => missing.iter().any(|it| it.what == what),
        other => panic!("{other:?}"),
    }
}

fn without_landlock_executions_run_with_less_and_it_is_said() {
    for (errno, part) in [
        (libc::ENOSYS, "CONFIG_SECURITY_LANDLOCK"),
        (libc::EOPNOTSUPP, "lsm="),
        (libc::EPERM, "not permitted"),
    ] {
        refuse_calls(&[(libc::SYS_landlock_create_ruleset, errno)]);
        let place = Place::new(CgroupMode::Auto);
        for what in [
            Enforced::Files,
            Enforced::ForeignMemory,
            Enforced::ForeignSignals,
        ] {
            assert!(
                reason(&place, what).contains(part),
                "{}",
                reason(&place, what)
            );
        }
        assert!(place.enforces(Enforced::Syscalls));
        let (outcome, recorder) = place.run(&place.shell("ls / >/dev/null && echo ran"));
        assert_eq!(recorder.out(), "ran\n", "{outcome:?}");
        assert!(is_demanded(Enforced::Files) && is_demanded(Enforced::ForeignMemory));
    }
}

fn without_filters_of_system_calls_executions_run_with_less_and_it_is_said() {
    refuse_calls(&[(libc::SYS_seccomp, libc::ENOSYS)]);
    let place = Place::new(CgroupMode::Auto);
    let reason = reason(&place, Enforced::Syscalls);
    assert!(reason.contains("CONFIG_SECCOMP_FILTER"), "{reason}");
    assert!(!place.enforces(Enforced::Syscalls));
    let (outcome, recorder) = place.run(&place.shell("echo ran"));
    assert_eq!(recorder.out(), "ran\n", "{outcome:?}");
    assert!(is_demanded(Enforced::Syscalls));
}

fn without_close_range_descriptors_are_closed_one_by_one() {
    refuse_calls(&[(libc::SYS_close_range, libc::ENOSYS)]);
    let file = std::fs::File::open("/dev/null").expect("a descriptor");
    let flags = nix::fcntl::FcntlArg::F_DUPFD(300);
    nix::fcntl::fcntl(&file, flags).expect("a copy that would be inherited");
    let place = Place::new(CgroupMode::Auto);
    let (_, recorder) = place.run(&place.shell("ls /proc/$$/fd; true"));
    assert_eq!(recorder.out(), "0\n1\n2\n");
}

/// Without that call in either of the ways in which it can be missing.
fn without_clone3(check: impl Fn(&Place)) {
    for errno in [libc::ENOSYS, libc::EPERM] {
        refuse_calls(&[(libc::SYS_clone3, errno)]);
        check(&Place::new(CgroupMode::Auto));
    }
}

fn without_clone3_all_of_the_containment_is_there_all_the_same() {
    let before = Place::new(CgroupMode::Auto).sandbox.enforced().to_vec();
    without_clone3(|place| {
        assert_eq!(place.sandbox.enforced(), before);
        place.needs(Enforced::Syscalls);
        let spec = place.shell("unshare -U true 2>/dev/null || echo held");
        assert_eq!(place.run(&spec).1.out(), "held\n");
    });
}

fn without_clone3_executions_have_no_network_all_the_same() {
    without_clone3(|place| {
        place.needs(Enforced::NetworkNone);
        let mut spec = place.shell("cut -d: -f1 /proc/net/dev | tail -n +3");
        spec.network = NetworkIsolation::None;
        let (outcome, recorder) = place.run(&spec);
        assert_eq!(recorder.out().trim(), "lo", "{outcome:?}");
    });
}

fn without_clone3_files_are_out_of_reach_all_the_same() {
    without_clone3(|place| {
        place.needs(Enforced::Files);
        let (outcome, _) = place.run(&place.shell("ls /root"));
        assert_ne!(outcome.ending, Ending::Exited(0), "/root is out of reach");
    });
}

fn a_step_that_fails_in_the_child_is_no_start() {
    let place = Place::new(CgroupMode::Auto);
    place.needs(Enforced::Files);
    place.needs(Enforced::Syscalls);
    for (call, part) in [
        (libc::SYS_seccomp, "filter its system calls"),
        (libc::SYS_landlock_restrict_self, "Landlock"),
    ] {
        // After the sandbox was opened, and so after it said what it enforces.
        refuse_calls(&[(call, libc::EPERM)]);
        let (outcome, recorder) = place.run(&place.shell("touch ran"));
        assert_eq!(outcome.ending, Ending::SpawnFailed);
        assert!(outcome.error.contains(part), "{}", outcome.error);
        assert_eq!(recorder.pid, None);
    }
    assert!(!place.root().join("ran").exists());
}

fn with_all_that_this_machine_has_only_cgroups_can_be_missing() {
    needs(&[Need::Root]);
    let place = Opening {
        identity: Some(Identity {
            uid: 64_900,
            gid: 64_901,
        }),
        own: Some((64_910, 64_919)),
        ..Opening::default()
    }
    .open();
    // Kernels of User-Mode Linux before 6.5 are the ones without.
    place.needs(Enforced::Files);
    let by_cgroup = [
        Enforced::CgroupKill,
        Enforced::Memory,
        Enforced::Swap,
        Enforced::Cpu,
        Enforced::Pids,
    ];
    for what in Enforced::ISOLATION {
        let there = place.enforces(what);
        assert!(there || by_cgroup.contains(&what), "{what}");
    }
    let identities = Identities {
        shared: Identity {
            uid: 64_900,
            gid: 64_901,
        },
        own: None,
    };
    let mut config = config(place.root(), CgroupMode::Auto, Some(identities.shared));
    config.require_isolation = true;
    let error = Sandbox::open(config).expect_err("no range for own users");
    assert!(error.to_string().contains("own_user"), "{error}");
}
