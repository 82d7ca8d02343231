//! Whole Ethernet frames, for clients that have no address yet (see `gantry_netboot::frame`).

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// A packet socket that only sends. It needs CAP_NET_RAW; without it answers are broadcast.
#[derive(Debug)]
pub struct Frames(OwnedFd);

impl Frames {
    /// Opens the socket. Without a protocol it receives nothing.
    ///
    /// # Errors
    /// What the system says.
    pub fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        Ok(Self(socket(AddressFamily::Packet, SockType::Raw, flags, None)?))
    }

    /// Sends a frame out of an interface.
    ///
    /// # Errors
    /// What the system says.
    pub fn send(&self, interface: u32, to: [u8; 6], frame: &[u8]) -> io::Result<()> {
        let mut address = [0; 8];
        address[..6].copy_from_slice(&to);
        let link = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: (libc::ETH_P_IP as u16).to_be(),
            sll_ifindex: i32::try_from(interface).map_err(io::Error::other)?,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 6,
            sll_addr: address,
        };
        // SAFETY: `frame` and `link` live through the call, and the lengths given are theirs.
        let sent = unsafe {
            libc::sendto(
                self.0.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
                (&raw const link).cast(),
                size_of::<libc::sockaddr_ll>() as u32,
            )
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
