//! Digests over fields: each field is preceded by its length, so that no two different lists of
//! fields make the same bytes.

use openssl::sha::Sha256;

use crate::model::ids::Digest;

pub(super) struct FieldHasher(Sha256);

impl FieldHasher {
    /// `purpose` names what is hashed and the version of its encoding.
    pub(super) fn new(purpose: &str) -> FieldHasher {
        FieldHasher(Sha256::new()).text(purpose)
    }

    pub(super) fn text(mut self, text: &str) -> FieldHasher {
        self.0.update(&(text.len() as u64).to_be_bytes());
        self.0.update(text.as_bytes());
        self
    }

    pub(super) fn number(mut self, number: u64) -> FieldHasher {
        self.0.update(&number.to_be_bytes());
        self
    }

    pub(super) fn finish(self) -> Digest {
        Digest::from_sha256(self.0.finish())
    }
}
