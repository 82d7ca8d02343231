//! Kernels that are entered without the firmware, and those that are not.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gantry_lab::{Disk, DiskBus, MachineSpec};
use gantry_testkit::{Options, Scenario};
use http::Method;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::ssh::Key;
use crate::{DEADLINE, GIB, artifacts, firmware_starts, offer, ok, task};

/// A change of the boot environment needs no firmware where the machine may and the next one says how its kernel is entered.
/// A machine that knows the server's certificate fetches it over TLS. The other environment has a second initramfs, with an
/// SSH server that lets in the owner of a key, and nobody else.
#[test]
fn boot_environment_entered_by_kexec() {
    let Some(artifacts) = artifacts("boot_environment_entered_by_kexec") else { return };
    let (owner, stranger) = (Key::new(), Key::new());
    let mut options = Options::default();
    options.params.push(("kexec-ok".to_owned(), json!(true)));
    options.params.push(("access-keys".to_owned(), json!({"owner": owner.public()})));
    let scenario = ok(Scenario::start(&artifacts, &options));
    let pin = format!("quiet no_timer_check gantry.tls=sha256:{}", certificate(&scenario));
    ok(scenario.call(Method::POST, "/profiles/global/params/kernel-options", &[], &json!(pin)));
    let mut other = ok(scenario.get("/bootenvs/sledgehammer", &[]));
    other["Name"] = json!("other");
    other["Initrds"] = json!(["initrd.img", "layer-ssh.img"]);
    ok(scenario.call(Method::POST, "/bootenvs", &[], &other));
    task(&scenario, "first", "cat /proc/cmdline");
    task(&scenario, "second", "cat /proc/cmdline");
    offer(&scenario, &[("here", "sledgehammer", &["first"]), ("there", "other", &["second", "ssh-access"])]);
    let spec = MachineSpec { memory_mib: 512, ..MachineSpec::new("m1") };
    let machine = scenario.lab().machine(spec).unwrap();
    machine.power_on().unwrap();
    let uuid = ok(scenario.wait_registered(&machine, DEADLINE));
    let object = ok(scenario.wait_complete(&uuid, &machine, DEADLINE));

    let console = machine.serial().unwrap().text().unwrap();
    assert!(console.contains("kexec: loaded https://"), "{console}");
    assert_eq!(firmware_starts(&console), 1, "the firmware ran again:\n{console}");
    let cmdline = ok(scenario.task_log(&uuid, "second"));
    assert!(cmdline.contains("BOOTIF=01-") && !cmdline.contains("token"), "{cmdline}");

    let address = object["Address"].as_str().unwrap();
    let is_discovery = "grep -q ID=gantry /etc/os-release";
    assert!(owner.can(&scenario, address, is_discovery), "the owner of the key is not let in\n{console}");
    assert!(!stranger.can(&scenario, address, "true"), "a stranger is let in");
    ok(scenario.stop());
}

/// Between the deployment and the change to `local`, a task's restart comes back to the discovery OS by the firmware: the
/// kernel of the image is for the disk, so it is dropped, and the disk is booted in the ordinary way.
#[test]
fn a_task_restarts_the_machine_after_image_deploy() {
    let Some(artifacts) = artifacts("a_task_restarts_the_machine_after_image_deploy") else { return };
    let scenario = ok(Scenario::start(&artifacts, &ok(Options::deploying(&artifacts))));
    task(&scenario, "restart", "exit 64");
    task(&scenario, "again", ". /etc/os-release; echo \"in $ID\"");
    offer(
        &scenario,
        &[
            ("deploy", "sledgehammer", &["image-deploy", "restart", "again"]),
            ("own", "local", &["report-running"]),
        ],
    );
    let disks = vec![Disk::blank(DiskBus::Virtio, 4 * GIB)];
    let machine = scenario.lab().machine(MachineSpec { disks, ..MachineSpec::new("m1") }).unwrap();
    machine.power_on().unwrap();
    let key = ok(scenario.wait_registered(&machine, DEADLINE));
    ok(scenario.wait_complete(&key, &machine, DEADLINE));

    let deployed = ok(scenario.task_log(&key, "image-deploy"));
    assert!(deployed.contains("kexec: loaded /"), "{deployed}");
    assert!(ok(scenario.task_log(&key, "again")).contains("in gantry"), "the task ran elsewhere");
    assert!(ok(scenario.task_log(&key, "report-running")).contains("Debian GNU/Linux"));
    let console = machine.serial().unwrap().text().unwrap();
    assert!(
        console.contains("the loaded kernel is for local, not for sledgehammer; dropping it"),
        "{console}"
    );
    assert!(!console.contains("jumping into the loaded kernel"), "{console}");
    assert_eq!(
        firmware_starts(&console),
        3,
        "discovery, discovery again, and the disk are meant:\n{console}"
    );
    ok(scenario.stop());
}

/// SHA-256 of the server's certificate, in hexadecimal.
fn certificate(scenario: &Scenario) -> String {
    let pem = fs::read_to_string(scenario.lab().folder().join("base/server.crt")).unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    Sha256::digest(STANDARD.decode(body).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect()
}
