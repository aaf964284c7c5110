//! The history in SQLite keeps the contract.

use flux::store::history::{HistoryStore, SqliteHistory};

use super::bench::HistoryBench;
use super::contract::conformance;

conformance!(history, SqliteBench);

struct SqliteBench(tempfile::TempDir);

impl Default for SqliteBench {
    fn default() -> SqliteBench {
        SqliteBench(tempfile::tempdir().expect("tempdir"))
    }
}

impl HistoryBench for SqliteBench {
    fn open(&self) -> Box<dyn HistoryStore> {
        Box::new(SqliteHistory::open(self.0.path()).expect("open"))
    }
}
