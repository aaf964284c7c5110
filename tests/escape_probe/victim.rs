//! The other function: it has secrets in its environment, its files, its memory and its output, says
//! where, and waits to be robbed.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::ExitCode;

use crate::processes::MARK;
use crate::system::{address, pause};

/// Longer than any test; it ends by itself in case that nobody ends it.
const WAITS_MS: u64 = 7_200_000;

/// See the module's text.
pub fn wait() -> ExitCode {
    let secret = format!("{MARK}in-memory-{}", std::process::id());
    let directory = std::env::current_dir().unwrap_or_default();
    let temporary = std::env::temp_dir();
    let files = [directory.join("secret.txt"), temporary.join("secret.txt")];
    for file in &files {
        if let Err(error) = std::fs::write(file, format!("{MARK}in-a-file")) {
            println!("failed to keep a secret in {}: {error}", file.display());
            return ExitCode::FAILURE;
        }
    }
    let name = format!("flux-victim-{}", std::process::id());
    let listener =
        SocketAddr::from_abstract_name(&name).and_then(|it| UnixListener::bind_addr(&it));
    println!(
        "ready pid={} uid={} address={} abstract={name} directory={} temporary={}",
        std::process::id(),
        nix::unistd::getuid(),
        address(secret.as_bytes()),
        directory.display(),
        temporary.display(),
    );
    pause(WAITS_MS);
    drop((listener, secret));
    ExitCode::SUCCESS
}
