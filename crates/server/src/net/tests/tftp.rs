//! TFTP over loopback: tftp-hpa, atftp and curl, and a client of our own for what they do not do.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use gantry_netboot::tftp::packet::refusal;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Ear, Shelf, big, localhost, metrics};
use crate::net::Counters;
use crate::net::tftp::Tftp;
use crate::net::udp::Socket;

struct Server {
    ear: Arc<Ear>,
    counters: Counters,
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
    folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (ear, stop) = (Arc::new(Ear::default()), CancellationToken::new());
        let socket = Socket::bind((localhost(), 0).into()).unwrap();
        let address = socket.local_addr().unwrap();
        let reports = ear.reports();
        let counters = reports.counters.clone();
        let service = Tftp::new(Shelf::new(&folder), reports);
        let task = tokio::spawn(service.run(vec![socket], stop.clone()));
        Self { ear, counters, address, stop, task, folder }
    }

    async fn stop(self) {
        assert!(metrics(&self.counters).contains("tftp_transfers 0"), "every transfer gave its place back");
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(20), self.task).await.expect("the service stops").unwrap();
    }
}

/// Fetches the big file with the command line that `args` makes from port and target.
async fn fetch(client: &str, args: impl Fn(u16, &str) -> String) {
    let server = Server::start();
    let target = server.folder.path().join("got");
    let line = args(server.address.port(), target.to_str().unwrap());
    let words: Vec<String> = line.split(' ').map(|word| word.replace('_', " ")).collect();
    let mut command = Command::new(client);
    command.args(words).stdin(Stdio::null());
    let run = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let output = match run {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return eprintln!("skipped: {client} is not installed");
        }
        run => run.unwrap(),
    };
    assert!(output.status.success(), "{client}: {output:?}");
    assert!(std::fs::read(&target).unwrap() == big(), "{client} got other bytes");
    let served = server.ear.files(1).await;
    assert_eq!((served[0].status.as_str(), served[0].bytes), ("SUCCESS", big().len() as u64), "{client}");
    server.stop().await;
}

#[tokio::test]
async fn tftp_hpa() {
    fetch("tftp", |port, path| format!("-m binary 127.0.0.1 {port} -c get big {path}")).await;
}

#[tokio::test]
async fn atftp_with_options() {
    fetch("atftp", |port, path| {
        format!("--option blksize_1428 --option windowsize_16 --option tsize_0 --get -r big -l {path} 127.0.0.1 {port}")
    })
    .await;
}

#[tokio::test]
async fn curl() {
    fetch("curl", |port, path| format!("-s --tftp-blksize 1400 -o {path} tftp://127.0.0.1:{port}/big")).await;
}

/// One exchange: a datagram to the server, the first answer and where it came from.
async fn ask(server: &Server, bytes: &[u8]) -> (UdpSocket, Vec<u8>, SocketAddr) {
    let socket = UdpSocket::bind((localhost(), 0)).await.unwrap();
    socket.send_to(bytes, server.address).await.unwrap();
    let mut buffer = [0; 2048];
    let receive = socket.recv_from(&mut buffer);
    let (len, from) =
        tokio::time::timeout(Duration::from_secs(20), receive).await.expect("an answer").unwrap();
    (socket, buffer[..len].to_vec(), from)
}

#[tokio::test]
async fn refusals_are_at_once_and_tell_nothing_of_our_disk() {
    let server = Server::start();
    for (bytes, want) in [
        (&b"\0\x01nothing/here\0octet\0"[..], &b"\0\x05\0\x01file not found\0"[..]),
        (b"\0\x01../../etc/passwd\0octet\0", b"\0\x05\0\x02the path climbs above the root\0"),
        (b"\0\x01sb/..\0octet\0", b"\0\x05\0\x01is a directory\0"),
        (b"\0\x01broken\0octet\0", b"\0\x05\0\0file cannot be rendered\0"),
        (b"\0\x02up\0octet\0", b"\0\x05\0\x02server does not support write requests\0"),
        (b"\0\x01", b"\0\x05\0\x04malformed request\0"),
        (b"\0\x07\0\0", b"\0\x05\0\x04malformed request\0"),
    ] {
        let (_, answer, _) = ask(&server, bytes).await;
        assert_eq!(String::from_utf8_lossy(&answer), String::from_utf8_lossy(want));
    }
    server.ear.files(4).await;
    // Each is counted, under words that no client chooses.
    let page = metrics(&server.counters);
    for line in [
        r#"protocol="tftp",status="REFUSED"} 1"#,
        r#"protocol="tftp",status="MALFORMED"} 2"#,
        r#"protocol="tftp",status="FAILED"} 4"#,
    ] {
        assert!(page.contains(line), "{line} in {page}");
    }
    let lines = page.lines().count();
    for n in 0..50 {
        let file = format!("\0\x01nothing/{n}\0octet\0");
        ask(&server, file.as_bytes()).await;
    }
    server.ear.files(54).await;
    assert_eq!(metrics(&server.counters).lines().count(), lines);
    server.stop().await;
}

#[tokio::test]
async fn a_size_probe_ends_well_and_a_slash_is_no_matter() {
    let server = Server::start();
    let (socket, answer, from) =
        ask(&server, b"\0\x01/sb//grubx64.efi\0octet\0tsize\x000\0blksize\x001468\0").await;
    assert_eq!(String::from_utf8_lossy(&answer), "\0\x06tsize\x002\0blksize\x001468\0");
    assert_ne!(from, server.address, "each transfer has a port of its own");
    socket.send_to(&refusal(8, "User aborted the transfer"), from).await.unwrap();
    let served = server.ear.files(1).await;
    assert_eq!((served[0].status.as_str(), served[0].wanted.path.as_str()), ("PROBED", "sb/grubx64.efi"));
    assert_eq!(served[0].error, None);
    server.stop().await;
}

#[tokio::test]
async fn a_repeated_request_starts_no_second_transfer() {
    let server = Server::start();
    let (socket, _, from) = ask(&server, b"\0\x01default.ipxe\0octet\0blksize\x00512\0").await;
    socket.send_to(b"\0\x01default.ipxe\0octet\0blksize\x00512\0", server.address).await.unwrap();
    socket.send_to(b"\0\x04\0\0", from).await.unwrap();
    let mut buffer = [0; 600];
    let (len, again) = socket.recv_from(&mut buffer).await.unwrap();
    assert_eq!((&buffer[..4], len, again), (&b"\0\x03\0\x01"[..], 4 + 18, from));
    socket.send_to(b"\0\x04\0\x01", from).await.unwrap();
    let served = server.ear.files(1).await;
    assert_eq!((served.len(), served[0].bytes), (1, 18));
    server.stop().await;
}

#[tokio::test]
async fn another_file_from_the_same_port_takes_the_place_of_the_first() {
    let server = Server::start();
    let (socket, _, from) = ask(&server, b"\0\x01big\0octet\0").await;
    socket.send_to(b"\0\x01default.ipxe\0octet\0", server.address).await.unwrap();
    let mut buffer = [0; 600];
    let (again, len) = loop {
        let receive = socket.recv_from(&mut buffer);
        let (len, again) =
            tokio::time::timeout(Duration::from_secs(20), receive).await.expect("an answer").unwrap();
        if again != from {
            break (again, len);
        }
    };
    assert_eq!((&buffer[..4], len), (&b"\0\x03\0\x01"[..], 4 + 18));
    socket.send_to(b"\0\x04\0\x01", again).await.unwrap();
    let served = server.ear.files(2).await;
    let told =
        |n: usize| (served[n].wanted.path.as_str(), served[n].status.as_str(), served[n].error.as_deref());
    assert_eq!(told(0), ("big", "FAILED", Some("the client began another transfer")));
    assert_eq!(told(1), ("default.ipxe", "SUCCESS", None));
    server.stop().await;
}

#[tokio::test]
async fn netascii_and_the_address_that_was_asked() {
    let server = Server::start();
    let (socket, answer, from) = ask(&server, b"\0\x01default.ipxe\0netascii\0").await;
    assert_eq!(&answer[4..], b"#!ipxe\r\necho hello\r\n");
    socket.send_to(b"\0\x04\0\x01", from).await.unwrap();
    let (socket, answer, from) = ask(&server, b"\0\x01who\0octet\0").await;
    assert_eq!(&answer[4..], b"127.0.0.1 127.0.0.1");
    socket.send_to(b"\0\x04\0\x01", from).await.unwrap();
    server.ear.files(2).await;
    server.stop().await;
}
