//! Network interfaces, from `/sys/class/net`.

use super::{link_name, names, number, read, read_path};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// One interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Nic {
    /// Kernel name.
    pub name: String,
    /// Present MAC address, lower case.
    pub mac: String,
    /// Address burnt into the card, where it differs from `mac` (bonds).
    pub permanent_mac: String,
    /// True when a link partner is there.
    pub link: bool,
    /// `up`, `down`, `unknown`, … as the kernel says.
    pub state: String,
    /// Speed in megabits per second, 0 when unknown.
    pub speed: u32,
    /// `full`, `half` or empty.
    pub duplex: String,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// Kernel driver.
    pub driver: String,
    /// PCI address of the card.
    pub pci_address: String,
    /// Vendor and device number, such as `8086:10d3`.
    pub pci_id: String,
    /// False for bridges, bonds, VLANs and the like.
    pub physical: bool,
    /// IPv4 and IPv6 addresses with prefix.
    pub addresses: Vec<String>,
}

/// Reads all interfaces but the loopback, by name.
pub fn gather(root: &Path) -> Vec<Nic> {
    let class = root.join("sys/class/net");
    let six = ipv6_addresses(&read(root, "proc/net/if_inet6"));
    names(&class)
        .into_iter()
        .filter(|name| name != "lo" && class.join(name).join("address").exists())
        .map(|name| nic(&class.join(&name), name, &six))
        .collect()
}

fn nic(dir: &Path, name: String, six: &[(String, String)]) -> Nic {
    let at = |path: &str| read_path(&dir.join(path));
    let device = dir.join("device");
    let mut place = fs::canonicalize(&device).unwrap_or_default();
    let mut nic = Nic {
        mac: at("address").to_lowercase(),
        permanent_mac: at("bonding_slave/perm_hwaddr").to_lowercase(),
        link: at("carrier") == "1",
        state: at("operstate"),
        speed: number::<i64>(&dir.join("speed")).and_then(|speed| u32::try_from(speed).ok()).unwrap_or(0),
        duplex: at("duplex"),
        mtu: number(&dir.join("mtu")).unwrap_or(0),
        driver: link_name(&device.join("driver")),
        physical: device.exists(),
        addresses: ipv4_addresses(&name),
        ..Nic::default()
    };
    nic.addresses.extend(six.iter().filter(|(of, _)| *of == name).map(|(_, address)| address.clone()));
    // A virtio card is a child of its PCI function.
    for _ in 0..3 {
        let part = place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if super::disks::is_pci_address(&part) {
            nic.pci_id = pci_id(&place);
            nic.pci_address = part;
            break;
        }
        if !place.pop() {
            break;
        }
    }
    nic.name = name;
    nic
}

fn pci_id(place: &Path) -> String {
    let part = |name: &str| read_path(&place.join(name)).trim_start_matches("0x").to_owned();
    format!("{}:{}", part("vendor"), part("device"))
}

/// The kernel has no file for IPv4 addresses: ask it by ioctl.
fn ipv4_addresses(name: &str) -> Vec<String> {
    crate::init::link::address(name)
        .map(|(address, prefix)| vec![format!("{address}/{prefix}")])
        .unwrap_or_default()
}

/// Lines of `/proc/net/if_inet6`: address, index, prefix, scope, flags (hexadecimal), name.
fn ipv6_addresses(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [address, _, prefix, _, _, name] = words[..] else { return None };
            let address = u128::from_str_radix(address, 16).ok()?;
            let prefix = u8::from_str_radix(prefix, 16).ok()?;
            Some((name.to_owned(), format!("{}/{prefix}", std::net::Ipv6Addr::from(address))))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_lines() {
        let text = "fe80000000000000505400fffe010001 02 40 20 80     eth0\nbroken\n";
        assert_eq!(ipv6_addresses(text), vec![("eth0".into(), "fe80::5054:ff:fe01:1/64".into())]);
    }
}
