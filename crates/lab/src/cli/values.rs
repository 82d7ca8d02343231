//! Values on the command line: sizes, shares, times, VLANs, disks, interfaces.

use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::config::Vlan;
use crate::error::{Error, Result};
use crate::machine::{Disk, DiskBus, Nic, NicModel};
use crate::switch::{Impairment, Traffic};

const BUSES: &[(&str, DiskBus)] =
    &[("virtio", DiskBus::Virtio), ("nvme", DiskBus::Nvme), ("ahci", DiskBus::Ahci)];
const MODELS: &[(&str, NicModel)] =
    &[("virtio", NicModel::Virtio), ("e1000", NicModel::E1000), ("e1000e", NicModel::E1000e)];

/// One of a table's words, as the table's value.
pub(crate) fn choice<T: Copy + Send + Sync + 'static>(
    table: &'static [(&'static str, T)],
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(table.iter().map(|(word, _)| *word))
        .map(|word| find(table, &word).expect("clap takes only words of the table"))
}

fn find<T: Copy>(table: &[(&str, T)], word: &str) -> Option<T> {
    table.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
}

fn invalid(field: &'static str, value: &str, right: &str) -> Error {
    Error::Invalid { field, value: value.to_owned(), right: right.to_owned() }
}

/// Bytes: `512`, `64K`, `100M`, `8G`, `1T`, in powers of 1024.
pub(crate) fn size(text: &str) -> Result<u64> {
    let wrong = || invalid("size", text, "a number of bytes, or one with K, M, G or T behind it");
    let shift = match text.as_bytes().last() {
        Some(b'K') => 10,
        Some(b'M') => 20,
        Some(b'G') => 30,
        Some(b'T') => 40,
        _ => 0,
    };
    let digits = if shift == 0 { text } else { &text[..text.len() - 1] };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

/// A share: `5%` or `0.05`.
pub(crate) fn share(text: &str) -> Result<f64> {
    let wrong = || invalid("share", text, "0% to 100%, or a number from 0 to 1");
    let value = match text.strip_suffix('%') {
        Some(percent) => percent.parse::<f64>().map_err(|_| wrong())? / 100.0,
        None => text.parse().map_err(|_| wrong())?,
    };
    Impairment { lose: value, ..Impairment::default() }.check().map_err(|_| wrong())?;
    Ok(value)
}

/// A time: `50ms` or `2s` or `1.5s`.
pub(crate) fn duration(text: &str) -> Result<Duration> {
    let wrong = || invalid("duration", text, "a number with ms or s behind it, such as 50ms");
    let (digits, unit) = match text.strip_suffix("ms") {
        Some(digits) => (digits, 0.001),
        None => (text.strip_suffix('s').ok_or_else(wrong)?, 1.0),
    };
    let seconds = digits.parse::<f64>().map_err(|_| wrong())? * unit;
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

/// Traffic: `any`, `arp`, `udp`, `tcp`, `udp:67`, `tcp:8091`.
pub(crate) fn traffic(text: &str) -> Result<Traffic> {
    let port = |digits: &str| digits.parse::<u16>().ok();
    match text.split_once(':') {
        None => find(
            &[("any", Traffic::Any), ("arp", Traffic::Arp), ("udp", Traffic::Udp), ("tcp", Traffic::Tcp)],
            text,
        ),
        Some(("udp", digits)) => port(digits).map(Traffic::UdpPort),
        Some(("tcp", digits)) => port(digits).map(Traffic::TcpPort),
        Some(_) => None,
    }
    .ok_or_else(|| invalid("traffic", text, "any, arp, udp, tcp, udp:PORT or tcp:PORT"))
}

/// VLANs of a port: `5`, `trunk:5,6`, `trunk:5,6:native=1`.
pub(crate) fn vlan(text: &str) -> Result<Vlan> {
    let wrong = || {
        invalid(
            "vlan",
            text,
            "a number from 1 to 4094, or trunk:N,N… with :native=N behind it if there is one",
        )
    };
    let number = |digits: &str| digits.parse::<u16>().map_err(|_| wrong());
    let vlan = match text.strip_prefix("trunk:") {
        None => Vlan::Access(number(text)?),
        Some(rest) => {
            let (list, native) =
                rest.split_once(":native=").map_or((rest, None), |(list, native)| (list, Some(native)));
            let tagged = list.split(',').map(number).collect::<Result<_>>()?;
            Vlan::Trunk { native: native.map(number).transpose()?, tagged }
        }
    };
    vlan.check()?;
    Ok(vlan)
}

/// A disk: `nvme:8G` or `nvme:8G:SERIAL`.
pub(crate) fn disk(text: &str) -> Result<Disk> {
    let wrong = |right| invalid("disk", text, right);
    let mut words = text.splitn(3, ':');
    let (Some(bus), Some(bytes)) = (words.next(), words.next()) else {
        return Err(wrong("BUS:SIZE or BUS:SIZE:SERIAL"));
    };
    let bus = find(BUSES, bus).ok_or_else(|| wrong("a disk at virtio, nvme or ahci, such as nvme:8G"))?;
    let disk = Disk::blank(bus, size(bytes)?);
    Ok(match words.next() {
        Some(serial) => Disk { serial: serial.to_owned(), ..disk },
        None => disk,
    })
}

/// An interface: `virtio`, `e1000e,mac=52:54:00:00:00:01,vlan=5`; a trunk's VLANs are separated by commas too.
pub(crate) fn nic(text: &str) -> Result<Nic> {
    let (head, vlan_text) = text.split_once(",vlan=").map_or((text, None), |(head, vlan)| (head, Some(vlan)));
    let (model, mac) = head.split_once(",mac=").map_or((head, None), |(model, mac)| (model, Some(mac)));
    let model = find(MODELS, model).ok_or_else(|| {
        invalid("nic", text, "virtio, e1000 or e1000e, then ,mac=MAC, then ,vlan=VLAN, both as you like")
    })?;
    Ok(Nic {
        model,
        mac: mac.map(str::parse).transpose()?,
        vlan: vlan_text.map(vlan).transpose()?.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::DiskContent;

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(
            ["512", "64K", "8G", "2T"].map(|text| size(text).unwrap()),
            [512, 64 << 10, 8 << 30, 2 << 40]
        );
        for text in ["", "G", "1.5G", "-1", "8g", "99999999999T"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares_and_times() {
        assert_eq!((share("5%").unwrap(), share("0.5").unwrap()), (0.05, 0.5));
        assert!(share("101%").is_err() && share("-1").is_err() && share("NaN").is_err());
        assert_eq!(
            (duration("50ms").unwrap(), duration("1.5s").unwrap()),
            (Duration::from_millis(50), Duration::from_millis(1500))
        );
        assert!(duration("5").is_err() && duration("-5s").is_err() && duration("infs").is_err());
    }

    #[test]
    fn traffic_and_vlans() {
        assert_eq!(traffic("udp:67").unwrap(), Traffic::UdpPort(67));
        assert_eq!(traffic("arp").unwrap(), Traffic::Arp);
        assert!(traffic("icmp").is_err() && traffic("udp:x").is_err());
        assert_eq!(vlan("trunk:5,6").unwrap(), Vlan::Trunk { native: None, tagged: [5, 6].into() });
        assert!(vlan("0").is_err() && vlan("trunk:").is_err());
    }

    #[test]
    fn disks_and_interfaces() {
        let parsed = disk("ahci:1G:xyz").unwrap();
        assert_eq!(
            (parsed.bus, parsed.content, parsed.serial.as_str()),
            (DiskBus::Ahci, DiskContent::Blank(1 << 30), "xyz")
        );
        assert_eq!(disk("nvme:1G").unwrap(), Disk::blank(DiskBus::Nvme, 1 << 30));
        assert_eq!(nic("e1000,vlan=7").unwrap(), Nic { vlan: Vlan::Access(7), ..Nic::new(NicModel::E1000) });
        assert!(nic("ne2000").is_err() && nic("virtio,mac=1").is_err());
    }
}
