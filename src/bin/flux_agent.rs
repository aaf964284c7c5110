//! The worker.

fn main() -> std::process::ExitCode {
    flux::cli::daemons::agent::main()
}
