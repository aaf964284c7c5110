//! Why nothing runs, in words that somebody can act on. The errno of execve(2) alone misleads: a
//! missing interpreter reads "no such file" about a file that is there.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use super::child::{Failure, Stage};
use super::spawn::SpawnError;
use crate::base::causes::with_causes;
use crate::sandbox::platform::arch;
use crate::sandbox::{FileAccess, Spec};

/// The longest first line that the kernel looks at (BINPRM_BUF_SIZE).
const HEAD_BYTES: u64 = 256;
/// Type of the program header that names the loader (elf(5), PT_INTERP).
const PT_INTERP: u32 = 3;

/// For [`crate::sandbox::Outcome::error`].
pub(in crate::sandbox) fn spawn_error(error: &SpawnError, spec: &Spec) -> String {
    match error {
        SpawnError::Clone(cause) if cause.raw_os_error() == Some(libc::EAGAIN) => {
            "could not be started: the system gives no more processes (a limit of the agent's user, \
             its cgroup, or pid_max is reached)"
                .to_owned()
        }
        SpawnError::Files(_)
        | SpawnError::Image(_)
        | SpawnError::Descriptors(_)
        | SpawnError::Clone(_) => {
            format!("could not be started: {}", with_causes(error))
        }
        SpawnError::Child(failure) => format!("could not be started: {}", child(*failure, spec)),
    }
}

fn child(failure: Failure, spec: &Spec) -> String {
    let cause = io::Error::from_raw_os_error(failure.errno);
    let action = match failure.stage {
        Stage::Exec => return exec(failure.errno, spec),
        Stage::ParentDeath => return "the agent ended while it was being started".to_owned(),
        Stage::WorkingDirectory => {
            return format!(
                "cannot enter the working directory {}: {cause}",
                spec.cwd.display()
            );
        }
        Stage::Session => "make a session",
        Stage::Cgroup => "enter its cgroup",
        Stage::Loopback => "bring up the loopback interface of its own network",
        Stage::OomScore => "give up the agent's protection from running out of memory",
        Stage::Keyring => "leave the agent's session keyring",
        Stage::Rlimit => "set its resource limits",
        Stage::Groups => "drop the agent's groups",
        Stage::Gid => "change to its group",
        Stage::Uid => "change to its user",
        Stage::NoNewPrivs => "give up gaining privileges",
        Stage::Landlock => "separate it from other executions and their files (Landlock)",
        Stage::Syscalls => "filter its system calls",
        Stage::Stdio => "connect its input and output",
        Stage::Descriptors => "close the agent's descriptors",
    };
    format!("cannot {action}: {cause}")
}

fn exec(errno: i32, spec: &Spec) -> String {
    let program = &spec.program;
    let name = program.display();
    match errno {
        libc::ENOENT => match interpreter(program) {
            _ if !program.exists() => format!("{name}: no such file"),
            Some(interpreter) if interpreter.ends_with('\r') => format!(
                "{name} has Windows line ends: its first line asks for {interpreter:?}, which does not exist"
            ),
            Some(interpreter) => format!("{name} needs {interpreter}, which does not exist"),
            None => format!("{name} needs an interpreter that does not exist"),
        },
        libc::EACCES => refused(spec),
        libc::ENOEXEC => format!("{name} {}", not_a_program(program)),
        libc::ETXTBSY => format!("{name} is open for writing"),
        libc::E2BIG => "arguments and environment are longer than the system takes".to_owned(),
        _ => format!("{name}: {}", io::Error::from_raw_os_error(errno)),
    }
}

fn refused(spec: &Spec) -> String {
    let program = &spec.program;
    let name = program.display();
    match fs::metadata(program) {
        Ok(found) if !found.is_file() => format!("{name} is not a file"),
        Ok(found) if found.permissions().mode() & 0o111 == 0 => format!(
            "{name} is not executable (mode {:03o})",
            found.permissions().mode() & 0o777
        ),
        _ => {
            let outside = outside(&spec.files);
            match interpreter(program) {
                Some(interpreter) => format!(
                    "the function's user may not execute {name} or {interpreter}, which it needs{outside}"
                ),
                None => format!("the function's user may not execute {name}{outside}"),
            }
        }
    }
}

/// The kernel gives one errno for the file's mode and for rules of files.
fn outside(files: &FileAccess) -> &'static str {
    match files {
        FileAccess::Open => "",
        FileAccess::Only { .. } => ", or that lies outside of the files that it may reach",
    }
}

fn not_a_program(program: &Path) -> String {
    let head = head(program);
    match elf_machine(&head) {
        _ if head.is_empty() => "is empty".to_owned(),
        Some(machine) if machine != arch::ELF_MACHINE => format!(
            "is a program for {}, and this machine is {}",
            machine_name(machine),
            machine_name(arch::ELF_MACHINE)
        ),
        Some(_) => "is a damaged program".to_owned(),
        None => {
            "is neither a program for Linux nor a script whose first line starts with #!".to_owned()
        }
    }
}

/// What a script's first line or a program's header asks for.
fn interpreter(program: &Path) -> Option<String> {
    let head = head(program);
    match head.strip_prefix(b"#!") {
        Some(rest) => shebang(rest),
        None => elf_loader(program, &head),
    }
}

/// Up to the first blank; a carriage return is part of the name, as it is for the kernel.
fn shebang(rest: &[u8]) -> Option<String> {
    let line = rest.split(|&byte| byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let name = line
        .trim_start_matches([' ', '\t'])
        .split([' ', '\t'])
        .next()?;
    Some(name.to_owned())
}

/// From the program headers of a 64-bit little-endian program, which is what runs here.
fn elf_loader(program: &Path, head: &[u8]) -> Option<String> {
    elf_machine(head)?;
    let file = File::open(program).ok()?;
    let table = number(head, 32, 8)?;
    let entry_bytes = number(head, 54, 2)?;
    let count = number(head, 56, 2)?;
    for index in 0..count {
        let mut entry = [0; 56];
        let at = table.checked_add(index * entry_bytes)?;
        file.read_exact_at(&mut entry, at).ok()?;
        if number(&entry, 0, 4)? as u32 == PT_INTERP {
            let mut name = vec![0; number(&entry, 32, 8)?.min(HEAD_BYTES) as usize];
            file.read_exact_at(&mut name, number(&entry, 8, 8)?).ok()?;
            let name = name.split(|&byte| byte == 0).next()?;
            return Some(String::from_utf8_lossy(name).into_owned());
        }
    }
    None
}

fn elf_machine(head: &[u8]) -> Option<u16> {
    head.starts_with(b"\x7fELF")
        .then(|| number(head, 18, 2))?
        .map(|machine| machine as u16)
}

fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let field = bytes.get(at..at + length)?;
    Some(
        field
            .iter()
            .rev()
            .fold(0, |value, &byte| value << 8 | u64::from(byte)),
    )
}

fn machine_name(machine: u16) -> String {
    match machine {
        3 => "x86 (32 bits)".to_owned(),
        40 => "arm (32 bits)".to_owned(),
        62 => "x86_64".to_owned(),
        183 => "aarch64".to_owned(),
        243 => "riscv".to_owned(),
        other => format!("processor type {other}"),
    }
}

/// Empty when it cannot be read.
fn head(program: &Path) -> Vec<u8> {
    let mut head = Vec::new();
    if let Ok(file) = File::open(program) {
        // What has been read before an error is as good as all.
        let _ = file.take(HEAD_BYTES).read_to_end(&mut head);
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interpreter_of_a_script_is_its_first_word() {
        assert_eq!(shebang(b" /bin/sh -e\necho").as_deref(), Some("/bin/sh"));
        assert_eq!(shebang(b"/bin/sh\r\n").as_deref(), Some("/bin/sh\r"));
        assert_eq!(
            shebang(b"/usr/bin/env\tpython3").as_deref(),
            Some("/usr/bin/env")
        );
    }

    #[test]
    fn the_loader_of_a_program_is_read_from_its_headers() {
        let own = std::env::current_exe().expect("this program");
        let loader = interpreter(&own).expect("a dynamically linked program");
        assert!(Path::new(&loader).exists(), "{loader}");
    }
}
