//! System calls by the AArch64 instruction: the number goes in x8, the arguments in x0 to x5; only
//! x0 changes (syscall(2), "Architecture calling conventions").

use std::arch::asm;
use std::ffi::c_long;

/// `e_machine` of programs for this processor (elf.h, EM_AARCH64).
pub(super) const ELF_MACHINE: u16 = 183;
/// This convention's name in filters of system calls (linux/audit.h, AUDIT_ARCH_AARCH64).
pub(super) const AUDIT_ARCH: u32 = 0xc000_00b7;
/// No numbers of this convention belong to another one.
pub(super) const FOREIGN_CALLS_FROM: Option<u32> = None;
/// System calls of this processor alone that no function needs: there are none.
pub(super) const REFUSED: &[c_long] = &[];

/// Any system call; the result is negative on errors: `-errno`. Touches neither errno nor any
/// other thread-local storage.
///
/// # Safety
/// What the call itself demands of its arguments.
pub(super) unsafe fn syscall(number: c_long, arguments: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = arguments;
    let result: isize;
    // SAFETY: the registers are those of the calling convention; the rest is the caller's promise.
    unsafe {
        asm!(
            "svc #0",
            in("x8") number,
            inlateout("x0") a => result,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e, in("x5") f,
            options(nostack),
        );
    }
    result
}

/// clone3(2). The child calls `entry(argument)` on the stack that `arguments` name.
///
/// # Safety
/// `arguments` is a whole `clone_args` of `size` bytes with CLONE_VM, CLONE_VFORK and a stack that
/// nobody else uses and whose top is a multiple of 16; `entry` never returns.
pub(super) unsafe fn clone3<T>(
    arguments: *mut T,
    size: usize,
    entry: unsafe extern "C" fn(*mut ()) -> !,
    argument: *mut (),
) -> isize {
    let result: isize;
    // SAFETY: the child has x0 = 0, its own stack pointer, and every other register unchanged;
    // it leaves this frame for good by the call, which changes its own copy of x30 alone.
    unsafe {
        asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x30, xzr",
            "mov x0, x10",
            "blr x9",
            "brk #1",
            "2:",
            in("x8") libc::SYS_clone3,
            inlateout("x0") arguments => result,
            in("x1") size, in("x9") entry, in("x10") argument,
            lateout("x30") _,
        );
    }
    result
}

/// clone(2), the raw one: flags, stack, parent_tid, tls, child_tid. With CLONE_PIDFD the kernel
/// stores the descriptor at `pidfd`.
///
/// # Safety
/// As for [`clone3`]; `stack_top` is the stack's end, a multiple of 16.
pub(super) unsafe fn clone(
    flags: u64,
    stack_top: *mut u8,
    pidfd: *mut i32,
    entry: unsafe extern "C" fn(*mut ()) -> !,
    argument: *mut (),
) -> isize {
    let result: isize;
    // SAFETY: as in clone3. The tls and child_tid arguments are not looked at without their flags.
    unsafe {
        asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x30, xzr",
            "mov x0, x10",
            "blr x9",
            "brk #1",
            "2:",
            in("x8") libc::SYS_clone,
            inlateout("x0") flags => result,
            in("x1") stack_top, in("x2") pidfd, in("x3") 0, in("x4") 0,
            in("x9") entry, in("x10") argument,
            lateout("x30") _,
        );
    }
    result
}
