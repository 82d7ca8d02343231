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

/// A server with DHCP, a subnet for the clients of [`file`], and an address for them that is not probed.
async fn start(options: serde_json::Value) -> Server {
    let server = Server::start_with(&["--backend", "memory", "--dhcp-port", "0", "--binl-port", "0"]).await;
    let subnet = json!({"Name": "lab", "Enabled": true, "Subnet": "10.9.0.0/24", "ActiveStart": "10.9.0.10",
        "ActiveEnd": "10.9.0.12", "Strategy": "MAC", "Options": options});
    assert_eq!(server.post("/subnets", subnet).await.status, 201);
    let reservation = json!({"Addr": "10.9.0.40", "Token": "52:54:00:00:00:01", "Strategy": "MAC"});
    assert_eq!(server.post("/reservations", reservation).await.status, 201);
    server
}

/// A file by TFTP, as plain as a ROM asks for it; `None` when there is none.
async fn tftp(server: &Server, path: &str) -> Option<String> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = server.core().facts.ports.tftp;
    let request = format!("\0\x01{path}\0octet\0");
    socket.send_to(request.as_bytes(), (Ipv4Addr::LOCALHOST, port)).await.unwrap();
    let mut content = Vec::new();
    let mut buffer = [0; 600];
    loop {
        let receive = tokio::time::timeout(Duration::from_secs(20), socket.recv_from(&mut buffer));
        let (len, from) = receive.await.expect("an answer").unwrap();
        if buffer[1] == 5 {
            return None;
        }
        content.extend_from_slice(&buffer[4..len]);
        socket.send_to(&[0, 4, buffer[2], buffer[3]], from).await.unwrap();
        if len < 516 {
            return Some(String::from_utf8(content).unwrap());
        }
    }
}

/// A ROM that is no iPXE loads lpxelinux.0, which looks for its configuration by TFTP, from the most special to `default`, and then
/// for kernel and initial ram disk by HTTP.
#[tokio::test(flavor = "multi_thread")]
async fn a_bios_without_ipxe_finds_its_way_to_the_discovery_system() {
    let server = start(json!([])).await;
    let files = server.folder().join("tftpboot/discovery");
    std::fs::create_dir_all(&files).unwrap();
    for name in ["vmlinuz", "initrd.img"] {
        std::fs::write(files.join(name), name).unwrap();
    }
    assert_eq!(server.post("/prefs", json!({"unknownBootEnv": "discovery"})).await.status, 201);
    let class: (u8, &[u8]) = (60, b"PXEClient:Arch:00000:UNDI:002001");
    assert_eq!(file(&server, &[class, (93, &[0, 0])]).await, "lpxelinux.0");
    for special in ["01-52-54-00-00-00-01", "0A090028", "0A09002", "0A"] {
        assert_eq!(tftp(&server, &format!("pxelinux.cfg/{special}")).await, None);
    }
    let configuration = tftp(&server, "pxelinux.cfg/default").await.expect("a configuration");
    for (word, content) in [("KERNEL", "vmlinuz"), ("INITRD", "initrd.img")] {
        let line = configuration.lines().map(str::trim).find(|line| line.starts_with(word)).unwrap();
        let url = line.split(' ').nth(1).unwrap();
        assert!(url.starts_with("http://127.0.0.1:"), "{configuration}");
        assert_eq!(server.plain(url).await.text(), content);
    }
    assert!(configuration.contains("gantry.url=https://127.0.0.1:"), "{configuration}");
    server.stop().await;
}

#[tokio::test]
async fn option_templates_read_what_the_client_sent() {
    let server = start(json!([{"Code": 67, "Value": FILE}])).await;
    let class: (u8, &[u8]) = (60, b"PXEClient:Arch:00000:UNDI:002001");
    assert_eq!(file(&server, &[class, (93, &[0, 0])]).await, "ipxe.pxe");
    assert_eq!(file(&server, &[class, (93, &[0, 7])]).await, "ipxe.efi");
    assert_eq!(file(&server, &[class, (77, b"iPXE"), (93, &[0, 0])]).await, "default.ipxe");
    server.stop().await;
}
