//! The history in SQLite keeps the contract.

use super::bench::SqliteBench;
use super::contract::conformance;

conformance!(history, SqliteBench);
