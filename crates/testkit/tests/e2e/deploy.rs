//! A disk image becomes the machine's operating system, entered by kexec or by a reboot.

use gantry_lab::Firmware;
use gantry_testkit::{Options, Scenario};
use serde_json::json;

use crate::{DEADLINE, artifacts, assert_traced, ok, power_on};

/// Deploys until the machine reports from its own system, for which its firmware may start so often.
fn deploys(test: &str, kexec: bool, starts: usize) {
    let Some(artifacts) = artifacts(test) else { return };
    let mut options = ok(Options::deploying(&artifacts));
    options.params.push(("kexec-ok".to_owned(), json!(kexec)));
    let scenario = ok(Scenario::start(&artifacts, &options));
    let machine = power_on(&scenario, Firmware::Bios);
    let key = ok(scenario.wait_registered(&machine, DEADLINE));
    let object = ok(scenario.wait_complete(&key, &machine, DEADLINE));
    assert_eq!(object["Stage"], "complete", "{object:#}");
    assert_eq!(object["BootEnv"], "local", "{object:#}");
    let log = ok(scenario.task_log(&key, "report-running"));
    assert!(log.contains("Debian GNU/Linux"), "report-running says: {log}");
    let jobs = ok(scenario.jobs(&key));
    let deployed = jobs.iter().filter(|job| job["Task"] == "image-deploy").count();
    assert_eq!(deployed, 1, "the image was not written just once: {jobs:#?}");
    assert_traced(&ok(scenario.whole_trace(&key)), "http", "images/");
    let serial = machine.serial().unwrap().text().unwrap();
    assert_eq!(
        serial.matches("SeaBIOS (version").count(),
        starts,
        "starts of the firmware; the console:\n{serial}"
    );
    ok(scenario.stop());
}

#[test]
fn image_deploy_kexec() {
    deploys("image_deploy_kexec", true, 1);
}

#[test]
fn image_deploy_reboot_to_disk() {
    deploys("image_deploy_reboot_to_disk", false, 2);
}
