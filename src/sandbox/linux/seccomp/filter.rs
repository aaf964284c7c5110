//! The filter of all executions of one sandbox (seccomp(2)): made once, entered by each child.
//!
//! No flags: before Linux 5.16 a filter also switched the processor's speculation mitigations on
//! for the process, unless SECCOMP_FILTER_FLAG_SPEC_ALLOW refused them. From then on, and so on every
//! supported system, it does that only where the machine was booted with
//! `spectre_v2_user=seccomp` or `spec_store_bypass_disable=seccomp`. Who boots so wants exactly
//! this for contained programs; the flag would take it from them, and gains nothing elsewhere.

use std::io;

use super::list;
use super::program;

/// Instructions for the kernel's interpreter.
#[derive(Debug)]
pub(in super::super) struct Filter {
    instructions: Box<[libc::sock_filter]>,
}

impl Filter {
    /// # Errors
    /// The kernel has no filters, or something around the agent forbids them.
    pub(in super::super) fn open() -> io::Result<Filter> {
        for answer in [libc::SECCOMP_RET_ERRNO, libc::SECCOMP_RET_KILL_PROCESS] {
            probe(answer)?;
        }
        Ok(Filter {
            instructions: program::compile(list::answers()).into(),
        })
    }

    /// As the kernel takes it; points into this filter, which must outlive its use.
    pub(in super::super) fn program(&self) -> libc::sock_fprog {
        libc::sock_fprog {
            len: self.instructions.len() as u16,
            // The kernel only reads it.
            filter: self.instructions.as_ptr().cast_mut(),
        }
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
