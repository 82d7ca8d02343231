//! Asks by ICMP echo whether an address is in use, before it is offered (RFC 2131 §3.1).
//!
//! Two requests 200 ms apart and half a second in all: on a network of ours an answer takes milliseconds, and the wait is part
//! of every machine's first boot. Probes of one address under way share their result.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gantry_netboot::frame::checksum;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, recvfrom, sendto, socket,
};
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

const FIRST: Duration = Duration::from_millis(200);
const SECOND: Duration = Duration::from_millis(300);
const ECHO: u8 = 8;
const REPLY: u8 = 0;
const UNREACHABLE: u8 = 3;
/// Tells our echo requests from others' in raw sockets.
const MARK: &[u8; 12] = b"gantry-probe";

/// An ICMP socket and who waits for it.
#[derive(Debug)]
pub struct Prober {
    socket: AsyncFd<OwnedFd>,
    /// Raw sockets hand out the IP header as well.
    raw: bool,
    waiting: Mutex<HashMap<Ipv4Addr, Vec<oneshot::Sender<bool>>>>,
    sequence: AtomicU16,
}

impl Prober {
    /// Opens a raw socket, which needs CAP_NET_RAW, else a ping socket, which `net.ipv4.ping_group_range` must allow.
    ///
    /// # Errors
    /// When neither may be opened.
    pub fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let open = |kind| socket(AddressFamily::Inet, kind, flags, SockProtocol::Icmp);
        let (fd, raw) = match open(SockType::Raw) {
            Ok(fd) => (fd, true),
            Err(_) => (open(SockType::Datagram)?, false),
        };
        Ok(Self { socket: super::watch(fd)?, raw, waiting: Mutex::default(), sequence: AtomicU16::new(1) })
    }

    /// Reads answers until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let mut buffer = [0; 1500];
        loop {
            let received = tokio::select! {
                () = stop.cancelled() => return,
                received = self.receive(&mut buffer) => received,
            };
            match received {
                Ok((len, from)) => self.heard(&buffer[..len], from),
                Err(error) => {
                    tracing::debug!(%error, "probe socket");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }

    async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Ipv4Addr)> {
        loop {
            let mut ready = self.socket.readable().await?;
            let read = ready.try_io(|fd| Ok(recvfrom::<SockaddrIn>(fd.as_raw_fd(), buffer)?));
            if let Ok(read) = read {
                let (len, from) = read?;
                return Ok((len, from.map_or(Ipv4Addr::UNSPECIFIED, |a| a.ip())));
            }
        }
    }

    fn heard(&self, bytes: &[u8], from: Ipv4Addr) {
        let Some(message) = (if self.raw { skip_header(bytes) } else { Some(bytes) }) else { return };
        match message.first() {
            Some(&REPLY) => self.tell(from, true),
            Some(&UNREACHABLE) => {
                // Behind 8 bytes of header it quotes our packet: nobody is there.
                let quoted = message.get(8..).and_then(|q| q.get(16..20)).and_then(|a| a.first_chunk::<4>());
                if let Some(address) = quoted {
                    self.tell(Ipv4Addr::from(*address), false);
                }
            }
            _ => {}
        }
    }

    fn tell(&self, address: Ipv4Addr, in_use: bool) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&address);
        for waiter in waiting.into_iter().flatten() {
            // A waiter that gave up is no concern.
            let _ = waiter.send(in_use);
        }
    }

    /// Does anyone answer at this address? Takes half a second at most; silence means no.
    pub async fn in_use(&self, address: Ipv4Addr) -> bool {
        let (sender, mut receiver) = oneshot::channel();
        let first = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let waiters = waiting.entry(address).or_default();
            waiters.push(sender);
            waiters.len() == 1
        };
        for wait in [FIRST, SECOND] {
            if first && let Err(error) = self.ask(address) {
                tracing::debug!(%error, %address, "probe not sent");
            }
            if let Ok(answer) = tokio::time::timeout(wait, &mut receiver).await {
                return answer.unwrap_or(false);
            }
        }
        self.tell(address, false);
        false
    }

    fn ask(&self, address: Ipv4Addr) -> io::Result<()> {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        let mut message = vec![ECHO, 0, 0, 0, 0x47, 0x41];
        message.extend_from_slice(&sequence.to_be_bytes());
        message.extend_from_slice(MARK);
        let sum = checksum(&[&message]).to_be_bytes();
        message[2..4].copy_from_slice(&sum);
        let to = SockaddrIn::from(SocketAddrV4::new(address, 0));
        sendto(self.socket.get_ref().as_raw_fd(), &message, &to, MsgFlags::empty())?;
        Ok(())
    }
}

fn skip_header(bytes: &[u8]) -> Option<&[u8]> {
    let len = usize::from(bytes.first()? & 15) * 4;
    bytes.get(len..)
}
