//! System calls by the x86-64 instruction: the arguments go in rdi, rsi, rdx, r10, r8, r9, and the
//! kernel overwrites rcx and r11 (syscall(2), "Architecture calling conventions").

use std::arch::asm;
use std::ffi::c_long;

/// `e_machine` of programs for this processor (elf.h, EM_X86_64).
pub(super) const ELF_MACHINE: u16 = 62;
/// This convention's name in filters of system calls (linux/audit.h, AUDIT_ARCH_X86_64).
pub(super) const AUDIT_ARCH: u32 = 0xc000_003e;
/// From here on the same instruction means calls of another convention, x32 (asm/unistd.h,
/// __X32_SYSCALL_BIT), by which every other number could be had again.
pub(super) const FOREIGN_CALLS_FROM: Option<u32> = Some(0x4000_0000);
/// System calls of this processor alone that no function needs: its input and output ports, segments
/// of 16-bit programs, and what is obsolete.
pub(super) const REFUSED: &[c_long] = &[
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS_sysfs,
    libc::SYS__sysctl,
    // create_module, get_kernel_syms and query_module, of Linux 2.4.
    174,
    177,
    178,
];

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
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
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
    // SAFETY: the child has rax = 0, its own stack pointer, and every other register unchanged;
    // it leaves this frame for good by the call. The parent falls through, with its own stack.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r9",
            "call r8",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 as isize => result,
            in("rdi") arguments, in("rsi") size, in("r8") entry, in("r9") argument,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    result
}

/// clone(2), the raw one: flags, stack, parent_tid, child_tid, tls. With CLONE_PIDFD the kernel
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
    // SAFETY: as in clone3. The child_tid and tls arguments are not looked at without their flags.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r9",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone as isize => result,
            in("rdi") flags, in("rsi") stack_top, in("rdx") pidfd, in("r10") 0, in("r8") 0,
            in("r9") argument, in("r12") entry,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    result
}
