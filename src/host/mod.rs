//! The machine itself: its figures and its addresses.

mod addresses;
mod figures;

pub use addresses::private_address;
pub use figures::{Host, cores};
