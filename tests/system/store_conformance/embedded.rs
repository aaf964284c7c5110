//! The embedded store keeps the contract.

use super::bench::EmbeddedBench;
use super::contract::conformance;

conformance!(store, EmbeddedBench);
