//! DHCP over loopback, asked as a relay does.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gantry_netboot::dhcp::engine::Settings;
use gantry_netboot::dhcp::{Message, Packet};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Ear, Objects, Plain, eventually, localhost, metrics};
use crate::clock;
use crate::net::Counters;
use crate::net::dhcp::{Dhcp, Sockets};
use crate::net::udp::Socket;

struct Server {
    objects: Arc<Objects>,
    ear: Arc<Ear>,
    counters: Counters,
    address: SocketAddr,
    binl: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    fn start() -> Self {
        let (objects, ear, stop) = (Objects::lab(), Arc::new(Ear::default()), CancellationToken::new());
        let (dhcp, binl) = (socket(), socket());
        let (address, binl_address) = (dhcp.local_addr().unwrap(), binl.local_addr().unwrap());
        let reports = ear.reports();
        let counters = reports.counters.clone();
        let service = Dhcp::new(objects.clone(), Arc::new(Plain), Settings::default(), reports, clock::now);
        let sockets = Sockets { dhcp, binl: Some(binl), frames: None, prober: None };
        let task = tokio::spawn(service.run(sockets, stop.clone()));
        Self { objects, ear, counters, address, binl: binl_address, stop, task }
    }

    async fn stop(self) -> Arc<Ear> {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(20), self.task).await.expect("the service stops").unwrap();
        self.ear
    }
}

fn socket() -> Socket {
    Socket::bind((localhost(), 0).into()).unwrap()
}

struct Client(UdpSocket);

impl Client {
    async fn new() -> Self {
        Self(UdpSocket::bind((localhost(), 0)).await.unwrap())
    }

    /// A message through the relay 127.0.0.1, for a client on the lab's subnet.
    fn packet(kind: Message, mac: u8) -> Packet {
        let mut packet = Packet {
            xid: 7,
            giaddr: Ipv4Addr::LOCALHOST,
            chaddr: format!("52:54:00:00:00:{mac:02x}").parse().unwrap(),
            ..Packet::default()
        };
        packet.options.push(53, [kind as u8]);
        packet.options.push(82, [5, 4, 10, 9, 0, 1]);
        packet
    }

    async fn send(&self, packet: &Packet, to: SocketAddr) {
        self.0.send_to(&packet.encode(1472).bytes, to).await.unwrap();
    }

    async fn receive(&self) -> Packet {
        let mut buffer = [0; 2048];
        let receive = self.0.recv_from(&mut buffer);
        let (len, _) =
            tokio::time::timeout(Duration::from_secs(20), receive).await.expect("an answer").unwrap();
        Packet::decode(&buffer[..len]).unwrap()
    }

    async fn lease(&self, server: &Server, mac: u8) -> Packet {
        self.send(&Self::packet(Message::Discover, mac), server.address).await;
        let offer = self.receive().await;
        assert_eq!(offer.message(), Some(Message::Offer));
        self.send(&request(mac, offer.yiaddr), server.address).await;
        self.receive().await
    }
}

fn request(mac: u8, address: Ipv4Addr) -> Packet {
    let mut packet = Client::packet(Message::Request, mac);
    packet.options.push(50, address.octets());
    packet.options.push(54, Ipv4Addr::LOCALHOST.octets());
    packet
}

#[tokio::test]
async fn discover_to_ack_with_a_trace() {
    let server = Server::start();
    let client = Client::new().await;
    let ack = client.lease(&server, 1).await;
    assert_eq!((ack.message(), ack.yiaddr), (Some(Message::Ack), Ipv4Addr::new(10, 9, 0, 10)));
    assert_eq!(server.objects.leases(), [("10.9.0.10".into(), "ACK".into())]);
    let page = metrics(&server.counters);
    assert!(page.contains(r#"dhcp_results_total{service="dhcp",result="ACK"} 1"#), "{page}");
    // The renewal is answered to the client's address, which is not this test's.
    let renewal = Packet { ciaddr: ack.yiaddr, ..Client::packet(Message::Request, 1) };
    client.send(&renewal, server.address).await;
    eventually(|| metrics(&server.counters).contains(r#"result="ACK"} 2"#)).await;
    let ear = server.stop().await;
    let renewed = "REQUEST -> ACK 10.9.0.10";
    assert_eq!(ear.texts(), ["DISCOVER -> OFFER 10.9.0.10", renewed, renewed]);
    let notes = ear.notes.lock().unwrap();
    let repeats: Vec<bool> = notes.iter().map(|note| note.repeats).collect();
    assert_eq!(repeats, [false, false, true], "only who has the address already repeats himself");
    assert_eq!(notes[1].mac.as_deref(), Some("52:54:00:00:00:01"));
    assert_eq!(notes[1].address, Some("10.9.0.10".parse().unwrap()));
    assert_eq!(notes[0].address, None, "an offer is no address yet");
}

#[tokio::test]
async fn no_ack_leaves_before_the_lease_is_durable() {
    let server = Server::start();
    let client = Client::new().await;
    client.send(&Client::packet(Message::Discover, 1), server.address).await;
    let offer = client.receive().await;
    let held = server.objects.gate.acquire_many(1000).await.unwrap();
    client.send(&request(1, offer.yiaddr), server.address).await;
    // The server still answers others; what comes back first is their offer, not the ACK.
    client.send(&Client::packet(Message::Discover, 2), server.address).await;
    let other = client.receive().await;
    assert_eq!((other.message(), other.yiaddr), (Some(Message::Offer), Ipv4Addr::new(10, 9, 0, 11)));
    assert!(server.objects.leases().is_empty());
    drop(held);
    assert_eq!(client.receive().await.message(), Some(Message::Ack));
    assert_eq!(server.objects.leases().len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_repeated_request_is_answered_once_while_its_lease_is_being_written() {
    let server = Server::start();
    let client = Client::new().await;
    client.send(&Client::packet(Message::Discover, 1), server.address).await;
    let offer = client.receive().await;
    let held = server.objects.gate.acquire_many(1000).await.unwrap();
    for secs in [0, 4, 8] {
        client.send(&Packet { secs, ..request(1, offer.yiaddr) }, server.address).await;
    }
    eventually(|| metrics(&server.counters).contains(r#"result="Repeated"} 2"#)).await;
    drop(held);
    assert_eq!(client.receive().await.message(), Some(Message::Ack));
    // The next answer is that to the next question: no second ACK was on its way.
    client.send(&Client::packet(Message::Discover, 2), server.address).await;
    assert_eq!(client.receive().await.message(), Some(Message::Offer));
    // An ACK that was lost is given again.
    client.send(&request(1, offer.yiaddr), server.address).await;
    assert_eq!(client.receive().await.message(), Some(Message::Ack));
    server.stop().await;
}

#[tokio::test]
async fn a_lease_that_cannot_be_written_is_not_granted() {
    let server = Server::start();
    let client = Client::new().await;
    client.send(&Client::packet(Message::Discover, 1), server.address).await;
    let offer = client.receive().await;
    server.objects.broken.store(true, Ordering::Relaxed);
    client.send(&request(1, offer.yiaddr), server.address).await;
    eventually(|| metrics(&server.counters).contains(r#"result="Error"} 1"#)).await;
    server.objects.broken.store(false, Ordering::Relaxed);
    client.send(&request(1, offer.yiaddr), server.address).await;
    assert_eq!(
        client.receive().await.message(),
        Some(Message::Ack),
        "the first answer is that of the second try"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_release_is_written_after_all() {
    let server = Server::start();
    let client = Client::new().await;
    client.lease(&server, 1).await;
    let mut release = Client::packet(Message::Release, 1);
    release.ciaddr = Ipv4Addr::new(10, 9, 0, 10);
    client.send(&release, server.address).await;
    eventually(|| server.objects.leases() == [("10.9.0.10".into(), "EXPIRED".into())]).await;
    server.stop().await;
}

#[tokio::test]
async fn an_offered_address_that_is_declined_is_written_off() {
    let server = Server::start();
    let client = Client::new().await;
    client.send(&Client::packet(Message::Discover, 1), server.address).await;
    let offer = client.receive().await;
    let mut decline = Client::packet(Message::Decline, 1);
    decline.options.push(50, offer.yiaddr.octets());
    client.send(&decline, server.address).await;
    eventually(|| server.objects.leases() == [("10.9.0.10".into(), "INVALID".into())]).await;
    client.send(&Client::packet(Message::Discover, 1), server.address).await;
    assert_eq!(client.receive().await.yiaddr, Ipv4Addr::new(10, 9, 0, 11));
    server.stop().await;
}

#[tokio::test]
async fn garbage_is_counted_and_harmless() {
    let server = Server::start();
    let client = Client::new().await;
    let mut truncated = Client::packet(Message::Discover, 1).encode(1472).bytes;
    truncated.truncate(243);
    truncated[241] = 9;
    let mut long = vec![0; 240];
    long[2] = 200;
    for bytes in [&b""[..], b"x", &[1; 239], &truncated, &long, &[0xff; 9000]] {
        client.0.send_to(bytes, server.address).await.unwrap();
    }
    client.lease(&server, 1).await;
    let page = metrics(&server.counters);
    for line in [r#"result="TooSmall"} 3"#, r#"result="Truncated"} 1"#, r#"result="InvalidHlen"} 2"#] {
        assert!(page.contains(line), "{line} in {page}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_boot_server_answers_on_its_own_port() {
    let server = Server::start();
    let client = Client::new().await;
    let mut ask = Client::packet(Message::Request, 1);
    ask.giaddr = Ipv4Addr::UNSPECIFIED;
    ask.ciaddr = Ipv4Addr::new(10, 9, 0, 77);
    ask.options.push(60, "PXEClient:Arch:00007:UNDI:003000");
    ask.options.push(93, [0, 7]);
    ask.options.push(55, [66, 67]);
    client.send(&ask, server.binl).await;
    let ack = client.receive().await;
    assert_eq!((ack.message(), ack.yiaddr, ack.file), (Some(Message::Ack), ask.ciaddr, b"ipxe.efi".to_vec()));
    let ear = server.stop().await;
    assert!(ear.texts()[0].ends_with("file ipxe.efi"), "{:?}", ear.texts());
}
