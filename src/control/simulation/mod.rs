//! A day of a control plane in under a second: the real fleet, queue, health, store, history and
//! janitor, on a clock whose hands a script moves and with agents that a seed plays.
//!
//! The pattern for everything that decides by time: what decides is asked by `tick`, `look` and the
//! like, and has no thread, no network and no clock of its own; `world` plays what is outside, event by
//! event; `day` has them happen, and `promises` says what must hold after each. The same seed is the same day.

mod day;
mod promises;
mod world;
