//! The addresses by which other machines reach this one.

use std::net::{IpAddr, Ipv4Addr};

use crate::base::causes::with_causes;

/// The first IPv4 address of an interface that is up and not the loopback.
pub(crate) fn private_address() -> Option<IpAddr> {
    let interfaces = nix::ifaddrs::getifaddrs()
        .inspect_err(|error| {
            log::warn!(
                "cannot list the network interfaces: {}",
                with_causes(&error)
            );
        })
        .ok()?;
    interfaces
        .filter(|interface| {
            use nix::net::if_::InterfaceFlags as Flags;
            interface.flags.contains(Flags::IFF_UP)
                && !interface.flags.contains(Flags::IFF_LOOPBACK)
        })
        .filter_map(|interface| Some(interface.address?.as_sockaddr_in()?.ip()))
        .find(|address: &Ipv4Addr| !address.is_link_local())
        .map(IpAddr::V4)
}
