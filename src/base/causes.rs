//! An error as one line of text, for logs and answers.

use std::error::Error;

/// The error and all its causes, from the outside in, joined by `: `.
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
    use super::*;
    use crate::base::atomic_file::FileError;
    use std::path::Path;

    #[test]
    fn causes_follow_their_effects() {
        let error = FileError::at("open", Path::new("/x"))(std::io::Error::other("no such luck"));
        assert_eq!(with_causes(&error), "open /x: no such luck");
    }
}
