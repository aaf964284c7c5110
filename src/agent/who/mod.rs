//! As whom functions run, and how far they are kept apart.
//!
//! `runners` finds the user ids of this machine, `users` gives each function its own, and
//! `isolation` holds what a function asks for against what agent.yaml grants.

pub(crate) mod isolation;
pub(crate) mod runners;
pub(crate) mod users;
