//! Executions after they were handed over: found, read, followed, listed, cancelled.
//!
//! What has ended is in the history, and what runs is with its agent. An agent that cannot be asked is
//! an outage and is said so: never "not found", never an empty list. `locate` finds an execution,
//! `read`, `list`, `follow` and `cancel` say what it does.

mod cancel;
mod error;
mod follow;
mod list;
mod locate;
mod read;

pub(crate) use error::ExecutionError;
pub(crate) use follow::{Follow, Followed};
pub(crate) use list::{Listing, MAX_LISTED};
pub(crate) use locate::Executions;
