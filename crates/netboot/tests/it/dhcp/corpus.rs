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
    world
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
