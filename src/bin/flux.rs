//! The control plane and the command line.

fn main() -> std::process::ExitCode {
    flux::cli::command::main()
}
