//! UDP sockets that tell on which interface and to which address of ours a datagram came, and send from a chosen one.
//!
//! A server with several networks must answer on the one that it was asked on: broadcasts have no route, and clients
//! ignore answers from another address than they asked.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrStorage, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// A UDP socket with packet information.
#[derive(Debug)]
pub struct Socket(UdpSocket);

/// A datagram that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram {
    /// Bytes of the buffer that it fills.
    pub len: usize,
    /// Who sent it.
    pub from: SocketAddr,
    /// Kernel index of the interface where it came in; 0 when unknown.
    pub interface: u32,
    /// The address of ours that it was sent to; a broadcast is told as the interface's own address.
    pub local: Option<IpAddr>,
}

impl Socket {
    /// Binds a socket, also when another server's socket lingers there.
    ///
    /// # Errors
    /// What the system says: the port is taken, or may not be bound.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        Self::from_std(std::net::UdpSocket::bind(address)?)
    }

    /// Takes over a bound socket and switches on broadcast and packet information.
    ///
    /// # Errors
    /// What the system says.
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        if socket.local_addr()?.is_ipv4() {
            socket.set_broadcast(true)?;
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        } else {
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
        UdpSocket::from_std(socket).map(Self)
    }

    /// Where the socket is bound.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Waits for a datagram.
    ///
    /// # Errors
    /// What the system says; the socket remains usable.
    pub async fn receive(&self, buffer: &mut [u8]) -> io::Result<Datagram> {
        self.0.async_io(Interest::READABLE, || receive_now(&self.0, buffer)).await
    }

    /// Sends to an IPv4 address. `interface` forces the interface (for broadcasts), `source` the address it comes from.
    ///
    /// # Errors
    /// What the system says, for example that `source` is no address of ours.
    pub async fn send(
        &self,
        bytes: &[u8],
        to: SocketAddrV4,
        interface: Option<u32>,
        source: Option<Ipv4Addr>,
    ) -> io::Result<()> {
        let info = nix::libc::in_pktinfo {
            ipi_ifindex: interface.and_then(|i| i.try_into().ok()).unwrap_or(0),
            ipi_spec_dst: nix::libc::in_addr {
                s_addr: u32::from(source.unwrap_or(Ipv4Addr::UNSPECIFIED)).to_be(),
            },
            ipi_addr: nix::libc::in_addr { s_addr: 0 },
        };
        let to = SockaddrIn::from(to);
        let send = || {
            let control = [ControlMessage::Ipv4PacketInfo(&info)];
            sendmsg(self.0.as_raw_fd(), &[IoSlice::new(bytes)], &control, MsgFlags::empty(), Some(&to))?;
            Ok(())
        };
        self.0.async_io(Interest::WRITABLE, send).await
    }

    /// Sends to the sender of a datagram, from the address that it was sent to as far as the system allows.
    ///
    /// # Errors
    /// What the system says.
    pub async fn reply(&self, bytes: &[u8], to: &Datagram) -> io::Result<()> {
        match (to.from, to.local) {
            (SocketAddr::V4(from), Some(IpAddr::V4(local))) => {
                self.send(bytes, from, None, Some(local)).await
            }
            _ => self.0.send_to(bytes, to.from).await.map(drop),
        }
    }
}

fn receive_now(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Datagram> {
    let mut control = nix::cmsg_space!(nix::libc::in_pktinfo, nix::libc::in6_pktinfo);
    let mut parts = [IoSliceMut::new(buffer)];
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty())?;
    let from = message.address.as_ref().and_then(socket_address);
    let from = from.ok_or_else(|| io::Error::other("datagram without a sender"))?;
    let mut datagram = Datagram { len: message.bytes, from, interface: 0, local: None };
    for part in message.cmsgs()? {
        match part {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                datagram.interface = info.ipi_ifindex.try_into().unwrap_or(0);
                datagram.local = Some(Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr)).into());
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                datagram.interface = info.ipi6_ifindex;
                datagram.local = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
            }
            _ => {}
        }
    }
    Ok(datagram)
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddrV4::from(*v4).into());
    }
    address.as_sockaddr_in6().map(|v6| std::net::SocketAddrV6::from(*v6).into())
}
