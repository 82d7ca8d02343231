//! Real firmware in QEMU.

use std::fs;
use std::time::Duration;

use gantry_lab::{
    BootOrder, Captured, Disk, DiskBus, DiskContent, Firmware, Happening, MachineSpec, Nic, NicModel, Power,
    read_capture,
};

use crate::{LONG, lab};

/// Is it a DHCPDISCOVER (RFC 2131 §4.1: UDP from port 68 to 67; option 53 comes first in what firmware sends)?
fn is_discover(captured: &Captured) -> bool {
    let frame = &captured.frame;
    frame.get(12..14) == Some(&[8, 0])
        && frame.get(34..38) == Some(&[0, 68, 0, 67])
        && frame.windows(3).any(|w| w == [53, 1, 1])
}

fn discovers(folder: &std::path::Path) -> Vec<Captured> {
    read_capture(folder.join("frames.pcapng")).unwrap().into_iter().filter(is_discover).collect()
}

#[test]
fn the_firmware_of_a_bios_machine_asks_for_an_address() {
    let lab = lab();
    lab.capture(lab.folder().join("frames.pcapng")).unwrap();
    let spec = MachineSpec { memory_mib: 128, ..MachineSpec::new("bios") };
    let machine = lab.machine(spec.clone()).unwrap();
    machine.power_on().unwrap();
    let mac = spec.mac(0);
    let line = machine.wait_serial(&format!(r"Configuring \(net0 {mac}\)"), LONG).unwrap();
    assert!(line.since_power_on > Duration::ZERO && line.since_power_on < LONG, "{line:?}");
    let found = wait_until(|| discovers(lab.folder()).into_iter().next());
    assert_eq!((found.port.as_str(), &found.frame[6..12]), ("bios.0", &mac.0[..]));

    let mut serial = machine.serial_from_now().unwrap();
    machine.reset().unwrap();
    serial.wait_for("SeaBIOS", LONG).unwrap();
    machine.power_off().unwrap();
    assert!(!machine.is_on().unwrap());
    machine.power_on().unwrap();
    machine.wait_serial("SeaBIOS", LONG).unwrap();
    machine.power_off().unwrap();
    let happened: Vec<_> = wait_until(|| {
        let events = machine.status().unwrap().events;
        let ends = events.iter().filter(|event| matches!(event.what, Happening::Off(_))).count();
        (ends == 2).then(|| {
            events
                .into_iter()
                .map(|event| event.what)
                .filter(|what| !matches!(what, Happening::Qemu(_)))
                .collect()
        })
    });
    use Happening::{Off, PowerOn, Reset};
    let end = || Off("exit code 0".into());
    assert_eq!(happened.iter().filter(|what| **what == end()).count(), 2, "{happened:?}");
    assert_eq!(happened.iter().filter(|what| **what == PowerOn).count(), 2, "{happened:?}");
    assert!(happened.contains(&Reset), "{happened:?}");
    lab.stop().unwrap();
}

/// Asks until there is an answer.
fn wait_until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + LONG;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(std::time::Instant::now() < deadline, "it did not come");
        std::thread::yield_now();
    }
}

#[test]
fn the_firmware_of_a_uefi_machine_asks_for_an_address() {
    let lab = lab();
    lab.capture(lab.folder().join("frames.pcapng")).unwrap();
    let machine = lab.machine(MachineSpec {
        firmware: Firmware::UefiPxe,
        memory_mib: 256,
        disks: vec![Disk::blank(DiskBus::Nvme, 1 << 20)],
        ..MachineSpec::new("uefi")
    });
    let machine = machine.unwrap();
    machine.power_on().unwrap();
    machine.wait_serial("Start PXE over IPv4", LONG).unwrap();
    assert_eq!(wait_until(|| discovers(lab.folder()).into_iter().next()).port, "uefi.0");
    machine.set_link(0, false).unwrap();
    let refused = machine.set_link(9, false).unwrap_err().to_string();
    assert!(
        refused.starts_with("nic: \"9\" is not right: ") && refused.ends_with(" cards, and the first is 0"),
        "{refused}"
    );
}

#[test]
fn the_rom_of_an_intel_interface_has_a_driver_for_uefi() {
    let lab = lab();
    lab.capture(lab.folder().join("frames.pcapng")).unwrap();
    let nics = vec![Nic::new(NicModel::E1000e)];
    let spec =
        MachineSpec { firmware: Firmware::UefiIpxe, memory_mib: 256, nics, ..MachineSpec::new("intel") };
    let refused =
        lab.machine(MachineSpec { firmware: Firmware::UefiPxe, ..spec.clone() }).unwrap_err().to_string();
    assert!(refused.contains("UefiIpxe"), "{refused}");
    lab.machine(spec).unwrap().power_on().unwrap();
    assert_eq!(wait_until(|| discovers(lab.folder()).into_iter().next()).port, "intel.0");
}

/// A boot sector that greets on the serial port, types back one character, and switches the machine off.
const BOOT_SECTOR: &[u8] = &[
    0xfa, // cli: SeaBIOS writes to the port too, on its timer
    0xbe, 0x27, 0x7c, // mov si, text
    0x31, 0xc0, 0x8e, 0xd8, // ds = 0
    0xac, // next: lodsb
    0x84, 0xc0, 0x74, 0x08, // test al, al; jz done
    0xba, 0xf8, 0x03, 0xee, // mov dx, 0x3f8; out dx, al
    0xeb, 0xf5, 0x90, 0x90, // jmp next
    0xba, 0xfd, 0x03, // done: mov dx, 0x3fd
    0xec, 0xa8, 0x01, 0x74, 0xfb, // wait: in al, dx; test al, 1; jz wait
    0xba, 0xf8, 0x03, 0xec, 0xee, // mov dx, 0x3f8; in al, dx; out dx, al
    0xf4, 0xeb, 0xfd, 0x90, 0x90, // hlt; jmp -3
    b'b', b'o', b'o', b't', b'e', b'd', b' ', b'>', 0,
];

#[test]
fn a_machine_boots_from_a_disk_that_begins_as_an_image() {
    let lab = lab();
    let mut image = BOOT_SECTOR.to_vec();
    image.resize(510, 0);
    image.extend([0x55, 0xaa]);
    let path = lab.folder().join("boot,sector.img");
    fs::write(&path, &image).unwrap();
    for bus in [DiskBus::Virtio, DiskBus::Ahci, DiskBus::Nvme] {
        let disk = Disk { content: DiskContent::Image(path.clone(), 1 << 20), ..Disk::blank(bus, 512) };
        let spec = MachineSpec {
            memory_mib: 64,
            disks: vec![disk],
            boot: BootOrder::DiskOnly,
            ..MachineSpec::new("disk")
        };
        let machine = lab.machine(spec).unwrap();
        machine.power_on().unwrap();
        let mut serial = machine.serial().unwrap();
        serial.wait_for("booted >$", LONG).unwrap();
        machine.send("x").unwrap();
        serial.wait_for("x", LONG).unwrap();
        assert!(machine.wipe_disks().is_err(), "not while it is on");
        machine.power_off().unwrap();
        assert!(machine.send("x").is_err(), "nobody hears it");
        machine.wipe_disks().unwrap();
        machine.remove().unwrap();
        assert_eq!(fs::read(&path).unwrap(), image, "the image itself is never written to");
    }
}

#[test]
fn wrong_machines_are_refused() {
    let lab = lab();
    lab.machine(MachineSpec::new("one")).unwrap();
    assert!(
        lab.machine(MachineSpec::new("one"))
            .unwrap_err()
            .to_string()
            .contains("that no machine of the lab has yet")
    );
    assert!(lab.existing_machine("two").unwrap_err().to_string().contains("there are: one"));
    let spec = MachineSpec { extra: vec!["-no-such-option".into()], ..MachineSpec::new("odd") };
    let odd = lab.machine(spec).unwrap();
    let error = odd.power_on().unwrap_err().to_string();
    assert!(error.contains("-no-such-option: invalid option"), "{error}");
    assert_eq!(odd.status().unwrap().power, Power::Off);
    let missing =
        Disk { content: DiskContent::Image("/no/such/image".into(), 512), ..Disk::blank(DiskBus::Nvme, 512) };
    assert!(lab.machine(MachineSpec { disks: vec![missing], ..MachineSpec::new("three") }).is_err());
}
