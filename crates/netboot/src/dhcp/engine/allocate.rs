//! Which address of a subnet a client gets: its own again, or one of the subnet's pickers' (network.md §1.7).
//!
//! A wish that cannot be granted does not end the search, as it does in DRP, where a client that asks for an address of
//! another would never get any.

use std::net::Ipv4Addr;

use super::facts::{Net, Standing, lease_at, reservation_at};
use super::{Ask, NoLease};
use gantry_model::{Address, Kind, Time};

/// An address for a client.
pub(super) struct Picked {
    pub(super) address: Ipv4Addr,
    /// The client had no claim to it: probe it first.
    pub(super) fresh: bool,
    /// Where `nextFree` goes on.
    pub(super) cursor: Option<Ipv4Addr>,
}

impl Ask<'_> {
    pub(super) fn allocate(&self, net: &Net) -> Result<Picked, NoLease> {
        let own = self.own_lease(net);
        if self.requested().is_none_or(|wanted| own == Some(wanted))
            && let Some(address) = own
        {
            return Ok(Picked { address, fresh: false, cursor: None });
        }
        for picker in &net.subnet.pickers {
            let picked = match picker.as_str() {
                "none" => return Err(NoLease::NoPicker),
                "hint" => {
                    self.hint(net).or(own.map(|address| Picked { address, fresh: false, cursor: None }))
                }
                "nextFree" => self.next_free(net),
                "mostExpired" => self.most_expired(net),
                "point2point" => self.other_half(net),
                _ => None,
            };
            if let Some(picked) = picked {
                return Ok(picked);
            }
        }
        Err(NoLease::Exhausted)
    }

    fn requested(&self) -> Option<Ipv4Addr> {
        self.packet.options.address(super::code::REQUESTED_ADDRESS).filter(|a| !a.is_unspecified())
    }

    /// This client's lease in the subnet, the one that runs longest, unless the address was reserved for another since, or
    /// ran out and was offered to another.
    fn own_lease(&self, net: &Net) -> Option<Ipv4Addr> {
        let now = self.engine.now;
        let leases = self.leases();
        let mine =
            leases.iter().filter_map(|l| Some((l.expire_time, l.addr.v4().filter(|a| net.covers(*a))?)));
        let free =
            mine.filter(|(until, address)| *until >= now || self.engine.memory.held(*address, now).is_none());
        free.filter(|(_, address)| !self.is_kept_from_us(net, *address)).max().map(|(_, address)| address)
    }

    /// The address that the client asks for, if it is in the pool and to be had.
    fn hint(&self, net: &Net) -> Option<Picked> {
        let address = self.requested().filter(|a| net.is_active(*a) && !self.is_kept_from_us(net, *a))?;
        match self.standing(address) {
            Standing::Own(_) => Some(Picked { address, fresh: false, cursor: None }),
            Standing::Free | Standing::Expired(_) => Some(Picked { address, fresh: true, cursor: None }),
            Standing::Taken => None,
        }
    }

    /// The next address that was never used, going round.
    fn next_free(&self, net: &Net) -> Option<Picked> {
        let (start, end) = net.active()?;
        let memory = self.engine.memory;
        let leases = self.view().count(Kind::Lease);
        if memory.pools.is_full(&net.subnet.name, leases, self.engine.now) {
            return None;
        }
        let cursor = memory.cursor(&net.subnet.name).map_or(start, u32::from).clamp(start, end);
        let found = (cursor..=end).chain(start..cursor).map(Ipv4Addr::from).find(|address| {
            self.engine.memory.held(*address, self.engine.now).is_none()
                && lease_at_is_none(self, *address)
                && !self.is_kept_from_us(net, *address)
        });
        match found {
            Some(address) => Some(Picked { address, fresh: true, cursor: Some(address) }),
            None => {
                memory.pools.note_full(&net.subnet.name, leases, self.engine.now);
                None
            }
        }
    }

    /// The address whose lease ran out first.
    fn most_expired(&self, net: &Net) -> Option<Picked> {
        let (start, end) = net.active()?;
        let expiry = |address: Ipv4Addr| -> Option<Time> {
            if self.is_kept_from_us(net, address)
                || self.engine.memory.held(address, self.engine.now).is_some()
            {
                return None;
            }
            lease_at(self.view(), address).map(|l| l.expire_time)
        };
        let all = || {
            let pool = (start..=end).map(Ipv4Addr::from);
            pool.filter_map(|a| Some((lease_at(self.view(), a)?.expire_time, a))).collect()
        };
        let address = self.engine.memory.pools.oldest(&net.subnet.name, self.engine.now, expiry, all)?;
        Some(Picked { address, fresh: true, cursor: None })
    }

    /// The host at the other end of a /31.
    fn other_half(&self, net: &Net) -> Option<Picked> {
        let address = Ipv4Addr::from(u32::from(net.via) ^ 1);
        net.is_active(address).then_some(Picked { address, fresh: false, cursor: None })
    }

    /// Reserved for another client, the subnet's own two addresses, or one of ours.
    fn is_kept_from_us(&self, net: &Net, address: Ipv4Addr) -> bool {
        let bits = u32::from(address);
        let edge = net.last - net.first > 1 && (bits == net.first || bits == net.last);
        edge || address == net.via
            || self.is_own_interface(address)
            || reservation_at(self.view(), address).is_some_and(|r| !self.reserves(&r))
    }
}

fn lease_at_is_none(ask: &Ask<'_>, address: Ipv4Addr) -> bool {
    ask.view().record(Kind::Lease, &Address::from(address).hex()).is_none()
}
