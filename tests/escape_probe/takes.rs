//! More than its share of what ends an execution: memory, disk, output, time.
//!
//! What became of it stands in the execution's record. Bounded by `mb`, so that it can be run where no limit
//! holds; who reaches that end says so and exits with 0.

use std::fs::File;
use std::io::Write;
use std::process::ExitCode;

use nix::sys::signal::{SigHandler, Signal, signal};

use crate::system::{fork, pause};
use crate::told::Told;

const MIB: usize = 1 << 20;
const DEFAULT_MB: u64 = 64;
/// For whoever should be ended by then.
const WAITS_MS: u64 = 60_000;

/// `what=` memory, memory_of_children, disk, disk_in_many_files, disk_without_names, output or time.
pub fn take(told: &Told) -> ExitCode {
    let mb = told.number("mb").unwrap_or(DEFAULT_MB);
    let taken = match told.one("what").unwrap_or_default() {
        "memory" => memory(mb),
        "memory_of_children" => memory_of_children(mb),
        "disk" => disk(mb, false),
        "disk_without_names" => disk(mb, true),
        "disk_in_many_files" => many_files(mb),
        "output" => output(mb),
        "time" => time(),
        other => Err(std::io::Error::other(format!("cannot take {other:?}"))),
    };
    match taken {
        Ok(()) => {
            eprintln!("took all of {mb} MiB");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("stopped by: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Written to, so that it exists.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the kernel ends it, or nothing does"
)]
fn memory(mb: u64) -> std::io::Result<()> {
    let mut held = Vec::new();
    for _ in 0..mb {
        held.push(std::hint::black_box(vec![1u8; MIB]));
    }
    drop(held);
    Ok(())
}

/// Each holds a quarter: only together they are too many.
fn memory_of_children(mb: u64) -> std::io::Result<()> {
    let mut children = Vec::new();
    for _ in 0..4 {
        match fork()? {
            nix::unistd::ForkResult::Child => {
                let held: Vec<_> = (0..mb / 4)
                    .map(|_| std::hint::black_box(vec![1u8; MIB]))
                    .collect();
                pause(2_000);
                drop(held);
                crate::system::exit_now(0)
            }
            nix::unistd::ForkResult::Parent { child } => children.push(child),
        }
    }
    for child in children {
        nix::sys::wait::waitpid(child, None)?;
    }
    Ok(())
}

/// In files of the working directory and the temporary one, in turn; without names they cannot be found
/// by looking for them.
fn disk(mb: u64, without_names: bool) -> std::io::Result<()> {
    let block = vec![7u8; MIB];
    let mut files = Vec::new();
    for number in 0..mb {
        let directory = if number % 2 == 0 {
            ".".into()
        } else {
            std::env::temp_dir()
        };
        let path = directory.join(format!("taken-{number}"));
        let mut file = File::create(&path)?;
        if without_names {
            std::fs::remove_file(&path)?;
        }
        file.write_all(&block)?;
        file.sync_data()?;
        files.push(file);
    }
    // Whoever looks only now and then gets the chance.
    pause(3_000);
    Ok(())
}

/// 4 KiB each, which a file takes at least.
fn many_files(mb: u64) -> std::io::Result<()> {
    for number in 0..mb * 256 {
        std::fs::write(format!("taken-{number}"), [7; 4096])?;
    }
    pause(3_000);
    Ok(())
}

fn output(mb: u64) -> std::io::Result<()> {
    let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
    let mut out = std::io::stdout().lock();
    for _ in 0..mb * 1024 {
        out.write_all(&line)?;
    }
    out.flush()
}

/// Does not hear the polite signal.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the agent ends it, or nothing does"
)]
fn time() -> std::io::Result<()> {
    // SAFETY: ignoring a signal runs no code.
    let _ = unsafe { signal(Signal::SIGTERM, SigHandler::SigIgn) };
    pause(WAITS_MS);
    Ok(())
}
