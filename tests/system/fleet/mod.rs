//! Several agents and their control plane, as real processes: who gets a call, who waits for
//! room, and what happens while agents and versions come and go.

pub mod broken_links;
pub mod daemons;
pub mod deploys;
pub mod drain;
pub mod homecoming;
pub mod identity;
pub mod large_answers;
pub mod losses;
pub mod no_access_lists;
pub mod offline;
pub mod outage;
pub mod placement;
pub mod queue;
mod records;
pub mod removal;
pub mod restarts;
mod scenes;
pub mod told_ends;
pub mod unconfirmed;
