//! Where an agent is: `host:port`, and nothing that somebody else's gRPC would read as another
//! scheme, such as `unix:/run/some.sock`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;

/// A checked `host:port`; IPv6 in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    host: Host,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Host {
    Ip(IpAddr),
    Name(String),
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "address {value:?}: expected host:port, such as 10.0.0.7:50052, [fd00::7]:50052 or node7.example:50052"
)]
pub struct InvalidAddress {
    value: String,
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Address, InvalidAddress> {
        parse(text).ok_or_else(|| InvalidAddress {
            value: text.chars().take(100).collect(),
        })
    }
}

impl Address {
    /// For the system's resolver.
    pub(super) fn host_and_port(&self) -> (String, u16) {
        let host = match &self.host {
            Host::Ip(ip) => ip.to_string(),
            Host::Name(name) => name.clone(),
        };
        (host, self.port)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
            Host::Ip(IpAddr::V4(ip)) => write!(f, "{ip}:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

fn parse(text: &str) -> Option<Address> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|&port: &u16| port != 0)?;
    let host = match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(inside) => Host::Ip(IpAddr::V6(inside.parse().ok()?)),
        None => match host.parse() {
            Ok(ip @ IpAddr::V4(_)) => Host::Ip(ip),
            Ok(IpAddr::V6(_)) => return None,
            Err(_) => Host::Name(name(host)?),
        },
    };
    Some(Address { host, port })
}

fn name(text: &str) -> Option<String> {
    // RFC 1123, 2.1, and the underscore that internal names often have.
    let is_name = (1..=253).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        && !text.starts_with(['.', '-']);
    is_name.then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_it_is_read() {
        for text in ["10.0.0.7:50052", "[::1]:1", "node_7.example:65535"] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.to_string(), text);
        }
        let address: Address = "Node_7.example:1".parse().expect("an address");
        assert_eq!(address.host_and_port(), ("node_7.example".to_owned(), 1));
    }

    #[test]
    fn what_is_no_host_and_port_is_no_address() {
        for text in [
            "",
            ":1",
            "a",
            "a:",
            "a:0",
            "a:65536",
            "a:b",
            "::1:5",
            "[::1]",
            "unix:/run/x.sock",
            "unix:/x:1",
            "dns:///a:1",
            "a/b:1",
            "a b:1",
            "-a:1",
            "a%00:1",
            "[a]:1",
            "a\0:1",
            "user@a:1",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }
}
