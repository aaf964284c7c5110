//! The HTTP server from outside: raw sockets against a server in this process, one rule a test.

pub mod gone;
pub mod overload;
pub mod refusals;
pub mod requests;
pub mod shutdown;
pub mod slow_clients;
pub mod streams;
pub mod support;
pub mod tls;
