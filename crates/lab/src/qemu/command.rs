//! A machine as a QEMU command line. Pure: the specification and a few numbers in, words out.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::machine::{Accel, BootOrder, Disk, DiskBus, Firmware, MachineSpec, NicModel};

/// The emulator.
pub(crate) const QEMU: &str = "qemu-system-x86_64";
/// OVMF's code, from the package `ovmf`.
pub(crate) const OVMF_CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
/// The variables that OVMF starts with; each machine gets its own copy.
pub(crate) const OVMF_VARS: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/// The open files that QEMU inherits, by number.
#[derive(Clone, Debug)]
pub(crate) struct Inherited {
    /// Its end of the serial console: a stream socket.
    pub(crate) serial: i32,
    /// Its end of the monitor: a stream socket.
    pub(crate) qmp: i32,
    /// Its ends of the network cables, one per interface: datagram sockets.
    pub(crate) nics: Vec<i32>,
}

/// The file of the `n`th disk.
pub(crate) fn disk_path(folder: &Path, n: usize) -> PathBuf {
    folder.join(format!("disk{n}.qcow2"))
}

/// The machine's own copy of the firmware's variables.
pub(crate) fn vars_path(folder: &Path) -> PathBuf {
    folder.join("vars.fd")
}

/// Does this firmware keep variables in a file?
pub(crate) fn has_vars(firmware: Firmware) -> bool {
    firmware != Firmware::Bios
}

/// The arguments of QEMU for this machine, whose files are in `folder`.
///
/// # Errors
/// [`Error::Invalid`] if a path cannot be written on the command line.
pub(crate) fn arguments(spec: &MachineSpec, folder: &Path, inherited: &Inherited) -> Result<Vec<String>> {
    let mut line = Line::default();
    base(&mut line, spec);
    line.option("-chardev", format!("socket,id=serial0,fd={}", inherited.serial));
    line.option("-serial", "chardev:serial0");
    line.option("-chardev", format!("socket,id=qmp,fd={}", inherited.qmp));
    line.option("-mon", "chardev=qmp,mode=control");
    firmware(&mut line, spec, folder)?;
    for (n, fd) in inherited.nics.iter().enumerate() {
        nic(&mut line, spec, n, *fd);
    }
    for (n, disk) in spec.disks.iter().enumerate() {
        attach(&mut line, spec, n, disk, folder)?;
    }
    line.0.extend(spec.extra.iter().cloned());
    Ok(line.0)
}

#[derive(Default)]
struct Line(Vec<String>);

impl Line {
    fn option(&mut self, name: &str, value: impl Into<String>) {
        self.0.extend([name.to_owned(), value.into()]);
    }
}

fn base(line: &mut Line, spec: &MachineSpec) {
    line.option("-name", &spec.name);
    // Without graphics SeaBIOS, iPXE and GRUB speak on the serial port.
    line.option("-machine", "q35,graphics=off");
    line.option(
        "-accel",
        match spec.accel {
            Accel::Tcg => "tcg",
            Accel::Kvm => "kvm",
        },
    );
    if spec.accel == Accel::Kvm {
        line.option("-cpu", "host");
    }
    line.option("-m", spec.memory_mib.to_string());
    line.option("-smp", spec.cpus.to_string());
    line.option("-uuid", spec.uuid.to_string());
    line.option("-display", "none");
    line.0.extend(["-nodefaults", "-no-user-config"].map(str::to_owned));
    line.option("-device", "virtio-rng-pci");
}

fn firmware(line: &mut Line, spec: &MachineSpec, folder: &Path) -> Result<()> {
    if !has_vars(spec.firmware) {
        return Ok(());
    }
    line.option("-drive", format!("if=pflash,format=raw,unit=0,readonly=on,file={OVMF_CODE}"));
    line.option("-drive", format!("if=pflash,format=raw,unit=1,file={}", escaped(&vars_path(folder))?));
    if spec.firmware == Firmware::UefiHttp {
        for family in ["IPv4PXESupport", "IPv6PXESupport"] {
            line.option("-fw_cfg", format!("name=opt/org.tianocore/{family},string=n"));
        }
    }
    Ok(())
}

fn nic(line: &mut Line, spec: &MachineSpec, n: usize, fd: i32) {
    let Some(nic) = spec.nics.get(n) else { return };
    line.option("-netdev", format!("dgram,id=n{n},local.type=fd,local.str={fd}"));
    let model = match nic.model {
        NicModel::Virtio => "virtio-net-pci",
        NicModel::E1000 => "e1000",
        NicModel::E1000e => "e1000e",
    };
    let mut device = format!("{model},id=nic{n},netdev=n{n},mac={}", spec.mac(n));
    if matches!(spec.firmware, Firmware::UefiPxe | Firmware::UefiHttp) {
        // An empty ROM leaves the network to OVMF's own drivers.
        device.push_str(",romfile=");
    }
    device.push_str(&boot_index(spec, BootDevice::Nic(n)));
    line.option("-device", device);
}

fn attach(line: &mut Line, spec: &MachineSpec, n: usize, disk: &Disk, folder: &Path) -> Result<()> {
    let file = escaped(&disk_path(folder, n))?;
    // A test machine's disk need not survive the host's power failure.
    let drive =
        format!("if=none,id=d{n},file={file},format=qcow2,cache=unsafe,discard=unmap,detect-zeroes=unmap");
    line.option("-drive", drive);
    let device = match disk.bus {
        DiskBus::Virtio => "virtio-blk-pci".to_owned(),
        DiskBus::Nvme => "nvme".to_owned(),
        DiskBus::Ahci => {
            let earlier = spec.disks.iter().take(n).filter(|other| other.bus == DiskBus::Ahci).count();
            format!("ide-hd,bus=ide.{earlier}")
        }
    };
    let index = boot_index(spec, BootDevice::Disk(n));
    line.option("-device", format!("{device},id=disk{n},drive=d{n},serial={}{index}", disk.serial));
    Ok(())
}

#[derive(Clone, Copy)]
enum BootDevice {
    Nic(usize),
    Disk(usize),
}

/// OVMF connects only devices that have an index, so every device that may boot gets one.
fn boot_index(spec: &MachineSpec, device: BootDevice) -> String {
    let index = match (spec.boot, device) {
        (BootOrder::NetworkFirst, BootDevice::Nic(n))
        | (BootOrder::DiskFirst | BootOrder::DiskOnly, BootDevice::Disk(n)) => n,
        (BootOrder::NetworkFirst, BootDevice::Disk(n)) => spec.nics.len() + n,
        (BootOrder::DiskFirst, BootDevice::Nic(n)) => spec.disks.len() + n,
        (BootOrder::DiskOnly, BootDevice::Nic(_)) => return String::new(),
    };
    format!(",bootindex={index}")
}

/// A path as the value of a QEMU option, where a comma is written twice.
fn escaped(path: &Path) -> Result<String> {
    let text = path.to_str().ok_or_else(|| Error::Invalid {
        field: "path",
        value: path.display().to_string(),
        right: "a path in UTF-8".to_owned(),
    })?;
    Ok(text.replace(',', ",,"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Nic;

    fn check(spec: &MachineSpec, expected: &str) {
        spec.check().unwrap();
        let inherited = Inherited { serial: 3, qmp: 4, nics: (5..).take(spec.nics.len()).collect() };
        let words = arguments(spec, Path::new("/lab/a,b"), &inherited).unwrap();
        let shown = words.join(" ").replace(" -", "\n-");
        let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert_eq!(shown, expected.join("\n"));
    }

    #[test]
    fn a_bios_machine_with_a_disk() {
        let mut spec = MachineSpec::new("one");
        spec.disks = vec![Disk::blank(DiskBus::Virtio, 1 << 30)];
        check(
            &spec,
            "-name one
            -machine q35,graphics=off
            -accel tcg
            -m 1024
            -smp 1
            -uuid 1a08aa19-21ca-8caf-92d6-6e5d0b3eba3d
            -display none
            -nodefaults
            -no-user-config
            -device virtio-rng-pci
            -chardev socket,id=serial0,fd=3
            -serial chardev:serial0
            -chardev socket,id=qmp,fd=4
            -mon chardev=qmp,mode=control
            -netdev dgram,id=n0,local.type=fd,local.str=5
            -device virtio-net-pci,id=nic0,netdev=n0,mac=52:54:00:3e:ba:00,bootindex=0
            -drive if=none,id=d0,file=/lab/a,,b/disk0.qcow2,format=qcow2,cache=unsafe,discard=unmap,detect-zeroes=unmap
            -device virtio-blk-pci,id=disk0,drive=d0,serial=lab-virtio-0,bootindex=1",
        );
    }

    #[test]
    fn a_uefi_machine_that_boots_by_http() {
        let mut spec = MachineSpec::new("two");
        spec.firmware = Firmware::UefiHttp;
        spec.nics = vec![
            Nic { mac: Some("52:54:00:01:00:05".parse().unwrap()), ..Nic::new(NicModel::Virtio) },
            Nic { mac: Some("52:54:00:01:00:06".parse().unwrap()), ..Nic::new(NicModel::Virtio) },
        ];
        spec.disks = vec![
            Disk::blank(DiskBus::Nvme, 512),
            Disk::blank(DiskBus::Ahci, 512),
            Disk { serial: "second".into(), ..Disk::blank(DiskBus::Ahci, 512) },
        ];
        spec.boot = BootOrder::DiskFirst;
        spec.accel = Accel::Kvm;
        spec.extra = vec!["-boot".into(), "menu=off".into()];
        check(
            &spec,
            "-name two
            -machine q35,graphics=off
            -accel kvm
            -cpu host
            -m 1024
            -smp 1
            -uuid 5714d319-447c-8709-ba61-669f0257536d
            -display none
            -nodefaults
            -no-user-config
            -device virtio-rng-pci
            -chardev socket,id=serial0,fd=3
            -serial chardev:serial0
            -chardev socket,id=qmp,fd=4
            -mon chardev=qmp,mode=control
            -drive if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd
            -drive if=pflash,format=raw,unit=1,file=/lab/a,,b/vars.fd
            -fw_cfg name=opt/org.tianocore/IPv4PXESupport,string=n
            -fw_cfg name=opt/org.tianocore/IPv6PXESupport,string=n
            -netdev dgram,id=n0,local.type=fd,local.str=5
            -device virtio-net-pci,id=nic0,netdev=n0,mac=52:54:00:01:00:05,romfile=,bootindex=3
            -netdev dgram,id=n1,local.type=fd,local.str=6
            -device virtio-net-pci,id=nic1,netdev=n1,mac=52:54:00:01:00:06,romfile=,bootindex=4
            -drive if=none,id=d0,file=/lab/a,,b/disk0.qcow2,format=qcow2,cache=unsafe,discard=unmap,detect-zeroes=unmap
            -device nvme,id=disk0,drive=d0,serial=lab-nvme-0,bootindex=0
            -drive if=none,id=d1,file=/lab/a,,b/disk1.qcow2,format=qcow2,cache=unsafe,discard=unmap,detect-zeroes=unmap
            -device ide-hd,bus=ide.0,id=disk1,drive=d1,serial=lab-ahci-0,bootindex=1
            -drive if=none,id=d2,file=/lab/a,,b/disk2.qcow2,format=qcow2,cache=unsafe,discard=unmap,detect-zeroes=unmap
            -device ide-hd,bus=ide.1,id=disk2,drive=d2,serial=second,bootindex=2
            -boot menu=off",
        );
    }

    #[test]
    fn disks_alone_leave_the_interfaces_without_an_index() {
        let mut spec = MachineSpec::new("three");
        spec.firmware = Firmware::UefiIpxe;
        spec.boot = BootOrder::DiskOnly;
        spec.nics = vec![Nic::new(NicModel::E1000e)];
        spec.disks = vec![Disk::blank(DiskBus::Nvme, 512)];
        let inherited = Inherited { serial: 3, qmp: 4, nics: vec![5] };
        let line = arguments(&spec, Path::new("/lab"), &inherited).unwrap().join(" ");
        assert!(line.contains("serial=lab-nvme-0,bootindex=0"), "{line}");
        assert_eq!(line.matches("bootindex").count(), 1, "{line}");
        assert!(line.contains("e1000e,id=nic0,netdev=n0"), "{line}");
        assert!(!line.contains("romfile="), "the ROM's iPXE stays: {line}");
    }
}
