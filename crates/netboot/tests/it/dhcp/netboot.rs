//! Who netboots, and with which file (network.md §1.11, §1.12; boot lab §2).

use super::world::{World, check};
use gantry_netboot::dhcp::engine::{Note, Withheld};
use serde_json::json;

const PRL: &str = "prl=1,3,43,60,66,67,97,175";

fn lab() -> World {
    let mut world = World::lab();
    world.settings.probe = false;
    world.create(gantry_model::Kind::Preference, &json!({"Name": "unknownBootEnv", "Val": "discovery"}));
    world
}

/// `file` of the answer to a DISCOVER of these words; `none` if there is no file.
fn file(world: &mut World, words: &str) -> String {
    let said = world.say(&format!("dis {words} {PRL}"));
    let found = said.split(' ').find_map(|w| w.strip_prefix("file=").or(w.strip_prefix("67=")));
    found.unwrap_or(if said.starts_with("ofr") { "none" } else { &said }).to_owned()
}

#[test]
fn boot_files_by_architecture() {
    let mut world = lab();
    for (words, want) in [
        ("pxe", "lpxelinux.0"),
        ("pxe arch=0", "lpxelinux.0"),
        ("pxe arch=6", "none"),
        ("pxe arch=7", "ipxe.efi"),
        ("pxe arch=9", "ipxe.efi"),
        ("pxe arch=10", "none"),
        ("pxe arch=11", "ipxe-arm64.efi"),
        ("pxe arch=14", "none"),
        ("pxe arch=77", "none"),
        ("http arch=16", "http://10.0.0.1:8091/ipxe.efi"),
        ("http arch=19", "http://10.0.0.1:8091/ipxe-arm64.efi"),
        ("http arch=15", "none"),
        ("60=udhcp arch=0", "none"),
        ("arch=0", "none"),
        ("ipxe", "default.ipxe"),
        ("ipxe-efi arch=7", "default.ipxe"),
        ("ipxe-bare", "ipxe.pxe"),
        ("ipxe-bare arch=7", "ipxe.efi"),
        ("ipxe arch=7", "ipxe.efi"),
    ] {
        assert_eq!(file(&mut world, words), want, "{words}");
    }
}

#[test]
fn firmware_is_told_to_ask_no_other_server_and_ipxe_not_to_wait() {
    let mut world = lab();
    check(
        &mut world,
        "dis mac=1 pxe arch=7 prl=1,43,60,66,67,97 97=0,1,2
         > ofr to 255.255.255.255:68 yi=10.0.0.10 si=10.0.0.1 sname=10.0.0.1 file=ipxe.efi | 54=10.0.0.1 51=60 1=255.255.255.0 60=PXEClient 43=6,1,8,255 97=0,1,2 58=30 59=45
         dis mac=1 ipxe prl=1,43,60,66,67,175
         > ofr to 255.255.255.255:68 yi=10.0.0.10 si=10.0.0.1 sname=10.0.0.1 file=default.ipxe | 54=10.0.0.1 51=60 1=255.255.255.0 175=176,1,1 58=30 59=45
         dis mac=1 ipxe prl=1,66,67
         > ofr to 255.255.255.255:68 yi=10.0.0.10 si=10.0.0.1 sname=10.0.0.1 file=default.ipxe | 54=10.0.0.1 51=60 1=255.255.255.0 58=30 59=45
         dis mac=1 http arch=16 prl=1,43,60,66,67,97
         > ofr to 255.255.255.255:68 yi=10.0.0.10 si=10.0.0.1 | 54=10.0.0.1 51=60 1=255.255.255.0 60=HTTPClient 67=http://10.0.0.1:8091/ipxe.efi 58=30 59=45
         dis mac=1 pxe prl=1,3
         > ofr to 255.255.255.255:68 yi=10.0.0.10 si=10.0.0.1 | 54=10.0.0.1 51=60 1=255.255.255.0 3=10.0.0.254 58=30 59=45",
    );
}

#[test]
fn debians_ipxe_without_comboot_is_good_enough() {
    let mut world = lab();
    // http, bzimage, elf, menu and more, but neither pxe (33) nor comboot (35).
    let features = "175=19,1,1,21,1,1,23,1,1,24,1,1,34,1,1,39,1,1,235,3,1,0,0";
    assert_eq!(file(&mut world, &format!("pxe 77=iPXE {features}")), "default.ipxe");
    assert_eq!(file(&mut world, &format!("pxe {features}")), "default.ipxe", "known by option 175 alone");
    assert_eq!(file(&mut world, "pxe 77=iPXE 175=24,1,1"), "ipxe.pxe", "without http it cannot go on");
    assert_eq!(file(&mut world, "pxe 77=iPXE 175=19,1,0,24,1,1"), "ipxe.pxe", "http switched off");
}

#[test]
fn a_client_is_chained_once_per_boot() {
    let mut world = lab();
    let boot = |world: &mut World, xid: u32| {
        let words = format!("mac=1 xid={xid} ipxe-bare {PRL}");
        let offer = world.say(&format!("dis {words}"));
        let ack = world.say(&format!("req 50=10.0.0.10 {words}"));
        let again = world.say(&format!("req 50=10.0.0.10 {words}"));
        let file = |said: &str| said.split(' ').find_map(|w| w.strip_prefix("file=")).unwrap().to_owned();
        assert_eq!(file(&offer), file(&ack));
        assert_eq!(file(&ack), file(&again), "a repeated REQUEST gets the same answer");
        file(&ack)
    };
    assert_eq!(boot(&mut world, 1), "ipxe.pxe", "the NIC's iPXE");
    world.now += 5;
    assert_eq!(boot(&mut world, 2), "default.ipxe", "the one that we sent, just as limited: no loop");
    world.now += 60;
    assert_eq!(boot(&mut world, 3), "ipxe.pxe", "the next boot");
    world.now += 200;
    assert_eq!(boot(&mut world, 4), "ipxe.pxe", "the boot after one that never came back");
}

#[test]
fn firmware_that_was_given_our_loader_is_not_chained_again() {
    let mut world = lab();
    world.say(&format!("dis mac=1 xid=1 pxe arch=7 {PRL}"));
    world.say(&format!("req mac=1 xid=1 50=10.0.0.10 pxe arch=7 {PRL}"));
    assert_eq!(file(&mut world, "mac=1 xid=2 ipxe-bare arch=7"), "default.ipxe");
    assert_eq!(file(&mut world, "mac=2 xid=2 ipxe-bare arch=7"), "ipxe.efi", "another machine");
}

#[test]
fn the_ipxe_of_firmware_that_boots_by_http_goes_on_by_http() {
    let mut world = lab();
    let url = "http://10.0.0.1:8091/default.ipxe";
    world.say(&format!("dis mac=1 xid=1 http arch=16 {PRL}"));
    world.say(&format!("req mac=1 xid=1 50=10.0.0.10 http arch=16 {PRL}"));
    assert_eq!(file(&mut world, "mac=1 xid=2 ipxe-efi arch=7"), url);
    world.say(&format!("req mac=1 xid=2 50=10.0.0.10 ipxe-efi arch=7 {PRL}"));
    assert_eq!(file(&mut world, "mac=1 xid=2 ipxe-efi arch=7"), url, "asked again");
    assert_eq!(file(&mut world, "mac=2 xid=2 ipxe-efi arch=7"), "default.ipxe", "another machine");
    world.now += 60;
    world.say(&format!("dis mac=1 xid=3 pxe arch=7 {PRL}"));
    world.say(&format!("req mac=1 xid=3 50=10.0.0.10 pxe arch=7 {PRL}"));
    assert_eq!(file(&mut world, "mac=1 xid=4 ipxe-efi arch=7"), "default.ipxe", "its next boot is by PXE");
}

#[test]
fn machines_boot_by_their_environment() {
    let mut world = lab();
    world.machine("at-home", 1, "local");
    world.machine("worker", 2, "sledgehammer");
    assert_eq!(file(&mut world, "mac=1 ipxe"), "none", "its disk is its boot device");
    assert_eq!(world.notes(), [Note::Withheld(Withheld::BootEnv)]);
    assert_eq!(file(&mut world, "mac=2 ipxe"), "default.ipxe");
    assert_eq!(file(&mut world, "mac=3 ipxe"), "default.ipxe", "unknown");
}

#[test]
fn a_booting_machine_is_where_its_lease_is() {
    let mut world = lab();
    world.machine("worker", 1, "sledgehammer");
    world.machine("at-home", 2, "local");
    world.say(&format!("dis mac=1 ipxe {PRL}"));
    assert!(world.address_of("worker").is_empty(), "an offer may never be taken");
    world.say(&format!("req mac=1 50=10.0.0.10 ipxe {PRL}"));
    assert_eq!(world.address_of("worker"), "10.0.0.10");
    world.say(&format!("dis mac=2 ipxe {PRL}"));
    world.say(&format!("req mac=2 50=10.0.0.11 ipxe {PRL}"));
    assert_eq!(world.address_of("at-home"), "", "not netbooting: the record stays as it is");
}

#[test]
fn another_machine_at_the_address_loses_it() {
    let mut world = lab();
    world.machine("old", 9, "sledgehammer");
    world.place("old", "10.0.0.10");
    world.machine("new", 1, "sledgehammer");
    world.say(&format!("dis mac=1 ipxe {PRL}"));
    world.say(&format!("req mac=1 50=10.0.0.10 ipxe {PRL}"));
    assert_eq!((world.address_of("old"), world.address_of("new")), ("0.0.0.0".into(), "10.0.0.10".into()));
}

#[test]
fn loaders_come_from_the_environment_the_operator_or_us() {
    let mut world = lab();
    world.create(
        gantry_model::Kind::BootEnv,
        &json!({"Name": "secure-install", "Kernel": "k", "OS": {"Name": "deb", "SupportedArchitectures": {
            "aarch64": {"Kernel": "k", "Loader": "grubaa64.efi"}}}, "Loaders": {"amd64-uefi": "shimx64.efi"},
            "Templates": [{"Name": "ipxe", "Path": "x", "Contents": "x"}]}),
    );
    world.machine("m1", 1, "secure-install");
    assert_eq!(file(&mut world, "mac=1 pxe arch=7"), "deb/install/shimx64.efi");
    assert_eq!(file(&mut world, "mac=1 pxe arch=11"), "deb/arm64/install/grubaa64.efi");
    assert_eq!(file(&mut world, "mac=1 pxe arch=0"), "lpxelinux.0");
    assert_eq!(file(&mut world, "mac=1 http arch=16"), "http://10.0.0.1:8091/deb/install/shimx64.efi");
    let loaders = json!({"386-pcbios": "undionly.kpxe", "amd64-uefi": "snponly.efi", "ppc64le": "core.elf"});
    world.content.params.borrow_mut().insert("bootloaders".into(), loaders);
    assert_eq!(file(&mut world, "mac=1 pxe arch=0"), "undionly.kpxe");
    assert_eq!(
        file(&mut world, "mac=1 pxe arch=7"),
        "deb/install/shimx64.efi",
        "the environment comes first"
    );
    assert_eq!(file(&mut world, "mac=2 pxe arch=7"), "snponly.efi");
    assert_eq!(file(&mut world, "mac=2 pxe arch=14"), "core.elf");
    let custom = json!({"secure-install": {"Loaders": {"amd64-uefi": "mine.efi"}}});
    world.content.params.borrow_mut().insert("bootenv-customize".into(), custom);
    assert_eq!(file(&mut world, "mac=1 pxe arch=7"), "deb/install/mine.efi");
}

#[test]
fn what_the_operator_set_wins() {
    let mut world = lab();
    world.subnet(&json!({"Options": [{"Code": 67, "Value": "{{index . 77}}.bin"}]}));
    assert_eq!(file(&mut world, "mac=1 pxe arch=6 77=rack"), "rack.bin");
    assert_eq!(
        file(&mut world, "mac=1 60=U-Boot 77=rack"),
        "rack.bin",
        "also to clients that are no PXE firmware"
    );
    assert_eq!(file(&mut world, "mac=1 http arch=16 77=rack"), "http://10.0.0.1:8091/rack.bin");
    world.reserve("10.0.0.40", 2, &json!({"Options": [{"Code": 67, "Value": ""}]}));
    assert_eq!(file(&mut world, "mac=2 pxe"), "none");
    assert_eq!(world.notes(), [Note::Withheld(Withheld::ByReservation)]);
}

#[test]
fn a_long_name_goes_into_option_67() {
    let mut world = lab();
    let name = format!("{}.efi", "x".repeat(200));
    world.subnet(&json!({"Options": [{"Code": 67, "Value": name}]}));
    assert!(world.say(&format!("dis mac=1 pxe {PRL}")).contains(&format!("67={name}")));
}

#[test]
fn an_unmanaged_subnet_gives_addresses_only() {
    let mut world = lab();
    world.subnet(&json!({"Unmanaged": true}));
    check(
        &mut world,
        "dis mac=1 ipxe prl=1,66,67,175
         > ofr to 255.255.255.255:68 yi=10.0.0.10 si=10.0.0.1 | 54=10.0.0.1 51=60 1=255.255.255.0 58=30 59=45",
    );
    world.say("req mac=1 50=10.0.0.10");
    assert!(world.lease("10.0.0.10").unwrap().skip_boot);
}

#[test]
fn root_path_only_with_netboot() {
    let mut world = lab();
    world.subnet(&json!({"Options": [{"Code": 17, "Value": "nfs:/root"}]}));
    assert!(world.say("dis mac=1 pxe prl=17,67").contains("17=nfs:/root"));
    assert!(!world.say("dis mac=1 prl=17").contains("17="));
}

#[test]
fn a_loader_of_its_own_is_told_the_server_and_the_root_but_no_file() {
    let mut world = World::lab();
    world.settings.probe = false;
    world.subnet(&json!({"Options": [{"Code": 17, "Value": "nfs:/root"}]}));
    world.machine("boots", 2, "sledgehammer");
    world.machine("at-home", 3, "local");
    check(
        &mut world,
        "dis mac=1 60=U-Boot prl=17,66,67
         > ofr to 255.255.255.255:68 yi=10.0.0.10 si=10.0.0.1 sname=10.0.0.1 | 54=10.0.0.1 51=60 17=nfs:/root 58=30 59=45
         dis mac=2 prl=17,66,67
         > ofr to 255.255.255.255:68 yi=10.0.0.11 si=10.0.0.1 sname=10.0.0.1 | 54=10.0.0.1 51=60 17=nfs:/root 58=30 59=45
         dis mac=3 prl=17,66,67
         > ofr to 255.255.255.255:68 yi=10.0.0.12 si=10.0.0.1 | 54=10.0.0.1 51=60 58=30 59=45",
    );
    assert!(world.say("req mac=2 50=10.0.0.11 54=10.0.0.1 prl=67").starts_with("ack"));
    assert_eq!(world.address_of("boots"), "10.0.0.11");
}
