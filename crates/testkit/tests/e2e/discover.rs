//! A machine that nobody knows boots the discovery OS, registers, and looks at itself.

use gantry_lab::Firmware;
use gantry_testkit::{Options, Scenario, check_ins};
use serde_json::Value;

use crate::{DEADLINE, artifacts, assert_told_in_order, assert_traced, lines, ok, power_on};

/// Boots a machine until its workflow `discover` is complete; returns its trace.
fn discovers(test: &str, firmware: Firmware) -> Option<Vec<Value>> {
    let artifacts = artifacts(test)?;
    let scenario = ok(Scenario::start(&artifacts, &Options::default()));
    let machine = power_on(&scenario, firmware);
    let key = ok(scenario.wait_registered(&machine, DEADLINE));
    let object = ok(scenario.wait_complete(&key, &machine, DEADLINE));
    assert_eq!(object["Stage"], "discover", "{object:#}");
    let inventory = ok(scenario.get(&format!("/machines/{key}/params/gantry-inventory"), &[]));
    assert!(inventory.to_string().contains("vda"), "the machine's disk is not in {inventory:#}");
    let trace = ok(scenario.trace(&key));
    assert_told_in_order(
        &trace,
        &[
            ("machine", "registered"),
            ("agent", "check-in from the discovery OS"),
            ("job", "job for inventory"),
        ],
    );
    let [discovery, own] = check_ins(&trace);
    assert!(discovery.is_some_and(|seconds| seconds > 0.0) && own.is_none(), "{discovery:?} {own:?}");
    // The discovery OS comes by HTTP whatever the firmware speaks.
    assert_traced(&trace, "http", "discovery/vmlinuz");
    assert_traced(&trace, "http", "discovery/initrd.img");
    ok(scenario.stop());
    Some(trace)
}

#[test]
fn bios_pxe_discovers() {
    let Some(trace) = discovers("bios_pxe_discovers", Firmware::Bios) else { return };
    // QEMU's network card is an iPXE that can do all that is needed, so no loader is sent before the script.
    assert_traced(&trace, "tftp", "default.ipxe");
}

#[test]
fn uefi_pxe_discovers() {
    let Some(trace) = discovers("uefi_pxe_discovers", Firmware::UefiPxe) else { return };
    assert_traced(&trace, "tftp", "ipxe.efi");
}

#[test]
fn uefi_http_discovers() {
    let Some(trace) = discovers("uefi_http_discovers", Firmware::UefiHttp) else { return };
    assert_traced(&trace, "http", "ipxe.efi");
    assert!(
        lines(&trace, "tftp").is_empty(),
        "a machine that boots by HTTP asks nothing of TFTP: {trace:#?}"
    );
}
