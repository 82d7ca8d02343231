//! A crash of the server costs a machine time, and nothing else.

use std::time::Duration;

use gantry_lab::{Event, Firmware, Happening, Impairment, Way};
use gantry_testkit::{Options, Scenario};

use crate::{DEADLINE, artifacts, ok, power_on};

/// A download that broke off begins again, without anybody at the machine.
#[test]
fn server_killed_while_initramfs_downloads() {
    let Some(artifacts) = artifacts("server_killed_while_initramfs_downloads") else { return };
    let scenario = ok(Scenario::start(&artifacts, &Options::default()));
    let machine = power_on(&scenario, Firmware::Bios);
    let port = machine.status().unwrap().spec.port(0);
    let switch = scenario.lab().switch();
    // A long line makes the download last, so that it is not over before the server is killed.
    machine.wait_serial("vmlinuz", DEADLINE).unwrap();
    let slow = Impairment { delay: Duration::from_millis(30), ..Impairment::default() };
    switch.impair(&port, Way::To, slow).unwrap();
    machine.wait_serial(r"initrd\.img", DEADLINE).unwrap();
    ok(scenario.kill_server());
    switch.impair(&port, Way::To, Impairment::default()).unwrap();
    machine.wait_serial("Cannot start the discovery OS", DEADLINE).unwrap();
    ok(scenario.start_server());
    let key = ok(scenario.wait_registered(&machine, DEADLINE));
    let object = ok(scenario.wait_complete(&key, &machine, DEADLINE));
    assert_eq!(object["Stage"], "discover", "{object:#}");
    let events = machine.status().unwrap().events;
    let pressed = |event: &Event| matches!(event.what, Happening::Reset | Happening::GuestReset);
    assert!(!events.iter().any(pressed), "the machine started again: {events:#?}");
    ok(scenario.stop());
}
