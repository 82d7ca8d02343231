//! Exchanges in the reference's own notation (network.md §1.19), with fixtures of the same shape.

use super::world::World;
use serde_json::json;

fn world() -> World {
    let mut world = World::empty();
    world.interface("eno1", "192.168.124.1", 24);
    world.interface("eno2", "10.0.0.10", 8);
    world.create(
        gantry_model::Kind::BootEnv,
        &json!({"Name": "ignore", "OnlyUnknown": true, "OS": {"Name": "ignore"}}),
    );
    world.subnet(&json!({
        "Name": "sub1", "Subnet": "192.168.124.1/24", "ActiveStart": "192.168.124.10", "ActiveEnd": "192.168.124.15",
        "Options": [{"Code": 3, "Value": "192.168.124.1"}, {"Code": 6, "Value": "192.168.124.1"}, {"Code": 15, "Value": "sub1.com"}],
    }));
    world.subnet(&json!({
        "Name": "sub3", "Subnet": "10.0.0.0/8", "Proxy": true,
        "Options": [{"Code": 3, "Value": "10.0.0.1"}, {"Code": 6, "Value": "10.0.0.1"}],
    }));
    world.subnet(&json!({
        "Name": "sub4", "Subnet": "172.17.10.8/24", "ActiveStart": "172.17.10.10", "ActiveEnd": "172.17.10.15",
        "Options": [{"Code": 3, "Value": "172.17.10.1"}, {"Code": 6, "Value": "172.17.10.1"}, {"Code": 15, "Value": "sub4.com"}],
    }));
    world
}

/// What a client on `eno1` says.
struct Says<'a> {
    kind: &'a str,
    mac: u8,
    ciaddr: &'a str,
    giaddr: &'a str,
    options: &'a [(u8, &'a str)],
}

const DISCOVER: Says<'_> = Says { kind: "dis", mac: 1, ciaddr: "0.0.0.0", giaddr: "0.0.0.0", options: &[] };
const REQUEST: Says<'_> = Says { kind: "req", ..DISCOVER };

/// The answer in one line: where it goes, the addresses, names, and options by number; empty when there is none.
fn answer(world: &mut World, says: &Says<'_>) -> String {
    let Says { kind, mac, ciaddr, giaddr, options } = says;
    let from = match (*giaddr, *ciaddr) {
        ("0.0.0.0", address) => format!("{address}:68"),
        (relay, _) => format!("{relay}:67"),
    };
    let mut packet = format!(
        "proto:dhcp4 iface:eno1 ifaddr:{from} lport:67\n\
         op:0x01 htype:0x01 hlen:0x06 hops:0x00 xid:0x3a7c0001 secs:0x0004 flags:0x0000\n\
         ci:{ciaddr} yi:0.0.0.0 si:0.0.0.0 gi:{giaddr} ch:52:54:00:a1:00:{mac:02x}\n\
         option:code:053 val:\"{kind}\"\n"
    );
    for (code, value) in *options {
        packet += &format!("option:code:{code:03} val:\"{value}\"\n");
    }
    let said = world.replay(packet.trim_end());
    let mut words = Vec::new();
    for line in said.lines() {
        if let Some(option) = line.strip_prefix("option:code:") {
            let (code, value) = option.split_once(" val:").unwrap();
            words.push(format!("{}={}", code.trim_start_matches('0'), value.trim_matches('"')));
            continue;
        }
        let wanted =
            |word: &&str| ["ifaddr:", "yi:", "si:", "sname:", "file:"].iter().any(|n| word.starts_with(n));
        let unset = |word: &&str| word.ends_with(":0.0.0.0");
        words.extend(line.split(' ').filter(|w| wanted(w) && !unset(w)).map(|w| w.replace('"', "")));
    }
    words.join(" ")
}

fn check(world: &mut World, request: &str, want: &str) {
    let clean =
        |text: &str| text.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join("\n");
    assert_eq!(clean(&world.replay(&clean(request))), clean(want));
}

#[test]
fn basic_ipxe_discover() {
    let mut world = world();
    check(
        &mut world,
        r#"proto:dhcp4 iface:eno1 ifaddr:0.0.0.0:68 lport:67
           op:0x01 htype:0x01 hlen:0x06 hops:0x00 xid:0x3a7c0001 secs:0x0004 flags:0x0000
           ci:0.0.0.0 yi:0.0.0.0 si:0.0.0.0 gi:0.0.0.0 ch:52:54:00:a1:00:01
           option:code:053 val:"dis"
           option:code:055 val:"1,3,6,12,15,66,67"
           option:code:060 val:"PXEClient:Arch:00000:UNDI:002001"
           option:code:077 val:"iPXE"
           option:code:093 val:"0"
           option:code:175 val:"19,1,1,24,1,1,33,1,1,35,1,1""#,
        r#"proto:dhcp4 iface:eno1 ifaddr:255.255.255.255:68 lport:67
           op:0x02 htype:0x01 hlen:0x06 hops:0x00 xid:0x3a7c0001 secs:0x0000 flags:0x0000
           ci:0.0.0.0 yi:192.168.124.10 si:192.168.124.1 gi:0.0.0.0 ch:52:54:00:a1:00:01
           sname:"192.168.124.1"
           file:"default.ipxe"
           option:code:053 val:"ofr"
           option:code:054 val:"192.168.124.1"
           option:code:051 val:"60"
           option:code:001 val:"255.255.255.0"
           option:code:003 val:"192.168.124.1"
           option:code:006 val:"192.168.124.1"
           option:code:015 val:"sub1.com"
           option:code:058 val:"30"
           option:code:059 val:"45""#,
    );
}

#[test]
fn proxy_pxe() {
    let mut world = world();
    check(
        &mut world,
        r#"proto:dhcp4 iface:eno2 ifaddr:0.0.0.0:68 lport:67
           op:0x01 htype:0x01 hlen:0x06 hops:0x00 xid:0x00000007 secs:0x0000 flags:0x0000
           ci:0.0.0.0 yi:0.0.0.0 si:0.0.0.0 gi:0.0.0.0 ch:52:54:00:a1:00:02
           option:code:053 val:"dis"
           option:code:055 val:"1,3,43,60,66,67"
           option:code:060 val:"PXEClient:Arch:00000:UNDI:002001"
           option:code:093 val:"0"
           option:code:097 val:"0,1,2""#,
        r#"proto:dhcp4 iface:eno2 ifaddr:255.255.255.255:68 lport:67
           op:0x02 htype:0x01 hlen:0x06 hops:0x00 xid:0x00000007 secs:0x0000 flags:0x8000
           ci:0.0.0.0 yi:0.0.0.0 si:10.0.0.10 gi:0.0.0.0 ch:52:54:00:a1:00:02
           sname:"10.0.0.10"
           file:"lpxelinux.0"
           option:code:053 val:"ofr"
           option:code:054 val:"10.0.0.10"
           option:code:060 val:"PXEClient"
           option:code:043 val:"6,1,8,255""#,
    );
}

const BIOS: &[(u8, &str)] = &[(55, "1,3,6,12,15,66,67"), (60, "PXEClient:Arch:00000:UNDI:002001"), (93, "0")];

#[test]
fn basic_pxe_discover() {
    let mut world = world();
    let said = answer(&mut world, &Says { options: BIOS, ..DISCOVER });
    assert_eq!(
        said,
        "ifaddr:255.255.255.255:68 yi:192.168.124.10 si:192.168.124.1 sname:192.168.124.1 file:lpxelinux.0 53=ofr \
         54=192.168.124.1 51=60 1=255.255.255.0 3=192.168.124.1 6=192.168.124.1 15=sub1.com 58=30 59=45"
    );
}

#[test]
fn basic_uefi_discover_and_a_release_with_a_wrong_server() {
    let mut world = world();
    let uefi = [(55, "1,3,6,15,28,66,67"), (60, "PXEClient:Arch:00007:UNDI:003016"), (93, "7")];
    let said = answer(&mut world, &Says { options: &uefi, ..DISCOVER });
    assert!(said.contains("file:ipxe.efi") && said.contains("28=192.168.124.255"), "{said}");
    let said =
        answer(&mut world, &Says { options: &[(50, "192.168.124.10"), (54, "192.168.124.1")], ..REQUEST });
    assert!(said.contains("53=ack"), "{said}");
    let release =
        Says { kind: "rel", ciaddr: "192.168.124.10", options: &[(54, "192.168.124.99")], ..DISCOVER };
    assert_eq!(answer(&mut world, &release), "");
    assert_eq!(world.lease("192.168.124.10").unwrap().state, "EXPIRED");
}

#[test]
fn lease_wraparound() {
    let mut world = world();
    for mac in 1..=6 {
        let address = format!("192.168.124.{}", 9 + mac);
        let said = answer(&mut world, &Says { mac, options: BIOS, ..DISCOVER });
        assert!(said.contains(&format!("yi:{address} ")), "{said}");
        let options = [(50, address.as_str()), (54, "192.168.124.1")];
        assert!(answer(&mut world, &Says { mac, options: &options, ..REQUEST }).contains("53=ack"));
    }
    assert_eq!(answer(&mut world, &Says { mac: 7, options: BIOS, ..DISCOVER }), "");
    let said = answer(&mut world, &Says { mac: 7, options: &[(50, "192.168.124.16")], ..REQUEST });
    assert_eq!(said, "ifaddr:255.255.255.255:68 53=nak 54=192.168.124.1");
    let release = Says { kind: "rel", mac: 4, ciaddr: "192.168.124.13", ..DISCOVER };
    assert_eq!(answer(&mut world, &release), "");
    world.now += 1;
    let said = answer(&mut world, &Says { mac: 7, options: BIOS, ..DISCOVER });
    assert!(said.contains("yi:192.168.124.13 "), "{said}");
    let options = [(50, "192.168.124.13"), (54, "192.168.124.1")];
    assert!(answer(&mut world, &Says { mac: 7, options: &options, ..REQUEST }).contains("53=ack"));
}

#[test]
fn ipxe_uefi_discover() {
    let mut world = world();
    let ipxe = [
        (55, "1,3,6,15,66,67"),
        (60, "PXEClient:Arch:00007:UNDI:003010"),
        (77, "iPXE"),
        (93, "7"),
        (175, "19,1,1,36,1,1"),
    ];
    let said = answer(&mut world, &Says { options: &ipxe, ..DISCOVER });
    assert!(said.contains("file:default.ipxe"), "{said}");
}

/// Unlike the reference, UEFI firmware gets option 43 as well (differences.md).
#[test]
fn proxy_uefi() {
    let mut world = world();
    let head = "op:0x01 htype:0x01 hlen:0x06 hops:0x00 xid:0x00000008 secs:0x0000 flags:0x0000";
    let options = r#"option:code:055 val:"1,3,43,60,66,67,97"
           option:code:060 val:"PXEClient:Arch:00007:UNDI:003016"
           option:code:093 val:"7"
           option:code:097 val:"0,1,2""#;
    let answered = r#"sname:"10.0.0.10"
           file:"ipxe.efi""#;
    let boot = r#"option:code:054 val:"10.0.0.10"
           option:code:060 val:"PXEClient"
           option:code:043 val:"6,1,8,255"
           option:code:097 val:"0,1,2""#;
    check(
        &mut world,
        &format!(
            "proto:dhcp4 iface:eno2 ifaddr:0.0.0.0:68 lport:67\n{head}\n\
             ci:0.0.0.0 yi:0.0.0.0 si:0.0.0.0 gi:0.0.0.0 ch:52:54:00:a1:00:03\n\
             option:code:053 val:\"dis\"\n{options}"
        ),
        &format!(
            "proto:dhcp4 iface:eno2 ifaddr:255.255.255.255:68 lport:67\n{}\n\
             ci:0.0.0.0 yi:0.0.0.0 si:10.0.0.10 gi:0.0.0.0 ch:52:54:00:a1:00:03\n{answered}\n\
             option:code:053 val:\"ofr\"\n{boot}",
            head.replace("op:0x01", "op:0x02").replace("flags:0x0000", "flags:0x8000")
        ),
    );
    check(
        &mut world,
        &format!(
            "proto:dhcp4 iface:eno2 ifaddr:10.0.0.5:4011 lport:4011\n{head}\n\
             ci:10.0.0.5 yi:0.0.0.0 si:0.0.0.0 gi:0.0.0.0 ch:52:54:00:a1:00:03\n\
             option:code:053 val:\"req\"\n{options}"
        ),
        &format!(
            "proto:dhcp4 iface:eno2 ifaddr:10.0.0.5:4011 lport:4011\n{}\n\
             ci:0.0.0.0 yi:10.0.0.5 si:10.0.0.10 gi:0.0.0.0 ch:52:54:00:a1:00:03\n{answered}\n\
             option:code:053 val:\"ack\"\n{boot}",
            head.replace("op:0x01", "op:0x02")
        ),
    );
}

#[test]
fn option82_reflection() {
    let mut world = world();
    let relayed = Says { giaddr: "192.168.124.12", ..DISCOVER };
    let mut said = Vec::new();
    for circuit in ["1,2,7,8", "1,2,7,8", "5,4,172,17,10,1", "11,4,8,8,8,8"] {
        let options = [BIOS, &[(82, circuit)]].concat();
        let answer = answer(&mut world, &Says { options: &options, ..relayed });
        assert!(answer.starts_with("ifaddr:192.168.124.12:67 "), "{answer}");
        assert!(answer.contains(&format!(" 82={circuit} ")), "{answer}");
        assert!(answer.contains("si:192.168.124.1 sname:192.168.124.1 "), "{answer}");
        let of = |name: &str| answer.split(' ').find_map(|w| w.strip_prefix(name)).unwrap().to_owned();
        said.push(format!("{} from {}", of("yi:"), of("54=")));
    }
    assert_eq!(
        said,
        [
            "192.168.124.10 from 192.168.124.1",
            "192.168.124.10 from 192.168.124.1",
            "172.17.10.10 from 192.168.124.1",
            "192.168.124.10 from 8.8.8.8"
        ]
    );
}
