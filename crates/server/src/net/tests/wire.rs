//! DHCP and router advertisements over a wire: a pair of Ethernet devices in two network namespaces of the test's own. Needs the
//! right to make them; without it the test reports itself skipped, by name.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use gantry_netboot::dhcp::engine::Settings;
use gantry_netboot::dhcp::{Message, Packet};
use gantry_netboot::frame::{Ends, checksum, udp};
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket, sockopt};
use nix::sys::time::{TimeVal, TimeValLike as _};
use tokio_util::sync::CancellationToken;

use super::{Ear, Objects, Plain};
use crate::clock;
use crate::net::dhcp::{Dhcp, Durable as _, Sockets};
use crate::net::ra::Advertiser;
use crate::net::udp::Socket;
use crate::net::{Frames, Prober};

const MAC: [u8; 6] = [0x52, 0x54, 0, 0, 0, 1];
const PATIENCE: Duration = Duration::from_secs(30);

fn ip(words: &str) -> io::Result<()> {
    let output = Command::new("ip").args(words.split(' ')).output()?;
    let error = || io::Error::other(format!("ip {words}: {}", String::from_utf8_lossy(&output.stderr)));
    if output.status.success() { Ok(()) } else { Err(error()) }
}

/// Moves this thread into a network namespace of its own; its id, by which others find the namespace.
fn own_network() -> io::Result<i32> {
    // SAFETY: plain system calls without pointers.
    let (done, id) = unsafe { (libc::unshare(libc::CLONE_NEWNET), libc::gettid()) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(id) }
}

/// The server's end: address 10.9.0.1, all services, until told to stop.
fn server(peer: &Receiver<i32>, ready: &Sender<io::Result<()>>, stop: &CancellationToken) -> Arc<Ear> {
    let ear = Arc::new(Ear::default());
    let wire = || -> io::Result<()> {
        own_network()?;
        let peer = peer.recv().map_err(io::Error::other)?;
        ip(&format!("link add v0 type veth peer name v1 netns {peer}"))?;
        ip("addr add 10.9.0.1/24 dev v0")?;
        ip("link set v0 up")
    };
    if let Err(error) = wire() {
        ready.send(Err(error)).unwrap();
        return ear;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let objects = Objects::lab();
        let reports = ear.reports();
        let advertiser = Advertiser::open(reports.counters.clone(), true).unwrap();
        let service = Dhcp::new(objects.clone(), Arc::new(Plain), Settings::default(), reports, clock::now);
        let sockets = Sockets {
            dhcp: Socket::bind((Ipv4Addr::UNSPECIFIED, 67).into()).unwrap(),
            binl: None,
            frames: Some(Frames::open().unwrap()),
            prober: Some(Prober::open().unwrap()),
        };
        ready.send(Ok(())).unwrap();
        tokio::join!(service.run(sockets, stop.clone()), advertiser.run(|| objects.view(), stop.clone()));
    });
    ear
}

/// The client's end of the wire, frame by frame.
struct Client {
    out: Frames,
    heard: OwnedFd,
    index: u32,
}

impl Client {
    fn new() -> io::Result<Self> {
        ip("link set v1 up")?;
        let index = nix::net::if_::if_nametoindex("v1")?;
        let heard =
            socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)?;
        setsockopt(&heard, sockopt::ReceiveTimeout, &TimeVal::milliseconds(200))?;
        Ok(Self { out: Frames::open()?, heard, index })
    }

    /// The next frame that `pick` wants; `again` is called every now and then meanwhile.
    fn hear<T>(&self, mut again: impl FnMut(&Self), pick: impl Fn(&[u8]) -> Option<T>) -> T {
        let since = Instant::now();
        let mut asked = since - Duration::from_secs(2);
        let mut frame = [0; 2000];
        loop {
            assert!(since.elapsed() < PATIENCE, "nothing of the kind was heard");
            if asked.elapsed() > Duration::from_secs(1) {
                again(self);
                asked = Instant::now();
            }
            if let Ok(len) = nix::sys::socket::recv(
                self.heard.as_raw_fd(),
                &mut frame,
                nix::sys::socket::MsgFlags::empty(),
            ) && let Some(found) = pick(&frame[..len])
            {
                return found;
            }
        }
    }

    fn send(&self, packet: &Packet) {
        let ends = Ends {
            from_hardware: MAC,
            to_hardware: [0xff; 6],
            from: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68),
            to: SocketAddrV4::new(Ipv4Addr::BROADCAST, 67),
        };
        self.out
            .send(self.index, ends.to_hardware, &udp(&ends, &packet.encode(1472).bytes).unwrap())
            .unwrap();
    }

    /// Asks until an answer of this kind comes: destination hardware and IP address, and the message.
    fn exchange(&self, packet: &Packet, kind: Message) -> ([u8; 6], Ipv4Addr, Packet) {
        self.hear(
            |client| client.send(packet),
            |frame| answer(frame).filter(|(.., p)| p.message() == Some(kind)),
        )
    }
}

/// A DHCP answer in a frame, its checksums checked.
fn answer(frame: &[u8]) -> Option<([u8; 6], Ipv4Addr, Packet)> {
    let is_answer = frame.get(12..14)? == [8, 0] && frame.get(23)? == &17 && frame.get(36..38)? == [0, 68];
    if !is_answer {
        return None;
    }
    let total = usize::from(u16::from_be_bytes(*frame.get(16..18)?.first_chunk()?));
    let datagram = frame.get(34..14 + total)?;
    let by_hand = frame[18..20] == [0, 0] && frame[40..42] != [0, 0];
    if by_hand && frame[..6] == MAC {
        let len = (datagram.len() as u16).to_be_bytes();
        assert_eq!(checksum(&[&frame[26..34], &[0, 17, len[0], len[1]], datagram]), 0, "UDP checksum");
    }
    let to = Ipv4Addr::from(*frame[30..34].first_chunk::<4>()?);
    Some((*frame.first_chunk()?, to, Packet::decode(&datagram[8..]).ok()?))
}

fn packet(kind: Message, xid: u32) -> Packet {
    let mut packet = Packet { xid, chaddr: "52:54:00:00:00:01".parse().unwrap(), ..Packet::default() };
    packet.options.push(53, [kind as u8]);
    packet
}

/// A router solicitation from nobody, and whether a frame is an advertisement without a router.
fn solicitation() -> Vec<u8> {
    let (from, to) = ([0; 16], [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    let mut message = vec![133, 0, 0, 0, 0, 0, 0, 0];
    let sum = checksum(&[&from, &to, &[0, 0, 0, 8, 0, 0, 0, 58], &message]).to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    let mut frame = vec![0x33, 0x33, 0, 0, 0, 2];
    frame.extend_from_slice(&MAC);
    frame.extend_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0, 0, 8, 58, 255]);
    [&frame[..], &from, &to, &message].concat()
}

fn advertisement(frame: &[u8]) -> Option<u16> {
    let is_one = frame.get(12..14)? == [0x86, 0xdd] && frame.get(20)? == &58 && frame.get(54)? == &134;
    let hops = frame.get(21)?;
    (is_one && *hops == 255).then(|| Some(u16::from_be_bytes(*frame.get(60..62)?.first_chunk()?)))?
}

fn dialogue(client: &Client) {
    // First what asks for no probe: a fresh link drops packets for a moment, and here they are sent again.
    let mut stranger = packet(Message::Request, 2);
    stranger.options.push(50, [10, 9, 0, 99]);
    let (to, address, nak) = client.exchange(&stranger, Message::Nak);
    assert_eq!((to, address, nak.yiaddr), ([0xff; 6], Ipv4Addr::BROADCAST, Ipv4Addr::UNSPECIFIED));
    // The kernel of the client's end holds the first address of the pool: the probe must find it.
    ip("addr add 10.9.0.10/24 dev v1").unwrap();
    let (to, address, offer) = client.exchange(&packet(Message::Discover, 1), Message::Offer);
    assert_eq!((to, address, offer.yiaddr), (MAC, Ipv4Addr::new(10, 9, 0, 11), Ipv4Addr::new(10, 9, 0, 11)));
    let mut request = packet(Message::Request, 1);
    request.options.push(50, offer.yiaddr.octets());
    request.options.push(54, [10, 9, 0, 1]);
    let (to, _, ack) = client.exchange(&request, Message::Ack);
    assert_eq!((to, ack.yiaddr), (MAC, offer.yiaddr));
    request.flags = Packet::BROADCAST;
    let (to, address, _) =
        client.hear(|c| c.send(&request), |f| answer(f).filter(|(to, _, p)| p.flags != 0 && *to != MAC));
    assert_eq!((to, address), ([0xff; 6], Ipv4Addr::BROADCAST));
    let ask = |c: &Client| c.out.send(c.index, [0x33, 0x33, 0, 0, 0, 2], &solicitation()).unwrap();
    assert_eq!(client.hear(ask, advertisement), 0, "router lifetime");
}

#[test]
fn clients_without_an_address_are_answered_over_a_wire() {
    let stop = CancellationToken::new();
    let (peer, peer_of_server) = channel();
    let (ready, is_ready) = channel();
    let stopped = stop.clone();
    let serving = thread::spawn(move || server(&peer_of_server, &ready, &stopped));
    let asking = thread::spawn(move || -> io::Result<()> {
        let id = own_network()?;
        peer.send(id).map_err(io::Error::other)?;
        is_ready.recv().map_err(io::Error::other)??;
        dialogue(&Client::new()?);
        Ok(())
    });
    let asked = asking.join();
    stop.cancel();
    let ear = serving.join().unwrap();
    match asked {
        Ok(Ok(())) => {
            let texts = ear.texts();
            assert!(texts.iter().any(|t| t.contains("10.9.0.10 is in use by somebody unknown")), "{texts:?}");
        }
        Ok(Err(error)) => eprintln!("skipped: clients_without_an_address_are_answered_over_a_wire: {error}"),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
