//! What the commands share towards a control plane.
//!
//! ```text
//! target, context        which control plane, with which key
//! call, http             requests and answers; document: an answer, and the JSON that it came as
//! events, chunk, follow  live output, over as many connections as it takes
//! interrupt              Ctrl-C while an execution is followed
//! record, distribution   what the answers mean to people and to shells
//! names                  names and ids that are checked before they are sent
//! ```

pub(super) mod call;
pub(super) mod chunk;
pub(super) mod context;
pub(super) mod distribution;
pub(super) mod document;
pub(super) mod events;
pub(super) mod follow;
pub(super) mod http;
pub(super) mod interrupt;
pub(super) mod names;
pub(super) mod record;
pub(super) mod target;
