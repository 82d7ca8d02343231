//! What a virtual machine is made of, and what it has been through: plain data.
//!
//! How it becomes a QEMU command line is in [`crate::qemu`].

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::config::{Vlan, check_name};
use crate::error::{Error, Result};
use crate::mac::Mac;

/// A virtual machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MachineSpec {
    /// Its name in the lab.
    pub name: String,
    /// What runs when the power comes on.
    pub firmware: Firmware,
    /// Memory, in MiB.
    pub memory_mib: u32,
    /// Number of processors. Under software emulation one is faster than two.
    pub cpus: u32,
    /// The UUID in its DMI tables; all zeroes if it were left out, so it never is.
    pub uuid: uuid::Uuid,
    /// Who executes its instructions.
    pub accel: Accel,
    /// Its network interfaces.
    pub nics: Vec<Nic>,
    /// Its disks.
    pub disks: Vec<Disk>,
    /// In which order the firmware tries to boot.
    pub boot: BootOrder,
    /// Further words for QEMU's command line.
    pub extra: Vec<String>,
}

/// The firmware, and how a UEFI boots from the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Firmware {
    /// SeaBIOS; its network boot is the iPXE in the interface's ROM.
    Bios,
    /// OVMF with its own PXE client, which fetches a loader by TFTP. It has a driver for virtio interfaces only.
    UefiPxe,
    /// OVMF with UEFI HTTP boot, its PXE switched off. It has a driver for virtio interfaces only.
    UefiHttp,
    /// OVMF with the iPXE in the interface's ROM.
    UefiIpxe,
}

/// Who executes the machine's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Accel {
    /// QEMU's software emulation: works everywhere.
    Tcg,
    /// The processor itself, by way of `/dev/kvm`. Only when asked for.
    Kvm,
}

/// A network interface of a machine. The port of the switch is called `MACHINE.N`, N from 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    /// The device that the machine sees.
    pub model: NicModel,
    /// Its address; without one it follows from the machine's UUID.
    pub mac: Option<Mac>,
    /// The VLANs of its port.
    pub vlan: Vlan,
}

/// Network devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NicModel {
    /// Paravirtual, the fastest.
    Virtio,
    /// Intel 82540EM.
    E1000,
    /// Intel 82574L.
    E1000e,
}

/// A disk of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// How it is attached.
    pub bus: DiskBus,
    /// What is on it when the machine is made.
    pub content: DiskContent,
    /// The serial number that the machine reads, at most 20 characters.
    pub serial: String,
}

/// How a disk is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskBus {
    /// `/dev/vda`.
    Virtio,
    /// `/dev/nvme0n1`.
    Nvme,
    /// `/dev/sda` at the chip set's AHCI controller, which has six ports.
    Ahci,
}

/// What is on a fresh disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskContent {
    /// Zeroes; the size in bytes. Only what is written takes room on the host.
    Blank(u64),
    /// What this raw image holds, which itself is never written to; the size in bytes of the disk.
    Image(PathBuf, u64),
}

impl DiskContent {
    /// The same size, beginning as a copy of this raw image.
    #[must_use]
    pub fn on_image(self, image: PathBuf) -> DiskContent {
        let (DiskContent::Blank(size) | DiskContent::Image(_, size)) = self;
        DiskContent::Image(image, size)
    }
}

/// In which order the firmware tries to boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BootOrder {
    /// From the interfaces, then from the disks.
    NetworkFirst,
    /// From the disks, then from the interfaces.
    DiskFirst,
    /// From the disks alone.
    DiskOnly,
}

impl MachineSpec {
    /// A BIOS machine with 1 GiB of memory, one virtio interface and no disk. Its UUID follows from its name.
    pub fn new(name: impl Into<String>) -> MachineSpec {
        let name = name.into();
        MachineSpec {
            uuid: uuid_of(&name),
            name,
            firmware: Firmware::Bios,
            memory_mib: 1024,
            cpus: 1,
            accel: Accel::Tcg,
            nics: vec![Nic::new(NicModel::Virtio)],
            disks: Vec::new(),
            boot: BootOrder::NetworkFirst,
            extra: Vec::new(),
        }
    }

    /// The address of its `n`th interface.
    pub fn mac(&self, n: usize) -> Mac {
        let given = self.nics.get(n).and_then(|nic| nic.mac);
        given.unwrap_or_else(|| {
            let [.., a, b, _] = *self.uuid.as_bytes();
            Mac([0x52, 0x54, 0, a, b, n as u8])
        })
    }

    /// The name of the switch's port for its `n`th interface.
    pub fn port(&self, n: usize) -> String {
        format!("{}.{n}", self.name)
    }

    /// Finds what cannot be.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the first wrong field.
    pub fn check(&self) -> Result<()> {
        check_name("machine name", &self.name)?;
        range("memory_mib", self.memory_mib, 64, 1 << 20)?;
        range("cpus", self.cpus, 1, 255)?;
        range("number of nics", self.nics.len() as u32, 0, 8)?;
        range("number of disks", self.disks.len() as u32, 0, 16)?;
        let ahci = self.disks.iter().filter(|disk| disk.bus == DiskBus::Ahci).count();
        range("number of ahci disks", ahci as u32, 0, 6)?;
        if self.uuid.is_nil() {
            return Err(invalid(
                "uuid",
                &self.uuid,
                "any UUID but the all-zero one, which firmware takes for none",
            ));
        }
        for (n, nic) in self.nics.iter().enumerate() {
            nic.vlan.check()?;
            let own_driver = matches!(self.firmware, Firmware::UefiPxe | Firmware::UefiHttp);
            if own_driver && nic.model != NicModel::Virtio {
                let right = "virtio, for which alone OVMF has a driver; or the firmware UefiIpxe, with the driver in the ROM";
                return Err(invalid("nic model", &format!("{:?}", nic.model), right));
            }
            if self.mac(n).is_group() {
                return Err(invalid("mac", &self.mac(n), "an address of one station: an even first byte"));
            }
        }
        self.disks.iter().try_for_each(Disk::check)
    }
}

impl Nic {
    /// An interface of this model in VLAN 1.
    pub fn new(model: NicModel) -> Nic {
        Nic { model, mac: None, vlan: Vlan::default() }
    }
}

impl Disk {
    /// An empty disk of so many bytes, with a serial number that follows from the bus.
    pub fn blank(bus: DiskBus, bytes: u64) -> Disk {
        let serial = match bus {
            DiskBus::Virtio => "lab-virtio-0",
            DiskBus::Nvme => "lab-nvme-0",
            DiskBus::Ahci => "lab-ahci-0",
        };
        Disk { bus, content: DiskContent::Blank(bytes), serial: serial.to_owned() }
    }

    fn check(&self) -> Result<()> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.serial.is_empty() || self.serial.len() > 20 || !self.serial.chars().all(plain) {
            return Err(invalid("disk serial", &self.serial, "1 to 20 letters, digits, '-', '_' and '.'"));
        }
        let (DiskContent::Blank(size) | DiskContent::Image(_, size)) = &self.content;
        if *size == 0 || size % 512 != 0 {
            return Err(invalid("disk size", &size, "a number of bytes above 0 that is divisible by 512"));
        }
        Ok(())
    }
}

fn range(field: &'static str, value: u32, low: u32, high: u32) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(invalid(field, &value, &format!("a number from {low} to {high}")))
}

fn invalid(field: &'static str, value: &dyn ToString, right: &str) -> Error {
    Error::Invalid { field, value: value.to_string(), right: right.to_owned() }
}

/// The same UUID for the same name, always: version 8 (RFC 9562 §5.8), from two rounds of FNV-1a.
fn uuid_of(name: &str) -> uuid::Uuid {
    let fnv = |basis: u64| {
        name.bytes().fold(basis, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    };
    let high = fnv(0xcbf2_9ce4_8422_2325);
    uuid::Builder::from_custom_bytes(((u128::from(high) << 64) | u128::from(fnv(high))).to_be_bytes())
        .into_uuid()
}

/// What a machine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Power {
    /// Its QEMU runs.
    On,
    /// No QEMU runs for it.
    Off,
}

/// A machine as it stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MachineStatus {
    /// What it is made of.
    pub spec: MachineSpec,
    /// Whether it runs.
    pub power: Power,
    /// Its folder: `serial.log`, `serial.times`, `qemu.log`, disks.
    pub folder: PathBuf,
    /// How many bytes of serial console there are.
    pub serial_bytes: u64,
    /// Where in the serial console the latest power-on lies.
    pub serial_power_on: u64,
    /// What has happened to it, in order; the newest thousand.
    pub events: Vec<Event>,
}

/// Something that happened to a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: SystemTime,
    /// How long after the latest power-on.
    pub since_power_on: Duration,
    /// What.
    pub what: Happening,
}

/// Kinds of events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Happening {
    /// Somebody pressed the power button: QEMU was started.
    PowerOn,
    /// The lab reset it.
    Reset,
    /// It rebooted by itself.
    GuestReset,
    /// It switched itself off.
    GuestShutdown,
    /// QEMU told of something else, by the name in its own protocol.
    Qemu(String),
    /// QEMU ended; the text says how.
    Off(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_gives_one_uuid_and_one_address() {
        let (a, b) = (MachineSpec::new("a"), MachineSpec::new("b"));
        assert_eq!(a, MachineSpec::new("a"));
        assert_ne!(a.uuid, b.uuid);
        assert_ne!(a.mac(0), b.mac(0));
        assert_ne!(a.mac(0), a.mac(1));
        assert!(!a.uuid.is_nil());
    }

    #[test]
    fn wrong_machines_are_refused_by_field() {
        let spec = || MachineSpec::new("m");
        let disk = |serial: &str, size| Disk { serial: serial.into(), ..Disk::blank(DiskBus::Nvme, size) };
        let cases = [
            (MachineSpec { name: "a,b".into(), ..spec() }, "machine name: \"a,b\""),
            (MachineSpec { memory_mib: 1, ..spec() }, "memory_mib: \"1\""),
            (MachineSpec { cpus: 0, ..spec() }, "cpus"),
            (MachineSpec { uuid: uuid::Uuid::nil(), ..spec() }, "uuid"),
            (MachineSpec { disks: vec![disk("a,b", 512)], ..spec() }, "disk serial"),
            (MachineSpec { disks: vec![disk("a", 511)], ..spec() }, "disk size"),
            (
                MachineSpec { disks: vec![Disk::blank(DiskBus::Ahci, 512); 7], ..spec() },
                "number of ahci disks: \"7\"",
            ),
            (
                MachineSpec {
                    nics: vec![Nic { mac: Some(Mac::BROADCAST), ..Nic::new(NicModel::E1000) }],
                    ..spec()
                },
                "mac: \"ff:ff:ff:ff:ff:ff\"",
            ),
        ];
        for (spec, expected) in cases {
            let text = spec.check().unwrap_err().to_string();
            assert!(text.contains(expected), "{text}");
        }
        spec().check().unwrap();
    }
}
