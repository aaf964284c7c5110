//! Writes the corpus of hostile and odd archives as files, for the fuzzer to start from:
//! `cargo run --example archive_seeds DIRECTORY`.

use std::fs;
use std::path::Path;

#[path = "../../tests/hostile_archives/mod.rs"]
mod hostile_archives;

use hostile_archives::{corpus, sound};

/// Longer ones only slow the fuzzer down; what they do, they do by their length.
const LONGEST: usize = 64 << 10;

fn main() -> std::io::Result<()> {
    let directory = std::env::args()
        .nth(1)
        .expect("usage: archive_seeds DIRECTORY");
    fs::create_dir_all(&directory)?;
    let hostile = corpus().map(|attack| (format!("{} {}", attack.code, attack.name), attack.build));
    let odd = sound().iter().map(|archive| {
        let (path, mode) = archive.becomes;
        (
            format!("sound {} {path} {mode:o}", archive.name),
            archive.build,
        )
    });
    let mut written = 0;
    for (name, build) in hostile.chain(odd) {
        let bytes = build();
        if bytes.len() <= LONGEST {
            let file: String = (name.chars())
                .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
                .collect();
            fs::write(Path::new(&directory).join(file), bytes)?;
            written += 1;
        }
    }
    println!("{written} archives in {directory}");
    Ok(())
}
