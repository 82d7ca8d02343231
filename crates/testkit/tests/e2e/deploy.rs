//! A disk image becomes the machine's operating system, by firmware, kind of disk, and way into it: kexec or a restart.
//!
//! Left out: SATA. The kernel that these tests boot (`--kernel cloud`) has no driver for it; see `generic`.

use gantry_lab::{Disk, DiskBus, Firmware, MachineSpec};
use gantry_testkit::{Options, Scenario};
use serde_json::{Value, json};

use crate::{DEADLINE, GIB, artifacts, assert_told_in_order, assert_traced, firmware_starts, ok};

/// What a deployment left to look at.
struct Deployed {
    scenario: Scenario,
    log: String,
    console: String,
    trace: Vec<Value>,
}

impl Deployed {
    /// The machine left the discovery OS in this way, and both systems checked in.
    #[track_caller]
    fn left_by(&self, way: &str) {
        let story = [
            ("agent", "check-in from the discovery OS"),
            ("power", way),
            ("agent", "check-in from its own system"),
            ("job", "job for report-running is finished"),
        ];
        assert_told_in_order(&self.trace, &story);
    }
}

/// Deploys until the machine reports from its own system.
fn deploy(test: &str, firmware: Firmware, bus: DiskBus, params: &[(&str, Value)]) -> Option<Deployed> {
    let artifacts = artifacts(test)?;
    let mut options = ok(Options::deploying(&artifacts));
    options.params.extend(params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let scenario = ok(Scenario::start(&artifacts, &options));
    let disks = vec![Disk::blank(bus, 4 * GIB)];
    let machine = scenario.lab().machine(MachineSpec { firmware, disks, ..MachineSpec::new("m1") }).unwrap();
    machine.power_on().unwrap();
    let key = ok(scenario.wait_registered(&machine, DEADLINE));
    let object = ok(scenario.wait_complete(&key, &machine, DEADLINE));
    assert_eq!((&object["Stage"], &object["BootEnv"]), (&json!("complete"), &json!("local")), "{object:#}");
    let running = ok(scenario.task_log(&key, "report-running"));
    assert!(running.contains("Debian GNU/Linux"), "report-running says: {running}");
    let jobs = ok(scenario.jobs(&key));
    let deployed = jobs.iter().filter(|job| job["Task"] == "image-deploy").count();
    assert_eq!(deployed, 1, "the image was not written just once: {jobs:#?}");
    let trace = ok(scenario.whole_trace(&key));
    assert_traced(&trace, "http", "images/");
    let log = ok(scenario.task_log(&key, "image-deploy"));
    let console = machine.serial().unwrap().text().unwrap();
    Some(Deployed { scenario, log, console, trace })
}

#[test]
fn image_deploy_kexec() {
    let deployed = deploy("image_deploy_kexec", Firmware::Bios, DiskBus::Virtio, &[]);
    let Some(deployed) = deployed else { return };
    deployed.left_by("kexec out of the discovery OS");
    let Deployed { scenario, console, .. } = deployed;
    assert_eq!(firmware_starts(&console), 1, "the firmware ran again:\n{console}");
    ok(scenario.stop());
}

#[test]
fn image_deploy_reboot_to_disk() {
    let no_kexec = [("image-deploy/kexec", json!(false))];
    let deployed = deploy("image_deploy_reboot_to_disk", Firmware::Bios, DiskBus::Virtio, &no_kexec);
    let Some(deployed) = deployed else { return };
    deployed.left_by("reboot out of the discovery OS");
    let Deployed { scenario, console, .. } = deployed;
    assert_eq!(
        firmware_starts(&console),
        2,
        "one start to deploy and one from the disk are meant:\n{console}"
    );
    ok(scenario.stop());
}

#[test]
fn uefi_nvme_deploy_kexec() {
    let deployed = deploy("uefi_nvme_deploy_kexec", Firmware::UefiPxe, DiskBus::Nvme, &[]);
    let Some(Deployed { scenario, log, console, .. }) = deployed else { return };
    assert!(log.contains("target disk /dev/nvme0n1"), "{log}");
    assert!(log.contains("firmware entry for \\EFI\\"), "{log}");
    assert!(log.contains("kexec: loaded /"), "{log}");
    assert!(console.contains("jumping into the loaded kernel"), "{console}");
    // The command line of the second kernel is the image's own.
    let lines: Vec<&str> = console.lines().filter(|line| line.contains("Command line:")).collect();
    assert!(lines.iter().all(|line| !line.to_lowercase().contains("token")), "{lines:#?}");
    ok(scenario.stop());
}

/// The network stays first in the firmware's order; `BootNext` leads to the disk once.
#[test]
fn uefi_deploy_restarts_to_the_disk() {
    let no_kexec = [("image-deploy/kexec", json!(false))];
    let deployed = deploy("uefi_deploy_restarts_to_the_disk", Firmware::UefiPxe, DiskBus::Virtio, &no_kexec);
    let Some(Deployed { scenario, log, console, .. }) = deployed else { return };
    assert!(log.contains("target disk /dev/vda"), "{log}");
    assert!(!log.contains("kexec: loaded"), "{log}");
    assert!(console.contains("the firmware boots the disk next"), "{console}");
    assert!(console.contains("restarting the machine"), "{console}");
    ok(scenario.stop());
}
