//! The HTTP server from outside: raw sockets against a server in this process, one rule a test.

mod gone;
mod overload;
mod refusals;
mod requests;
mod shutdown;
mod slow_clients;
mod streams;
mod support;
mod tls;
