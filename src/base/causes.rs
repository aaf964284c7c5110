//! An error together with what caused it, as one text.
//!
//! The only place that follows an error to its causes, so that errors read the same in logs, in
//! answers of the API and on terminals.

use std::error::Error;

/// The error and all its causes, from the outside in, joined by `: `. A text of several lines keeps
/// them.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::base::atomic_file::FileError;

    #[test]
    fn causes_follow_their_effects() {
        let error = FileError::at("open", Path::new("/x"))(std::io::Error::other("no such luck"));
        assert_eq!(with_causes(&error), "cannot open /x: no such luck");
    }

    /// How code comes by an error's causes: std's way, anyhow's iterator, and anyhow's `{error:#}`.
    const WAYS_TO_CAUSES: [&str; 3] = [".source()", ".chain()", ":#}"];

    /// Put an error and its cause together by themselves, below the command line and the API.
    const ELSEWHERE: [&str; 4] = [
        "base/sqlite/database.rs",
        "sandbox/linux/cgroup/error.rs",
        "sandbox/linux/follow/tree.rs",
        "sandbox/linux/start/explain.rs",
    ];

    #[test]
    fn no_other_file_follows_an_error_to_its_causes() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut found = Vec::new();
        for file in rust_files(&root) {
            let name = file
                .strip_prefix(&root)
                .expect("below src")
                .display()
                .to_string();
            if name == "base/causes.rs" || ELSEWHERE.contains(&name.as_str()) {
                continue;
            }
            let text = fs::read_to_string(&file).expect("UTF-8");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            found.extend(
                WAYS_TO_CAUSES
                    .iter()
                    .filter(|way| code.contains(**way))
                    .map(|way| format!("src/{name}: {way}")),
            );
        }
        assert!(found.is_empty(), "use with_causes instead: {found:?}");
    }

    fn rust_files(directory: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(directory).expect("a directory");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths
            .flat_map(|path| match path.extension() {
                _ if path.is_dir() => rust_files(&path),
                Some(extension) if extension == "rs" => vec![path],
                Some(_) | None => Vec::new(),
            })
            .collect()
    }
}
