//! An image whose root is a logical volume: found, grown with what holds it, set up, its kernel loaded.
//!
//! The image is made on the machine itself, with LVM's own tools, and holds the least that counts as a system. So nothing is
//! booted from it, and the machine switches itself off at the end.

use gantry_lab::{Disk, DiskBus, MachineSpec};
use gantry_testkit::{Options, Scenario};

use crate::{DEADLINE, GIB, artifacts, assert_told_in_order, offer, ok, task, wait_off};

/// Makes the image on the second disk, serves it on the loopback, and wipes the disk: two copies of one volume group would
/// be told apart only by luck.
const MAKE: &str = r#"set -e
sgdisk -n 1:0:+8M -t 1:ef00 -n 2:0:0 -t 2:8e00 /dev/vdb
lvm pvcreate -q -y /dev/vdb2
lvm vgcreate -q my-system /dev/vdb2
lvm lvcreate -q -y -L 8M -n a-swap my-system
lvm lvcreate -q -y -L 64M -n root my-system
mkfs.ext4 -q /dev/mapper/my--system-root
mkdir -p /tmp/new
mount /dev/mapper/my--system-root /tmp/new
mkdir -p /tmp/new/etc /tmp/new/usr /tmp/new/boot
curl -sf -o /tmp/new/boot/vmlinuz-1 "$1"
umount /tmp/new
lvm vgchange -q -an my-system
mkdir -p /tmp/www
cat /dev/vdb > /tmp/www/image.raw
dd if=/dev/zero of=/dev/vdb bs=1M count=128 2>/dev/null
busybox httpd -p 127.0.0.1:8000 -h /tmp/www"#;

const DEPLOY: &str = r#"gantry-agent deploy --spec - <<'EOF'
{"Url": "http://127.0.0.1:8000/image.raw", "Disk": {"Path": "/dev/vda"}, "System": {"Hostname": "inside"}, "Kexec": {}}
EOF"#;

const LOOK: &str = r#"set -e
lvm vgchange -q -ay my-system
mount -o ro /dev/mapper/my--system-root /tmp/new
echo "host $(cat /tmp/new/etc/hostname)"
echo "blocks $(df -m /tmp/new | tail -n 1 | tr -s ' ' | cut -d' ' -f2)"
echo "loaded $(cat /sys/kernel/kexec_loaded)""#;

#[test]
fn image_with_its_root_in_lvm() {
    let Some(artifacts) = artifacts("image_with_its_root_in_lvm") else { return };
    let scenario = ok(Scenario::start(&artifacts, &Options::default()));
    let kernel = "{{ .ProvisionerURL }}/discovery/vmlinuz";
    task(&scenario, "make", &format!("set -- {kernel}\n{MAKE}"));
    task(&scenario, "deploy", DEPLOY);
    task(&scenario, "look", LOOK);
    // Exit code 32 switches the machine off.
    task(&scenario, "off", "exit 32");
    offer(&scenario, &[("trial", "sledgehammer", &["make", "deploy", "look", "off"])]);
    let disks = vec![Disk::blank(DiskBus::Virtio, GIB), Disk::blank(DiskBus::Virtio, GIB / 8)];
    let machine = scenario.lab().machine(MachineSpec { disks, ..MachineSpec::new("m1") }).unwrap();
    machine.power_on().unwrap();
    let key = ok(scenario.wait_registered(&machine, DEADLINE));
    wait_off(&scenario, &machine, &key);
    let trace = ok(scenario.whole_trace(&key));
    assert_told_in_order(
        &trace,
        &[("agent", "check-in from the discovery OS"), ("power", "power off by the discovery OS")],
    );

    let log = ok(scenario.task_log(&key, "deploy"));
    assert!(log.contains("root is /dev/mapper/my--system-root in partition 2 (LVM, ext4)"), "{log}");
    assert!(log.contains("/dev/mapper/my--system-root takes all of its volume group"), "{log}");
    assert!(log.contains("kexec: loaded /boot/vmlinuz-1"), "{log}");
    assert!(log.contains("root=/dev/mapper/my--system-root ro"), "{log}");
    let log = ok(scenario.task_log(&key, "look"));
    assert!(log.contains("host inside\n") && log.contains("loaded 1\n"), "{log}");
    let blocks = log.lines().find_map(|line| line.strip_prefix("blocks ")?.parse::<u32>().ok());
    assert!(blocks.is_some_and(|blocks| blocks > 800), "the file system did not grow: {log}");
    ok(scenario.stop());
}
