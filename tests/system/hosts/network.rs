//! The run's own network: one bridge that the tests and every guest are on, in a network namespace that
//! has nothing else.

use std::net::Ipv4Addr;

use crate::harness::process;

const BRIDGE: &str = "hosts";

/// The tests' own address there; guests count up from [`FIRST_GUEST`].
pub const HARNESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const FIRST_GUEST: u8 = 10;
/// More than a machine has room for.
const GUESTS: u8 = 200;

/// A guest's place in the network.
pub struct Port {
    pub tap: String,
    pub address: Ipv4Addr,
    pub mac: String,
}

/// Makes the bridge; once, inside the run's namespace.
pub fn create() {
    ip(&["link", "set", "lo", "up"]);
    ip(&["link", "add", "name", BRIDGE, "type", "bridge"]);
    ip(&["address", "add", &format!("{HARNESS}/24"), "dev", BRIDGE]);
    ip(&["link", "set", BRIDGE, "up"]);
}

/// A tap on the bridge for the guest with this number, counted from 0.
pub fn attach(guest: u8) -> Port {
    assert!(guest < GUESTS, "more than {GUESTS} guests in one run");
    let tap = format!("guest{guest}");
    ip(&["tuntap", "add", &tap, "mode", "tap"]);
    ip(&["link", "set", &tap, "master", BRIDGE]);
    ip(&["link", "set", &tap, "up"]);
    let address = Ipv4Addr::new(10, 77, 0, FIRST_GUEST + guest);
    let mac = format!("02:00:0a:4d:00:{:02x}", FIRST_GUEST + guest);
    // Known for good: a guest that is too busy to answer a question for its address is not away.
    let neighbour = ["neighbour", "add", &address.to_string(), "lladdr", &mac];
    ip(&[&neighbour[..], &["dev", BRIDGE, "nud", "permanent"]].concat());
    Port { tap, address, mac }
}

fn ip(arguments: &[&str]) {
    process::succeed(process::command("ip").args(arguments));
}
