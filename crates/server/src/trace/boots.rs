//! Where one boot ends and the next begins.
//!
//! Firmware says DISCOVER when it starts, when nobody answers, and when one way to boot failed and it tries the next. So a
//! DISCOVER by firmware soon after the last one is the same boot, unless a whole file has been fetched meanwhile and the
//! same firmware asks again in the same way: then what it had loaded is gone, and the machine was reset. Firmware that asks in
//! another way (PXE first, then HTTP) goes on with what its loader left undone.
//!
//! Left out: a reset before the first file was fetched, which looks like a retry in every packet.

use gantry_model::Time;

use super::Entry;

/// Firmware that starts anew within so many seconds of its last DISCOVER is only retrying, see above.
const RETRY_SECONDS: i64 = 20;

/// Counts the boots of one machine, entry by entry.
#[derive(Clone, Debug, Default)]
pub(super) struct Boots {
    number: u64,
    /// How the firmware of this boot asked first.
    firmware: String,
    /// A whole file was fetched in this boot.
    loaded: bool,
    last: Option<Time>,
}

impl Boots {
    /// The number of the boot that `entry` belongs to, at least the one that it has already. Entries come in order.
    pub(super) fn see(&mut self, entry: &Entry) -> u64 {
        if entry.power_on {
            self.power_on(entry);
        }
        self.loaded |= is_whole_file(entry);
        self.number = self.number.max(entry.boot);
        self.number
    }

    fn power_on(&mut self, entry: &Entry) {
        let firmware = firmware(entry);
        let soon = self.last.is_some_and(|last| entry.time.unix() - last.unix() < RETRY_SECONDS);
        let reset = self.loaded && firmware == self.firmware;
        self.last = Some(entry.time);
        if soon && !reset {
            return;
        }
        *self = Self { number: self.number + 1, firmware, loaded: false, last: self.last };
    }
}

/// What the firmware of a DISCOVER says it is: architecture and way to boot, iPXE or not.
fn firmware(entry: &Entry) -> String {
    format!("{:?} {:?}", entry.data.get("Arch"), entry.data.get("Ipxe"))
}

fn is_whole_file(entry: &Entry) -> bool {
    matches!(entry.kind.as_str(), "tftp" | "http" | "https")
        && entry.data.get("Status").is_some_and(|status| status == "SUCCESS" || status == "200")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What happens, at which second: `pxe` and `uefi-http` are DISCOVERs of firmware, the rest files.
    fn numbers(story: &[(i64, &str)]) -> String {
        let mut boots = Boots::default();
        let entry = |&(second, what): &(i64, &str)| {
            let (power_on, kind, data) = match what {
                "pxe" => (true, "dhcp", json!({ "Arch": "x64 UEFI", "Ipxe": false })),
                "uefi-http" => (true, "dhcp", json!({ "Arch": "x64 UEFI HTTP", "Ipxe": false })),
                "ipxe" => (false, "dhcp", json!({ "Arch": "x64 UEFI", "Ipxe": true })),
                "file" => (false, "tftp", json!({ "Status": "SUCCESS" })),
                _ => (false, "http", json!({ "Status": "404" })),
            };
            let data = data.as_object().unwrap().clone();
            Entry { time: Time::from_unix(second), power_on, kind: kind.into(), data, ..Entry::default() }
        };
        story.iter().map(|step| boots.see(&entry(step)).to_string()).collect()
    }

    #[test]
    fn retries_are_one_boot_and_a_reset_is_another_however_soon() {
        let check = |story: &[(i64, &str)], want: &str| assert_eq!(numbers(story), want, "{story:?}");
        check(&[(0, "pxe"), (4, "pxe"), (12, "pxe")], "111");
        check(&[(0, "pxe"), (30, "pxe")], "12");
        check(&[(0, "pxe"), (1, "file"), (2, "ipxe"), (3, "file")], "1111");
        check(&[(0, "pxe"), (1, "file"), (2, "ipxe"), (5, "pxe"), (6, "file"), (7, "pxe")], "111223");
        check(&[(0, "pxe"), (1, "missing"), (3, "pxe")], "111");
        check(&[(0, "pxe"), (1, "file"), (3, "uefi-http"), (4, "file"), (8, "pxe")], "11112");
    }

    #[test]
    fn what_was_numbered_keeps_its_number() {
        let mut boots = Boots::default();
        let old = Entry { boot: 57, ..Entry::default() };
        let new = Entry { boot: 1, power_on: true, time: Time::from_unix(99), ..Entry::default() };
        assert_eq!((boots.see(&old), boots.see(&new)), (57, 58), "after a restart of the server");
    }
}
