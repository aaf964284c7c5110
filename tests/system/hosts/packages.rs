//! The packages on a real host: installed, configured, used, upgraded, rebooted, removed, purged.

use super::debs::{self, Package, as_client, fleet, flux};
use super::machine::Machine;
use super::suite;
use crate::harness::process;
use crate::runner::tests;

tests![
    lintian_has_nothing_to_say,
    installed_without_configuration_both_wait_and_nothing_has_failed,
    a_function_can_write_to_its_own_directories_and_nowhere_else,
    a_function_cannot_reach_the_system_s_sockets_or_see_other_processes,
    a_function_that_runs_out_of_memory_leaves_the_agent_running,
    the_journal_knows_how_serious_a_line_is,
    the_units_are_as_hardened_as_the_documentation_says,
    an_upgrade_of_the_control_plane_leaves_executions_alone,
    an_upgrade_of_the_agent_lets_executions_end,
    a_drain_may_take_longer_than_the_unit_s_own_timeout,
    a_reboot_brings_the_fleet_back_and_what_ran_is_lost,
    removal_keeps_what_purge_takes_and_both_can_come_back,
];

fn lintian_has_nothing_to_say() {
    // It leaves temporary files behind.
    let temporary = tempfile::tempdir().expect("a directory");
    let mut lintian = process::command("lintian");
    lintian.env("TMPDIR", temporary.path());
    lintian.args(["--fail-on", "error,warning", "--allow-root"]);
    lintian.args([Package::Flux.file(), Package::Agent.file()]);
    let ran = process::run(&mut lintian);
    assert!(ran.status == 0, "{}{}", ran.stdout, ran.stderr);
}

fn installed_without_configuration_both_wait_and_nothing_has_failed() {
    let guest = suite::fresh("unconfigured");
    debs::install(&guest);
    assert_eq!(guest.succeed("systemctl --failed --no-legend"), "");
    for service in ["flux", "flux-agent"] {
        assert_eq!(state(&guest, service), "enabled inactive success");
    }
    let modes = "stat -c '%a %U:%G' /etc/flux /etc/flux/certs /etc/flux-agent";
    assert_eq!(
        guest.succeed(modes),
        "750 root:flux\n700 flux:flux\n750 root:root"
    );
    assert_eq!(guest.succeed("id -gn flux-runner"), "flux-runner");
    for name in ["flux/flux.yaml", "flux-agent/agent.yaml"] {
        guest.succeed(&format!("test -s /etc/{name}.example"));
    }
}

/// Whether it starts by itself, whether it runs, and how it last ended.
fn state(guest: &Machine, service: &str) -> String {
    let line = format!(
        "for property in UnitFileState ActiveState Result; do \
           systemctl show -P $property {service}; \
         done | paste -sd ' '"
    );
    guest.succeed(&line)
}

/// Runs a line of shell as a function and returns what it said.
#[track_caller]
fn exec(guest: &Machine, line: &str) -> String {
    assert!(!line.contains('"'), "quoted once already");
    flux(guest, &format!("exec shell -- \"{line}\""))
}

/// Starts a line of shell as a function and returns its id, once it has said something.
#[track_caller]
fn start(guest: &Machine, line: &str) -> String {
    let id = flux(guest, &format!("exec shell --async -- 'echo on; {line}'"));
    guest.wait_until(&as_client(&format!("logs {id} | grep -q on")));
    id
}

/// What a record says of one thing.
#[track_caller]
fn record(guest: &Machine, id: &str, field: &str) -> String {
    let line = format!("execution {id} | sed -n 's/^{field}  *//p'");
    flux(guest, &line)
}

fn a_function_can_write_to_its_own_directories_and_nowhere_else() {
    let guest = fleet();
    exec(&guest, "echo x >own && echo x >\\$TMPDIR/temporary");
    let places = "/ /tmp /var/tmp /dev/shm /dev/mqueue /dev /run /run/lock /var/lib/flux-agent \
                  /var/lib/flux-agent/work /var/lib/flux-agent/apps /sys/fs/cgroup /home /etc";
    let tried = format!(
        "for place in {places}; do \
           (echo x >\\$place/flux-was-here) 2>/dev/null && echo \\$place; \
         done; true"
    );
    assert_eq!(exec(&guest, &tried), "");
    // Nor is there a place that the list has forgotten.
    let search = "find / -path /proc -prune -o -path \\$PWD -prune -o \
                  -type d -writable -print 2>/dev/null; true";
    assert_eq!(exec(&guest, search), "");
}

fn a_function_cannot_reach_the_system_s_sockets_or_see_other_processes() {
    let guest = fleet();
    // There to be reached, for anybody else.
    guest.succeed("test -S /run/dbus/system_bus_socket && test -S /run/systemd/journal/socket");
    let sockets = "find /run -type s -writable 2>/dev/null | \
                   grep -v -e /inaccessible/ -e /systemd/notify -e /systemd/userdb/ -e ManagedOOM; true";
    assert_eq!(exec(&guest, sockets), "");
    let others = "cat /proc/[0-9]*/status 2>/dev/null | grep ^Uid: | sort -u | wc -l";
    assert_eq!(exec(&guest, others), "1");
}

fn a_function_that_runs_out_of_memory_leaves_the_agent_running() {
    let guest = fleet();
    let before = main_process(&guest, "flux-agent");
    let ran = guest.run(&as_client("exec shell -- 'tail -c 300m /dev/zero | tail'"));
    assert_eq!(ran.status, 137, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("memory"), "{}", ran.stderr);
    // systemd has read of the end by then: it says so in the journal.
    guest.wait_until("journalctl -u flux-agent | grep -q 'killed by the OOM killer'");
    assert_eq!(main_process(&guest, "flux-agent"), before);
    assert_eq!(state(&guest, "flux-agent"), "enabled active success");
}

fn main_process(guest: &Machine, service: &str) -> String {
    guest.succeed(&format!("systemctl show -P MainPID {service}"))
}

fn the_journal_knows_how_serious_a_line_is() {
    let guest = fleet();
    guest.succeed("journalctl -u flux -p info --grep '^listening on'");
    guest.succeed("test -z \"$(journalctl -q -u flux -p notice --grep '^listening on')\"");
    // What this kernel lacks, said by the agent at its start as a warning.
    guest.succeed("journalctl -u flux-agent -p warning --grep '^not enforced here'");
}

fn the_units_are_as_hardened_as_the_documentation_says() {
    let guest = fleet();
    let documentation = include_str!("../../../docs/operations.md");
    for service in ["flux.service", "flux-agent.service"] {
        let verdict = guest.succeed(&format!("systemd-analyze security {service} | tail -n 1"));
        let figure = verdict.split(&format!("{service}: ")).nth(1);
        let figure = figure.and_then(|it| it.strip_suffix(" :-)"));
        let figure = figure.unwrap_or_else(|| panic!("no good verdict: {verdict}"));
        let quoted = format!("**{service} {figure}**");
        assert!(documentation.contains(&quoted), "docs do not say {quoted}");
    }
}

fn an_upgrade_of_the_control_plane_leaves_executions_alone() {
    let guest = fleet();
    let (flux_before, agent_before) = (
        main_process(&guest, "flux"),
        main_process(&guest, "flux-agent"),
    );
    let id = start(
        &guest,
        "until test -e go; do sleep 0.2; done; echo survived",
    );
    debs::upgrade(&guest, Package::Flux);
    assert_ne!(main_process(&guest, "flux"), flux_before);
    assert_eq!(main_process(&guest, "flux-agent"), agent_before);
    debs::wait_until_online(&guest);
    assert_eq!(record(&guest, &id, "status"), "running");
    guest.succeed(&format!("touch /var/lib/flux-agent/work/{id}/go"));
    guest.wait_until(&as_client(&format!("execution {id} | grep -q success")));
    assert_eq!(flux(&guest, &format!("logs {id}")), "on\nsurvived");
}

fn an_upgrade_of_the_agent_lets_executions_end() {
    let guest = fleet();
    let before = main_process(&guest, "flux-agent");
    let short = start(&guest, "sleep 5; echo done");
    let long = start(&guest, "sleep 1000");
    debs::upgrade(&guest, Package::Agent);
    assert_ne!(main_process(&guest, "flux-agent"), before);
    debs::wait_until_online(&guest);
    assert_eq!(record(&guest, &short, "status"), "success");
    assert_eq!(flux(&guest, &format!("logs {short}")), "on\ndone");
    assert_eq!(record(&guest, &long, "reason"), "lost");
    guest.succeed("! pgrep -G flux-runner");
    assert_eq!(
        exec(&guest, "echo the new one runs too"),
        "the new one runs too"
    );
}

/// TimeoutStopSec is set to 2 s, and the execution takes 6: without the agent's word to systemd it would
/// be killed in the middle.
fn a_drain_may_take_longer_than_the_unit_s_own_timeout() {
    let guest = fleet();
    let drop_in = "/run/systemd/system/flux-agent.service.d/short.conf";
    guest.put(drop_in, "[Service]\nTimeoutStopSec=2\n", 0o644);
    guest.succeed("systemctl daemon-reload");
    let id = start(&guest, "sleep 6; echo done");
    guest.succeed("systemctl restart flux-agent");
    guest.succeed(&format!("rm {drop_in} && systemctl daemon-reload"));
    debs::wait_until_online(&guest);
    assert_eq!(record(&guest, &id, "status"), "success");
    assert_eq!(flux(&guest, &format!("logs {id}")), "on\ndone");
}

fn a_reboot_brings_the_fleet_back_and_what_ran_is_lost() {
    let mut guest = fleet();
    let ended = start(&guest, "echo before");
    guest.wait_until(&as_client(&format!("execution {ended} | grep -q success")));
    let ran = start(&guest, "sleep 1000");
    guest.reboot();
    debs::wait_until_online(&guest);
    assert_eq!(guest.succeed("systemctl --failed --no-legend"), "");
    assert_eq!(flux(&guest, &format!("logs {ended}")), "on\nbefore");
    assert_eq!(record(&guest, &ran, "reason"), "lost");
    assert_eq!(
        exec(&guest, "echo the release is there"),
        "the release is there"
    );
}

fn removal_keeps_what_purge_takes_and_both_can_come_back() {
    let guest = suite::fresh("removed");
    debs::install(&guest);
    debs::configure(&guest);
    debs::deploy_shell(&guest);
    start(&guest, "sleep 1000 & sleep 1000");

    debs::dpkg(&guest, "--remove", "flux flux-agent");
    guest.succeed("! pgrep -G flux-runner && ! pgrep -x flux && ! pgrep -x flux-agent");
    let kept = "/etc/flux/flux.yaml /etc/flux/certs/ca/ca-key.pem /etc/flux-agent/agent.yaml \
                /etc/flux-agent/certs/agent-key.pem /var/lib/flux/flux.db /var/lib/flux-agent/apps/shell";
    guest.succeed(&format!("ls -d {kept}"));

    debs::install(&guest);
    debs::wait_until_online(&guest);
    assert_eq!(exec(&guest, "echo as before"), "as before");

    debs::dpkg(&guest, "--purge", "flux flux-agent");
    let left = "find / -xdev -path /root -prune -o -path /var/log -prune -o -name '*flux*' -print \
                | grep -v -e ^/var/cache -e ^/proc; true";
    assert_eq!(guest.succeed(left), "");
    assert_eq!(guest.succeed("systemctl --failed --no-legend"), "");

    debs::install(&guest);
    debs::configure(&guest);
    debs::deploy_shell(&guest);
    assert_eq!(exec(&guest, "echo anew"), "anew");
}
