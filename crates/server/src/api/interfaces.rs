//! The server's own network interfaces (reference: api.md §10.18), looked up when asked for.

use std::collections::BTreeMap;
use std::net::IpAddr;

use gantry_api::Error;
use gantry_model::Interface;

use super::Ask;
use super::answer::{self, Answer};

/// All interfaces but the loopback one, by name.
pub(super) fn all() -> Vec<Interface> {
    let mut found: BTreeMap<String, Interface> = BTreeMap::new();
    // A system that will not tell its interfaces has none to show.
    for each in nix::ifaddrs::getifaddrs().into_iter().flatten() {
        if each.flags.contains(nix::net::if_::InterfaceFlags::IFF_LOOPBACK) {
            continue;
        }
        let interface =
            found.entry(each.interface_name.clone()).or_insert_with(|| fresh(&each.interface_name));
        let address = each.address.as_ref().and_then(ip);
        let mask = each.netmask.as_ref().and_then(ip);
        if let (Some(address), Some(mask)) = (address, mask) {
            interface.addresses.push(format!("{address}/{}", prefix_length(mask)));
        }
    }
    for interface in found.values_mut() {
        interface.active_address = interface.addresses.first().cloned().unwrap_or_default();
    }
    found.into_values().collect()
}

/// `GET /interfaces/<name>`
pub(super) fn one(ask: &Ask) -> Answer {
    let found = all().into_iter().find(|interface| interface.name == ask.route.key);
    let missing = || Error::new(404, ask.method, "No interface").about("interfaces", &ask.route.key);
    answer::ok(&found.ok_or_else(missing)?)
}

/// The MAC of the first interface that is neither loopback nor virtual Ethernet, else nothing.
pub(crate) fn local_id() -> String {
    let links = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let mut macs: Vec<(String, [u8; 6])> = links
        .filter_map(|each| Some((each.interface_name.clone(), each.address?.as_link_addr()?.addr()?)))
        .filter(|(name, mac)| *mac != [0; 6] && !name.starts_with("veth"))
        .collect();
    macs.sort_unstable();
    macs.first().map(|(_, mac)| mac.map(|byte| format!("{byte:02x}")).join(":")).unwrap_or_default()
}

/// Names that a certificate of this server is for.
pub(crate) fn names() -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if let Ok(host) = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()) {
        names.push(host);
    }
    let addresses = all().into_iter().flat_map(|interface| interface.addresses);
    names.extend(addresses.filter_map(|cidr| Some(cidr.split_once('/')?.0.to_owned())));
    names.sort_unstable();
    names.dedup();
    names
}

fn fresh(name: &str) -> Interface {
    let index = nix::net::if_::if_nametoindex(name).unwrap_or_default();
    Interface { name: name.to_owned(), index: index.into(), read_only: true, ..Interface::default() }
}

fn ip(address: &nix::sys::socket::SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::from(address.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::from(address.ip())))
}

fn prefix_length(mask: IpAddr) -> u32 {
    match mask {
        IpAddr::V4(mask) => u32::from(mask).count_ones(),
        IpAddr::V6(mask) => u128::from(mask).count_ones(),
    }
}
