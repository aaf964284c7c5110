//! Connections that have not shown who they are: how many there may be, and who has to go for the next one.
//!
//! Invariants: the bounds hold for all together and for each network; where there is no room, it is the oldest that
//! goes, not the newcomer: who means it has shown a certificate long before, so that silent connections keep nobody
//! out; a network that fills its own room costs no other its room.

use std::net::{IpAddr, Ipv6Addr, Shutdown, TcpStream};
use std::sync::Arc;

/// In all, and from one network.
const STRANGERS_MOST: usize = 64;
const STRANGERS_OF_A_NETWORK: usize = 16;
/// Those that had to go have a thread and a descriptor until they notice, which takes no time on an idle machine.
pub(super) const WITH_THOSE_THAT_GO: usize = 2 * STRANGERS_MOST;

/// Those that are here, the oldest first, and how many there have been.
#[derive(Default)]
pub(super) struct Strangers {
    /// Oldest first.
    here: Vec<Stranger>,
    known: u64,
}

struct Stranger {
    number: u64,
    network: IpAddr,
    socket: Arc<TcpStream>,
    has_to_go: bool,
}

impl Strangers {
    /// Makes room for a newcomer and gives it its number; `None` where it is turned away.
    pub(super) fn admit(&mut self, peer: IpAddr, socket: &Arc<TcpStream>) -> Option<u64> {
        if self.here.len() >= WITH_THOSE_THAT_GO {
            return None;
        }
        let network = network_of(peer);
        if self.staying_of(network) >= STRANGERS_OF_A_NETWORK {
            self.send_oldest_away(network);
        } else if self.staying().count() >= STRANGERS_MOST {
            let largest = self.staying().map(|it| it.network);
            let largest = largest.max_by_key(|network| self.staying_of(*network));
            self.send_oldest_away(largest.unwrap_or(network));
        }
        let number = self.known;
        self.known += 1;
        self.here.push(Stranger {
            number,
            network,
            socket: Arc::clone(socket),
            has_to_go: false,
        });
        Some(number)
    }

    /// It has shown who it is, or is gone.
    pub(super) fn forget(&mut self, number: u64) {
        self.here.retain(|it| it.number != number);
    }

    /// All have to go.
    pub(super) fn send_all_away(&mut self) {
        self.here.iter_mut().for_each(Stranger::send_away);
    }

    fn staying(&self) -> impl Iterator<Item = &Stranger> {
        self.here.iter().filter(|it| !it.has_to_go)
    }

    fn staying_of(&self, network: IpAddr) -> usize {
        self.staying().filter(|it| it.network == network).count()
    }

    fn send_oldest_away(&mut self, network: IpAddr) {
        let mut here = self.here.iter_mut();
        if let Some(oldest) = here.find(|it| !it.has_to_go && it.network == network) {
            oldest.send_away();
        }
    }
}

impl Stranger {
    fn send_away(&mut self) {
        self.has_to_go = true;
        // Its thread, which waits for it, sees the end. One that is gone already needs nothing.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// What one machine may have many addresses of counts as one (RFC 6177: an end site has 64 bits for itself).
fn network_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use super::*;

    fn connected() -> (TcpStream, Arc<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
        let far = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
        (far, Arc::new(listener.accept().expect("accept").0))
    }

    fn from(a: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, a])
    }

    fn is_away(mut far: &TcpStream) -> bool {
        far.set_nonblocking(true).expect("an option");
        matches!(far.read(&mut [0]), Ok(0))
    }

    #[test]
    fn the_oldest_of_a_network_goes_for_its_next_one_and_leaves_others_alone() {
        let mut strangers = Strangers::default();
        let (other, its) = connected();
        strangers.admit(from(1), &its).expect("room");
        let ours: Vec<_> = (0..=STRANGERS_OF_A_NETWORK)
            .map(|_| {
                let (far, near) = connected();
                strangers.admit(from(2), &near).expect("room");
                far
            })
            .collect();
        assert!(is_away(&ours[0]));
        assert!(ours[1..].iter().all(|far| !is_away(far)));
        assert!(!is_away(&other));
    }

    #[test]
    fn a_newcomer_finds_room_whoever_fills_the_rest() {
        let mut strangers = Strangers::default();
        let all: Vec<_> = (0..STRANGERS_MOST)
            .map(|at| {
                let (far, near) = connected();
                let network = at / (STRANGERS_OF_A_NETWORK - 1);
                strangers.admit(from(network as u8), &near).expect("room");
                far
            })
            .collect();
        assert!(all.iter().all(|far| !is_away(far)));
        let (far, near) = connected();
        let number = strangers.admit(from(200), &near).expect("room");
        assert!(!is_away(&far));
        assert_eq!(all.iter().filter(|far| is_away(far)).count(), 1);
        strangers.forget(number);
        assert_eq!(strangers.here.len(), STRANGERS_MOST);
    }

    #[test]
    fn those_that_do_not_go_are_not_replaced_without_end() {
        let mut strangers = Strangers::default();
        let (_far, near) = connected();
        let admitted =
            (0..10 * STRANGERS_MOST).filter(|_| strangers.admit(from(1), &near).is_some());
        assert_eq!(admitted.count(), WITH_THOSE_THAT_GO);
    }

    #[test]
    fn many_addresses_of_one_machine_are_one() {
        let of = |text: &str| network_of(text.parse().expect("an address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }
}
