//! Real machines with real firmware in QEMU, from their first DHCP packet on.
//!
//! `make test-e2e` builds what they need and says where by `GANTRY_ARTIFACTS`; without it every test says that it is skipped. All
//! machines are emulated in software, so that the tests run anywhere; deadlines are for a busy host.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use gantry_lab::{Disk, DiskBus, Firmware, Machine, MachineSpec};
use gantry_testkit::{Artifacts, Options, Scenario};

const DEADLINE: Duration = Duration::from_secs(240);
const GIB: u64 = 1 << 30;

/// The artefacts; a test is skipped only when nobody says where they are.
fn artifacts(test: &str) -> Option<Artifacts> {
    let Some(folder) = env::var_os("GANTRY_ARTIFACTS") else {
        eprintln!("{test} skipped: GANTRY_ARTIFACTS is not set (make test-e2e sets it)");
        return None;
    };
    // Cargo runs tests in the crate's folder; a relative path is meant from the workspace's.
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    Some(Artifacts::find(&workspace.join(folder)).unwrap_or_else(|error| panic!("{error}")))
}

fn ok<T>(result: gantry_testkit::Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

fn power_on(scenario: &Scenario, firmware: Firmware) -> Machine {
    let disks = vec![Disk::blank(DiskBus::Virtio, 4 * GIB)];
    let spec = MachineSpec { firmware, disks, ..MachineSpec::new("m1") };
    let machine = scenario.lab().machine(spec).unwrap();
    machine.power_on().unwrap();
    machine
}

fn texts(trace: &[serde_json::Value]) -> Vec<&str> {
    trace.iter().filter_map(|entry| entry["Text"].as_str()).collect()
}

/// The machine registers, looks at itself, and waits.
fn discovers(test: &str, firmware: Firmware, first_file: &str) {
    let Some(artifacts) = artifacts(test) else { return };
    let scenario = ok(Scenario::start(&artifacts, &Options::default()));
    let machine = power_on(&scenario, firmware);
    let key = ok(scenario.wait_registered(&machine, DEADLINE));
    let object = ok(scenario.wait_complete(&key, &machine, DEADLINE));
    assert_eq!(object["Stage"], "discover", "{object:#}");
    let inventory = ok(scenario.get(&format!("/machines/{key}/params/gantry-inventory"), &[]));
    assert!(inventory.to_string().contains("vda"), "the machine's disk is not in {inventory:#}");
    let trace = ok(scenario.trace(&key));
    let texts = texts(&trace);
    assert!(texts.iter().any(|text| text.contains(first_file)), "{first_file} was not asked for: {texts:#?}");
    assert!(texts.iter().any(|text| text.contains("vmlinuz")), "no kernel: {texts:#?}");
    ok(scenario.stop());
}

#[test]
fn bios_pxe_discovers() {
    discovers("bios_pxe_discovers", Firmware::Bios, "default.ipxe");
}

#[test]
fn uefi_pxe_discovers() {
    discovers("uefi_pxe_discovers", Firmware::UefiPxe, "tftp");
}

#[test]
fn uefi_http_discovers() {
    discovers("uefi_http_discovers", Firmware::UefiHttp, "http");
}

/// The disk image runs at the end, and the firmware ran only once.
#[test]
fn image_deploy_kexec() {
    let Some(artifacts) = artifacts("image_deploy_kexec") else { return };
    if artifacts.image.is_none() {
        eprintln!("image_deploy_kexec skipped: there is no images/*.raw.zst");
        return;
    }
    let scenario = ok(Scenario::start(&artifacts, &ok(Options::deploying(&artifacts))));
    let machine = power_on(&scenario, Firmware::Bios);
    let key = ok(scenario.wait_registered(&machine, DEADLINE));
    let object = ok(scenario.wait_complete(&key, &machine, DEADLINE));
    assert_eq!(object["Stage"], "complete", "{object:#}");
    let log = ok(scenario.task_log(&key, "report-running"));
    assert!(log.contains("Debian GNU/Linux"), "report-running says: {log}");
    let serial = machine.serial().unwrap().text().unwrap();
    assert_eq!(serial.matches("SeaBIOS").count(), 1, "the firmware ran again:\n{serial}");
    ok(scenario.stop());
}

/// A crash of the server in the middle of a machine's download costs time, not the machine.
#[test]
fn server_killed_while_initramfs_downloads() {
    let Some(artifacts) = artifacts("server_killed_while_initramfs_downloads") else { return };
    let scenario = ok(Scenario::start(&artifacts, &Options::default()));
    let machine = power_on(&scenario, Firmware::Bios);
    machine.wait_serial(r"initrd\.img", DEADLINE).unwrap();
    ok(scenario.kill_server());
    ok(scenario.start_server());
    let registered = scenario.wait_registered(&machine, DEADLINE / 4);
    let key = registered.unwrap_or_else(|_| {
        // iPXE gives up on a broken transfer and its firmware stops; pressing the button is all that an operator does.
        machine.reset().unwrap();
        ok(scenario.wait_registered(&machine, DEADLINE))
    });
    let object = ok(scenario.wait_complete(&key, &machine, DEADLINE));
    assert_eq!(object["Stage"], "discover", "{object:#}");
    ok(scenario.stop());
}
