//! Names and identifiers. Each is checked once, where text enters; everything behind works with
//! the type, so that no path or certificate is ever built from unchecked text.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// What is wrong with a name, ready to be shown to whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what} {value:?}: expected {expected}")]
pub struct InvalidId {
    /// `function name`, `agent id` and so on.
    pub what: &'static str,
    /// The refused text, cut to 100 characters.
    pub value: String,
    /// What the text should have been; after "expected".
    pub expected: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $expected:literal, $is_valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// # Errors
            /// The rule that the text breaks.
            pub fn new(text: &str) -> Result<$name, InvalidId> {
                let is_valid: fn(&str) -> bool = $is_valid;
                if is_valid(text) {
                    return Ok($name(text.into()));
                }
                Err(InvalidId {
                    what: $what,
                    value: text.chars().take(100).collect(),
                    expected: $expected,
                })
            }

            /// As it was given, which is its only form.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<$name, InvalidId> {
                $name::new(text)
            }
        }
    };
}

text_id!(
    /// A function's name; safe as a directory name.
    FunctionName,
    "function name",
    "1 to 63 of a-z, 0-9, _ and -, starting with a letter or digit",
    |text| is_name(text, 63, |c| c.is_ascii_lowercase() || c.is_ascii_digit(), "_-")
);

text_id!(
    /// An agent's id; safe as a directory name and inside a certificate. Lowercase, because
    /// certificate names compare without case.
    AgentId,
    "agent id",
    "1 to 63 of a-z, 0-9, ., _ and -, starting with a letter or digit",
    |text| is_name(text, 63, |c| c.is_ascii_lowercase() || c.is_ascii_digit(), "._-")
);

text_id!(
    /// An execution's id; safe as a file name. Flux makes UUIDs of version 7, which sort by the
    /// time of their making; other control planes may send other texts.
    ExecutionId,
    "execution id",
    "1 to 64 letters, digits, _ and -, starting with a letter or digit",
    |text| is_name(text, 64, |c| c.is_ascii_alphanumeric(), "_-")
);

text_id!(
    /// Lowercase hexadecimal SHA-256 of an archive.
    Digest,
    "digest",
    "64 lowercase hexadecimal digits",
    |text| text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
);

impl ExecutionId {
    /// A fresh id, later in order than every one this process made before.
    pub fn generate() -> ExecutionId {
        ExecutionId(uuid::Uuid::now_v7().to_string().into())
    }
}

impl Digest {
    /// From the 32 bytes of a SHA-256.
    pub fn from_sha256(bytes: [u8; 32]) -> Digest {
        use fmt::Write;
        let text = bytes
            .iter()
            .fold(String::with_capacity(64), |mut text, byte| {
                // Writing to a String cannot fail.
                let _ = write!(text, "{byte:02x}");
                text
            });
        Digest(text.into())
    }
}

fn is_name(text: &str, longest: usize, may_start: fn(char) -> bool, punctuation: &str) -> bool {
    (1..=longest).contains(&text.len())
        && text.starts_with(may_start)
        && text
            .chars()
            .all(|c| may_start(c) || punctuation.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_their_directory_are_refused() {
        for text in [
            "", ".", "..", "../x", "a/b", "a\\b", "-a", "_a", "A", "a b", "a\0", "ä",
        ] {
            assert!(FunctionName::new(text).is_err(), "{text:?}");
        }
        for text in ["..", ".a", "a/b", "A", "", "a\n"] {
            assert!(AgentId::new(text).is_err(), "{text:?}");
        }
        for text in ["..", "a/b", "", "a.b", "-x"] {
            assert!(ExecutionId::new(text).is_err(), "{text:?}");
        }
        assert!(FunctionName::new(&"a".repeat(64)).is_err());
    }

    #[test]
    fn ordinary_names_pass() {
        for text in ["a", "resize-image", "a_1", "0day", &"a".repeat(63)] {
            assert!(FunctionName::new(text).is_ok(), "{text:?}");
        }
        assert!(AgentId::new("agent-abc123.rack_2").is_ok());
        assert!(ExecutionId::new("0198f0c2-AAAA_x").is_ok());
    }

    #[test]
    fn generated_execution_ids_are_valid_and_ascend() {
        let ids: Vec<_> = (0..1000).map(|_| ExecutionId::generate()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(ids.iter().all(|id| ExecutionId::new(id.as_str()).is_ok()));
    }

    #[test]
    fn an_error_says_what_was_expected() {
        let error = FunctionName::new("Bad Name").expect_err("invalid");
        assert_eq!(
            error.to_string(),
            "function name \"Bad Name\": expected 1 to 63 of a-z, 0-9, _ and -, starting with a letter or digit"
        );
    }
}
