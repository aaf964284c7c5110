//! The command line of the benchmark.

use super::bench::Effort;
use super::rows::{ROWS, Row};

/// What to run, and how long.
pub struct Options {
    pub effort: Effort,
    /// In the order of [`ROWS`], whatever the order of the arguments: some rows want a fresh fleet.
    pub rows: Vec<&'static Row>,
    pub list: bool,
}

impl Options {
    /// # Errors
    /// An argument that is neither an option nor a row.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut effort = Effort::Full;
        let mut list = false;
        let mut names = Vec::new();
        for argument in arguments {
            match argument.as_str() {
                // cargo bench adds it.
                "--bench" => {}
                "--quick" => effort = Effort::Quick,
                "--list" => list = true,
                name if ROWS.iter().any(|row| row.name == name) => names.push(argument),
                other => return Err(format!("{other:?} is neither an option nor a row")),
            }
        }
        let wanted = |row: &&Row| names.is_empty() || names.iter().any(|name| name == row.name);
        Ok(Options {
            effort,
            rows: ROWS.iter().filter(wanted).collect(),
            list,
        })
    }
}

/// One line for each option and row.
pub fn usage() -> String {
    let rows: Vec<_> = ROWS
        .iter()
        .map(|row| format!("  {:<12}{}", row.name, row.about))
        .collect();
    format!(
        "usage: dispatch [--quick] [--list] [ROW…]\n{}",
        rows.join("\n")
    )
}
