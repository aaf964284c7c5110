//! The agents: where each stands, what it holds, what runs there, and who waits for room.
//!
//! One lock guards it all (`state::State`), so that a freed slot, a waiter and a new call see
//! each other in one order; nothing blocks under it. What must survive a restart is written to
//! the store before it is true here.
//!
//! `roster` has the agents, `holdings` what they hold, `slots` what runs on them; `queue` and `waiting`
//! are about whom there is no room for yet.

mod entry;
mod holdings;
mod queue;
mod reservation;
mod roster;
mod slots;
mod state;
#[cfg(test)]
mod tests;
mod waiting;

pub(crate) use entry::{AgentView, Held, RefusedFor};
pub(crate) use queue::{QueueLimits, WaitError};
pub(crate) use reservation::Reservation;
pub(crate) use roster::{Fleet, FleetError, Refreshed};
pub(crate) use state::Current;
#[cfg(test)]
pub(crate) use waiting::{Place, Waiting};
