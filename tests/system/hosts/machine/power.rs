//! A guest's power: on, the two ways off, and the command line that its kernel starts with.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::Machine;
use crate::harness::process::{self, PATIENCE};
use crate::hosts::network::Port;
use crate::hosts::{cache, logs, namespace};

/// Memory of a guest, as its kernel takes it. What it does not touch costs nothing.
const MEMORY: &str = "512M";
/// From power to the last unit started, or back, units that drain included; an idle machine boots in a tenth.
const POWER_LIMIT: Duration = Duration::from_secs(180);

impl Machine {
    /// The orderly way down and up again; everything on the disk is kept.
    #[track_caller]
    pub fn reboot(&mut self) {
        self.power_off();
        self.boot();
    }

    /// The orderly way down: units are stopped, file systems unmounted.
    #[track_caller]
    pub fn power_off(&mut self) {
        // The connection may break before the command has an end.
        let _ = self.ssh.run("systemctl poweroff", Stdio::null(), PATIENCE);
        self.ssh.disconnect();
        let mut kernel = self.kernel.take().expect("a guest that is up");
        let ended = process::wait(&mut kernel, POWER_LIMIT);
        end_group(&mut kernel);
        assert!(
            ended.is_some(),
            "{} did not power off:\n{}",
            self.name,
            self.console()
        );
    }

    /// As if the plug was pulled: what the guest had not written to its disk is lost.
    pub fn cut_power(&mut self) {
        if let Some(mut kernel) = self.kernel.take() {
            end_group(&mut kernel);
        }
        self.ssh.disconnect();
    }

    /// Up again after [`Machine::power_off`] or [`Machine::cut_power`], with the same disk and address.
    #[track_caller]
    pub fn boot(&mut self) {
        assert!(self.kernel.is_none(), "{} is up", self.name);
        self.kernel = Some(self.power_on());
        let deadline = Instant::now() + POWER_LIMIT;
        while !(self.ssh.answers() && self.ssh.connect()) {
            self.expect_on_the_way(deadline);
            process::pause(Duration::from_millis(100));
        }
        // "degraded" is the business of whoever installed the unit that failed.
        self.run_within("systemctl is-system-running --wait", POWER_LIMIT);
    }

    fn power_on(&self) -> Child {
        let console = File::options()
            .create(true)
            .append(true)
            .open(self.place.join("console.log"))
            .expect("a console log");
        process::command(cache::kernel())
            .args(self.kernel_line())
            .env("TMPDIR", namespace::SCRATCH)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(console.try_clone().expect("another descriptor"))
            .stderr(console)
            .spawn()
            .expect("the guests' kernel")
    }

    /// The machine's parts, then what the guest's kernel and systemd read.
    fn kernel_line(&self) -> Vec<String> {
        let place = self.place.display();
        let Port { tap, address, mac } = &self.port;
        [
            format!("umid={}", self.name),
            format!("uml_dir={place}/"),
            format!("mem={MEMORY}"),
            format!("ubda={place}/disk.cow,{}", cache::disk().display()),
            format!("vec0:transport=tap,ifname={tap},depth=128,gro=1,mac={mac}"),
            "con=null con0=null,fd:1 con1=null ssl=null".to_owned(),
            "root=/dev/ubda rw".to_owned(),
            format!("systemd.hostname={}", self.name),
            format!(
                "systemd.machine_id={:032x}",
                0xf1u32 + u32::from(self.number)
            ),
            format!("flux.address={address}/24"),
        ]
        .iter()
        .flat_map(|words| words.split(' '))
        .map(str::to_owned)
        .collect()
    }

    #[track_caller]
    fn expect_on_the_way(&mut self, deadline: Instant) {
        let kernel = self.kernel.as_mut().expect("a guest that was started");
        let ended = kernel.try_wait().expect("a child of ours");
        assert!(
            ended.is_none() && Instant::now() < deadline,
            "{} did not come up (its process: {ended:?}); its console ends with:\n{}",
            self.name,
            logs::tail(&self.console(), 40)
        );
    }
}

/// Ends what is left of a guest's processes, and reaps the first of them.
fn end_group(kernel: &mut Child) {
    let group = Pid::from_raw(i32::try_from(kernel.id()).expect("a process id"));
    // Nothing is left after an orderly end.
    let _ = killpg(group, Signal::SIGKILL);
    let _ = kernel.wait();
}
