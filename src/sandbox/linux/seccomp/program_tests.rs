//! What a compiled filter answers, by a small interpreter of the instructions that it uses.

use super::super::list;
use super::*;

/// The highest call number of any processor, with room.
const LAST_CALL: u32 = 1000;

/// A call as the kernel shows it to a filter.
fn answer(program: &[sock_filter], arch: u32, number: u32, arguments: [u64; 6]) -> u32 {
    let words = words(arch, number, arguments);
    let (mut at, mut loaded) = (0, 0);
    loop {
        let step = program[at];
        let code = u32::from(step.code);
        at += 1;
        match code & 0x07 {
            libc::BPF_LD => loaded = words[step.k as usize / 4],
            libc::BPF_RET => return step.k,
            _ => {
                at += match code & 0xf0 {
                    libc::BPF_JA => step.k as usize,
                    libc::BPF_JEQ => usize::from(if loaded == step.k { step.jt } else { step.jf }),
                    libc::BPF_JGE => usize::from(if loaded >= step.k { step.jt } else { step.jf }),
                    libc::BPF_JSET => usize::from(if loaded & step.k != 0 {
                        step.jt
                    } else {
                        step.jf
                    }),
                    other => panic!("unknown comparison {other:#x}"),
                }
            }
        }
    }
}

/// `struct seccomp_data`, word by word.
fn words(arch: u32, number: u32, arguments: [u64; 6]) -> Vec<u32> {
    let mut words = vec![number, arch, 0, 0];
    for argument in arguments {
        words.push(argument as u32);
        words.push((argument >> 32) as u32);
    }
    words
}

fn errno(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno as u32
}

#[test]
fn every_call_number_gets_the_answer_of_the_list() {
    let listed = list::answers();
    let program = compile(listed.clone());
    for number in 0..LAST_CALL {
        let expected = match listed.iter().find(|(call, _)| *call as u32 == number) {
            None => libc::SECCOMP_RET_ALLOW,
            Some((_, Answer::Refuse(code))) => errno(*code),
            // Looked at below.
            Some(_) => continue,
        };
        let got = answer(&program, arch::AUDIT_ARCH, number, [u64::MAX; 6]);
        assert_eq!(got, expected, "call {number}");
    }
}

#[test]
fn no_call_is_listed_twice() {
    let listed = list::answers();
    let numbers: std::collections::HashSet<c_long> = listed.iter().map(|(call, _)| *call).collect();
    assert_eq!(numbers.len(), listed.len());
}

#[test]
fn arguments_are_looked_at_where_the_list_says_so() {
    let program = compile(list::answers());
    let ask = |call: c_long, arguments: [u64; 3]| {
        let [a, b, c] = arguments;
        answer(
            &program,
            arch::AUDIT_ARCH,
            call as u32,
            [a, b, c, u64::MAX, 0, 0],
        )
    };
    let allow = libc::SECCOMP_RET_ALLOW;
    let refuse = errno(libc::EPERM);
    let no_family = errno(libc::EAFNOSUPPORT);
    let thread = (libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND) as u64;
    let user = libc::CLONE_NEWUSER as u64;
    for (call, arguments, expected) in [
        (libc::SYS_clone, [thread, 0, 0], allow),
        (libc::SYS_clone, [thread | user, 0, 0], refuse),
        (libc::SYS_unshare, [libc::CLONE_FS as u64, 0, 0], allow),
        (libc::SYS_unshare, [user, 0, 0], refuse),
        (libc::SYS_unshare, [0x80, 0, 0], refuse),
        (libc::SYS_socket, [libc::AF_INET6 as u64, 1, 6], allow),
        (libc::SYS_socket, [libc::AF_UNIX as u64, 1, 0], allow),
        (libc::SYS_socket, [libc::AF_ALG as u64, 5, 0], no_family),
        (libc::SYS_socket, [libc::AF_NETLINK as u64, 3, 0], allow),
        (
            libc::SYS_socket,
            [libc::AF_NETLINK as u64, 3, 12],
            no_family,
        ),
        (
            libc::SYS_socketpair,
            [libc::AF_TIPC as u64, 1, 0],
            no_family,
        ),
        (libc::SYS_ioctl, [0, libc::FIONREAD, 0], allow),
        (libc::SYS_ioctl, [0, libc::TIOCSTI, 0], refuse),
        // The kernel drops the upper half, so a filter that compared it would be passed.
        (libc::SYS_ioctl, [0, libc::TIOCSTI | 1 << 32, 0], refuse),
        (libc::SYS_ioctl, [0, 0x401c_5820, 0], refuse),
        (libc::SYS_ioctl, [0, 0x4008_6602, 0], refuse),
        // Reading both passes.
        (libc::SYS_ioctl, [0, 0x801c_581f, 0], allow),
        (libc::SYS_ioctl, [0, 0x8008_6601, 0], allow),
        (libc::SYS_prlimit64, [0, 7, 1 << 40], allow),
        (libc::SYS_prlimit64, [1, 7, 0], allow),
        (libc::SYS_prlimit64, [1, 7, 1 << 40], refuse),
        (libc::SYS_prlimit64, [1, 7, 1 << 4], refuse),
        (libc::SYS_personality, [0xffff_ffff, 0, 0], allow),
        (libc::SYS_personality, [0x40_0000, 0, 0], refuse),
    ] {
        assert_eq!(ask(call, arguments), expected, "{call} {arguments:?}");
    }
}

#[test]
fn other_system_call_conventions_lead_past_no_answer() {
    let program = compile(list::answers());
    // AUDIT_ARCH_I386, and ARM with 32 bits.
    for foreign in [0x4000_0003, 0x4000_0028] {
        for number in 0..LAST_CALL {
            let got = answer(&program, foreign, number, [0; 6]);
            assert_eq!(got, libc::SECCOMP_RET_KILL_PROCESS, "call {number}");
        }
    }
    if let Some(first) = arch::FOREIGN_CALLS_FROM {
        for number in [first, first + libc::SYS_getpid as u32, u32::MAX] {
            let got = answer(&program, arch::AUDIT_ARCH, number, [0; 6]);
            assert_eq!(got, errno(libc::ENOSYS), "call {number:#x}");
        }
    }
}

/// The kernel takes the stricter of two answers, which is the lesser as a signed number.
#[test]
fn the_two_parts_together_answer_as_the_whole() {
    let whole = compile(list::answers());
    let (shared, rest) = list::parts();
    assert!(!shared.is_empty() && !rest.is_empty());
    let (shared, rest) = (compile(shared), compile_beside(rest));
    let foreign = arch::FOREIGN_CALLS_FROM.unwrap_or(u32::MAX - 1);
    let numbers = (0..LAST_CALL).chain([foreign, foreign + 1, foreign + libc::SYS_clone as u32]);
    let mut arguments = vec![[0; 6], [u64::MAX; 6]];
    arguments.extend((0..64).map(|bit| [1 << bit; 6]));
    for number in numbers {
        for convention in [arch::AUDIT_ARCH, 0x4000_0003] {
            for given in &arguments {
                let ask = |program: &[sock_filter]| answer(program, convention, number, *given);
                let strict = |program| ask(program) as i32;
                let together = strict(&shared).min(strict(&rest)) as u32;
                assert_eq!(together, ask(&whole), "call {number:#x} {given:x?}");
            }
        }
    }
}

#[test]
fn jumps_reach_over_long_programs() {
    // Every second number, so that no two ranges merge.
    let answers = (0..300).map(|index| (2 * index, Answer::Refuse(libc::EPERM)));
    let program = compile(answers.collect());
    for number in 0..600 {
        let expected = match number % 2 {
            0 => errno(libc::EPERM),
            _ => libc::SECCOMP_RET_ALLOW,
        };
        assert_eq!(answer(&program, arch::AUDIT_ARCH, number, [0; 6]), expected);
    }
}
