//! A crash of the server costs a machine time, and nothing else.

use std::time::Duration;

use gantry_lab::Firmware;
use gantry_testkit::{Options, Scenario};

use crate::{DEADLINE, artifacts, ok, power_on};

/// The downloader starts again by itself, or the firmware ends and somebody presses the button.
#[test]
fn server_killed_while_initramfs_downloads() {
    let Some(artifacts) = artifacts("server_killed_while_initramfs_downloads") else { return };
    let scenario = ok(Scenario::start(&artifacts, &Options::default()));
    let machine = power_on(&scenario, Firmware::Bios);
    machine.wait_serial(r"initrd\.img", DEADLINE).unwrap();
    ok(scenario.kill_server());
    let cut = machine.serial().unwrap().text().unwrap();
    assert!(!cut.contains("Linux version"), "the download was over before the server was killed:\n{cut}");
    ok(scenario.start_server());
    let registered = scenario.wait_registered(&machine, Duration::from_secs(60));
    let key = registered.unwrap_or_else(|_| {
        machine.reset().unwrap();
        ok(scenario.wait_registered(&machine, DEADLINE))
    });
    let object = ok(scenario.wait_complete(&key, &machine, DEADLINE));
    assert_eq!(object["Stage"], "discover", "{object:#}");
    ok(scenario.stop());
}
