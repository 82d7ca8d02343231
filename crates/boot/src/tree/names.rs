//! The machines that a path names, by what it contains.

use std::net::Ipv4Addr;
use std::sync::Arc;

use gantry_model::{Address, Key, Kind, Record, View};

/// How many machines with one MAC or address are looked at: doubles and stale addresses are common.
const DOUBLES: usize = 16;

/// The machines that a path names, each once.
pub(super) fn candidates(view: &View, path: &str) -> Vec<Arc<Record>> {
    let mut found: Vec<Arc<Record>> = Vec::new();
    let mut add = |keys: Vec<Key>| {
        for record in keys.iter().filter_map(|key| view.record(Kind::Machine, key)) {
            if !found.iter().any(|seen| seen.key() == record.key()) {
                found.push(Arc::clone(record));
            }
        }
    };
    let all = |index: &str, value: &str| -> Vec<Key> {
        view.find(Kind::Machine, index, value).take(DOUBLES).cloned().collect()
    };
    for part in path.split('/') {
        for id in windows(part, 36, is_uuid) {
            add(vec![id.to_ascii_lowercase().into()]);
        }
        for mac in windows(part, 17, is_mac) {
            add(all("HardwareAddrs", &mac.replace('-', ":").to_ascii_lowercase()));
        }
        for hex in windows(part, 8, is_hex) {
            let address = u32::from_str_radix(hex, 16).map(Ipv4Addr::from).ok();
            add(address
                .map(|address| all("Address", &Address::from(address).to_string()))
                .unwrap_or_default());
        }
        for dotted in part.split(|c: char| !c.is_ascii_digit() && c != '.') {
            let address = dotted.trim_matches('.').parse::<Ipv4Addr>().ok();
            add(address.map(|address| all("Address", &address.to_string())).unwrap_or_default());
        }
        let stem = part.rsplit_once('.').map_or(part, |(stem, _)| stem);
        for name in [part, stem] {
            add(all("Name", name));
        }
    }
    found
}

/// Every stretch of `length` bytes that satisfies `is` and stands alone: no letter or digit before or after it.
fn windows(text: &str, length: usize, is: fn(&[u8]) -> bool) -> impl Iterator<Item = &str> {
    let bytes = text.as_bytes();
    let alone = move |at: usize| bytes.get(at).is_none_or(|byte| !byte.is_ascii_alphanumeric());
    (0..bytes.len().saturating_sub(length - 1)).filter_map(move |at| {
        let fits = is(&bytes[at..at + length]) && (at == 0 || alone(at - 1)) && alone(at + length);
        if fits { text.get(at..at + length) } else { None }
    })
}

fn is_uuid(bytes: &[u8]) -> bool {
    bytes.iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

fn is_mac(bytes: &[u8]) -> bool {
    let separator = bytes[2];
    matches!(separator, b':' | b'-')
        && bytes
            .iter()
            .enumerate()
            .all(|(at, byte)| if at % 3 == 2 { *byte == separator } else { byte.is_ascii_hexdigit() })
}

fn is_hex(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_searched_for_what_names_a_machine() {
        let all = |text: &'static str, length, is| windows(text, length, is).collect::<Vec<_>>();
        assert_eq!(all("01-52-54-00-00-00-01", 17, is_mac), ["01-52-54-00-00-00", "52-54-00-00-00-01"]);
        assert_eq!(all("grub.cfg-52-54-00-00-00-01", 17, is_mac), ["52-54-00-00-00-01"]);
        assert_eq!(all("52:54:00:00:00:01.ipxe", 17, is_mac), ["52:54:00:00:00:01"]);
        assert_eq!(all("52:54-00:00:00:01.ipxe", 17, is_mac), Vec::<&str>::new());
        assert_eq!(all("C0A87C01.conf", 8, is_hex), ["C0A87C01"]);
        assert_eq!(all("XC0A87C01", 8, is_hex), Vec::<&str>::new());
        assert_eq!(all("00000000-0000-4000-8000-000000000001", 36, is_uuid).len(), 1);
        assert_eq!(all("ü", 8, is_hex), Vec::<&str>::new());
    }
}
