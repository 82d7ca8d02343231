//! What one DISCOVER costs, from bytes to bytes (decode, decision, encode), with few leases and with many: nanoseconds of
//! processor time, and packets per second and core. The figures must not grow with the fleet.
//!
//! `cargo run --release -p gantry-netboot --example discover-speed`

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use gantry_model::{Kind, Lease, Machine, Now, Time, Tx, View};
use gantry_netboot::dhcp::engine::{Arrival, Engine, Host, Interface, Memory, Service, Settings};
use gantry_netboot::dhcp::packet::{Hardware, Packet};
use serde_json::{Value, json};

struct Plain;

impl Host for Plain {
    fn render(&self, template: &str, _: &BTreeMap<u8, String>) -> Result<String, String> {
        Ok(template.into())
    }

    fn param(&self, _: &View, _: Option<&Machine>, _: &str) -> Option<Value> {
        None
    }
}

fn mac(i: u32) -> [u8; 6] {
    let [a, b, c, d] = i.to_be_bytes();
    [0x52, 0x54, a, b, c, d]
}

/// A /8 with so many clients, each with a lease and every tenth with a machine.
fn fleet(leases: u32, now: Time) -> View {
    let mut tx = Tx::new(View::empty(), Now::new(now, [1; 32]));
    let subnet = json!({
        "Name": "big", "Enabled": true, "Subnet": "10.0.0.0/8", "ActiveStart": "10.0.0.2", "ActiveEnd": "10.255.255.200",
        "Strategy": "MAC", "Options": [{"Code": 3, "Value": "10.0.0.1"}, {"Code": 6, "Value": "10.0.0.1"}],
    });
    tx.create(Kind::Subnet, subnet).expect("subnet");
    for i in 0..leases {
        let token = Hardware::new(&mac(i)).to_string();
        let lease = Lease {
            addr: address(i).into(),
            token: token.clone(),
            strategy: "MAC".into(),
            state: "ACK".into(),
            duration: 3600,
            expire_time: now.plus_seconds(i64::from(i % 3600) + 60),
            ..Lease::default()
        };
        tx.save(&lease).expect("lease");
    }
    tx.into_parts().0
}

fn address(i: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a00_0002 + i)
}

fn discover(i: u32) -> Vec<u8> {
    let mut packet = Packet { xid: i, chaddr: Hardware::new(&mac(i)), ..Packet::default() };
    packet.options.push(53, [1]);
    packet.options.push(55, [1, 3, 6, 12, 15, 43, 60, 66, 67, 97]);
    packet.options.push(60, "PXEClient:Arch:00007:UNDI:003000");
    packet.options.push(93, [0, 7]);
    packet.encode(1472).bytes
}

/// Processor time of this thread, nanoseconds (proc(5), schedstat): a busy machine does not falsify it.
fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split(' ').next().and_then(|n| n.parse().ok()).expect("a number")
}

#[expect(clippy::print_stdout, reason = "the figures are what this program is for")]
fn main() {
    let rounds = 20_000_u32;
    println!("{:>8}  {:>18}  {:>18}  {:>14}", "leases", "known client", "new client", "packets/s");
    for leases in [0_u32, 100, 10_000, 100_000] {
        let now = Time::from_unix(1_800_000_000);
        let view = fleet(leases, now);
        let settings = Settings { probe: false, ..Settings::default() };
        let interface =
            Interface { index: 2, name: "eth0".into(), addresses: vec![(Ipv4Addr::new(10, 0, 0, 1), 8)] };
        let source = "0.0.0.0:68".parse().expect("an address");
        let arrival = Arrival { interface: Arc::new(interface), source, service: Service::Dhcp };
        let mut memory = Memory::new();
        let mut run = |first: u32, span: u32| {
            let packets: Vec<_> = (0..rounds).map(|i| discover(first + i % span)).collect();
            let start = cpu_nanos();
            for bytes in &packets {
                let packet = Packet::decode(bytes).expect("a packet");
                let engine = Engine { view: &view, memory: &memory, settings: &settings, host: &Plain, now };
                let outcome = engine.packet(&arrival, &packet);
                memory.apply(outcome.remember, now);
                assert!(!outcome.answers.is_empty(), "{:?}", outcome.reason);
                for answer in &outcome.answers {
                    std::hint::black_box(answer.packet.encode(answer.max));
                }
            }
            (cpu_nanos() - start) / u64::from(rounds)
        };
        let (known, fresh) = (run(0, leases.max(1)), run(50_000_000, rounds));
        println!("{leases:>8}  {known:>15} ns  {fresh:>15} ns  {:>14}", 1_000_000_000 / known.max(1));
    }
}
