//! What the legacy implementation gets wrong, and nobody else's subject covers: each test is
//! named after the mistake that it would catch.

pub mod dispatch;
pub mod execution;
mod fleets;
pub mod state;
