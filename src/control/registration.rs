//! Who is at an address that somebody wants to register.

use std::net::{IpAddr, ToSocketAddrs};

use super::agents::AgentError;
use super::links::Links;
use crate::model::ids::AgentId;
use crate::model::resources::NodeStatus;

/// Dials `address`: who answers, and with which figures. With TLS the certificate says who it is,
/// and the agent itself has to agree.
///
/// # Errors
/// The address makes no sense; nobody answers; somebody answers who is no agent of this fleet.
pub(crate) fn identify(
    links: &Links,
    address: &str,
    tls: bool,
) -> Result<(AgentId, NodeStatus), AgentError> {
    check_address(address)?;
    let id = links
        .identify(address, tls)
        .map_err(|source| AgentError::Unidentified {
            address: address.to_owned(),
            source,
        })?;
    // Somebody answers there now; what a connection of before says about it is old news.
    links.forget(&id);
    let report =
        links
            .status_at(&id, address, tls, None)
            .map_err(|source| AgentError::Unidentified {
                address: address.to_owned(),
                source: source.into(),
            })?;
    Ok((id, report.status))
}

/// An agent is reached at a host and a port. Addresses that can only be somebody's mistake, or
/// an attempt to make the control plane talk to what it should not, are refused before a packet
/// is sent: a cloud's metadata service is at a link-local address.
fn check_address(address: &str) -> Result<(), AgentError> {
    let refuse = |reason| {
        Err(AgentError::BadAddress {
            address: address.chars().take(100).collect(),
            reason,
        })
    };
    let Some((host, port)) = address.rsplit_once(':') else {
        return refuse("expected host:port");
    };
    if !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return refuse("expected a port from 1 to 65535 after the last colon");
    }
    let well_formed = !host.is_empty()
        && address.len() <= 262
        && (host.starts_with('[') && host.ends_with(']')
            || host
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')));
    if !well_formed {
        return refuse("expected a host name, an IPv4 address or an IPv6 address in brackets");
    }
    let Ok(resolved) = address.to_socket_addrs() else {
        return refuse("the host name cannot be resolved");
    };
    for socket in resolved {
        let forbidden = match socket.ip() {
            IpAddr::V4(ip) => {
                ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast() || ip.is_link_local()
            }
            IpAddr::V6(ip) => {
                ip.is_unspecified() || ip.is_multicast() || ip.is_unicast_link_local()
            }
        };
        if forbidden {
            return refuse(
                "no agent can be at an unspecified, multicast, broadcast or link-local address",
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_no_agent_can_have_are_refused() {
        for address in [
            "",
            "host",
            "host:",
            "host:0",
            "host:65536",
            ":50052",
            "http://host:1",
            "a b:1",
            "0.0.0.0:1",
            "169.254.169.254:80",
            "224.0.0.1:1",
            "255.255.255.255:1",
            "[::]:1",
            "[fe80::1]:1",
            "user@host:1",
            "host:1/path",
        ] {
            assert!(check_address(address).is_err(), "{address}");
        }
        for address in ["127.0.0.1:50052", "[::1]:50052", "localhost:1"] {
            assert!(check_address(address).is_ok(), "{address}");
        }
    }
}
