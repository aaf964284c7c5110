//! An error together with what caused it, as one text.
//!
//! The only place that follows an error to its causes, so that errors read the same in logs, in
//! answers of the API and on terminals; `tests/system/architecture` holds it. Each text of the chain
//! is a statement, as "How the code should read" in docs/development.md has it.

use std::error::Error;

/// The error and all its causes, from the outside in, joined by `: `. A text of several lines keeps
/// them.
pub(crate) fn with_causes(error: &dyn Error) -> String {
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
    use std::path::Path;

    use super::*;
    use crate::base::atomic_file::FileError;

    #[test]
    fn causes_follow_their_effects() {
        let error = FileError::at("open", Path::new("/x"))(std::io::Error::other("no such luck"));
        assert_eq!(with_causes(&error), "cannot open /x: no such luck");
    }
}
