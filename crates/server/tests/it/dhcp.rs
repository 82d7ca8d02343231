//! DHCP of a whole server, asked as a relay does.

use std::net::Ipv4Addr;
use std::time::Duration;

use gantry_netboot::dhcp::{Message, Packet};
use serde_json::json;
use tokio::net::UdpSocket;

use crate::harness::Server;

/// The template that DRP's documentation gives for option 67.
const FILE: &str = r#"{{if eq (index . 77) "iPXE"}}default.ipxe{{else if eq (index . 93) "0"}}ipxe.pxe{{else}}ipxe.efi{{end}}"#;

/// The boot file in the answer to a DISCOVER with these options, through the relay 127.0.0.1 for a client in 10.9.0.0/24.
async fn file(server: &Server, options: &[(u8, &[u8])]) -> String {
    let mut packet = Packet {
        xid: 7,
        giaddr: Ipv4Addr::LOCALHOST,
        chaddr: "52:54:00:00:00:01".parse().unwrap(),
        ..Packet::default()
    };
    packet.options.push(53, [Message::Discover as u8]);
    packet.options.push(55, [66, 67]);
    packet.options.push(82, [5, 4, 10, 9, 0, 1]);
    options.iter().for_each(|(code, value)| packet.options.push(*code, value.to_vec()));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = server.core().facts.ports.dhcp;
    socket.send_to(&packet.encode(1472).bytes, (Ipv4Addr::LOCALHOST, port)).await.unwrap();
    let mut buffer = [0; 2048];
    let receive = tokio::time::timeout(Duration::from_secs(20), socket.recv(&mut buffer));
    let len = receive.await.expect("an answer").unwrap();
    let offer = Packet::decode(&buffer[..len]).unwrap();
    assert_eq!(offer.message(), Some(Message::Offer));
    String::from_utf8(offer.file).unwrap()
}

#[tokio::test]
async fn option_templates_read_what_the_client_sent() {
    let server = Server::start_with(&["--backend", "memory", "--dhcp-port", "0", "--binl-port", "0"]).await;
    let subnet = json!({"Name": "lab", "Enabled": true, "Subnet": "10.9.0.0/24", "ActiveStart": "10.9.0.10",
        "ActiveEnd": "10.9.0.12", "Strategy": "MAC", "Options": [{"Code": 67, "Value": FILE}]});
    assert_eq!(server.post("/subnets", subnet).await.status, 201);
    // A reserved address is offered without a probe.
    let reservation = json!({"Addr": "10.9.0.40", "Token": "52:54:00:00:00:01", "Strategy": "MAC"});
    assert_eq!(server.post("/reservations", reservation).await.status, 201);
    let class: (u8, &[u8]) = (60, b"PXEClient:Arch:00000:UNDI:002001");
    assert_eq!(file(&server, &[class, (93, &[0, 0])]).await, "ipxe.pxe");
    assert_eq!(file(&server, &[class, (93, &[0, 7])]).await, "ipxe.efi");
    assert_eq!(file(&server, &[class, (77, b"iPXE"), (93, &[0, 0])]).await, "default.ipxe");
    server.stop().await;
}
