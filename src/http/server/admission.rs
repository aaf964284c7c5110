//! How many connections there are, in all and per peer.
//!
//! Invariant: the counts are those of the [`Admitted`] values alive.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};

use crate::base::threads::lock;

/// The counters and their bounds.
#[derive(Debug)]
pub(super) struct Admission {
    most: usize,
    most_per_peer: Option<usize>,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    per_peer: HashMap<IpAddr, usize>,
}

/// Why a connection is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Excess {
    All,
    Peer,
}

/// A place that is given back on drop.
#[derive(Debug)]
pub(super) struct Admitted {
    admission: Arc<Admission>,
    peer: IpAddr,
}

impl Admission {
    pub(super) fn new(most: usize, most_per_peer: Option<usize>) -> Arc<Admission> {
        Arc::new(Admission {
            most,
            most_per_peer,
            counts: Mutex::default(),
        })
    }

    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Result<Admitted, Excess> {
        let peer = peer_group(peer);
        let mut counts = lock(&self.counts);
        if counts.all >= self.most {
            return Err(Excess::All);
        }
        let of_peer = counts.per_peer.get(&peer).copied().unwrap_or(0);
        if self.most_per_peer.is_some_and(|most| of_peer >= most) {
            return Err(Excess::Peer);
        }
        counts.all += 1;
        counts.per_peer.insert(peer, of_peer + 1);
        Ok(Admitted {
            admission: Arc::clone(self),
            peer,
        })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut counts = lock(&self.admission.counts);
        counts.all -= 1;
        if let Some(of_peer) = counts.per_peer.get_mut(&self.peer) {
            *of_peer -= 1;
            if *of_peer == 0 {
                counts.per_peer.remove(&self.peer);
            }
        }
    }
}

/// An IPv6 customer holds a /64 at least (RFC 6177), so its addresses count as one peer.
fn peer_group(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(
            address.to_bits() & !u128::from(u64::MAX),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn places_are_counted_in_all_and_per_peer_and_given_back() {
        let admission = Admission::new(3, Some(2));
        let first = admission.admit(ip("10.0.0.1")).expect("first");
        let _mapped = admission.admit(ip("::ffff:10.0.0.1")).expect("second");
        assert_eq!(admission.admit(ip("10.0.0.1")).err(), Some(Excess::Peer));
        let _other = admission.admit(ip("10.0.0.2")).expect("another peer");
        assert_eq!(admission.admit(ip("10.0.0.3")).err(), Some(Excess::All));
        drop(first);
        assert!(admission.admit(ip("10.0.0.1")).is_ok());
        assert_eq!(lock(&admission.counts).per_peer.len(), 2);
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_peer() {
        let admission = Admission::new(9, Some(1));
        let _held = admission.admit(ip("2001:db8::1")).expect("first");
        assert_eq!(admission.admit(ip("2001:db8::2")).err(), Some(Excess::Peer));
        assert!(admission.admit(ip("2001:db8:0:1::1")).is_ok());
    }
}
