//! What the command line asks for.

use std::path::PathBuf;

const USAGE: &str =
    "usage: spawn [--quick] [--threads N]... [--uid N] [--descriptors N] [--no-drain]
             [--cgroups] [PROGRAM]
  --quick     fewer rounds
  --threads   how many at once, beside one at a time (1 and 16)
  --uid       whom executions run as, where this is root (64001)
  --descriptors  how many this process has open meanwhile, as an agent with much to do (0)
  --cgroups   only: what making, limiting and removing a cgroup costs, call by call
  PROGRAM     a small one that does nothing (/bin/true)";

/// The command line, read.
pub struct Options {
    pub program: PathBuf,
    pub rounds: usize,
    pub slices: usize,
    pub threads: Vec<usize>,
    pub uid: u32,
    pub descriptors: usize,
    pub drain: bool,
    pub cgroups: bool,
}

impl Options {
    /// # Errors
    /// How it is used.
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            program: "/bin/true".into(),
            rounds: 500,
            slices: 7,
            threads: Vec::new(),
            uid: 64_001,
            descriptors: 0,
            drain: true,
            cgroups: false,
        };
        while let Some(arg) = args.next() {
            let mut number = || args.next().and_then(|text| text.parse().ok()).ok_or(USAGE);
            match arg.as_str() {
                // From cargo.
                "--bench" => {}
                "--quick" => (options.rounds, options.slices) = (100, 3),
                "--threads" => options.threads.push(number()?),
                "--uid" => options.uid = u32::try_from(number()?).map_err(|_| USAGE)?,
                "--descriptors" => options.descriptors = number()?,
                "--no-drain" => options.drain = false,
                "--cgroups" => options.cgroups = true,
                program if !program.starts_with('-') => options.program = program.into(),
                _ => return Err(USAGE.to_owned()),
            }
        }
        if options.threads.is_empty() {
            options.threads = vec![1, 16];
        }
        Ok(options)
    }
}
