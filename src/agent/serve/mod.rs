//! What an agent answers its control planes, and what it tells them.
//!
//! `service/` speaks gRPC and turns each call into one of `worker_api`, which `worker` carries out;
//! `events` has those who are told of every end.

pub mod events;
pub mod service;
pub mod worker;
pub mod worker_api;
