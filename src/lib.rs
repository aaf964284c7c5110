//! Flux runs any executable as a serverless function, on one machine or on a fleet.
//!
//! Layers, from the ground up; imports go left only:
//!
//! ```text
//! base ← model ← contract ← {config, policy, wire, stored} ← {store, pki, rpc, archive, sandbox, host, http} ← {control, agent} ← api ← cli ← bin
//! ```
//!
//! ARCHITECTURE.md is the map; `tests/system/architecture` holds the directions.

pub mod agent;
pub mod api;
pub mod archive;
pub mod base;
pub mod cli;
pub mod config;
pub mod contract;
pub mod control;
pub mod host;
pub mod http;
pub mod model;
pub mod pki;
pub mod policy;
pub mod rpc;
pub mod sandbox;
pub mod store;
pub mod stored;
pub mod wire;
