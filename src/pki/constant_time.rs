//! Comparing secrets without telling, by the time it takes, how much of one was right.

use openssl::memcmp;
use openssl::sha::sha256;

/// Whether the two are equal. Both are hashed first: the comparison then takes the same time
/// for every input, and does not show the length of the secret either.
pub(crate) fn constant_time_eq(given: &[u8], secret: &[u8]) -> bool {
    memcmp::eq(&sha256(given), &sha256(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_is_equal_and_everything_else_is_not() {
        assert!(constant_time_eq(b"key", b"key"));
        assert!(constant_time_eq(b"", b""));
        for given in [&b""[..], b"ke", b"keyy", b"Key", b"key\0"] {
            assert!(!constant_time_eq(given, b"key"), "{given:?}");
        }
    }
}
