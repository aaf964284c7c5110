//! The first process of a tree: signalled and waited for by descriptor, so never mistaken for
//! another one that got its number later.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::orphans;

/// Not reaped until [`Leader::reap`]: until then its number, which is also that of its session and
/// group, belongs to nobody else.
#[derive(Debug)]
pub(in crate::sandbox) struct Leader {
    pid: i32,
    pidfd: OwnedFd,
    // Given back after the process is reaped: drop order.
    _registration: orphans::Registration,
}

/// How the leader ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Death {
    Exited(i32),
    Signalled(i32),
}

/// What the kernel counted for the leader and the descendants that were waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) struct Counted {
    pub cpu: Duration,
    pub max_rss_kib: u64,
    /// Blocks of 512 bytes.
    pub blocks_read: u64,
    pub blocks_written: u64,
}

impl Leader {
    pub(in crate::sandbox) fn new(pid: i32, pidfd: OwnedFd) -> Leader {
        Leader {
            pid,
            pidfd,
            _registration: orphans::register(pid),
        }
    }

    pub(in crate::sandbox) fn pid(&self) -> i32 {
        self.pid
    }

    /// Readable once it has ended.
    pub(in crate::sandbox) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// To its process group, which is at first its whole tree. The group's number cannot have passed
    /// to anybody else, because the leader is not reaped.
    pub(in crate::sandbox) fn signal_group(&self, signal: i32) {
        // SAFETY: no memory is involved. ESRCH says that nobody of the group is left.
        unsafe { libc::kill(-self.pid, signal) };
    }

    /// Whether it has, now.
    pub(in crate::sandbox) fn has_ended(&self) -> bool {
        let mut fds = [PollFd::new(self.pidfd(), PollFlags::POLLIN)];
        matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1))
    }

    /// Waits for its end and reaps it.
    ///
    /// # Errors
    /// Somebody else has reaped it (ECHILD).
    pub(in crate::sandbox) fn reap_when_ended(&self) -> io::Result<(Death, Counted)> {
        self.wait(libc::WEXITED)
    }

    /// Reaps it; it must have ended.
    ///
    /// # Errors
    /// It has not ended (EAGAIN), or somebody else has reaped it (ECHILD).
    pub(in crate::sandbox) fn reap(&self) -> io::Result<(Death, Counted)> {
        self.wait(libc::WEXITED | libc::WNOHANG)
    }

    fn wait(&self, options: i32) -> io::Result<(Death, Counted)> {
        // SAFETY: all zeros is a siginfo_t.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: all zeros is a rusage.
        let mut used: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both outlive the call. The raw call, because libc's waitid has no rusage.
        let result = unsafe {
            libc::syscall(
                libc::SYS_waitid,
                libc::P_PIDFD,
                self.pidfd.as_raw_fd(),
                ptr::from_mut(&mut info),
                options,
                ptr::from_mut(&mut used),
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: waitid fills this field, or leaves its zeros when nothing has ended.
        let pid = unsafe { info.si_pid() };
        // SAFETY: as above.
        let status = unsafe { info.si_status() };
        if pid == 0 {
            return Err(io::Error::from_raw_os_error(libc::EAGAIN));
        }
        let death = match info.si_code {
            libc::CLD_EXITED => Death::Exited(status),
            _ => Death::Signalled(status),
        };
        Ok((death, counted(&used)))
    }
}

fn counted(used: &libc::rusage) -> Counted {
    Counted {
        cpu: duration(used.ru_utime) + duration(used.ru_stime),
        max_rss_kib: used.ru_maxrss as u64,
        blocks_read: used.ru_inblock as u64,
        blocks_written: used.ru_oublock as u64,
    }
}

fn duration(time: libc::timeval) -> Duration {
    Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
}
