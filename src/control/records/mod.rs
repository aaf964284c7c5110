//! Brings home what executions came to: every end of every agent, once, with its record and output.
//!
//! `keep` takes ends from answers and from agents into the history, `settle` has it decided what
//! became of executions that were handed over and never heard of again. `collect` does both for each
//! agent, `fetch` gets the output that is too long to come along, `legacy` asks agents that tell no
//! ends, `per_agent` sees to it that one agent is asked one thing at a time, and `complaints` says what
//! goes wrong.
//! Invariants: an end is in the history before its route is forgotten; an agent is told that it may
//! forget only what is on disk here.

mod collect;
mod complaints;
mod fetch;
mod keep;
mod legacy;
mod per_agent;
mod settle;

pub(crate) use collect::Collector;
pub(crate) use keep::{KeptExecution, Records, RecordsError};
