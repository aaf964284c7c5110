//! What an agent answers its control planes, and what it tells them.
//!
//! `service/` speaks gRPC and turns each call into one of `worker_api`, which `worker` carries out;
//! `events` has those who are told of every end.

pub(crate) mod events;
pub mod service;
pub(crate) mod worker;
pub mod worker_api;
