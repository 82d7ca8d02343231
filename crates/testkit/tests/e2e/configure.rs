//! A machine's life by the stages of the core content: its disks are erased, one by the disk's own command, it gets an image with accounts, time zone, host name and a network
//! with a bond and a VLAN, starts it by kexec, is looked at from inside, gets another address while it runs, and is switched off.

use std::collections::BTreeSet;
use std::time::Duration;

use gantry_lab::{Disk, DiskBus, MachineSpec, Nic, Vlan};
use gantry_testkit::{Options, Scenario};
use http::Method;
use serde_json::{Value, json};

use crate::{DEADLINE, GIB, artifacts, firmware_starts, ok, wait_off};

/// The VLAN of the storage network, and the machine's address in it.
const VLAN: u16 = 20;
const ADDRESS: &str = "192.168.20.7";

/// Puts on the disks what an earlier life leaves: a partition table, a file system, a RAID superblock at the end; data everywhere.
const SOIL: &str = r#"#!/bin/sh
set -ex
printf ',1G\n,1G\n' | sfdisk --quiet --label gpt /dev/vda
sleep 1
mkfs.ext4 -q -F /dev/vda1
mdadm --zero-superblock /dev/vda2 2> /dev/null || true
mdadm --create /dev/md7 --run --level=1 --raid-devices=2 --metadata=1.0 /dev/vda2 missing
test "$(wipefs --noheadings /dev/vda | wc -l)" -gt 0
dd if=/dev/urandom of=/dev/nvme0n1 bs=1M conv=fsync 2> /dev/null || sync
test "$(dd if=/dev/nvme0n1 bs=1M count=1 skip=100 2> /dev/null | tr -d '\000' | wc -c)" -gt 1000000
"#;

const LOOK_ERASED: &str = r#"#!/bin/sh
set -ex
test -z "$(wipefs --noheadings /dev/vda)"
test ! -e /sys/class/block/md7/md/array_state || grep clear /sys/class/block/md7/md/array_state
test "$(dd if=/dev/vda bs=1M skip=64 count=64 2> /dev/null | tr -d '\000' | head -c 1 | wc -c)" -eq 0
test "$(tr -d '\000' < /dev/nvme0n1 | head -c 1 | wc -c)" -eq 0
"#;

/// In the machine's own system. The last line makes the machine ask for a neighbour in its VLAN.
const LOOK_INSIDE: &str = r#"#!/bin/bash
set -ex
id ann
test "$(id -u ann)" = 2001
grep 'ssh-ed25519 AAAA ann' /home/ann/.ssh/authorized_keys
test "$(stat -c %U:%a /home/ann/.ssh/authorized_keys)" = ann:600
test "$(uname -n)" = node7
grep '^127.0.1.1 node7.lab.test node7$' /etc/hosts
test "$(readlink -f /etc/localtime)" = /usr/share/zoneinfo/Europe/Berlin
systemctl is-active gantry-agent.service
systemctl is-enabled gantry-agent.service
until ip -4 address show dev storage | grep 192.168.20.7/24; do sleep 0.2; done
ip -d link show dev storage | grep 'vlan protocol 802.1Q id 20'
ip link show dev storage | grep storage@bond0
grep 'Mode: fault-tolerance' /proc/net/bonding/bond0
grep -c 'Slave Interface' /proc/net/bonding/bond0 | grep 1
until { echo hello > /dev/udp/192.168.20.1/9; } 2> /dev/null; do sleep 0.2; done
"#;

/// Another address, for the network of the running system.
const CHANGE: &str = r#"#!/bin/sh
set -ex
drpcli machines get "$RS_UUID" param network-config --aggregate | sed 's#192.168.20.7/24#&", "192.168.20.8/24#' > config.json
drpcli machines set "$RS_UUID" param network-config to - < config.json > /dev/null
"#;

const LOOK_CHANGED: &str = r#"#!/bin/sh
set -ex
until ip -4 address show dev storage | grep 192.168.20.8/24; do sleep 0.2; done
ip -4 address show dev storage | grep 192.168.20.7/24
"#;

fn params(spec: &MachineSpec) -> Vec<(String, Value)> {
    let network = json!({"Interfaces": [
        {"Name": "lan0", "MAC": "{{ index .Machine.HardwareAddrs 0 }}", "DHCP": "ipv4"},
        {"Name": "lan1", "MAC": spec.mac(1).to_string()},
        {"Name": "bond0", "Type": "bond", "Members": ["lan1"], "Mode": "active-backup"},
        {"Name": "storage", "Type": "vlan", "Link": "bond0", "Id": VLAN, "Addresses": [format!("{ADDRESS}/24")]},
    ]});
    let account =
        json!({"Name": "ann", "Uid": 2001, "SshKeys": ["ssh-ed25519 AAAA ann"], "Shell": "/bin/bash"});
    [
        ("hostname", json!("node7.lab.test")),
        ("timezone", json!("Europe/Berlin")),
        ("users/accounts", json!([account])),
        ("network-config", network),
        ("disk-erase/confirm", json!("{{ .Machine.Name }}")),
        ("image-deploy/install-disk", json!({"Path": "/dev/vda"})),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// The tasks of the test among the stages of the core content.
fn offer(scenario: &Scenario) {
    let post = |path: &str, object: &Value| ok(scenario.call(Method::POST, path, &[], object));
    let tasks = [
        ("soil", SOIL),
        ("look-erased", LOOK_ERASED),
        ("look-inside", LOOK_INSIDE),
        ("change", CHANGE),
        ("look-changed", LOOK_CHANGED),
    ];
    for (name, text) in tasks {
        let script = json!({"Name": "script", "Contents": text});
        post("/tasks", &json!({"Name": name, "Templates": [script]}));
        post("/stages", &json!({"Name": name, "Tasks": [name]}));
    }
    post("/stages", &json!({"Name": "network", "Tasks": ["network"]}));
    let stages = json!([
        "discover",
        "soil",
        "disk-erase",
        "look-erased",
        "image-deploy",
        "local",
        "look-inside",
        "configure",
        "change",
        "network",
        "look-changed",
        "agent-service",
        "poweroff"
    ]);
    post("/workflows", &json!({"Name": "life", "Stages": stages}));
    post("/prefs", &json!({"defaultWorkflow": "life"}));
}

/// An ARP request (RFC 826) of the machine's address in the VLAN.
fn asks_for_neighbour(frame: &[u8]) -> bool {
    let sender = [192, 168, 20, 7];
    frame.get(12..14) == Some(&[8, 6]) && frame.get(28..32) == Some(&sender)
}

#[test]
fn erased_deployed_configured_and_switched_off() {
    let Some(artifacts) = artifacts("erased_deployed_configured_and_switched_off") else { return };
    let trunk = Vlan::Trunk { native: None, tagged: BTreeSet::from([VLAN]) };
    let disks = vec![Disk::blank(DiskBus::Virtio, 4 * GIB), Disk::blank(DiskBus::Nvme, GIB / 4)];
    let mut spec = MachineSpec { disks, ..MachineSpec::new("m1") };
    spec.nics.push(Nic { vlan: trunk, ..spec.nics[0].clone() });
    let mut options = ok(Options::deploying(&artifacts));
    options.params.extend(params(&spec));
    let scenario = ok(Scenario::start(&artifacts, &options));
    offer(&scenario);
    let wire = scenario.lab().wire("storage", Vlan::Access(VLAN)).unwrap();
    let machine = scenario.lab().machine(spec).unwrap();
    machine.power_on().unwrap();
    let key = ok(scenario.wait_registered(&machine, DEADLINE));
    wait_off(&scenario, &machine, &key);

    let log = |task: &str| ok(scenario.task_log(&key, task));
    let erased = log("disk-erase");
    assert!(erased.contains("all blocks are discarded") && erased.contains("stopping md7"), "{erased}");
    for line in [
        "/dev/vda: reads as erased (sample)",
        "/dev/nvme0n1: erased by its own command",
        "/dev/nvme0n1: reads as erased (sample)",
    ] {
        assert!(erased.contains(line), "no {line:?} in {erased}");
    }
    let deployed = log("image-deploy");
    for line in ["users: created the account ann", "time: linked", "network: for networkd", "kexec: loaded /"]
    {
        assert!(deployed.contains(line), "no {line:?} in {deployed}");
    }
    for task in ["users", "time", "network"] {
        assert!(!deployed.contains(&format!("{task}: nothing to change")), "{deployed}");
    }
    // What was set up before the first start is what the running system is asked to be.
    for task in ["hostname", "time", "users", "network"] {
        assert!(log(task).contains(&format!("{task}: nothing to change")), "{}", log(task));
    }
    let network = log("network");
    assert!(network.contains("wrote /etc/systemd/network/20-gantry-storage.network"), "{network}");
    assert!(log("agent-service").contains("the service runs already"), "{}", log("agent-service"));

    let mut frames = std::iter::from_fn(|| wire.receive(Duration::from_millis(10)).unwrap());
    assert!(frames.any(|frame| asks_for_neighbour(&frame)), "nothing of the machine came to VLAN {VLAN}");
    let jobs = ok(scenario.jobs(&key));
    let ended: Vec<&Value> = jobs.iter().filter(|job| job["Task"] == "poweroff").collect();
    assert_eq!(ended.len(), 1, "{jobs:#?}");
    assert_eq!((&ended[0]["State"], &ended[0]["ExitState"]), (&json!("finished"), &json!("poweroff")));
    let console = machine.serial().unwrap().text().unwrap();
    assert_eq!(firmware_starts(&console), 1, "the firmware ran again:\n{console}");
    ok(scenario.stop());
}
