//! Frames between a station of the switch and sockets inside the lab.

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use gantry_lab::{Config, Impairment, Lab, Mac, Network, Traffic, Vlan, Way, Wire, read_capture};

use crate::{LONG, config, lab};

const STATION: Mac = Mac([0x52, 0x54, 0, 0, 0, 1]);
const STATION_IP: [u8; 4] = [192, 168, 124, 50];
const SERVER_IP: [u8; 4] = [192, 168, 124, 1];

/// An Ethernet frame with an ARP packet (RFC 826).
fn arp(operation: u8, to: Mac, target_mac: Mac, target_ip: [u8; 4]) -> Vec<u8> {
    let head = [&to.0[..], &STATION.0, &[8, 6, 0, 1, 8, 0, 6, 4, 0, operation]].concat();
    [&head[..], &STATION.0, &STATION_IP, &target_mac.0, &target_ip].concat()
}

/// Broadcasts a UDP datagram as a machine without an address does.
fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    let mut ip = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255];
    ip[2..4].copy_from_slice(&(20 + length).to_be_bytes());
    let sum: u32 = ip.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    ip[10..12].copy_from_slice(&(!(folded as u16)).to_be_bytes());
    let head = [&Mac::BROADCAST.0[..], &STATION.0, &[8, 0], &ip].concat();
    [&head[..], &from.to_be_bytes(), &to.to_be_bytes(), &length.to_be_bytes(), &[0, 0], payload].concat()
}

/// The first frame that the condition holds for.
fn await_frame(wire: &Wire, mut wanted: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let deadline = Instant::now() + LONG;
    while let Some(left) = deadline.checked_duration_since(Instant::now()) {
        match wire.receive(left).unwrap() {
            Some(frame) if wanted(&frame) => return frame,
            _ => {}
        }
    }
    panic!("no such frame came");
}

/// Says who has the station's address, so that the server can send to it.
fn introduce(wire: &Wire) {
    wire.send(&arp(1, Mac::BROADCAST, Mac([0; 6]), SERVER_IP)).unwrap();
    await_frame(wire, |frame| frame[12..14] == [8, 6] && frame[21] == 2 && frame[28..32] == SERVER_IP);
}

fn server_socket(lab: &Lab, port: u16) -> UdpSocket {
    let socket = lab.udp_socket(([0, 0, 0, 0], port).into()).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket
}

#[test]
fn datagrams_go_both_ways_with_right_checksums() {
    let lab = lab();
    let server = server_socket(&lab, 6767);
    let wire = lab.wire("station", Vlan::default()).unwrap();
    introduce(&wire);

    wire.send(&udp(6868, 6767, b"from the station")).unwrap();
    let mut buffer = [0; 100];
    let (length, _) = server.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"from the station");

    server.send_to(b"from the server", (std::net::Ipv4Addr::from(STATION_IP), 6868)).unwrap();
    let frame = await_frame(&wire, |frame| frame.ends_with(b"from the server"));
    assert_eq!(frame[..6], STATION.0);
    assert_eq!(udp_sum(&frame[14..]), 0xffff, "the kernel left no checksum to hardware that is not there");
}

/// The ones' complement sum over the pseudo-header and the datagram (RFC 768), which is all ones if the checksum is right.
fn udp_sum(packet: &[u8]) -> u16 {
    let datagram = &packet[20..];
    let mut words = [&packet[12..20], &[0, 17], &(datagram.len() as u16).to_be_bytes(), datagram].concat();
    words.resize(words.len().next_multiple_of(2), 0);
    words.chunks(2).fold(0_u16, |sum, pair| {
        let (sum, carry) = sum.overflowing_add(u16::from_be_bytes([pair[0], pair[1]]));
        sum + u16::from(carry)
    })
}

#[test]
fn impairments_and_captures_work_from_outside() {
    let lab = lab();
    let capture = lab.folder().join("frames.pcapng");
    lab.capture(&capture).unwrap();
    let server = server_socket(&lab, 6767);
    let wire = lab.wire("station", Vlan::default()).unwrap();
    let lose_two = Impairment { only: Traffic::UdpPort(6767), lose_first: 2, ..Impairment::default() };
    lab.switch().impair("station", Way::From, lose_two).unwrap();
    for number in 1..=3 {
        wire.send(&udp(6868, 6767, &[number])).unwrap();
    }
    let mut buffer = [0; 10];
    server.recv_from(&mut buffer).unwrap();
    assert_eq!(buffer[0], 3);
    lab.end_capture().unwrap();
    let sent = read_capture(&capture).unwrap().into_iter().filter(|frame| frame.port == "station");
    let remarks: Vec<_> = sent.map(|frame| frame.remark).collect();
    assert_eq!(remarks, [Some("lost by the lab".to_owned()), Some("lost by the lab".to_owned()), None]);
    let ports = lab.switch().ports().unwrap();
    let station = ports.iter().find(|port| port.name == "station").unwrap();
    assert_eq!((station.counters.from_frames, station.counters.harm_from.lost), (3, 2));
    assert!(lab.switch().impair("nobody", Way::To, Impairment::default()).is_err());
}

#[test]
fn networks_in_different_vlans_share_a_trunk() {
    let second = Network {
        interface: "srv77".into(),
        addresses: vec!["10.77.0.1/24".parse().unwrap()],
        vlan: Vlan::Access(77),
    };
    let lab = Lab::start(Config { networks: vec![Network::default(), second], ..config() }).unwrap();
    let trunk = Vlan::Trunk { native: Some(1), tagged: [77].into() };
    let wire = lab.wire("trunk", trunk).unwrap();
    let mut request = arp(1, Mac::BROADCAST, Mac([0; 6]), [10, 77, 0, 1]);
    request.splice(12..12, [0x81, 0, 0, 77]);
    wire.send(&request).unwrap();
    let answer = await_frame(&wire, |frame| frame[12..16] == [0x81, 0, 0, 77] && frame[25] == 2);
    assert_eq!(answer[32..36], [10, 77, 0, 1]);
    introduce(&wire);
}

/// Tagged frames on the servers' side: the kernel takes their tags out on the way to the switch's socket.
#[test]
fn tags_pass_the_packet_socket() {
    let trunk = || Vlan::Trunk { native: None, tagged: [5].into() };
    let lab =
        Lab::start(Config { networks: vec![Network { vlan: trunk(), ..Network::default() }], ..config() })
            .unwrap();
    let wire = lab.wire("trunk", trunk()).unwrap();
    // The server's kernel does not speak 802.1Q, so one of its own sockets sends the tag.
    let script = "import socket\n\
         s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\n\
         s.bind(('srv0', 0))\n\
         s.send(bytes.fromhex('ffffffffffff' '525400000002' '81000005' '88b5') + b'tagged' + bytes(40))\n";
    let process = lab.spawn(&gantry_lab::Program::new("python3").args(["-c", script])).unwrap();
    assert!(process.wait(LONG).unwrap().unwrap().is_success());
    let frame = await_frame(&wire, |frame| frame.windows(6).any(|six| six == b"tagged"));
    assert_eq!(frame[12..18], [0x81, 0, 0, 5, 0x88, 0xb5]);
}

#[test]
fn tcp_works_inside() {
    let lab = lab();
    let listener = lab.tcp_listener("192.168.124.1:0".parse().unwrap()).unwrap();
    let mut client = lab.tcp_connect(listener.local_addr().unwrap(), Duration::from_secs(10)).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(b"hello").unwrap();
    drop(client);
    let mut text = String::new();
    server.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
}

#[test]
fn there_is_no_way_out() {
    let lab = lab();
    let error = lab.tcp_connect("192.0.2.1:80".parse().unwrap(), Duration::from_secs(10)).unwrap_err();
    assert!(error.to_string().contains("unreachable"), "{error}");
}
