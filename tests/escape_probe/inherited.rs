//! What the program begins with, before it has tried anything.
//!
//! Looked at once, at the start: the attempts' own children have more descriptors and less of the rest.

use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;

use crate::attempt::{Attempt, Finding, worst};
use crate::system::{address_mut, call, status};
use crate::told::Told;

/// Given to every function; see also `FLUX_`.
const ENVIRONMENT: [&str; 5] = ["PATH", "LANG", "TZ", "HOME", "TMPDIR"];
/// Descriptors that are looked for.
const DESCRIPTORS: usize = 65_536;

/// `env=<name>` are the function's own names, `secret=<text>` must not be anywhere in the
/// environment, `victim_uid` is the user of another function.
pub fn attempts(told: &'static Told) -> Vec<Attempt> {
    let begun = Begun::look();
    vec![
        holds(
            "inherited.descriptors",
            begun.descriptors == [0, 1, 2],
            format!("{:?}", begun.descriptors),
        ),
        holds(
            "inherited.parent_death_signal",
            begun.death_signal == libc::SIGKILL,
            format!("signal {}", begun.death_signal),
        ),
        holds(
            "inherited.session",
            begun.leads_session,
            "leads a session of its own".to_owned(),
        ),
        Attempt::new("inherited.environment", || environment(told)),
        is("inherited.groups", "Groups", ""),
        is("inherited.no_new_privs", "NoNewPrivs", "1"),
        is("inherited.system_call_filter", "Seccomp", "2"),
        is("inherited.umask", "Umask", "0077"),
        is("inherited.blocked_signals", "SigBlk", "0000000000000000"),
        // Rust's own start ignores SIGPIPE, before any line of this program.
        is("inherited.ignored_signals", "SigIgn", "0000000000001000"),
        Attempt::new("inherited.capabilities", capabilities),
        Attempt::new("inherited.user", || user(told)),
        Attempt::new("inherited.terminal", || {
            let opened = std::fs::File::open("/dev/tty");
            Finding::of_io(opened, "has one")
        }),
        Attempt::new("inherited.priority", || {
            let nice = call(libc::SYS_getpriority, &[0, 0]).map(|value| 20 - value as i64);
            let policy = call(libc::SYS_sched_getscheduler, &[0]);
            let fine = nice.is_ok_and(|nice| nice >= 0) && policy == Ok(0);
            Finding::holds(
                fine,
                "ordinary",
                format!("nice {nice:?}, policy {policy:?}"),
            )
        }),
        Attempt::new("inherited.memory_pressure_score", || {
            let text = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
            let fine = text.trim().parse::<i32>().is_ok_and(|score| score >= 0);
            Finding::holds(
                fine,
                format!("score {}", text.trim()),
                format!("score {}", text.trim()),
            )
        }),
        Attempt::new("inherited.directories", directories),
    ]
}

struct Begun {
    descriptors: Vec<usize>,
    death_signal: i32,
    leads_session: bool,
}

impl Begun {
    fn look() -> Begun {
        let is_open =
            |fd: &usize| call(libc::SYS_fcntl, &[*fd, libc::F_GETFD as usize]) != Err(Errno::EBADF);
        let mut death_signal = 0i32;
        let _ = call(
            libc::SYS_prctl,
            &[
                libc::PR_GET_PDEATHSIG as usize,
                address_mut(&mut death_signal),
            ],
        );
        let leader = nix::unistd::getsid(None).ok();
        Begun {
            descriptors: (0..DESCRIPTORS).filter(is_open).collect(),
            death_signal,
            leads_session: leader == Some(nix::unistd::getpid()),
        }
    }
}

fn holds(name: &str, holds: bool, found: String) -> Attempt {
    Attempt::new(name, move || {
        Finding::holds(holds, found.clone(), format!("found {found}"))
    })
}

/// A value of `/proc/self/status`.
fn is(name: &str, key: &'static str, expected: &'static str) -> Attempt {
    Attempt::new(name, move || match status(key) {
        Some(value) => Finding::holds(
            value == expected,
            format!("{value:?}"),
            format!("{key} is {value:?}"),
        ),
        None => Finding::Unclear(format!("the kernel does not say {key}")),
    })
}

fn environment(told: &Told) -> Finding {
    let strange: Vec<String> = std::env::vars()
        .filter(|(name, value)| {
            let known = ENVIRONMENT.contains(&name.as_str())
                || name.starts_with("FLUX_EXECUTION_")
                || name.starts_with("FLUX_FUNCTION_")
                || name.starts_with("FLUX_NODE_")
                || told.all("env").any(|own| own == name);
            !known || told.all("secret").any(|secret| value.contains(secret))
        })
        .map(|(name, _)| name)
        .collect();
    Finding::holds(
        strange.is_empty(),
        "as it was given",
        format!("found {strange:?}"),
    )
}

fn capabilities() -> Finding {
    worst(
        ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(|set| {
            let value = status(set).unwrap_or_default();
            let empty = !value.is_empty() && value.trim_start_matches('0').is_empty();
            (
                set.to_owned(),
                Finding::holds(empty, "none", format!("has {value}")),
            )
        }),
    )
}

fn user(told: &Told) -> Finding {
    let (uids, gids) = (
        status("Uid").unwrap_or_default(),
        status("Gid").unwrap_or_default(),
    );
    let is_root = [&uids, &gids]
        .iter()
        .any(|ids| ids.split_whitespace().any(|id| id == "0"));
    if is_root || uids.is_empty() {
        return Finding::Escaped(format!("user {uids}, group {gids}"));
    }
    let own = u64::from(nix::unistd::getuid().as_raw());
    match told.number("victim_uid") {
        Some(other) => Finding::holds(
            own != other,
            format!("user {own}, the other {other}"),
            "shares its user with another function",
        ),
        None => Finding::not_told("victim_uid"),
    }
}

/// Its own alone may enter them.
fn directories() -> Finding {
    let own = nix::unistd::getuid().as_raw();
    let temporary = std::env::var("TMPDIR").unwrap_or_default();
    worst([".".to_owned(), temporary].map(|path| {
        let found =
            std::fs::metadata(&path).map(|metadata| (metadata.uid(), metadata.mode() & 0o7777));
        let fine = found.as_ref().is_ok_and(|&found| found == (own, 0o700));
        (
            path,
            Finding::holds(fine, "is its own", format!("{found:?}")),
        )
    }))
}
