//! What the View says about networks, reservations and leases, in the words of the engine.

use std::net::Ipv4Addr;
use std::sync::Arc;

use gantry_model::parts::DhcpOption;
use gantry_model::{Address, Kind, Lease, Reservation, Subnet, Time, View};

use super::{Ask, MAC, Token, Why};

/// A subnet, with the address through which the client reached it.
pub(super) struct Net {
    pub(super) subnet: Arc<Subnet>,
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) via: Ipv4Addr,
}

impl Net {
    fn new(subnet: Arc<Subnet>, via: Ipv4Addr) -> Option<Self> {
        let network = subnet.network()?;
        let (first, last) = (u32::from(network.first()), u32::from(network.last()));
        Some(Self { subnet, first, last, via })
    }

    pub(super) fn covers(&self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&u32::from(address))
    }

    /// The active range; `None` for subnets of reservations only and ProxyDHCP.
    pub(super) fn active(&self) -> Option<(u32, u32)> {
        let range = (self.subnet.active_start.v4()?, self.subnet.active_end.v4()?);
        Some((u32::from(range.0), u32::from(range.1))).filter(|(start, end)| start <= end)
    }

    pub(super) fn is_active(&self, address: Ipv4Addr) -> bool {
        self.active().is_some_and(|(start, end)| (start..=end).contains(&u32::from(address)))
    }

    /// Half of a /31, where both addresses are hosts.
    pub(super) fn is_point_to_point(&self) -> bool {
        self.subnet.pickers.first().is_some_and(|p| p == "point2point")
    }
}

/// The network that a client is on, as far as we know it.
pub(super) struct Place {
    pub(super) net: Option<Net>,
}

impl Place {
    /// The first subnet that contains one of the addresses through which the packet may have come.
    pub(super) fn find(view: &View, vias: &[Ipv4Addr]) -> Self {
        let mut usable = vias.iter().copied().filter(|a| is_usable(*a));
        Self { net: usable.find_map(|via| Net::new(Subnet::containing(view, via.into())?, via)) }
    }

    pub(super) fn via(&self) -> Option<Ipv4Addr> {
        self.net.as_ref().map(|n| n.via)
    }
}

/// Can a client have this address, or a network contain it?
pub(super) fn is_usable(address: Ipv4Addr) -> bool {
    !(address.is_unspecified() || address.is_multicast() || address.is_broadcast() || address.is_link_local())
}

/// A reservation, parsed.
pub(super) struct Reserved {
    pub(super) address: Ipv4Addr,
    pub(super) object: Arc<Reservation>,
}

/// What stands at an address, seen by one client.
pub(super) enum Standing {
    /// Nothing.
    Free,
    /// This client's lease, live or not.
    Own(Arc<Lease>),
    /// Someone's lease that has run out.
    Expired(Arc<Lease>),
    /// Someone else's, or an address found in use by no one we know.
    Taken,
}

pub(super) fn lease_at(view: &View, address: Ipv4Addr) -> Option<Arc<Lease>> {
    view.object(&Address::from(address).hex())
}

pub(super) fn reservation_at(view: &View, address: Ipv4Addr) -> Option<Arc<Reservation>> {
    view.object(&Address::from(address).hex())
}

/// An address that nobody may have for a while.
pub(super) fn invalid_lease(address: Ipv4Addr, until: Time) -> Lease {
    Lease { addr: address.into(), state: "INVALID".into(), expire_time: until, ..Lease::default() }
}

pub(super) fn owns(lease: &Lease, token: &Token) -> bool {
    lease.strategy == MAC && lease.token.eq_ignore_ascii_case(token.as_str())
}

impl Ask<'_> {
    pub(super) fn view(&self) -> &View {
        self.engine.view
    }

    /// The reservation that applies to this client here: the one at the address that it wants, else a scoped one of its
    /// subnet, else an unscoped one.
    pub(super) fn reservation(&self) -> Option<Reserved> {
        if let Some(wanted) = self.wanted
            && let Some(object) = reservation_at(self.view(), wanted)
            && self.reserves(&object)
            && self.applies(&object, wanted)
        {
            return Some(Reserved { address: wanted, object });
        }
        let mut mine: Vec<Reserved> = self.reservations().collect();
        mine.retain(|r| self.applies(&r.object, r.address));
        let best = mine.iter().position(|r| r.object.scoped).or((!mine.is_empty()).then_some(0))?;
        Some(mine.swap_remove(best))
    }

    fn reservations(&self) -> impl Iterator<Item = Reserved> {
        let found = self.by_token::<Reservation>(Kind::Reservation, Reservation::OWNER).into_iter();
        found.filter_map(|object| {
            let address = object.addr.v4()?;
            (object.strategy == MAC).then_some(Reserved { address, object })
        })
    }

    fn by_token<T: gantry_model::Object>(&self, kind: Kind, index: &str) -> Vec<Arc<T>> {
        let keys = self.view().find(kind, index, self.token.as_str());
        keys.into_iter().filter_map(|key| self.view().object::<T>(key.as_str())).collect()
    }

    pub(super) fn reserves(&self, reservation: &Reservation) -> bool {
        reservation.strategy == MAC && reservation.token.eq_ignore_ascii_case(self.token.as_str())
    }

    /// A scoped reservation counts only inside the subnet that contains it.
    fn applies(&self, reservation: &Reservation, address: Ipv4Addr) -> bool {
        !reservation.scoped || self.place.net.as_ref().is_some_and(|net| net.covers(address))
    }

    /// This client's leases, whatever their state.
    pub(super) fn leases(&self) -> Vec<Arc<Lease>> {
        let mut leases: Vec<Arc<Lease>> = self.by_token(Kind::Lease, "Token");
        leases.retain(|l| owns(l, &self.token));
        leases
    }

    /// What stands at an address for this client, offers to others included.
    pub(super) fn standing(&self, address: Ipv4Addr) -> Standing {
        let lease = lease_at(self.view(), address);
        let held = self.engine.memory.held(address, self.engine.now).filter(|h| h.token != self.token);
        match lease {
            Some(lease) if owns(&lease, &self.token) => Standing::Own(lease),
            _ if held.is_some() => Standing::Taken,
            None => Standing::Free,
            Some(lease) if lease.expire_time < self.engine.now => Standing::Expired(lease),
            Some(_) => Standing::Taken,
        }
    }

    /// Is the reserved address not in another client's live lease? Offers to others do not count against its owner.
    pub(super) fn may_use_reserved(&self, address: Ipv4Addr) -> bool {
        let lease = lease_at(self.view(), address);
        lease.is_none_or(|l| owns(&l, &self.token) || l.expire_time < self.engine.now)
    }

    /// The address that is on offer to this client in this subnet, with why it is held.
    pub(super) fn held_in(&self, net: &Net) -> Option<(Ipv4Addr, &super::Hold)> {
        let memory = self.engine.memory;
        let mut held = memory.held_for(&self.token, self.engine.now);
        held.find(|(address, hold)| net.covers(*address) && hold.why != Why::Shunned)
    }

    pub(super) fn is_own_interface(&self, address: Ipv4Addr) -> bool {
        self.arrival.interface.addresses.iter().any(|(a, _)| *a == address)
    }
}

/// Options of the reservation, then those of the subnet that it does not set; sorted by code. Empty values count as unset,
/// except a reservation's option 67, which then says "never netboot".
pub(super) fn merge_options(reservation: Option<&Reservation>, net: Option<&Net>) -> Vec<DhcpOption> {
    let boot_file = i64::from(crate::dhcp::option::code::BOOT_FILE);
    let mut merged: Vec<DhcpOption> = Vec::new();
    let own = reservation.map(|r| r.options.as_slice()).unwrap_or_default();
    merged.extend(own.iter().filter(|o| !o.value.is_empty() || o.code == boot_file).cloned());
    for option in net.map(|n| n.subnet.options.as_slice()).unwrap_or_default() {
        if !option.value.is_empty() && merged.iter().all(|o| o.code != option.code) {
            merged.push(option.clone());
        }
    }
    if let Some(net) = net.filter(|n| n.is_point_to_point()) {
        // The link is a /31 between client and router, whatever network it was cut from (RFC 3021): it has no broadcast address.
        merged.retain(|o| ![1, 3, 28].contains(&o.code));
        merged.push(DhcpOption { code: 1, value: "255.255.255.254".to_owned() });
        merged.push(DhcpOption { code: 3, value: net.via.to_string() });
    }
    merged.sort_by_key(|o| o.code);
    merged
}
