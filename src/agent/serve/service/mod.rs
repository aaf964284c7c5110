//! The protocol's service: each call becomes one call of the worker.

mod serving;

pub use serving::Serving;
