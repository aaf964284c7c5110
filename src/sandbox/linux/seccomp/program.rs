//! From answers to a program for the kernel's filter interpreter (seccomp(2), linux/filter.h).
//!
//! The kernel checks, translates and, call number by call number, evaluates a program each time one is
//! entered, so a short one with few steps to each answer makes starts cheaper: call numbers are cut
//! into ranges with one answer each, and a tree of comparisons finds the range. That, more than
//! one errno in a program, and ranges of numbers at all, `seccompiler` cannot express.
//!
//! Arguments are compared by their lower halves: the kernel itself looks at no more of most that the
//! list asks about. For pointers there is [`upper`].

use std::collections::BTreeMap;
use std::ffi::c_long;
use std::mem::offset_of;

use libc::{seccomp_data, sock_filter};

use super::super::arch;

/// What a call gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Allow,
    /// This errno.
    Refuse(i32),
    /// The errno, if this argument has any of these bits.
    RefuseBits(usize, u32, i32),
    /// The errno in any of these cases.
    RefuseThese(&'static [Case], i32),
    /// The errno in all but these cases.
    AllowOnly(&'static [Case], i32),
}

/// Arguments by index, and the value that each must have.
pub(super) type Case = &'static [(usize, u32)];

/// How many arguments a system call has.
const ARGUMENTS: usize = 6;

/// The index of an argument's upper half.
pub(super) const fn upper(argument: usize) -> usize {
    ARGUMENTS + argument
}

/// From this call number on, up to the next range.
struct Range {
    from: u32,
    answer: Answer,
}

/// Programs of other system call conventions (32 bits) are killed: of one that gets an error for every
/// call, not even its complaint could be read.
pub(super) fn compile(answers: Vec<(c_long, Answer)>) -> Vec<sock_filter> {
    let mut program = vec![
        load(offset_of!(seccomp_data, arch)),
        jump(libc::BPF_JEQ, arch::AUDIT_ARCH, 1, 0),
        give(libc::SECCOMP_RET_KILL_PROCESS),
        load(offset_of!(seccomp_data, nr)),
    ];
    let mut ranges = ranges(answers);
    if let Some(first) = arch::FOREIGN_CALLS_FROM {
        push(&mut ranges, first, Answer::Refuse(libc::ENOSYS));
    }
    program.extend(search(&ranges));
    program
}

/// For who is in a [`compile`]d program already: of two answers the kernel takes the stricter, so this
/// one need not know of other conventions.
pub(super) fn compile_beside(answers: Vec<(c_long, Answer)>) -> Vec<sock_filter> {
    let mut program = vec![load(offset_of!(seccomp_data, nr))];
    program.extend(search(&ranges(answers)));
    program
}

fn ranges(answers: Vec<(c_long, Answer)>) -> Vec<Range> {
    let by_number: BTreeMap<u32, Answer> = answers
        .into_iter()
        .map(|(call, answer)| (call as u32, answer))
        .collect();
    let mut ranges = Vec::new();
    push(&mut ranges, 0, Answer::Allow);
    for (&number, &answer) in &by_number {
        push(&mut ranges, number, answer);
        if !by_number.contains_key(&(number + 1)) {
            push(&mut ranges, number + 1, Answer::Allow);
        }
    }
    ranges
}

/// Neighbours with one answer become one range.
fn push(ranges: &mut Vec<Range>, from: u32, answer: Answer) {
    if ranges.last().is_some_and(|last| last.from == from) {
        ranges.pop();
    }
    if ranges.last().is_none_or(|last| last.answer != answer) {
        ranges.push(Range { from, answer });
    }
}

fn search(ranges: &[Range]) -> Vec<sock_filter> {
    let (low, high) = ranges.split_at(ranges.len() / 2);
    match (low, high) {
        ([], []) => Vec::new(),
        ([], [range, ..]) => reply(range.answer),
        (_, [middle, ..]) => {
            let low = search(low);
            let mut program = branch(middle.from, low.len());
            program.extend(low);
            program.extend(search(high));
            program
        }
        (_, []) => search(low),
    }
}

/// Over the next `length` instructions, if the loaded number is at least `least`. A conditional jump
/// reaches no farther than its one byte.
fn branch(least: u32, length: usize) -> Vec<sock_filter> {
    match u8::try_from(length) {
        Ok(length) => vec![jump(libc::BPF_JGE, least, length, 0)],
        Err(_) => vec![
            jump(libc::BPF_JGE, least, 0, 1),
            statement(libc::BPF_JMP | libc::BPF_JA, length as u32),
        ],
    }
}

fn reply(answer: Answer) -> Vec<sock_filter> {
    match answer {
        Answer::Allow => vec![give(libc::SECCOMP_RET_ALLOW)],
        Answer::Refuse(errno) => vec![refuse(errno)],
        Answer::RefuseBits(argument, bits, errno) => vec![
            load_argument(argument),
            jump(libc::BPF_JSET, bits, 0, 1),
            refuse(errno),
            give(libc::SECCOMP_RET_ALLOW),
        ],
        Answer::RefuseThese(these, errno) => {
            cases(these, refuse(errno), give(libc::SECCOMP_RET_ALLOW))
        }
        Answer::AllowOnly(these, errno) => {
            cases(these, give(libc::SECCOMP_RET_ALLOW), refuse(errno))
        }
    }
}

/// `then` in the first case that holds, else `otherwise`.
fn cases(these: &[Case], then: sock_filter, otherwise: sock_filter) -> Vec<sock_filter> {
    if let Some((argument, values)) = one_argument(these) {
        return one_of(argument, &values, then, otherwise);
    }
    let mut program = Vec::new();
    for case in these {
        // Two instructions for each comparison that is left, and one for the answer.
        let mut left = 2 * case.len() as u8 + 1;
        for &(argument, value) in *case {
            left -= 2;
            program.push(load_argument(argument));
            program.push(jump(libc::BPF_JEQ, value, 0, left));
        }
        program.push(then);
    }
    program.push(otherwise);
    program
}

/// The argument that all cases ask about and nothing else, and what it may be.
fn one_argument(these: &[Case]) -> Option<(usize, Vec<u32>)> {
    let pairs: Option<Vec<(usize, u32)>> = these
        .iter()
        .map(|case| match case {
            [pair] => Some(*pair),
            _ => None,
        })
        .collect();
    let (arguments, values): (Vec<usize>, Vec<u32>) = pairs?.into_iter().unzip();
    let &argument = arguments.first()?;
    let same = arguments.iter().all(|&other| other == argument);
    same.then_some((argument, values))
}

/// The shorter form of [`cases`], which loads once and has each answer once.
fn one_of(
    argument: usize,
    values: &[u32],
    then: sock_filter,
    otherwise: sock_filter,
) -> Vec<sock_filter> {
    let mut program = vec![load_argument(argument)];
    for (index, &value) in values.iter().enumerate() {
        // Over the comparisons that are left, and the other answer.
        let left = (values.len() - index) as u8;
        program.push(jump(libc::BPF_JEQ, value, left, 0));
    }
    program.extend([otherwise, then]);
    program
}

/// The lower half is the first one on the little-endian processors that Flux runs on.
const fn load_argument(index: usize) -> sock_filter {
    let (argument, half) = (index % ARGUMENTS, index / ARGUMENTS);
    load(offset_of!(seccomp_data, args) + argument * size_of::<u64>() + half * size_of::<u32>())
}

const fn load(offset: usize) -> sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset as u32)
}

const fn refuse(errno: i32) -> sock_filter {
    give(libc::SECCOMP_RET_ERRNO | errno as u32)
}

const fn give(answer: u32) -> sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, answer)
}

const fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}

/// Over `jt` instructions if the comparison with `k` holds, else over `jf`.
const fn jump(comparison: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter {
        code: (libc::BPF_JMP | comparison | libc::BPF_K) as u16,
        jt,
        jf,
        k,
    }
}

#[cfg(test)]
#[path = "program_tests.rs"]
mod tests;
