//! The worker.

fn main() -> std::process::ExitCode {
    flux::cli::agent_daemon::main()
}
