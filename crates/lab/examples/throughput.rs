//! How fast the switch is: `cargo run --release -p gantry-lab --example throughput -- target/release/gantry-lab`.
//!
//! Two ways are measured. Wires: frames of 1514 bytes from one Unix datagram socket to another, as between two machines. TCP: from
//! one kernel to another through two AF_PACKET sockets, as between a server and the world; the second kernel is a network namespace
//! inside the lab, into which the second interface is moved.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use gantry_lab::{Config, Helper, Lab, Network, Process, Program, Result, Vlan};

const FRAMES: u32 = 200_000;
const BYTES: usize = 400 << 20;

fn main() -> Result<()> {
    let helper = std::env::args().nth(1).map_or_else(Helper::find, Helper::at);
    let second = Network { interface: "srv1".into(), addresses: vec![], vlan: Vlan::default() };
    let lab = Lab::start(Config { helper, networks: vec![Network::default(), second], ..Config::default() })?;
    report("wire to wire", 1514 * wires(&lab)?, &lab)?;
    let _other_kernel = second_kernel(&lab)?;
    report("TCP, to the server", tcp(&lab, &format!("head -c {BYTES} /dev/zero >&3"), receive)?, &lab)?;
    report("TCP, from the server", tcp(&lab, "cat <&3 >/dev/null", send)?, &lab)?;
    lab.stop()
}

fn report(what: &str, bytes_per_second: u64, lab: &Lab) -> Result<()> {
    let overrun: u64 = lab.switch().ports()?.iter().map(|port| port.counters.overrun).sum();
    let megabytes = bytes_per_second / 1_000_000;
    let _ = writeln!(io::stdout(), "{what:<22} {megabytes:>6} MB/s   {overrun} frames overrun so far");
    Ok(())
}

/// Frames per second that arrive.
fn wires(lab: &Lab) -> Result<u64> {
    let (a, b) = (lab.wire("a", Vlan::default())?, lab.wire("b", Vlan::default())?);
    let mut frame = vec![0; 1514];
    frame[..6].copy_from_slice(&[0x52, 0x54, 0, 0, 0, 2]);
    frame[6..12].copy_from_slice(&[0x52, 0x54, 0, 0, 0, 1]);
    let mut hello = frame.clone();
    hello[6..12].copy_from_slice(&[0x52, 0x54, 0, 0, 0, 2]);
    b.send(&hello)?;
    let begin = Instant::now();
    let sender = std::thread::spawn(move || (0..FRAMES).try_for_each(|_| a.send(&frame)));
    let mut count = 0_u64;
    let mut last = begin;
    while b.receive(Duration::from_millis(500))?.is_some() {
        count += 1;
        last = Instant::now();
    }
    sender.join().expect("the sender does not panic")?;
    Ok((count as f64 / last.duration_since(begin).as_secs_f64()) as u64)
}

/// A network namespace with the interface srv1 in it; a shell in it follows from the returned process's number in the lab.
fn second_kernel(lab: &Lab) -> Result<Process> {
    let folder = lab.folder().display();
    let holder = lab
        .spawn(&bash(&format!("exec unshare --net bash -c 'echo $$ > {folder}/holder; exec sleep 1000'")))?;
    let script = format!(
        "until [ -s {folder}/holder ]; do :; done; pid=$(cat {folder}/holder); ip link set srv1 netns $pid; \
         nsenter -t $pid -n sh -c 'ip address add 192.168.124.2/24 dev srv1; ip link set srv1 up'"
    );
    lab.spawn(&bash(&script))?.wait(Duration::from_secs(30))?;
    Ok(holder)
}

fn bash(script: &str) -> Program {
    Program::new("bash").args(["-c", script])
}

/// Bytes per second of a connection that the second kernel opens; `script` uses it as file 3, `server` is the other end.
fn tcp(lab: &Lab, script: &str, server: fn(std::net::TcpStream) -> io::Result<u64>) -> Result<u64> {
    let listener = lab.tcp_listener("192.168.124.1:0".parse().expect("an address written right here"))?;
    let port = listener.local_addr().map_or(0, |address| address.port());
    let folder = lab.folder().display();
    let line = format!(
        "nsenter -t $(cat {folder}/holder) -n bash -c 'exec 3<>/dev/tcp/192.168.124.1/{port}; {script}'"
    );
    let client = lab.spawn(&bash(&line))?;
    let transfer = || {
        let (stream, _) = listener.accept()?;
        let begin = Instant::now();
        let bytes = server(stream)?;
        io::Result::Ok((bytes as f64 / begin.elapsed().as_secs_f64()) as u64)
    };
    let speed = transfer().map_err(|source| gantry_lab::Error::Io { what: "transfer".to_owned(), source })?;
    client.wait(Duration::from_secs(30))?;
    Ok(speed)
}

fn receive(mut stream: std::net::TcpStream) -> io::Result<u64> {
    let mut buffer = vec![0; 1 << 18];
    let mut total = 0;
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(total),
            count => total += count as u64,
        }
    }
}

/// Sends everything and waits until the other end has taken it.
fn send(mut stream: std::net::TcpStream) -> io::Result<u64> {
    let buffer = vec![0; 1 << 18];
    for _ in 0..BYTES / buffer.len() {
        stream.write_all(&buffer)?;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    let _ = stream.read(&mut [0; 1])?;
    Ok(BYTES as u64)
}
