//! Flux runs any executable as a serverless function, on one machine or on a fleet.
//!
//! Layers, from the ground up; imports go left only:
//!
//! ```text
//! base ← model ← contract ← {config, policy, wire, stored} ← {store, pki, rpc, archive, sandbox, host, http} ← {control, agent} ← api ← cli ← bin
//! ```
//!
//! ARCHITECTURE.md is the map; `tests/system/architecture` holds the directions.

// What is `pub` is what the programs, the tests and the benches use. Of the library alone: a program's
// `pub` reaches nobody anyway.
#![warn(unreachable_pub)]

pub mod agent;
mod api;
pub mod archive;
pub mod base;
pub mod cli;
pub mod config;
mod contract;
mod control;
mod host;
pub mod http;
pub mod model;
pub mod pki;
mod policy;
pub mod rpc;
pub mod sandbox;
pub mod store;
mod stored;
pub mod wire;
