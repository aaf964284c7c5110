//! How a test says that it cannot run here, and what tests need of a machine.
//!
//! A skip unwinds like a panic, without being one: what the test has made is dropped, and the runner
//! reports it as skipped. It belongs on the test's own thread, and before anything is started.

use std::env;
use std::fs::File;
use std::net::TcpListener;
use std::panic;
use std::process::{Command, Stdio};

use nix::unistd::geteuid;

/// What a skip unwinds with; in words that finish "skipped, because …".
pub struct Skipped(pub String);

/// Ends the test here: it is skipped, and this is why.
macro_rules! skip {
    ($($words:tt)+) => {
        $crate::runner::Skipped::unwind(format!($($words)+))
    };
}
pub(crate) use skip;

impl Skipped {
    pub fn unwind(reason: String) -> ! {
        panic::resume_unwind(Box::new(Skipped(reason)))
    }
}

/// Something that not every machine has or lets everybody do.
#[derive(Debug, Clone, Copy)]
pub enum Need {
    /// To run functions as other users, to mount, to look into other processes.
    Root,
    /// `/dev/fuse`, to be opened.
    Fuse,
    /// A mount namespace, in which even a user without rights is root.
    MountNamespace,
    /// A program, by its path or by its name.
    Program(&'static str),
    /// The kernel's keyrings: keyrings(7).
    Keyrings,
    /// A loopback address of IPv6.
    Ipv6,
}

/// Skips the test where the machine lacks one of these.
pub fn needs(needs: &[Need]) {
    if let Some(missing) = needs.iter().find_map(|need| need.missing()) {
        Skipped::unwind(missing);
    }
}

impl Need {
    /// Why it cannot be had, if it cannot.
    fn missing(self) -> Option<String> {
        match self {
            Need::Root => (!geteuid().is_root()).then(|| "it takes root".to_owned()),
            Need::Fuse => {
                let opened = File::options().read(true).write(true).open("/dev/fuse");
                let error = opened.err()?;
                Some(format!("/dev/fuse cannot be opened: {error}"))
            }
            Need::MountNamespace => mount_namespace_refused(),
            Need::Program(name) => {
                (!is_installed(name)).then(|| format!("{name} is not installed"))
            }
            Need::Ipv6 => {
                let error = TcpListener::bind("[::1]:0").err()?;
                Some(format!("this machine has no IPv6: {error}"))
            }
            Need::Keyrings => {
                // KEYCTL_GET_KEYRING_ID of KEY_SPEC_SESSION_KEYRING, which it makes where there is none.
                // SAFETY: no memory is involved.
                let keyring = unsafe { libc::syscall(libc::SYS_keyctl, 0, -3, 1) };
                (keyring < 0).then(|| "this kernel has no keyrings".to_owned())
            }
        }
    }
}

fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    // An absolute path replaces what it is joined to.
    env::split_paths(&path).any(|directory| directory.join(program).exists())
}

#[expect(clippy::disallowed_methods, reason = "tests ask the system")]
fn mount_namespace_refused() -> Option<String> {
    let tried = Command::new("unshare")
        .args(["--mount", "--map-root-user", "true"])
        .stdin(Stdio::null())
        .output();
    match tried {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!(
            "a mount namespace cannot be made: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Some(format!("unshare(1) cannot be started: {error}")),
    }
}
