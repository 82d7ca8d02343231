//! Network interfaces through the classic ioctls: up, address, route, MTU, VLAN (netdevice(7)).

use crate::inventory::read_path;
use crate::sys;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::Path;

const SIOCADDRT: u64 = 0x890b;
const SIOCGIFFLAGS: u64 = 0x8913;
const SIOCSIFFLAGS: u64 = 0x8914;
const SIOCGIFADDR: u64 = 0x8915;
const SIOCSIFADDR: u64 = 0x8916;
const SIOCGIFNETMASK: u64 = 0x891b;
const SIOCSIFNETMASK: u64 = 0x891c;
const SIOCSIFMTU: u64 = 0x8922;
const SIOCSIFVLAN: u64 = 0x8983;

/// `struct ifreq`: a name and 24 bytes that depend on the request.
#[repr(C)]
struct IfReq {
    name: [u8; 16],
    data: [u8; 24],
}

/// `struct rtentry` of 64-bit kernels.
#[repr(C)]
struct RtEntry {
    pad1: u64,
    dst: [u8; 16],
    gateway: [u8; 16],
    genmask: [u8; 16],
    flags: u16,
    pad2: i16,
    pad3: u64,
    pad4: u64,
    metric: i16,
    dev: *const libc::c_char,
    mtu: u64,
    window: u64,
    irtt: u16,
}

/// `struct vlan_ioctl_args`.
#[repr(C)]
struct VlanArgs {
    command: i32,
    device: [u8; 24],
    tag: [u8; 24],
    qos: i16,
}

fn request(name: &str) -> io::Result<IfReq> {
    let mut req = IfReq { name: [0; 16], data: [0; 24] };
    if name.len() >= req.name.len() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("interface name {name}: too long")));
    }
    req.name[..name.len()].copy_from_slice(name.as_bytes());
    Ok(req)
}

fn control(number: u64, req: &mut IfReq) -> io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: all requests used here take a struct ifreq, which IfReq mirrors.
    unsafe { sys::ioctl(socket.as_raw_fd(), number, req) }
}

fn sockaddr(address: Ipv4Addr) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
    bytes[4..8].copy_from_slice(&address.octets());
    bytes
}

/// Switches an interface on.
pub fn up(name: &str) -> io::Result<()> {
    let mut req = request(name)?;
    control(SIOCGIFFLAGS, &mut req)?;
    let flags = u16::from_ne_bytes([req.data[0], req.data[1]]) | libc::IFF_UP as u16;
    req.data[..2].copy_from_slice(&flags.to_ne_bytes());
    control(SIOCSIFFLAGS, &mut req)
}

/// Gives an interface its address.
pub fn set_address(name: &str, address: Ipv4Addr, prefix: u8) -> io::Result<()> {
    let mut req = request(name)?;
    req.data[..16].copy_from_slice(&sockaddr(address));
    control(SIOCSIFADDR, &mut req)?;
    req.data[..16].copy_from_slice(&sockaddr(netmask(prefix)));
    control(SIOCSIFNETMASK, &mut req)
}

/// The IPv4 address and prefix length of an interface.
pub fn address(name: &str) -> Option<(Ipv4Addr, u8)> {
    let read = |number| {
        let mut req = request(name).ok()?;
        control(number, &mut req).ok()?;
        let octets: [u8; 4] = req.data[4..8].try_into().ok()?;
        Some(Ipv4Addr::from(octets))
    };
    Some((read(SIOCGIFADDR)?, crate::cmdline::prefix_of(read(SIOCGIFNETMASK)?)?))
}

/// Adds a route; prefix 0 is the default route. Without a gateway the network is on the link.
pub fn add_route(name: &str, network: Ipv4Addr, prefix: u8, gateway: Option<Ipv4Addr>) -> io::Result<()> {
    const UP: u16 = 1;
    const GATEWAY: u16 = 2;
    let device = std::ffi::CString::new(name).map_err(io::Error::from)?;
    let mut entry = RtEntry {
        pad1: 0,
        dst: sockaddr(network),
        gateway: sockaddr(gateway.unwrap_or(Ipv4Addr::UNSPECIFIED)),
        genmask: sockaddr(netmask(prefix)),
        flags: UP | if gateway.is_some() { GATEWAY } else { 0 },
        pad2: 0,
        pad3: 0,
        pad4: 0,
        metric: 0,
        dev: device.as_ptr(),
        mtu: 0,
        window: 0,
        irtt: 0,
    };
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: SIOCADDRT takes a struct rtentry, which RtEntry mirrors; the name lives through the call.
    match unsafe { sys::ioctl(socket.as_raw_fd(), SIOCADDRT, &mut entry) } {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        other => other,
    }
}

/// Sets the largest packet.
pub fn set_mtu(name: &str, mtu: u32) -> io::Result<()> {
    let mut req = request(name)?;
    req.data[..4].copy_from_slice(&mtu.to_ne_bytes());
    control(SIOCSIFMTU, &mut req)
}

/// Adds a VLAN on top of an interface and returns its name, `<name>.<tag>`.
pub fn add_vlan(name: &str, tag: u16) -> io::Result<String> {
    const ADD: i32 = 0;
    const SET_NAME_TYPE: i32 = 6;
    const DEVICE_AND_TAG: i32 = 3;
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    let mut args = VlanArgs { command: SET_NAME_TYPE, device: [0; 24], tag: [0; 24], qos: 0 };
    args.tag[..4].copy_from_slice(&DEVICE_AND_TAG.to_ne_bytes());
    // SAFETY: SIOCSIFVLAN takes a struct vlan_ioctl_args, which VlanArgs mirrors.
    unsafe { sys::ioctl(socket.as_raw_fd(), SIOCSIFVLAN, &mut args)? };
    let mut args = VlanArgs { command: ADD, device: [0; 24], tag: [0; 24], qos: 0 };
    let req = request(name)?;
    args.device[..16].copy_from_slice(&req.name);
    args.tag[..4].copy_from_slice(&i32::from(tag).to_ne_bytes());
    // SAFETY: as above.
    unsafe { sys::ioctl(socket.as_raw_fd(), SIOCSIFVLAN, &mut args)? };
    Ok(format!("{name}.{tag}"))
}

/// True when a link partner is there.
pub fn has_carrier(name: &str) -> bool {
    read_path(&Path::new("/sys/class/net").join(name).join("carrier")) == "1"
}

/// The MAC address of an Ethernet interface.
pub fn mac(name: &str) -> Option<[u8; 6]> {
    let text = fs::read_to_string(Path::new("/sys/class/net").join(name).join("address")).ok()?;
    parse_mac(text.trim())
}

/// Reads a MAC address with colons.
pub fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut mac {
        *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    parts.next().is_none().then_some(mac)
}

/// The netmask of a prefix length.
pub fn netmask(prefix: u8) -> Ipv4Addr {
    let bits = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
    Ipv4Addr::from(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_and_macs() {
        assert_eq!(netmask(23), Ipv4Addr::new(255, 255, 254, 0));
        assert_eq!((netmask(0), netmask(32)), (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST));
        assert_eq!(parse_mac("52:54:00:01:00:0a"), Some([0x52, 0x54, 0, 1, 0, 10]));
        assert_eq!((parse_mac("52:54"), parse_mac("52:54:00:01:00:0a:00")), (None, None));
    }

    #[test]
    fn loopback_has_its_address() {
        assert_eq!(address("lo"), Some((Ipv4Addr::LOCALHOST, 8)));
        assert_eq!(address("no-such-nic"), None);
        assert!(request("a-name-that-is-too-long").is_err());
    }
}
