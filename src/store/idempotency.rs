//! Values of idempotent calls: the same key within its time stands for the first execution.

use openssl::sha::Sha256;

use crate::model::ids::{ExecutionId, FunctionName};

/// What a client's `Idempotency-Key` becomes: it is scoped by the function, has one length
/// whatever the client sends, and is no secret of his in our files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdempotencyKey([u8; 32]);

impl IdempotencyKey {
    /// SHA-256 over both parts.
    pub fn new(function: &FunctionName, client_key: &str) -> IdempotencyKey {
        let mut hash = Sha256::new();
        hash.update(function.as_str().as_bytes());
        // No function name contains it, so that no two pairs read the same.
        hash.update(&[0]);
        hash.update(client_key.as_bytes());
        IdempotencyKey(hash.finish())
    }

    /// As it is stored.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// What a call finds under its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Idempotency {
    /// Nothing: the key is the caller's from now on, and the execution may start.
    New,
    /// An earlier call.
    Existing {
        /// The execution that it started.
        execution: ExecutionId,
        /// Over what it asked for. If the present call's differs, it is another call that
        /// reuses the key.
        fingerprint: [u8; 32],
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_belongs_to_its_function() {
        let [a, b] = ["a", "b"].map(|name| FunctionName::new(name).expect("name"));
        let key = IdempotencyKey::new(&a, "k");
        assert_eq!(key, IdempotencyKey::new(&a, "k"));
        assert_ne!(key, IdempotencyKey::new(&b, "k"));
        assert_ne!(key, IdempotencyKey::new(&a, "k2"));
    }
}
