//! Real TFTP clients against the session, over loopback: tftp-hpa, atftp and curl. A client that is not installed is
//! reported as skipped, by name.

use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gantry_netboot::tftp::{Ended, Input, Limits, Packet, Session};

/// A server of one file on a port of its own: what the shell does, without its limits and errors.
struct Server {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<Vec<Ended>>>,
}

impl Server {
    fn start(content: Vec<u8>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let port = socket.local_addr().unwrap().port();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut ends = Vec::new();
            let mut buffer = [0; 2048];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((len, from)) = socket.recv_from(&mut buffer)
                    && let Ok(Packet::Read(request)) = Packet::decode(&buffer[..len])
                {
                    ends.push(transfer(&request, &content, from));
                }
            }
            ends
        });
        Self { port, stop, thread: Some(thread) }
    }

    fn ends(mut self) -> Vec<Ended> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

fn transfer(request: &gantry_netboot::tftp::Request, content: &[u8], client: SocketAddr) -> Ended {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(client).unwrap();
    let mut read = |offset: u64, buffer: &mut [u8]| {
        let rest = content.get(offset as usize..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    };
    let limits = Limits { block: 65464, window: 8 };
    let (mut session, mut step) = Session::start(request, Some(content.len() as u64), limits, &mut read);
    let mut buffer = [0; 2048];
    loop {
        step.send.iter().for_each(|d| drop(socket.send(d)));
        if let Some(ended) = step.ended {
            return ended;
        }
        socket.set_read_timeout(Some(step.wait)).unwrap();
        step = match socket.recv(&mut buffer) {
            Ok(len) => session.drive(Input::Packet(&buffer[..len]), &mut read),
            Err(_) => session.drive(Input::Timeout, &mut read),
        };
    }
}

/// Fetches a file of a megabyte with the command line that `args` makes from port and target, and compares.
fn check(client: &str, args: impl Fn(u16, &str) -> Vec<String>) {
    let content: Vec<u8> = (0..1_000_003_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let server = Server::start(content.clone());
    let target = std::env::temp_dir().join(format!("gantry-tftp-{}-{}", std::process::id(), server.port));
    let path = target.to_str().unwrap();
    let run = Command::new(client).args(args(server.port, path)).stdin(Stdio::null()).output();
    let ends = server.ends();
    let output = match run {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return eprintln!("skipped: {client} is not installed");
        }
        run => run.unwrap(),
    };
    let got = std::fs::read(&target);
    let _ = std::fs::remove_file(&target);
    assert!(output.status.success(), "{client}: {output:?}");
    assert!(got.unwrap() == content, "{client} got other bytes");
    assert_eq!(ends, [Ended::Done], "{client}");
}

#[test]
fn tftp_hpa() {
    let words = |port: u16, path: &str| format!("-m binary 127.0.0.1 {port} -c get f {path}");
    check("tftp", |port, path| words(port, path).split(' ').map(Into::into).collect());
}

#[test]
fn atftp_with_block_size() {
    check("atftp", |port, path| {
        let words = format!("--option blksize_8192 --option timeout_2 --get -r f -l {path} 127.0.0.1 {port}");
        words.split(' ').map(|w| w.replace("blksize_", "blksize ").replace("timeout_", "timeout ")).collect()
    });
}

#[test]
fn atftp_with_window() {
    check("atftp", |port, path| {
        let words = format!("--option windowsize_8 --get -r f -l {path} 127.0.0.1 {port}");
        words.split(' ').map(|w| w.replace("windowsize_", "windowsize ")).collect()
    });
}

#[test]
fn curl() {
    check("curl", |port, path| {
        vec!["-s".into(), "-o".into(), path.into(), format!("tftp://127.0.0.1:{port}/f")]
    });
    check("curl", |port, path| {
        let url = format!("tftp://127.0.0.1:{port}/f");
        vec!["-s".into(), "--tftp-blksize".into(), "1400".into(), "-o".into(), path.into(), url]
    });
}
