//! ProxyDHCP and the boot server on 4011 (network.md §1.14).

use super::world::{World, check};
use serde_json::json;

fn lab() -> World {
    let mut world = World::lab();
    world.settings.probe = false;
    world.subnet(&json!({"Proxy": true}));
    world
}

#[test]
fn firmware_gets_boot_information_and_no_address() {
    check(
        &mut lab(),
        "dis mac=1 pxe arch=0 prl=1,3,43,60,66,67
         > ofr to 255.255.255.255:68 si=10.0.0.1 sname=10.0.0.1 file=lpxelinux.0 bcast | 54=10.0.0.1 60=PXEClient 43=6,1,8,255
         dis mac=1 pxe arch=7 prl=1,43,60,66,67,97 97=0,7
         > ofr to 255.255.255.255:68 si=10.0.0.1 sname=10.0.0.1 file=ipxe.efi bcast | 54=10.0.0.1 60=PXEClient 43=6,1,8,255 97=0,7
         dis mac=1 http arch=16 prl=1,60,67
         > ofr to 255.255.255.255:68 si=10.0.0.1 bcast | 54=10.0.0.1 60=HTTPClient 67=http://10.0.0.1:8091/ipxe.efi",
    );
}

#[test]
fn an_ipxe_is_never_told_to_skip_proxydhcp_by_the_proxy_itself() {
    let mut world = lab();
    let said = world.say("dis mac=1 ipxe prl=1,66,67,175");
    assert!(
        said.contains("file=default.ipxe") && said.contains("60=PXEClient") && !said.contains("175="),
        "{said}"
    );
}

#[test]
fn silence_to_everybody_else() {
    let mut world = lab();
    world.machine("at-home", 2, "local");
    check(
        &mut world,
        "dis mac=1 prl=1,3,67
         > - NoPxe(NoFirmware)
         dis mac=2 pxe prl=67
         > - NoPxe(BootEnv)
         dis mac=3 pxe prl=1,3
         > - NoPxe(NotAsked)
         req mac=1 50=10.0.0.77
         > - ProxySubnet
         inf mac=1 ci=10.0.0.77
         > - ProxySubnet",
    );
    assert!(world.memory.is_empty());
}

#[test]
fn the_boot_server_answers_whoever_asks_it() {
    let mut world = World::lab();
    check(
        &mut world,
        "req mac=1 binl pxe arch=7 ci=10.0.0.5 from=10.0.0.5:4011 prl=43,60,66,67
         > ack to 10.0.0.5:4011 yi=10.0.0.5 si=10.0.0.1 sname=10.0.0.1 file=ipxe.efi | 54=10.0.0.1 60=PXEClient 43=6,1,8,255
         dis mac=1 binl pxe from=10.0.0.5:68 prl=66,67
         > ack to 10.0.0.5:68 si=10.0.0.1 sname=10.0.0.1 file=lpxelinux.0 | 54=10.0.0.1 60=PXEClient
         req mac=1 binl pxe from=10.0.0.5:68 prl=67
         > nak to 10.0.0.5:68 | 54=10.0.0.1 (NotUnicast)
         rel mac=1 binl ci=10.0.0.5
         > - NotHandled
         bootp mac=1 binl
         > - MissingType",
    );
    assert_eq!(World::empty().say("req mac=1 binl pxe ci=10.0.0.5 prl=67"), "- NoInfo");
    world.machine("at-home", 2, "local");
    assert_eq!(world.say("req mac=2 binl pxe ci=10.0.0.6 prl=67"), "- NoPxe(BootEnv)");
}

#[test]
fn a_disabled_subnet_is_silent() {
    let mut world = lab();
    world.subnet(&json!({"Proxy": true, "Enabled": false}));
    for line in ["dis mac=1 pxe prl=66,67", "dis mac=1 pxe prl=66,67 binl"] {
        let said = world.say(line);
        assert!(said.starts_with("- No"), "{line}: {said}");
    }
}
