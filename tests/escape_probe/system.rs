//! The system underneath: raw calls, children, programs.
//!
//! Invariant: all of the probe's `unsafe` is here or says why it cannot be.

use std::ffi::{CString, c_int, c_long};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};

/// Any system call. Pointers go as numbers; one that leads nowhere is the kernel's to refuse.
pub fn call(number: c_long, arguments: &[usize]) -> nix::Result<usize> {
    let at = |index: usize| arguments.get(index).copied().unwrap_or(0);
    // SAFETY: the callers pass pointers to what their own frames keep alive, of the size that the
    // call writes.
    let result = unsafe { libc::syscall(number, at(0), at(1), at(2), at(3), at(4), at(5)) };
    Errno::result(result).map(|value| value as usize)
}

/// As a number for [`call`].
pub fn address<T: ?Sized>(value: &T) -> usize {
    std::ptr::from_ref(value).cast::<u8>().expose_provenance()
}

/// The same for what the kernel writes to.
pub fn address_mut<T: ?Sized>(value: &mut T) -> usize {
    std::ptr::from_mut(value).cast::<u8>().expose_provenance()
}

/// A child that is a copy of this process.
pub fn fork() -> nix::Result<ForkResult> {
    // SAFETY: the probe has one thread wherever it forks, so no lock is held by anybody else.
    unsafe { nix::unistd::fork() }
}

/// Without anything that a parent has left to do.
pub fn exit_now(code: c_int) -> ! {
    // SAFETY: ends this process and nothing else.
    unsafe { libc::_exit(code) }
}

/// The exit code of `deed`, made by a child of its own.
pub fn in_child(deed: impl FnOnce() -> c_int) -> nix::Result<WaitStatus> {
    match fork()? {
        ForkResult::Child => exit_now(deed()),
        ForkResult::Parent { child } => waitpid(child, None),
    }
}

/// For C; the probe's own names hold no NUL.
pub fn c_string(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

/// A program's exit code and what it printed, errors too; it reads nothing. `None` when it
/// cannot be started.
pub fn program(program: &str, arguments: &[&str]) -> Option<(Option<i32>, String)> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = [output.stdout, output.stderr].concat();
    Some((
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    ))
}

/// The probe has nobody to be woken by.
pub fn pause(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// One value of `/proc/self/status`.
pub fn status(name: &str) -> Option<String> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(|value| value.trim().to_owned())
}

/// Numbers of all processes that can be seen, but not of this execution's own session.
pub fn others() -> Vec<i32> {
    let own = nix::unistd::getsid(None).ok();
    let listed = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    listed
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&pid| nix::unistd::getsid(Some(Pid::from_raw(pid))).ok() != own)
        .collect()
}
