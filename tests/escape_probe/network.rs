//! A function with `network: none`: that there is nothing but a loopback of its own.

use std::fs;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use crate::attempt::{Attempt, Finding};
use crate::sockets::by_name;
use crate::told::Told;

const TIMEOUT: Duration = Duration::from_secs(2);
/// For documentation (RFC 5737): where a packet would go if there were a route. None is sent.
const ELSEWHERE: &str = "192.0.2.1:9";

/// Name, and how it is found out.
type Way = (&'static str, fn(&Told) -> Finding);

/// Asked only where `network=none` is told.
pub fn attempts(told: &'static Told) -> Vec<Attempt> {
    let tries: [Way; 6] = [
        ("network.interfaces", |_| interfaces()),
        ("network.routes", |_| routes()),
        ("network.elsewhere", |_| elsewhere()),
        ("network.agent_port", |told| port(told.one("rpc"))),
        ("network.control_port", |told| port(told.one("control"))),
        ("network.abstract_sockets", |told| {
            match told.one("abstract") {
                Some(name) => by_name(name).1,
                None => Finding::not_told("abstract"),
            }
        }),
    ];
    tries
        .into_iter()
        .map(|(name, make)| {
            Attempt::new(name, move || match told.one("network") {
                Some("none") => make(told),
                Some(_) | None => {
                    Finding::Skipped("has the machine's network, as it should".to_owned())
                }
            })
        })
        .collect()
}

fn interfaces() -> Finding {
    let table = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let names: Vec<&str> = table
        .lines()
        .skip(2)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim())
        // Fallback devices that the kernel puts into every namespace, down and without an address.
        .filter(|name| {
            !matches!(
                *name,
                "lo" | "sit0"
                    | "tunl0"
                    | "ip6tnl0"
                    | "gre0"
                    | "gretap0"
                    | "erspan0"
                    | "ip_vti0"
                    | "ip6_vti0"
                    | "ip6gre0"
            )
        })
        .collect();
    Finding::holds(names.is_empty(), "lo alone", format!("found {names:?}"))
}

fn routes() -> Finding {
    let table = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let routes = table.lines().skip(1).count();
    Finding::holds(routes == 0, "none", format!("found {routes}"))
}

/// Connecting a datagram socket asks for a route and sends nothing.
fn elsewhere() -> Finding {
    let connected = UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.connect(ELSEWHERE));
    Finding::of_io(connected, "has a route")
}

fn port(address: Option<&str>) -> Finding {
    let parsed: Option<SocketAddr> = address.and_then(|address| address.parse().ok());
    match parsed {
        Some(address) => Finding::of_io(TcpStream::connect_timeout(&address, TIMEOUT), "connected"),
        None => Finding::not_told("its address"),
    }
}
