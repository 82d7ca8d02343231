//! Answers router solicitations with "no router here", on networks whose subnet is to have it (see `gantry_netboot::ra`).

use std::collections::HashSet;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use gantry_model::{Subnet, View};
use gantry_netboot::ra::{SOLICITATION, advertisement, is_wanted, solicitation};
use nix::libc;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType,
    SockaddrIn6, recvmsg, sendmsg, setsockopt, socket, sockopt,
};
use tokio::io::unix::AsyncFd;
use tokio_util::sync::CancellationToken;

use super::Counters;
use super::interfaces::{Interfaces, Nic};

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// Interfaces come and go: how often to look for new ones.
const LOOK: Duration = Duration::from_secs(5);
/// A hop limit that only neighbours can send (RFC 4861 §6.1.1).
const HOPS: i32 = 255;

/// The service.
pub struct Advertiser {
    socket: AsyncFd<OwnedFd>,
    interfaces: Interfaces,
    counters: Counters,
    usual: bool,
}

impl Advertiser {
    /// Opens the raw socket, which needs CAP_NET_RAW. `usual` is whether subnets that do not say are answered.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(counters: Counters, usual: bool) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Inet6, SockType::Raw, flags, SockProtocol::IcmpV6)?;
        setsockopt(&fd, sockopt::Ipv6RecvPacketInfo, &true)?;
        set_number(&fd, libc::IPV6_RECVHOPLIMIT, 1)?;
        set_number(&fd, libc::IPV6_MULTICAST_HOPS, HOPS)?;
        set_number(&fd, libc::IPV6_UNICAST_HOPS, HOPS)?;
        Ok(Self { socket: super::watch(fd)?, interfaces: Interfaces::default(), counters, usual })
    }

    /// Answers until `stop`. `view` gives the objects as they are now.
    pub async fn run(&self, view: impl Fn() -> Arc<View>, stop: CancellationToken) {
        let mut joined = HashSet::new();
        let mut look = tokio::time::interval(LOOK);
        let mut buffer = [0; 1500];
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = look.tick() => self.join(&mut joined),
                received = self.receive(&mut buffer) => match received {
                    Ok((len, from, interface)) => self.heard(&buffer[..len], from, interface, &view()),
                    Err(error) => {
                        tracing::debug!(%error, "router solicitation socket");
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                },
            }
        }
    }

    /// Solicitations go to all routers: listen there on every interface.
    fn join(&self, joined: &mut HashSet<u32>) {
        let now: HashSet<u32> =
            self.interfaces.all().iter().filter(|n| n.multicast).map(|n| n.interface.index).collect();
        joined.retain(|index| now.contains(index));
        for index in now {
            if joined.contains(&index) {
                continue;
            }
            let request = libc::ipv6_mreq {
                ipv6mr_multiaddr: libc::in6_addr { s6_addr: ALL_ROUTERS.octets() },
                ipv6mr_interface: index,
            };
            match set_option(self.socket.get_ref(), libc::IPV6_ADD_MEMBERSHIP, &request) {
                Err(error) if error.raw_os_error() != Some(libc::EADDRINUSE) => {
                    tracing::debug!(%error, index, "all-routers group not joined");
                }
                _ => drop(joined.insert(index)),
            }
        }
    }

    async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SockaddrIn6, u32)> {
        loop {
            let mut ready = self.socket.readable().await?;
            if let Ok(read) = ready.try_io(|fd| receive_now(fd.get_ref(), buffer)) {
                match read? {
                    Some(found) => return Ok(found),
                    None => continue,
                }
            }
        }
    }

    fn heard(&self, message: &[u8], from: SockaddrIn6, interface: u32, view: &View) {
        if message.first() != Some(&SOLICITATION) || solicitation(message).is_none() {
            return;
        }
        let Some(nic) = self.interfaces.get(interface).filter(|nic| self.serves(view, nic)) else { return };
        let to = if from.ip().is_unspecified() { ALL_NODES } else { from.ip() };
        match self.send(&advertisement(nic.hardware), to, interface) {
            Ok(()) => self.counters.advertised(),
            Err(error) => tracing::debug!(%error, %to, "router advertisement not sent"),
        }
    }

    /// Is a subnet on this interface that is to be answered?
    fn serves(&self, view: &View, nic: &Nic) -> bool {
        let subnets =
            nic.interface.addresses.iter().filter_map(|(a, _)| Subnet::containing(view, (*a).into()));
        subnets.into_iter().any(|subnet| is_wanted(&subnet, self.usual))
    }

    fn send(&self, message: &[u8], to: Ipv6Addr, interface: u32) -> io::Result<()> {
        let info =
            libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: [0; 16] }, ipi6_ifindex: interface };
        let to = SockaddrIn6::from(SocketAddrV6::new(to, 0, 0, interface));
        let control = [ControlMessage::Ipv6PacketInfo(&info)];
        let fd = self.socket.get_ref().as_raw_fd();
        sendmsg(fd, &[IoSlice::new(message)], &control, MsgFlags::empty(), Some(&to))?;
        Ok(())
    }
}

/// `None` for what came from farther than the next wire.
fn receive_now(fd: &OwnedFd, buffer: &mut [u8]) -> io::Result<Option<(usize, SockaddrIn6, u32)>> {
    let mut control = nix::cmsg_space!(libc::in6_pktinfo, i32);
    let mut parts = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrIn6>(fd.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty())?;
    let (mut interface, mut hops) = (0, 0);
    for part in message.cmsgs()? {
        match part {
            ControlMessageOwned::Ipv6PacketInfo(info) => interface = info.ipi6_ifindex,
            ControlMessageOwned::Ipv6HopLimit(limit) => hops = limit,
            _ => {}
        }
    }
    Ok(message.address.filter(|_| hops == HOPS).map(|from| (message.bytes, from, interface)))
}

fn set_number(fd: &impl AsFd, option: i32, value: i32) -> io::Result<()> {
    set_option(fd, option, &value)
}

fn set_option<T>(fd: &impl AsFd, option: i32, value: &T) -> io::Result<()> {
    let fd = fd.as_fd().as_raw_fd();
    let len = size_of::<T>() as u32;
    // SAFETY: `value` lives through the call and `len` is its size; the kernel only reads it.
    let done = unsafe { libc::setsockopt(fd, libc::IPPROTO_IPV6, option, (&raw const *value).cast(), len) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
