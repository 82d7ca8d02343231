//! Bringing up the network: all cards are switched on, DHCP runs on each that has a link, and the first
//! lease wins, except that the card which the firmware booted from gets a head start.

use super::dhcp::{Client, Event, Lease};
use super::{Milestones, link, modules};
use crate::cmdline::Net;
use crate::runner::say;
use crate::sys;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How long other cards wait for the boot card's lease.
const HEAD_START: Duration = Duration::from_secs(10);
/// How often new cards are looked for, and the operator is told what is missing.
const LOOK: Duration = Duration::from_millis(20);
const TELL: Duration = Duration::from_secs(10);

/// The network as it came up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Up {
    /// The DHCP server.
    pub server: Option<Ipv4Addr>,
    /// MAC address of the card in use.
    pub mac: Option<String>,
}

/// Brings up the network; returns when there is an address. It waits for ever, because without a network
/// there is nothing that the machine could do, but says every ten seconds what it is waiting for.
pub fn bring_up(net: &Net, bootif: Option<&str>, milestones: &Milestones) -> Up {
    let _ = link::up("lo");
    if let Some((address, prefix)) = net.address {
        return fixed(net, address, prefix, bootif, milestones);
    }
    let (name, lease) = race(net, bootif, milestones);
    configure(&name, &lease, net);
    let text = format!("dhcp {name} {}/{} from {}", lease.address, lease.prefix, lease.server);
    milestones.reach("dhcp", &text);
    let up = Up { server: Some(lease.server), mac: mac_text(&name) };
    let net = net.clone();
    std::thread::spawn(move || keep(&name, lease, &net));
    up
}

/// Runs DHCP everywhere and picks one.
fn race(net: &Net, bootif: Option<&str>, milestones: &Milestones) -> (String, Lease) {
    let (offers, inbox) = channel();
    let over = Arc::new(AtomicBool::new(false));
    let mut started = HashSet::new();
    let mut second: Option<(String, Lease)> = None;
    let begin = Instant::now();
    let mut told = begin;
    loop {
        for name in wanted_interfaces(net) {
            if started.insert(name.clone()) {
                start(name, net, offers.clone(), over.clone(), milestones.clone());
            }
        }
        match inbox.recv_timeout(LOOK) {
            Ok((name, lease)) => {
                let preferred = bootif.is_none_or(|mac| mac_text(&name).as_deref() == Some(mac));
                if preferred {
                    over.store(true, Ordering::SeqCst);
                    return (name, lease);
                }
                second.get_or_insert((name, lease));
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
        if begin.elapsed() >= HEAD_START
            && let Some(found) = second.take()
        {
            over.store(true, Ordering::SeqCst);
            return found;
        }
        if told.elapsed() >= TELL {
            told = Instant::now();
            let cards: Vec<String> = modules::interfaces(Path::new("/"))
                .into_iter()
                .map(|name| {
                    format!(
                        "{name} {}",
                        if link::has_carrier(&name) { "waits for dhcp" } else { "has no link" }
                    )
                })
                .collect();
            let text = if cards.is_empty() { "no network card found".to_owned() } else { cards.join(", ") };
            say(&format!("network: {text}"));
        }
    }
}

fn wanted_interfaces(net: &Net) -> Vec<String> {
    let all = modules::interfaces(Path::new("/")).into_iter();
    all.filter(|name| net.device.as_ref().is_none_or(|device| device == name)).collect()
}

fn start(
    name: String,
    net: &Net,
    offers: Sender<(String, Lease)>,
    over: Arc<AtomicBool>,
    milestones: Milestones,
) {
    let vlan = net.vlan;
    std::thread::spawn(move || {
        let Some(name) = ready(&name, vlan, &over, &milestones) else { return };
        match discover(&name, &over) {
            Ok(Some(lease)) => drop(offers.send((name, lease))),
            Ok(None) => {}
            Err(error) => say(&format!("dhcp {name}: {error}")),
        }
    });
}

/// Switches a card on and waits for its link.
fn ready(name: &str, vlan: Option<u16>, over: &AtomicBool, milestones: &Milestones) -> Option<String> {
    if let Err(error) = link::up(name) {
        say(&format!("link {name}: {error}"));
        return None;
    }
    while !link::has_carrier(name) {
        if over.load(Ordering::SeqCst) {
            return None;
        }
        std::thread::sleep(LOOK);
    }
    milestones.reach("link", &format!("link {name} up"));
    let Some(tag) = vlan else { return Some(name.to_owned()) };
    modules::modprobe(&["8021q".to_owned()]);
    match link::add_vlan(name, tag).and_then(|vlan| link::up(&vlan).map(|()| vlan)) {
        Ok(vlan) => Some(vlan),
        Err(error) => {
            say(&format!("vlan {name}.{tag}: {error}"));
            None
        }
    }
}

/// Talks DHCP on one interface until there is a lease or somebody else has one.
fn discover(name: &str, over: &AtomicBool) -> io::Result<Option<Lease>> {
    let mac = link::mac(name).ok_or_else(|| io::Error::other("no Ethernet address"))?;
    let socket = dhcp_socket(name)?;
    let mut client = Client::new(mac, transaction(mac));
    converse(&socket, &mut client, None, over)
}

/// Sends and listens. Ends with a lease, when `over` is set, or at the deadline.
fn converse(
    socket: &UdpSocket,
    client: &mut Client,
    deadline: Option<Instant>,
    over: &AtomicBool,
) -> io::Result<Option<Lease>> {
    let begin = Instant::now();
    let mut buffer = [0; 2048];
    loop {
        let (packet, wait) = client.packet(begin.elapsed());
        if let Err(error) = socket.send_to(&packet, SocketAddrV4::new(client.to(), 67)) {
            say(&format!("dhcp: {error}"));
            std::thread::sleep(Duration::from_millis(200));
        }
        let until = Instant::now() + wait;
        loop {
            let left = until.saturating_duration_since(Instant::now()).min(Duration::from_millis(200));
            if over.load(Ordering::SeqCst) || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(None);
            }
            if left.is_zero() {
                break;
            }
            socket.set_read_timeout(Some(left))?;
            let Ok(length) = socket.recv(&mut buffer) else { continue };
            match client.take(buffer.get(..length).unwrap_or_default()) {
                Some(Event::Bound(lease)) => return Ok(Some(*lease)),
                Some(Event::Send | Event::Refused) => break,
                None => {}
            }
        }
    }
}

/// A UDP socket on port 68, shared with the other interfaces' clients. It is bound to the device and to no address, for refusals
/// come by broadcast, also to a client that has one.
fn dhcp_socket(device: &str) -> io::Result<UdpSocket> {
    // SAFETY: a plain socket call; the descriptor is owned at once.
    let socket = unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(fd)
    };
    let option = |level: i32, name: i32, value: &[u8]| {
        // SAFETY: pointer and length are of one slice.
        let result = unsafe {
            libc::setsockopt(socket.as_raw_fd(), level, name, value.as_ptr().cast(), value.len() as u32)
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    let on = 1i32.to_ne_bytes();
    option(libc::SOL_SOCKET, libc::SO_REUSEADDR, &on)?;
    option(libc::SOL_SOCKET, libc::SO_BROADCAST, &on)?;
    option(libc::SOL_SOCKET, libc::SO_BINDTODEVICE, device.as_bytes())?;
    // SAFETY: zeroed is a valid sockaddr_in, and its length is given.
    let result = unsafe {
        let mut name: libc::sockaddr_in = std::mem::zeroed();
        name.sin_family = libc::AF_INET as u16;
        name.sin_port = 68u16.to_be();
        libc::bind(socket.as_raw_fd(), (&raw const name).cast(), size_of::<libc::sockaddr_in>() as u32)
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(socket.into())
}

fn transaction(mac: [u8; 6]) -> u32 {
    let mut random = [0; 4];
    let read =
        fs::File::open("/dev/urandom").and_then(|mut file| io::Read::read_exact(&mut file, &mut random));
    if read.is_err() {
        random.copy_from_slice(&mac[2..]);
    }
    u32::from_be_bytes(random)
}

/// Prolongs the lease for as long as the machine runs; with another address, or other options, the machine is set up anew.
fn keep(name: &str, mut lease: Lease, net: &Net) {
    let never = AtomicBool::new(false);
    loop {
        std::thread::sleep(lease.renew);
        let begin = Instant::now();
        let left = lease.rebind.saturating_sub(lease.renew);
        let renewed = renew(name, &lease, lease.server, begin + left, &never).or_else(|| {
            renew(name, &lease, Ipv4Addr::BROADCAST, begin + lease.life.saturating_sub(lease.renew), &never)
        });
        match renewed {
            Some(new) => {
                if new.differs_from(&lease) {
                    say(&format!("dhcp {name} {}/{} from {}", new.address, new.prefix, new.server));
                    configure(name, &new, net);
                }
                lease = new;
            }
            // The address may belong to somebody else now; keeping it is still the best chance to be reached.
            None => say(&format!("dhcp {name}: lease of {} not prolonged", lease.address)),
        }
    }
}

fn renew(name: &str, lease: &Lease, to: Ipv4Addr, deadline: Instant, over: &AtomicBool) -> Option<Lease> {
    let mac = link::mac(name)?;
    let socket = dhcp_socket(name).ok()?;
    let mut client = Client::renewing(mac, transaction(mac), lease, to);
    converse(&socket, &mut client, Some(deadline), over).ok().flatten()
}

fn configure(name: &str, lease: &Lease, net: &Net) {
    let report = |what: &str, result: io::Result<()>| {
        if let Err(error) = result {
            say(&format!("{what} of {name}: {error}"));
        }
    };
    if let Some(mtu) = net.mtu.or(lease.mtu) {
        report("mtu", link::set_mtu(name, mtu));
    }
    report("address", link::set_address(name, lease.address, lease.prefix));
    let default = lease.router.map(|router| (Ipv4Addr::UNSPECIFIED, 0, router));
    let routes = if lease.routes.is_empty() { default.into_iter().collect() } else { lease.routes.clone() };
    for (network, prefix, gateway) in routes {
        let gateway = Some(gateway).filter(|gateway| !gateway.is_unspecified());
        report("route", link::add_route(name, network, prefix, gateway));
    }
    let dns = if net.dns.is_empty() { &lease.dns } else { &net.dns };
    resolver(dns, lease.domain.as_deref());
    if let Some(hostname) = net.hostname.as_ref().or(lease.hostname.as_ref()) {
        report("host name", sys::set_hostname(hostname));
    }
}

/// A fixed address, on the named card, the boot card or the first one that has a link.
fn fixed(net: &Net, address: Ipv4Addr, prefix: u8, bootif: Option<&str>, milestones: &Milestones) -> Up {
    let never = AtomicBool::new(false);
    let name = loop {
        let all = wanted_interfaces(net);
        all.iter().for_each(|name| drop(link::up(name)));
        let is_boot = |name: &&String| bootif.is_none() || mac_text(name).as_deref() == bootif;
        if let Some(name) = all.iter().find(|name| is_boot(name) && link::has_carrier(name)) {
            break name.clone();
        }
        std::thread::sleep(LOOK);
    };
    let name = ready(&name, net.vlan, &never, milestones).unwrap_or(name);
    let lease = Lease {
        address,
        prefix,
        server: Ipv4Addr::UNSPECIFIED,
        router: net.gateway,
        routes: Vec::new(),
        dns: Vec::new(),
        hostname: None,
        domain: None,
        mtu: None,
        life: Duration::MAX,
        renew: Duration::MAX,
        rebind: Duration::MAX,
    };
    configure(&name, &lease, net);
    milestones.reach("address", &format!("address {name} {address}/{prefix}"));
    Up { server: None, mac: mac_text(&name) }
}

fn resolver(dns: &[Ipv4Addr], domain: Option<&str>) {
    let mut text = domain.map(|domain| format!("search {domain}\n")).unwrap_or_default();
    for server in dns.iter().take(3) {
        text += &format!("nameserver {server}\n");
    }
    if let Err(error) = fs::create_dir_all("/etc").and_then(|()| fs::write("/etc/resolv.conf", text)) {
        say(&format!("/etc/resolv.conf: {error}"));
    }
}

fn mac_text(name: &str) -> Option<String> {
    let mac = link::mac(name.split('.').next().unwrap_or(name))?;
    Some(mac.map(|byte| format!("{byte:02x}")).join(":"))
}
