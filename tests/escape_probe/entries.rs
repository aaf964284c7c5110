//! Past a filter of system calls by the other ways into the kernel that a processor has.

#[cfg(target_arch = "x86_64")]
use crate::attempt::worst;
use crate::attempt::{Attempt, Finding};
#[cfg(target_arch = "x86_64")]
use crate::gates::GATES;
use crate::told::Told;

/// See the module's text.
pub fn attempts(_told: &'static Told) -> Vec<Attempt> {
    vec![
        Attempt::new("call.by_other_numbers", by_x32),
        Attempt::new("call.by_other_entry", by_int80),
    ]
}

/// The x32 numbers of calls that are refused by their own.
#[cfg(target_arch = "x86_64")]
fn by_x32() -> Finding {
    const X32: libc::c_long = 0x4000_0000;
    worst(GATES.iter().map(|gate| gate.knock_at(X32)))
}

/// The calls of 32-bit programs have other numbers: 374 is userfaultfd, 336 perf_event_open,
/// 20 getpid.
#[cfg(target_arch = "x86_64")]
fn by_int80() -> Finding {
    worst(
        [("userfaultfd", 374, 1), ("personality", 136, u32::MAX)].map(
            |(name, number, argument)| {
                let entered = crate::system::in_child(|| i32::from(int80(number, argument) < 0));
                let finding = match entered {
                    Ok(nix::sys::wait::WaitStatus::Exited(_, 0)) => {
                        Finding::Escaped("went through".to_owned())
                    }
                    end => Finding::Denied(format!("{end:?}")),
                };
                (name.to_owned(), finding)
            },
        ),
    )
}

#[cfg(target_arch = "x86_64")]
fn int80(number: u32, argument: u32) -> i32 {
    let result: i32;
    // SAFETY: neither call touches memory; rbx is given back, and the others are named.
    unsafe {
        std::arch::asm!(
            "xchg rbx, {argument}",
            "int 0x80",
            "xchg rbx, {argument}",
            argument = inout(reg) u64::from(argument) => _,
            inlateout("eax") number as i32 => result,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            in("ecx") 0, in("edx") 0, in("esi") 0, in("edi") 0,
        );
    }
    result
}

#[cfg(not(target_arch = "x86_64"))]
fn by_x32() -> Finding {
    Finding::Skipped("this processor has one set of numbers".to_owned())
}

#[cfg(not(target_arch = "x86_64"))]
fn by_int80() -> Finding {
    Finding::Skipped("this processor has one entry".to_owned())
}
