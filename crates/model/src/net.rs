//! IPv4 networks in CIDR form.

use std::fmt;
use std::net::Ipv4Addr;

/// An IPv4 network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    first: u32,
    prefix: u8,
}

impl Network {
    /// Reads `192.168.1.0/24`; host bits are dropped.
    ///
    /// # Errors
    /// Go's text: `invalid CIDR address: <text>`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("invalid CIDR address: {text}");
        let (address, prefix) = text.split_once('/').ok_or_else(bad)?;
        let address: Ipv4Addr = address.parse().map_err(|_| bad())?;
        let prefix: u8 = prefix.parse().ok().filter(|prefix| *prefix <= 32).ok_or_else(bad)?;
        Ok(Self { first: u32::from(address) & mask(prefix), prefix })
    }

    /// How many bits name the network.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The network's own address.
    #[must_use]
    pub fn first(self) -> Ipv4Addr {
        self.first.into()
    }

    /// The broadcast address.
    #[must_use]
    pub fn last(self) -> Ipv4Addr {
        (self.first | !mask(self.prefix)).into()
    }

    /// The netmask.
    #[must_use]
    pub fn netmask(self) -> Ipv4Addr {
        mask(self.prefix).into()
    }

    /// True when the address lies in the network.
    #[must_use]
    pub fn contains(self, address: Ipv4Addr) -> bool {
        u32::from(address) & mask(self.prefix) == self.first
    }

    /// True when the networks share an address.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.first()) || other.contains(self.first())
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first(), self.prefix)
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_ends_and_hold_addresses() {
        let network = Network::parse("10.1.2.3/22").unwrap();
        assert_eq!(network.to_string(), "10.1.0.0/22");
        assert_eq!(network.last(), Ipv4Addr::new(10, 1, 3, 255));
        assert_eq!(network.netmask(), Ipv4Addr::new(255, 255, 252, 0));
        assert!(
            network.contains(Ipv4Addr::new(10, 1, 3, 9)) && !network.contains(Ipv4Addr::new(10, 1, 4, 0))
        );
        let all = Network::parse("0.0.0.0/0").unwrap();
        assert!(all.overlaps(network) && network.overlaps(all));
        assert_eq!(Network::parse("10.0.0.1/32").unwrap().last(), Ipv4Addr::new(10, 0, 0, 1));
        for bad in ["", "10.0.0.1", "10.0.0.1/33", "10.0.0/8", "10.0.0.0/x", "10.0.0.0/-1"] {
            assert_eq!(Network::parse(bad), Err(format!("invalid CIDR address: {bad}")));
        }
    }
}
