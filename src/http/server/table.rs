//! Where every connection is: the poller's bookkeeping, without a system call.
//!
//! Invariants: a key names one connection and is never used again for another; `deadlines` has
//! exactly the parked connections.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use super::connection::{Connection, Held};
use crate::base::cancel::Trigger;

/// A slot's index, and how often that slot was used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    index: u32,
    generation: u32,
}

#[derive(Default)]
pub(super) struct Table {
    pub(super) slots: Vec<Slot>,
    free: Vec<u32>,
    pub(super) deadlines: BTreeSet<(Instant, Key)>,
    /// While the poller's thread sleeps: until when, if it has nothing earlier to do.
    pub(super) sleeping: Option<Option<Instant>>,
    pub(super) mode: Mode,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Open,
    /// A connection that becomes idle is closed.
    Draining,
    /// Every connection that is parked is closed.
    Closed,
}

pub(super) struct Slot {
    generation: u32,
    pub(super) occupant: Occupant,
}

pub(super) enum Occupant {
    Free,
    /// With a worker, or on its way to one.
    Busy {
        socket: Arc<TcpStream>,
        gone: Option<Trigger>,
    },
    Parked {
        connection: Held,
        deadline: Instant,
    },
}

/// What one wait has brought.
#[derive(Default)]
pub(super) struct Woken {
    /// Ready for a step of a worker.
    pub(super) ready: Vec<Held>,
    /// Past their deadline.
    pub(super) expired: Vec<Held>,
}

impl Key {
    pub(super) fn to_data(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves are taken apart"
    )]
    pub(super) fn from_data(data: u64) -> Key {
        Key {
            index: data as u32,
            generation: (data >> 32) as u32,
        }
    }
}

impl Table {
    pub(super) fn occupied(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn occupy(&mut self, socket: &Arc<TcpStream>) -> Key {
        let occupant = Occupant::Busy {
            socket: Arc::clone(socket),
            gone: None,
        };
        if let Some(index) = self.free.pop() {
            let slot = &mut self.slots[index as usize];
            slot.occupant = occupant;
            return Key {
                index,
                generation: slot.generation,
            };
        }
        let index = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push(Slot {
            generation: 0,
            occupant,
        });
        Key {
            index,
            generation: 0,
        }
    }

    pub(super) fn occupant(&mut self, key: Key) -> Option<&mut Occupant> {
        let slot = self.slots.get_mut(key.index as usize)?;
        (slot.generation == key.generation).then_some(&mut slot.occupant)
    }

    pub(super) fn vacate(&mut self, key: Key) -> Option<Occupant> {
        let occupant = self.occupant(key)?;
        let removed = std::mem::replace(occupant, Occupant::Free);
        let slot = &mut self.slots[key.index as usize];
        // Wraps after 2^32 uses of one slot: an event cannot be that late.
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.index);
        Some(removed)
    }

    pub(super) fn park(&mut self, key: Key, connection: Held, deadline: Instant) {
        self.deadlines.insert((deadline, key));
        if let Some(occupant) = self.occupant(key) {
            *occupant = Occupant::Parked {
                connection,
                deadline,
            };
        }
    }

    /// Out of the table's hands, and busy from here.
    pub(super) fn unpark(&mut self, key: Key) -> Option<Held> {
        let occupant = self.occupant(key)?;
        match std::mem::replace(occupant, Occupant::Free) {
            Occupant::Parked {
                connection,
                deadline,
            } => {
                *occupant = Occupant::Busy {
                    socket: Arc::clone(connection.wire.transport.socket()),
                    gone: None,
                };
                self.deadlines.remove(&(deadline, key));
                Some(connection)
            }
            other @ (Occupant::Free | Occupant::Busy { .. }) => {
                *occupant = other;
                None
            }
        }
    }

    pub(super) fn on_event(&mut self, key: Key, woken: &mut Woken, hung_up: &mut Vec<Trigger>) {
        match self.occupant(key) {
            Some(Occupant::Busy { gone, .. }) => hung_up.extend(gone.take()),
            Some(Occupant::Parked { .. }) => woken.ready.extend(self.unpark(key)),
            // A late event of a connection that is no more.
            Some(Occupant::Free) | None => {}
        }
    }

    pub(super) fn expire(&mut self, now: Instant, woken: &mut Woken) {
        while let Some(&(deadline, key)) = self.deadlines.first()
            && deadline <= now
        {
            match self.unpark(key) {
                Some(connection) => woken.expired.push(connection),
                None => drop(self.deadlines.pop_first()),
            }
        }
    }

    pub(super) fn take_parked(&mut self, which: impl Fn(&Connection) -> bool) -> Vec<Held> {
        let keys: Vec<Key> = self.deadlines.iter().map(|(_, key)| *key).collect();
        keys.into_iter()
            .filter(|key| {
                matches!(self.occupant(*key),
                    Some(Occupant::Parked { connection, .. }) if which(connection))
            })
            .collect::<Vec<_>>()
            .into_iter()
            .filter_map(|key| self.unpark(key))
            .collect()
    }
}
