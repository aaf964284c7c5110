//! The HTTP API: from a request to its route, and from what came of it to an answer.
//!
//! `router` is the one table of routes, `auth` says who may use them, `routes/` has an action for
//! each; `views` are the shapes of answers, `errors` maps every error to its status.

pub(crate) mod auth;
pub(crate) mod errors;
pub(crate) mod handler;
mod router;
mod routes;
mod views;
