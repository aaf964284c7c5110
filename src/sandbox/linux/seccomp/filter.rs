//! The filter of all executions of one sandbox (seccomp(2)), in two parts.
//!
//! Entering a filter is the dearest step of a start: the kernel checks, translates and, call number by
//! call number, evaluates the program. What it costs grows with the program's length, and a child inherits
//! what its parent is in. So a thread that starts executions can enter the larger part once, all but what
//! such a thread does itself, and its children only the small rest. Of other threads each child enters
//! the whole.
//!
//! No flags: before Linux 5.16 a filter also switched the processor's speculation mitigations on
//! for the process, unless SECCOMP_FILTER_FLAG_SPEC_ALLOW refused them. From then on, and so on every
//! supported system, it does that only where the machine was booted with
//! `spectre_v2_user=seccomp` or `spec_store_bypass_disable=seccomp`. Who boots so wants exactly
//! this for contained programs; the flag would take it from them, and gains nothing elsewhere.

use std::cell::Cell;
use std::io;

use nix::sys::prctl;

use super::list;
use super::program;

/// Instructions for the kernel's interpreter.
#[derive(Debug)]
pub(in super::super) struct Filter {
    whole: Instructions,
    shared: Instructions,
    rest: Instructions,
}

type Instructions = Box<[libc::sock_filter]>;

thread_local! {
    /// Whether this thread is in the shared part; it is the same one in all sandboxes.
    static IS_CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread, and all that it starts, is in the shared part.
pub(in super::super) fn is_thread_contained() -> bool {
    IS_CONTAINED.get()
}

impl Filter {
    /// # Errors
    /// The kernel has no filters, or something around the agent forbids them.
    pub(in super::super) fn open() -> io::Result<Filter> {
        for answer in [libc::SECCOMP_RET_ERRNO, libc::SECCOMP_RET_KILL_PROCESS] {
            probe(answer)?;
        }
        let (shared, rest) = list::parts();
        Ok(Filter {
            whole: program::compile(list::answers()).into(),
            shared: program::compile(shared).into(),
            rest: program::compile_beside(rest).into(),
        })
    }

    /// Puts this thread into the shared part, for good. It loses nothing that following executions takes,
    /// and can gain no rights by executing a program any more, which is the kernel's condition.
    ///
    /// # Errors
    /// The kernel's refusal; then the thread is as it was, or has lost those rights alone.
    pub(in super::super) fn contain_thread(&self) -> io::Result<()> {
        if is_thread_contained() {
            return Ok(());
        }
        prctl::set_no_new_privs()?;
        let program = as_program(&self.shared);
        // SAFETY: the program and what it points into outlive the call, which only reads them.
        let result = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                0,
                &raw const program,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        IS_CONTAINED.set(true);
        Ok(())
    }

    /// What a child of this thread has to enter, as the kernel takes it; points into this filter, which must
    /// outlive its use.
    pub(in super::super) fn for_child(&self) -> libc::sock_fprog {
        as_program(if is_thread_contained() {
            &self.rest
        } else {
            &self.whole
        })
    }
}

fn as_program(instructions: &Instructions) -> libc::sock_fprog {
    libc::sock_fprog {
        len: instructions.len() as u16,
        // The kernel only reads it.
        filter: instructions.as_ptr().cast_mut(),
    }
}

/// Whether filters can answer so (Linux 4.14).
fn probe(answer: u32) -> io::Result<()> {
    // SAFETY: `answer` outlives the call, which only reads it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_GET_ACTION_AVAIL,
            0,
            &raw const answer,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
