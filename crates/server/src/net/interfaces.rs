//! The network interfaces as they are now. Addresses come and go without a restart, so the list is read again when it is older
//! than a second or an index is not in it.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gantry_netboot::dhcp::engine::Interface;
use nix::net::if_::{InterfaceFlags, if_nametoindex};

const FRESH: Duration = Duration::from_secs(1);

/// One interface.
#[derive(Debug, Clone)]
pub struct Nic {
    /// Index, name and addresses.
    pub interface: Arc<Interface>,
    /// Its Ethernet address.
    pub hardware: Option<[u8; 6]>,
    /// It is up, has multicast and is no loopback.
    pub multicast: bool,
}

/// The list of interfaces.
#[derive(Debug, Default)]
pub struct Interfaces(Mutex<Option<(Instant, HashMap<u32, Nic>)>>);

impl Interfaces {
    /// The interface of this index, if it exists now.
    pub fn get(&self, index: u32) -> Option<Nic> {
        self.with(|known| known.get(&index).cloned(), Some(index))
    }

    /// All of them.
    pub fn all(&self) -> Vec<Nic> {
        self.with(|known| known.values().cloned().collect(), None)
    }

    fn with<T: Default>(&self, read: impl FnOnce(&HashMap<u32, Nic>) -> T, needed: Option<u32>) -> T {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let good = list.as_ref().is_some_and(|(at, known)| {
            at.elapsed() < FRESH && needed.is_none_or(|index| known.contains_key(&index))
        });
        if !good {
            match read_all() {
                Ok(known) => *list = Some((Instant::now(), known)),
                Err(error) => tracing::warn!(%error, "interfaces cannot be read"),
            }
        }
        list.as_ref().map(|(_, known)| read(known)).unwrap_or_default()
    }
}

fn read_all() -> io::Result<HashMap<u32, Nic>> {
    let mut found: HashMap<u32, (Interface, Option<[u8; 6]>, bool)> = HashMap::new();
    for part in nix::ifaddrs::getifaddrs()? {
        let Ok(index) = if_nametoindex(part.interface_name.as_str()) else { continue };
        let (interface, hardware, multicast) = found.entry(index).or_default();
        interface.index = index;
        interface.name = part.interface_name;
        let wanted = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_MULTICAST;
        *multicast = part.flags.contains(wanted) && !part.flags.contains(InterfaceFlags::IFF_LOOPBACK);
        let Some(address) = part.address else { continue };
        if let Some(v4) = address.as_sockaddr_in() {
            let mask =
                part.netmask.as_ref().and_then(|m| m.as_sockaddr_in().map(nix::sys::socket::SockaddrIn::ip));
            let prefix = u32::from(mask.unwrap_or(Ipv4Addr::BROADCAST)).count_ones() as u8;
            interface.addresses.push((v4.ip(), prefix));
        }
        if let Some(link) = address.as_link_addr() {
            *hardware = link.addr().filter(|a| *a != [0; 6]);
        }
    }
    let nic = |(interface, hardware, multicast)| Nic { interface: Arc::new(interface), hardware, multicast };
    Ok(found.into_iter().map(|(index, parts)| (index, nic(parts))).collect())
}
