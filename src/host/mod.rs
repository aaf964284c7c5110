//! The machine itself: its figures and its addresses.

mod addresses;
mod figures;

pub(crate) use addresses::private_address;
pub(crate) use figures::Host;
