//! Which of the server's own addresses leads to a machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// An address of the documentation (RFC 5737): whoever asks the way there is told the default route.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// The address that a script for the machine at `machine` gets, whoever asks for it (reference: engine.md §1.4.1): the one on
/// the way there, else that of the default route. An agent on this host, or in a context, calls an address that means nothing
/// elsewhere; while the machine has no address, only a `called` one that is no loopback is better than the default route.
pub(crate) fn to_machine(machine: Option<IpAddr>, called: IpAddr) -> IpAddr {
    let called = called.to_canonical();
    match machine.filter(|address| !address.is_unspecified()) {
        Some(address) => towards(address).or_else(|| towards(ELSEWHERE)).unwrap_or(called),
        None if called.is_loopback() => towards(ELSEWHERE).unwrap_or(called),
        None => called,
    }
}

/// The address that the system would send from. Nothing is sent: connecting such a socket only looks up the route.
fn towards(address: IpAddr) -> Option<IpAddr> {
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((address, 9)).ok()?;
    socket.local_addr().ok().map(|local| local.ip()).filter(|local| !local.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn scripts_name_the_address_on_the_way_to_the_machine_not_the_one_that_was_called() {
        let called = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));
        // Every host has a route to itself.
        assert_eq!(to_machine(Some(LOOPBACK), called), LOOPBACK);
        assert_eq!(to_machine(Some(Ipv4Addr::new(127, 3, 2, 1).into()), called), LOOPBACK);
    }

    #[test]
    fn a_machine_without_an_address_is_told_the_one_that_was_called() {
        let called = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));
        for unset in [None, Some(Ipv4Addr::UNSPECIFIED.into())] {
            assert_eq!(to_machine(unset, called), called);
            assert_eq!(to_machine(unset, LOOPBACK), towards(ELSEWHERE).unwrap_or(LOOPBACK));
        }
    }
}
