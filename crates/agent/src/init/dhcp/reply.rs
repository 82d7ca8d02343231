//! What a server answers: options, and the lease that they make.

use super::Lease;
use super::wire::*;
use crate::cmdline::prefix_of;
use crate::init::link::netmask;
use std::net::Ipv4Addr;
use std::time::Duration;

/// A server's answer to this client.
pub(super) struct Reply {
    pub(super) address: Ipv4Addr,
    options: Vec<(u8, Vec<u8>)>,
}

impl Reply {
    /// Checks that the packet is a reply to this client, and collects its options; an option that is
    /// given in pieces is joined (RFC 3396).
    pub(super) fn parse(packet: &[u8], xid: u32, mac: [u8; 6]) -> Option<Self> {
        let ours = packet.first() == Some(&2)
            && packet.get(4..8)? == xid.to_be_bytes()
            && packet.get(28..34)? == mac
            && packet.get(236..240)? == COOKIE;
        if !ours {
            return None;
        }
        let octets: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
        let mut reply = Self { address: octets.into(), options: Vec::new() };
        let mut rest = packet.get(240..)?;
        while let Some((&code, tail)) = rest.split_first() {
            if code == 255 {
                break;
            }
            if code == 0 {
                rest = tail;
                continue;
            }
            let length = usize::from(*tail.first()?);
            reply.add(code, tail.get(1..1 + length)?);
            rest = tail.get(1 + length..)?;
        }
        Some(reply)
    }

    fn add(&mut self, code: u8, value: &[u8]) {
        match self.options.iter_mut().find(|(known, _)| *known == code) {
            Some((_, whole)) => whole.extend_from_slice(value),
            None => self.options.push((code, value.to_vec())),
        }
    }

    fn get(&self, code: u8) -> Option<&[u8]> {
        self.options.iter().find(|(known, _)| *known == code).map(|(_, value)| value.as_slice())
    }

    pub(super) fn kind(&self) -> Option<u8> {
        self.get(OPT_TYPE)?.first().copied()
    }

    fn addresses(&self, code: u8) -> Vec<Ipv4Addr> {
        let value = self.get(code).unwrap_or_default();
        value.as_chunks::<4>().0.iter().map(|octets| Ipv4Addr::from(*octets)).collect()
    }

    pub(super) fn server(&self) -> Option<Ipv4Addr> {
        self.addresses(OPT_SERVER).first().copied()
    }

    fn text(&self, code: u8) -> Option<String> {
        let text = String::from_utf8_lossy(self.get(code)?).trim_end_matches('\0').to_owned();
        let good = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
        good.then_some(text)
    }

    fn seconds(&self, code: u8) -> Option<u64> {
        let octets: [u8; 4] = self.get(code)?.try_into().ok()?;
        Some(u32::from_be_bytes(octets).into())
    }

    pub(super) fn lease(&self) -> Option<Lease> {
        let mask = self.addresses(OPT_MASK).first().copied().unwrap_or_else(|| netmask(24));
        let life = self.seconds(OPT_LEASE).unwrap_or(3600).max(60);
        let renew = self.seconds(OPT_T1).filter(|t| (30..life).contains(t)).unwrap_or(life / 2);
        let rebind = self.seconds(OPT_T2).filter(|t| (renew..life).contains(t)).unwrap_or(life / 8 * 7);
        let mtu = self.get(OPT_MTU).and_then(|value| <[u8; 2]>::try_from(value).ok());
        Some(Lease {
            address: self.address,
            prefix: prefix_of(mask).unwrap_or(24),
            server: self.server()?,
            router: self.addresses(OPT_ROUTER).first().copied().filter(|a| !a.is_unspecified()),
            routes: self.get(OPT_ROUTES).map(routes).unwrap_or_default(),
            dns: self.addresses(OPT_DNS),
            hostname: self.text(OPT_HOSTNAME),
            domain: self.text(OPT_DOMAIN),
            mtu: mtu.map(|octets| u16::from_be_bytes(octets).into()).filter(|mtu| *mtu >= 576),
            life: Duration::from_secs(life),
            renew: Duration::from_secs(renew),
            rebind: Duration::from_secs(rebind),
        })
    }
}

/// RFC 3442: prefix length, significant octets of the network, gateway; repeated.
fn routes(value: &[u8]) -> Vec<(Ipv4Addr, u8, Ipv4Addr)> {
    let mut all = Vec::new();
    let mut rest = value;
    while let Some((&prefix, tail)) = rest.split_first() {
        let octets = usize::from(prefix).div_ceil(8);
        let (Some(network), Some(gateway)) = (tail.get(..octets), tail.get(octets..octets + 4)) else {
            break;
        };
        if prefix > 32 {
            break;
        }
        let mut whole = [0; 4];
        whole[..octets].copy_from_slice(network);
        let gateway = <[u8; 4]>::try_from(gateway).unwrap_or_default();
        all.push((whole.into(), prefix, gateway.into()));
        rest = tail.get(octets + 4..).unwrap_or_default();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classless_routes() {
        let value = [24, 10, 1, 2, 10, 0, 0, 1, 0, 10, 0, 0, 254];
        assert_eq!(
            routes(&value),
            vec![
                ([10, 1, 2, 0].into(), 24, [10, 0, 0, 1].into()),
                ([0; 4].into(), 0, [10, 0, 0, 254].into())
            ]
        );
        assert!(routes(&[33, 1, 2, 3, 4, 5, 6, 7, 8, 9]).is_empty());
    }
}
