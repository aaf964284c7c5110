//! The embedded store keeps the contract.

use flux::store::{EmbeddedStore, Store};

use super::bench::Bench;
use super::contract::conformance;

conformance!(store, EmbeddedBench);

struct EmbeddedBench(tempfile::TempDir);

impl Default for EmbeddedBench {
    fn default() -> EmbeddedBench {
        EmbeddedBench(tempfile::tempdir().expect("tempdir"))
    }
}

impl Bench for EmbeddedBench {
    fn open(&self) -> Box<dyn Store> {
        Box::new(EmbeddedStore::open(self.0.path()).expect("open"))
    }
}
