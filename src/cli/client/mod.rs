//! What the commands share towards a control plane: which one it is, calls, live output, and what a
//! record means to a shell.

pub mod context;
pub mod events;
pub mod follow;
pub mod http;
pub mod interrupt;
pub mod record;
pub mod target;
