//! HTTP/2 connections for gRPC, with threads that block.
//!
//! Owns: [`session`], frames and streams as a value; [`transport`], TLS as a value; [`link`], both on a
//! socket; [`calls`] and [`requests`], what a client and a server do with streams; [`dial`] and [`listen`], where
//! connections come from.

pub(in crate::rpc) mod calls;
mod credit;
mod deadlines;
pub(in crate::rpc) mod dial;
pub(in crate::rpc) mod keepalive;
pub(in crate::rpc) mod link;
pub(in crate::rpc) mod listen;
pub(in crate::rpc) mod requests;
pub(in crate::rpc) mod session;
pub(in crate::rpc) mod transport;
