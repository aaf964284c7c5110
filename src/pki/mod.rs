//! The authority of the fleet: CA, leaf certificates, enrolment.
//!
//! Invariants: a new CA is made only where there is no trace of an old one, because every agent
//! trusts exactly one; a certificate is valid as server (agents) or as client (control plane),
//! never as both; private keys are readable by their owner alone.
//!
//! Refuses: sockets. Enrolment is pure functions here; HTTP carries it elsewhere. Nothing is
//! renewed while the daemon runs: [`Authority::open_or_create`] renews the control certificate at
//! start, and `issue_agent` renews an agent's.

mod authority;
mod constant_time;
pub mod enrolment;
mod error;
mod expiry;
pub mod invitation;
mod issue;
pub mod join;
mod layout;
mod material;
mod token;

pub use authority::{Authority, Identity};
pub(crate) use constant_time::constant_time_eq;
pub(crate) use error::PkiError;
pub(crate) use expiry::{Expiry, Holder, expiries};
pub(crate) use token::Secret;
pub use token::{EnrolmentToken, Fingerprint};
