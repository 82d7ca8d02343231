//! What the task network writes, by network service, as those services read it. What it does to a running one is in `network_live`.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::golden::network;
use super::{Bench, layer, script, there_is};

pub(super) fn text(config: &Value) -> String {
    script("network", "network", &json!({"network-config": config})).unwrap()
}

pub(super) fn enable(bench: &Bench, unit: &str) {
    let wants = bench.root().join("etc/systemd/system/multi-user.target.wants");
    fs::create_dir_all(&wants).unwrap();
    symlink(format!("/lib/systemd/system/{unit}"), wants.join(unit)).unwrap();
}

/// Runs twice, the second time without an effect.
#[track_caller]
fn done(bench: &Bench, renderer: &str, config: &Value) {
    let log = bench.done(&text(config));
    assert!(log.contains(&format!("network: for {renderer}\n")), "{log}");
    let log = bench.done(&text(config));
    assert!(log.contains("nothing to change"), "{log}");
}

pub(super) fn files(bench: &Bench, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(bench.root().join(folder)).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn networkd_gets_units_and_old_ones_go() {
    let bench = Bench::new().with("/etc/cloud/cloud.cfg.d/x.cfg", "");
    enable(&bench, "systemd-networkd.service");
    done(&bench, "networkd", &network());
    let units = files(&bench, "etc/systemd/network");
    assert_eq!(units.len(), 12, "{units:?}");
    let vlan = bench.read("/etc/systemd/network/10-gantry-storage.netdev");
    assert_eq!(vlan, "[NetDev]\nName=storage\nKind=vlan\n\n[VLAN]\nId=20\n");
    assert!(bench.read("/etc/systemd/network/20-gantry-lan1.network").contains("\nBond=bond0\n"));
    // No resolved here: somebody must write the name servers.
    assert_eq!(
        bench.read("/etc/resolv.conf"),
        "nameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch lab.test example.org\n"
    );
    assert!(bench.exists("/etc/cloud/cloud.cfg.d/99-gantry-network.cfg"));
    done(&bench, "networkd", &json!({"Interfaces": [{"Name": "eth0", "DHCP": "ipv4"}]}));
    assert_eq!(files(&bench, "etc/systemd/network"), ["20-gantry-eth0.network"]);
}

#[test]
fn netplan_takes_its_file() {
    let bench = Bench::new()
        .with("/usr/sbin/netplan", "")
        .with("/etc/netplan/50-cloud-init.yaml", "network: {version: 2}\n");
    done(&bench, "netplan", &network());
    assert_eq!(files(&bench, "etc/netplan"), ["50-cloud-init.yaml.before-gantry", "90-gantry.yaml"]);
    assert_eq!(bench.mode("/etc/netplan/90-gantry.yaml"), 0o600);
    if !there_is("netplan") {
        return;
    }
    let output = Command::new("netplan").args(["generate", "--root-dir"]).arg(bench.root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made = files(&bench, "run/systemd/network");
    for unit in [
        "10-netplan-bond0.netdev",
        "10-netplan-storage.netdev",
        "10-netplan-br0.netdev",
        "10-netplan-lan0.network",
    ] {
        assert!(made.iter().any(|name| name == unit), "netplan made {made:?}");
    }
    assert!(bench.read("/run/systemd/network/10-netplan-storage.network").contains("Address=10.20.1.7/24"));
}

#[test]
fn networkmanager_takes_its_keyfiles() {
    let bench = Bench::new().with("/usr/sbin/NetworkManager", "");
    enable(&bench, "NetworkManager.service");
    done(&bench, "networkmanager", &network());
    let names = files(&bench, "etc/NetworkManager/system-connections");
    assert_eq!(names.len(), 8, "{names:?}");
    if !there_is("nmcli") {
        return;
    }
    for name in names {
        let path = format!("/etc/NetworkManager/system-connections/{name}");
        assert_eq!(bench.mode(&path), 0o600);
        let file = fs::File::open(bench.root().join(path.trim_start_matches('/'))).unwrap();
        let mut nmcli = Command::new("nmcli");
        nmcli
            .args(["--offline", "connection", "modify", "connection.autoconnect", "yes"])
            .stdin(Stdio::from(file));
        let output = nmcli.output().unwrap();
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && error.is_empty(), "{name}: {error}");
        // What it does not know it leaves out, and its defaults; everything else of ours must come back.
        let mut missing: Vec<String> = bench.read(&path).lines().map(str::to_owned).collect();
        missing.retain(|line| {
            let shown = line.replace("gateway=", ",");
            line.contains('=') && line != "stp=true" && !out.contains(&shown)
        });
        assert!(missing.is_empty(), "{name}: {missing:?} are not in what NetworkManager understood:\n{out}");
    }
}

#[test]
fn ifupdown_takes_its_file() {
    let bench = Bench::new()
        .with("/usr/sbin/ifup", "")
        .with("/etc/network/interfaces", "auto eth0\niface eth0 inet dhcp\n");
    done(&bench, "ifupdown", &network());
    assert_eq!(files(&bench, "etc/network"), ["interfaces", "interfaces.before-gantry", "interfaces.d"]);
    assert!(bench.read("/etc/systemd/network/10-gantry-lan0.link").contains("Name=lan0\n"));
    if there_is("ifquery") {
        let file = bench.root().join("etc/network/interfaces.d/gantry");
        let output = Command::new("ifquery").args(["--list", "--all", "-i"]).arg(&file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "lo\nlan0\nlan1\nlan2\nbond0\nstorage\nguests\nbr0\n"
        );
    }
    let ran = bench.run(&text(&json!({"Interfaces": [{"Name": "a", "Match": "en*"}]})));
    assert!(ran.code == 1 && ran.log.contains("ifupdown cannot find cards by Match"), "{}", ran.log);
}

#[test]
fn what_cannot_be_meant_does_not_render() {
    let vlan = json!({"Name": "v", "Type": "vlan", "Link": "a", "Id": 5});
    let bond = |name: &str| json!({"Name": name, "Type": "bond", "Members": ["a"]});
    let primary = |name: &str| json!({"Name": "b", "Type": "bond", "Members": ["a"], "Primary": name});
    let card = json!({"Name": "a"});
    for (interfaces, words) in [
        (json!([card, card]), "two interfaces are called \"a\""),
        (json!([vlan]), "v: its Link \"a\" is no interface of the list"),
        (json!([{"Name": "v", "Type": "vlan"}]), "v: a VLAN needs Link and Id"),
        (json!([bond("b")]), "b: its member \"a\" is no interface of the list"),
        (json!([card, bond("b"), bond("c")]), "a is a member of both b and c"),
        (json!([{"Name": "a", "DHCP": "ipv4"}, bond("b")]), "a is a member of b and cannot have DHCP itself"),
        (json!([{"Name": "a", "Type": "bond"}]), "a: a bond needs Members"),
        (json!([{"Name": "a", "Type": "bridge", "Members": []}]), "a: a bridge needs Members"),
        (json!([{"Name": "a", "MAC": "x\nGANTRY_END\nreboot"}]), "must be like 52:54:00:12:34:56"),
        (json!([{"Name": "a", "Addresses": ["192.0.2.1"]}]), "must have a prefix length"),
        (json!([{"Name": "a", "Gateways": ["192.0.2.1\nreboot"]}]), "must be an address"),
        (json!([{"Name": "a", "NameServers": ["dns.test"]}]), "must be an address"),
        (json!([{"Name": "a", "SearchDomains": ["a b"]}]), "must be a domain"),
        (json!([{"Name": "a", "Routes": [{"To": "x", "Via": "192.0.2.1"}]}]), "must lead to a network"),
        (json!([{"Name": "a\nreboot"}]), "must be a letter and up to 14"),
        (json!([{"Name": "a\n"}]), "must be a letter and up to 14"),
        (json!([card, primary("$(reboot)")]), "b: its Primary \"$(reboot)\" must be one of its Members"),
        (json!([card, {"Name": "c"}, primary("c")]), "b: its Primary \"c\" must be one of its Members"),
        (
            json!([card, {"Name": "b", "Type": "bond", "Members": ["a"], "Mode": "802.3ad", "Primary": "a"}]),
            "has no Primary",
        ),
        (
            json!([{"Name": "a", "Members": ["x; reboot"]}]),
            "a: Members is for the type bond or bridge, not for ethernet",
        ),
        (
            json!([card, {"Name": "v", "Type": "vlan", "Link": "a'\n", "Id": 5}]),
            "its Link \"a'\\n\" is no interface",
        ),
        (json!([{"Name": "a", "Match": "en*\nName=*"}]), "must be a kernel name"),
        (
            json!([{"Name": "a", "Routes": [{"To": "default", "Via": "192.0.2.1\" }"}]}]),
            "must lead over an address",
        ),
        (
            json!([{"Name": "v", "Type": "vlan", "Link": "b", "Id": 5}, {"Name": "b", "Type": "bridge", "Members": ["v"]}]),
            "v: what it is made of leads back to itself",
        ),
    ] {
        let params = json!({"network-config": {"Interfaces": interfaces}});
        let error = script("network", "network", &params).expect_err(words);
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_system_without_a_network_service_is_refused() {
    let ran = Bench::new().run(&text(&network()));
    assert!(ran.code == 1 && ran.log.contains("none of netplan, NetworkManager"), "{}", ran.log);
    let log = Bench::new().done(&script("network", "network", &json!({})).unwrap());
    assert!(log.contains("network-config is not set"), "{log}");
}

/// What a field is made of comes up first, whatever the order of the list; nothing plugs in a virtual interface.
#[test]
fn ifupdown_brings_up_what_is_below_first() {
    let bench = Bench::new();
    bench.done(&text(&json!({"Renderer": "ifupdown", "Interfaces": [
        {"Name": "mgmt", "Type": "vlan", "Link": "br0", "Id": 40, "Optional": true},
        {"Name": "br0", "Type": "bridge", "Members": ["up"]},
        {"Name": "up", "Type": "vlan", "Link": "bond0", "Id": 30},
        {"Name": "bond0", "Type": "bond", "Members": ["lan1", "lan2"], "Primary": "lan2", "Optional": true},
        {"Name": "lan1", "Optional": true}, {"Name": "lan2"},
    ]})));
    let text = bench.read("/etc/network/interfaces.d/gantry");
    let starts = text.lines().filter(|line| line.starts_with("auto ") || line.starts_with("allow-hotplug "));
    let expected = ["allow-hotplug lan1", "auto lan2", "auto bond0", "auto up", "auto br0", "auto mgmt"];
    assert_eq!(starts.collect::<Vec<_>>(), expected, "{text}");
    assert!(text.contains("pre-up ip link set bond0 type bond primary lan2\n"), "{text}");
}

/// NetworkManager's `primary` is a kernel name, which a card that is found by its MAC need not have.
#[test]
fn networkmanager_refuses_a_primary_by_mac() {
    let config = json!({"Renderer": "networkmanager", "Interfaces": [
        {"Name": "a", "MAC": "52:54:00:12:34:56"}, {"Name": "b", "Type": "bond", "Members": ["a"], "Primary": "a"},
    ]});
    let bench = Bench::new();
    let ran = bench.run(&text(&config));
    assert!(ran.code == 1 && ran.log.contains("a: NetworkManager knows a Primary by"), "{}", ran.log);
    assert!(!bench.exists("/etc/NetworkManager"), "{}", ran.log);
}

/// The schema wants an interface; content that brings its own schema for the parameter may not.
#[test]
fn no_interfaces_are_still_a_sound_script() {
    let param = layer().objects().find(|record| *record.key() == "network-config").unwrap().value();
    assert_eq!(param["Schema"]["properties"]["Interfaces"]["minItems"], 1);
    for renderer in ["networkd", "netplan", "networkmanager", "ifupdown"] {
        Bench::new().done(&text(&json!({"Renderer": renderer, "Interfaces": []})));
    }
}
