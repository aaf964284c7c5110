//! The protocol's service: each call becomes one call of the [`Worker`](super::worker_api::Worker).
//!
//! The threads that read connections convert and hand on; whatever may block runs on one of four
//! bounded pools, and a full pool refuses with `Busy`. Answers are bounded by the protocol's
//! message size.
//!
//! ```text
//! serving    the whole, from its start to its end
//! calls      what each call asks of the worker; fields, releases: what comes in
//! answering  who answers it; pools: on which threads
//! messages   what an answer may be
//! ```

mod answering;
mod calls;
mod fields;
mod messages;
mod pools;
mod releases;
mod serving;

pub use serving::Serving;
