//! The interfaces inside a lab's network namespace, and the sockets by which the switch reaches them.
//!
//! A network is a veth pair: at one end the servers listen, the other is a port of the switch through an AF_PACKET socket.
//! Checksums and segmentation are switched off at the servers' end: no hardware would ever complete what the kernel leaves for it.

use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Command, Stdio};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::config::Network;
use crate::error::{Doing, Error, Result};
use crate::mac::Mac;

/// The switch's end of a network.
fn peer(network: &Network) -> String {
    format!("{}-p", network.interface)
}

/// Makes the interfaces of all networks and brings them up.
///
/// # Errors
/// If `ip` is missing or refuses.
pub(crate) fn set_up(networks: &[Network]) -> Result<()> {
    run_ip(&links(networks))?;
    for network in networks {
        // A fresh address must work at once, and nobody else in the lab is asked for routes. A kernel without IPv6 has none of it.
        set_ipv6(&network.interface, "accept_dad", "0");
        set_ipv6(&network.interface, "accept_ra", "0");
        set_ipv6(&peer(network), "disable_ipv6", "1");
        switch_off_offloads(&network.interface)?;
        switch_off_offloads(&peer(network))?;
    }
    run_ip(&addresses(networks))
}

/// The commands that make the pairs.
fn links(networks: &[Network]) -> String {
    let pair = |(n, network): (usize, &Network)| {
        let (name, peer, mac) = (&network.interface, peer(network), Mac::numbered(0xfe_0000 + n as u32));
        format!(
            "link add {name} address {mac} type veth peer name {peer}\nlink set {peer} arp off addrgenmode none\n"
        )
    };
    let pairs: String = networks.iter().enumerate().map(pair).collect();
    format!("link set lo up\n{pairs}")
}

/// The commands that give addresses and bring the pairs up.
fn addresses(networks: &[Network]) -> String {
    let mut lines = String::new();
    for network in networks {
        let name = &network.interface;
        for address in &network.addresses {
            let nodad = if matches!(address.addr(), IpAddr::V6(_)) { " nodad" } else { "" };
            lines.push_str(&format!("addr add {address} dev {name}{nodad}\n"));
        }
        lines.push_str(&format!("link set {} up\nlink set {name} up\n", peer(network)));
    }
    lines
}

fn run_ip(commands: &str) -> Result<()> {
    let program = "ip";
    let mut command = Command::new(program);
    command.args(["-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::Missing { program: program.into(), package: "iproute2" },
        _ => Error::Io { what: "run ip".to_owned(), source: error },
    })?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(commands.as_bytes()).doing(|| "tell ip what to do")?;
    }
    let output = child.wait_with_output().doing(|| "wait for ip")?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::Refused { message: format!("ip cannot set up the lab's network: {}", said.trim()) })
}

fn set_ipv6(interface: &str, name: &str, value: &str) {
    let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{interface}/{name}"), value);
}

/// Transmit and receive checksums, segmentation and its reverse (linux/ethtool.h).
const OFFLOADS: [(&str, u32); 5] = [("tx", 0x17), ("rx", 0x15), ("tso", 0x1f), ("gso", 0x24), ("gro", 0x2c)];

#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

fn switch_off_offloads(interface: &str) -> Result<()> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
        .doing(|| "open a socket for ethtool")?;
    for (name, command) in OFFLOADS {
        let mut value = EthtoolValue { command, data: 0 };
        // SAFETY: an ifreq of zeroes is valid; the kernel reads the name and the value that the pointer points to, which outlives
        // the call.
        let result = unsafe {
            let mut request: libc::ifreq = std::mem::zeroed();
            copy_name(&mut request.ifr_name, interface);
            request.ifr_ifru.ifru_data = (&raw mut value).cast();
            libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request)
        };
        let error = io::Error::last_os_error();
        // What a device does not have is off already.
        if result < 0 && error.raw_os_error() != Some(libc::EOPNOTSUPP) {
            return Err(error).doing(|| format!("switch {name} offload of {interface} off"));
        }
    }
    Ok(())
}

fn copy_name(field: &mut [libc::c_char; libc::IFNAMSIZ], name: &str) {
    for (slot, byte) in field[..libc::IFNAMSIZ - 1].iter_mut().zip(name.bytes()) {
        *slot = byte.cast_signed();
    }
}

/// The socket by which the switch sends and receives at its end of a network.
///
/// # Errors
/// Those of `socket`, `setsockopt` and `bind`.
pub(crate) fn packet_socket(network: &Network) -> Result<OwnedFd> {
    let name = peer(network);
    open_packet_socket(&name).doing(|| format!("open a packet socket on {name}"))
}

fn open_packet_socket(name: &str) -> io::Result<OwnedFd> {
    let index = nix::net::if_::if_nametoindex(name)?;
    let everything = (libc::ETH_P_ALL as u16).to_be();
    // SAFETY: plain system calls; the address outlives the bind, and the descriptor is ours alone.
    let socket = unsafe {
        let number =
            libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0);
        if number < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(number)
    };
    set_option(&socket, libc::SOL_PACKET, libc::PACKET_AUXDATA, 1)?;
    set_option(&socket, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)?;
    // This end came up before the other, so the kernel gives it a queue some time later, and until then drops what is sent.
    set_option(&socket, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, 1)?;
    // As much room as the system allows an ordinary user.
    set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, 8 << 20)?;
    set_option(&socket, libc::SOL_SOCKET, libc::SO_SNDBUF, 8 << 20)?;
    // SAFETY: as above; a sockaddr_ll of zeroes is valid.
    let bound = unsafe {
        let mut address: libc::sockaddr_ll = std::mem::zeroed();
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = everything;
        address.sll_ifindex = index.cast_signed();
        let length = std::mem::size_of::<libc::sockaddr_ll>() as u32;
        libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length)
    };
    if bound < 0 { Err(io::Error::last_os_error()) } else { Ok(socket) }
}

/// linux/if_packet.h, since Linux 4.20: what the kernel itself sends at this end is not the switch's business.
const PACKET_IGNORE_OUTGOING: i32 = 23;

fn set_option(socket: &OwnedFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: the option's value is an int that outlives the call.
    let result = unsafe {
        let length = std::mem::size_of::<i32>() as u32;
        libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), length)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Vlan;

    #[test]
    fn the_commands_for_two_networks() {
        let second = Network {
            interface: "srv77".into(),
            addresses: vec!["10.77.0.1/24".parse().unwrap(), "fd77::1/64".parse().unwrap()],
            vlan: Vlan::Access(77),
        };
        let networks = [Network::default(), second];
        assert_eq!(
            links(&networks),
            "link set lo up\n\
             link add srv0 address 52:54:00:fe:00:00 type veth peer name srv0-p\n\
             link set srv0-p arp off addrgenmode none\n\
             link add srv77 address 52:54:00:fe:00:01 type veth peer name srv77-p\n\
             link set srv77-p arp off addrgenmode none\n"
        );
        assert_eq!(
            addresses(&networks),
            "addr add 192.168.124.1/24 dev srv0\n\
             link set srv0-p up\n\
             link set srv0 up\n\
             addr add 10.77.0.1/24 dev srv77\n\
             addr add fd77::1/64 dev srv77 nodad\n\
             link set srv77-p up\n\
             link set srv77 up\n"
        );
    }
}
