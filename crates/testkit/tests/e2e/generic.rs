//! A machine like most in the field: a SATA disk, an Intel network card, 512 MB of memory, and the kernels that users get:
//! Debian's generic one in the discovery OS and in the disk image.

use gantry_lab::{Disk, DiskBus, Firmware, MachineSpec, Nic, NicModel};
use gantry_testkit::{Options, Scenario};
use serde_json::json;

use crate::ssh::Key;
use crate::{DEADLINE, GIB, artifacts, assert_traced, ok};

#[test]
fn uefi_sata_e1000e_deploy_kexec() {
    let Some(artifacts) = artifacts("uefi_sata_e1000e_deploy_kexec") else { return };
    let artifacts = ok(artifacts.generic());
    let owner = Key::new();
    let mut options = ok(Options::deploying(&artifacts));
    options.params.push(("access-keys".to_owned(), json!({"owner": owner.public()})));
    let scenario = ok(Scenario::start(&artifacts, &options));
    let spec = MachineSpec {
        firmware: Firmware::UefiIpxe,
        disks: vec![Disk::blank(DiskBus::Ahci, 4 * GIB)],
        nics: vec![Nic::new(NicModel::E1000e)],
        memory_mib: 512,
        ..MachineSpec::new("m1")
    };
    let machine = scenario.lab().machine(spec).unwrap();
    machine.power_on().unwrap();
    let key = ok(scenario.wait_registered(&machine, DEADLINE));
    let object = ok(scenario.wait_complete(&key, &machine, DEADLINE));
    assert_eq!((&object["Stage"], &object["BootEnv"]), (&json!("complete"), &json!("local")), "{object:#}");

    let inventory = ok(scenario.get(&format!("/machines/{key}/params/gantry-inventory"), &[]));
    let text = inventory.to_string();
    assert!(text.contains("e1000e") && text.contains("ahci"), "cards and drivers are not in {inventory:#}");
    let log = ok(scenario.task_log(&key, "image-deploy"));
    assert!(log.contains("target disk /dev/sda"), "{log}");
    assert!(log.contains("kexec: loaded /"), "{log}");
    let running = ok(scenario.task_log(&key, "report-running"));
    assert!(running.contains("Debian GNU/Linux") && !running.contains("cloud"), "{running}");
    let host = format!("host {}", ok(scenario.name_of(&key)));
    assert!(running.contains(&host), "the host name is not {host}: {running}");
    let address = object["Address"].as_str().unwrap();
    let is_debian = "grep -q ^ID=debian /etc/os-release && lsmod | grep -q ^e1000e";
    assert!(owner.can(&scenario, address, is_debian), "the owner of access-keys is not let in");
    let console = machine.serial().unwrap().text().unwrap();
    assert!(console.contains("jumping into the loaded kernel"), "{console}");
    assert_traced(&ok(scenario.whole_trace(&key)), "http", "images/");
    ok(scenario.stop());
}
