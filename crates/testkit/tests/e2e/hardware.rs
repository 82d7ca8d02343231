//! Image deploy on firmware and disks other than the plain ones: UEFI, NVMe, and the way to the disk without kexec.
//!
//! Left out: SATA. The kernel that these tests boot (`--kernel cloud`) has no driver for it.

use gantry_lab::{Disk, DiskBus, Firmware, MachineSpec};
use gantry_testkit::{Artifacts, Options, Scenario};
use serde_json::json;

use crate::{DEADLINE, GIB, artifacts, ok};

/// What a deployment left to look at.
struct Deployed {
    scenario: Scenario,
    log: String,
    console: String,
}

fn deploy(
    artifacts: &Artifacts,
    firmware: Firmware,
    bus: DiskBus,
    params: &[(&str, serde_json::Value)],
) -> Deployed {
    let mut options = ok(Options::deploying(artifacts));
    options.params.extend(params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let scenario = ok(Scenario::start(artifacts, &options));
    let disks = vec![Disk::blank(bus, 4 * GIB)];
    let machine = scenario.lab().machine(MachineSpec { firmware, disks, ..MachineSpec::new("m1") }).unwrap();
    machine.power_on().unwrap();
    let key = ok(scenario.wait_registered(&machine, DEADLINE));
    let object = ok(scenario.wait_complete(&key, &machine, DEADLINE));
    assert_eq!(object["Stage"], "complete", "{object:#}");
    let log = ok(scenario.task_log(&key, "image-deploy"));
    let running = ok(scenario.task_log(&key, "report-running"));
    assert!(running.contains("Debian GNU/Linux"), "{running}");
    let console = machine.serial().unwrap().text().unwrap();
    Deployed { scenario, log, console }
}

/// The build, with an image in it.
fn with_image(test: &str) -> Option<Artifacts> {
    let artifacts = artifacts(test)?;
    if artifacts.image.is_none() {
        eprintln!("{test} skipped: there is no images/*.raw.zst");
        return None;
    }
    Some(artifacts)
}

#[test]
fn uefi_nvme_deploy_kexec() {
    let Some(artifacts) = with_image("uefi_nvme_deploy_kexec") else { return };
    let deployed = deploy(&artifacts, Firmware::UefiPxe, DiskBus::Nvme, &[]);
    assert!(deployed.log.contains("target disk /dev/nvme0n1"), "{}", deployed.log);
    assert!(deployed.log.contains("firmware entry for \\EFI\\"), "{}", deployed.log);
    assert!(deployed.log.contains("kexec: loaded /"), "{}", deployed.log);
    assert!(deployed.console.contains("jumping into the loaded kernel"), "{}", deployed.console);
    // The command line of the second kernel is the image's own.
    let lines: Vec<&str> = deployed.console.lines().filter(|line| line.contains("Command line:")).collect();
    assert!(lines.iter().all(|line| !line.to_lowercase().contains("token")), "{lines:#?}");
    ok(deployed.scenario.stop());
}

/// The network stays first in the firmware's order; `BootNext` leads to the disk once.
#[test]
fn uefi_deploy_restarts_to_the_disk() {
    let Some(artifacts) = with_image("uefi_deploy_restarts_to_the_disk") else { return };
    let no_kexec = [("kexec-ok", json!(false))];
    let deployed = deploy(&artifacts, Firmware::UefiPxe, DiskBus::Virtio, &no_kexec);
    assert!(deployed.log.contains("target disk /dev/vda"), "{}", deployed.log);
    assert!(!deployed.log.contains("kexec: loaded"), "{}", deployed.log);
    assert!(deployed.console.contains("the firmware boots the disk next"), "{}", deployed.console);
    assert!(deployed.console.contains("restarting the machine"), "{}", deployed.console);
    ok(deployed.scenario.stop());
}
