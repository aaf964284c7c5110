//! From every error to its HTTP status: one exhaustive match for each enum, in the file of the service
//! whose error it is, and the one JSON shape of errors.
//!
//! What the client reads and what the log reads are two messages: causes that tell about the
//! inside of the machine (paths, SQL, addresses of agents) go to the log. Refuses: an arm that takes
//! whatever else an error may become, so that a new one has to be given a status.

mod agents;
mod api_error;
mod calls;
mod enrolment;
mod executions;
mod functions;
mod machine;
mod requests;
mod store;

pub(crate) use api_error::ApiError;
