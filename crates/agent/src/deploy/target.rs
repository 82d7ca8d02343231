//! Which disk to write. When in doubt, none: the refusal lists what there is, so that the operator can
//! name one. Disks that hold anything mounted and read-only ones are never candidates; removable ones and those on USB only
//! when the rule asks for them.

use super::spec::{DiskRule, Pick};
use crate::inventory::disks::Disk;
use crate::inventory::{names, read_path};
use crate::text::{human_size, parse_size};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Chooses one disk by the rule. `busy` are the names of disks in use.
pub fn choose<'a>(disks: &'a [Disk], rule: &DiskRule, busy: &BTreeSet<String>) -> Result<&'a Disk, String> {
    let named = resolve(&rule.path);
    let mut reasons = Vec::new();
    let mut fitting = Vec::new();
    for disk in disks {
        match obstacle(disk, rule, named.as_deref(), busy).or_else(|| unasked(disk, rule)) {
            None => fitting.push(disk),
            Some(reason) => reasons.push(format!("{}: {reason}", describe(disk))),
        }
    }
    match (&fitting[..], rule.pick) {
        ([], _) => Err(format!("no disk fits the rule {}; found: {}", show(rule), list(&reasons))),
        ([one], _) => Ok(one),
        (several, Pick::Only) => Err(ambiguous(several, rule)),
        (several, Pick::First) => Ok(several[0]),
        (several, Pick::Smallest) => extreme(several, rule, several.iter().map(|disk| disk.size).min()),
        (several, Pick::Largest) => extreme(several, rule, several.iter().map(|disk| disk.size).max()),
    }
}

fn extreme<'a>(several: &[&'a Disk], rule: &DiskRule, size: Option<u64>) -> Result<&'a Disk, String> {
    let best: Vec<&Disk> = several.iter().copied().filter(|disk| Some(disk.size) == size).collect();
    match best[..] {
        [one] => Ok(one),
        _ => Err(ambiguous(&best, rule)),
    }
}

fn ambiguous(several: &[&Disk], rule: &DiskRule) -> String {
    let all: Vec<String> = several.iter().map(|disk| describe(disk)).collect();
    format!(
        "{} disks fit the rule {}: {}; name one by Serial, ByID, WWN or Path, or say which to Pick (first, smallest, largest)",
        several.len(),
        show(rule),
        list(&all)
    )
}

fn list(lines: &[String]) -> String {
    if lines.is_empty() { "none".to_owned() } else { lines.join("; ") }
}

/// A disk in one line.
pub fn describe(disk: &Disk) -> String {
    let mut text = format!("{} {}", disk.path, human_size(disk.size));
    for (name, value) in
        [("model", &disk.model), ("serial", &disk.serial), ("wwn", &disk.wwn), ("", &disk.transport)]
    {
        if !value.is_empty() {
            text += &format!(" {name} {value}").replace("  ", " ");
        }
    }
    text
}

fn show(rule: &DiskRule) -> String {
    serde_json::to_value(rule)
        .ok()
        .and_then(|value| {
            let mut fields = value.as_object()?.clone();
            fields.retain(|_, value| !value.is_null() && value != "");
            serde_json::to_string(&fields).ok()
        })
        .unwrap_or_default()
}

/// Why a disk is no candidate.
fn obstacle(disk: &Disk, rule: &DiskRule, named: Option<&str>, busy: &BTreeSet<String>) -> Option<String> {
    if busy.contains(&disk.name) {
        return Some("is in use by the running system".into());
    }
    if disk.read_only {
        return Some("is read-only".into());
    }
    if disk.removable && !is_exact(rule) {
        return Some("is removable".into());
    }
    let differs = |wanted: &str, found: &str| !wanted.is_empty() && !wanted.eq_ignore_ascii_case(found);
    if named.is_some_and(|name| name != disk.name) {
        return Some(format!("is not {}", rule.path));
    }
    if differs(&rule.serial, &disk.serial) {
        return Some("has another serial".into());
    }
    let bare = |wwn: &str| {
        wwn.trim_start_matches("naa.").trim_start_matches("eui.").trim_start_matches("0x").to_lowercase()
    };
    if !rule.wwn.is_empty() && bare(&rule.wwn) != bare(&disk.wwn) {
        return Some("has another WWN".into());
    }
    let by_id = rule.bare_id();
    if !by_id.is_empty() && !disk.by_id.iter().any(|id| id == by_id) {
        return Some("has another id".into());
    }
    if !disk.model.to_lowercase().contains(&rule.model.to_lowercase()) {
        return Some("has another model".into());
    }
    if differs(&rule.transport, &disk.transport) {
        return Some(format!("is attached by {}", disk.transport));
    }
    if rule.rotational.is_some_and(|wanted| wanted != disk.rotational) {
        return Some(if disk.rotational { "is a spinning disk" } else { "is not a spinning disk" }.into());
    }
    if parse_size(&rule.min_size).is_some_and(|least| disk.size < least) {
        return Some(format!("is smaller than {}", rule.min_size));
    }
    if parse_size(&rule.max_size).is_some_and(|most| disk.size > most) {
        return Some(format!("is larger than {}", rule.max_size));
    }
    None
}

/// A disk asked for by its own name may be a removable one.
fn is_exact(rule: &DiskRule) -> bool {
    [&rule.path, &rule.serial, &rule.by_id, &rule.wwn].iter().any(|name| !name.is_empty())
}

/// A disk on a plug has to be asked for: it may be the operator's, or a medium that the machine was started from.
fn unasked(disk: &Disk, rule: &DiskRule) -> Option<String> {
    let plugged = disk.transport == "usb" && rule.transport.is_empty() && !is_exact(rule);
    plugged.then(|| "is attached by usb, which the rule does not ask for".to_owned())
}

/// The kernel name behind a path, links followed.
fn resolve(path: &str) -> Option<String> {
    if path.is_empty() {
        return None;
    }
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.into());
    Some(real.file_name()?.to_string_lossy().into_owned())
}

/// The disks that fit at least one of the rules, whatever their `Pick`, and for each other one why it does not.
pub fn fitting<'a>(
    disks: &'a [Disk],
    rules: &[DiskRule],
    busy: &BTreeSet<String>,
) -> (Vec<&'a Disk>, Vec<String>) {
    let (mut found, mut reasons) = (Vec::new(), Vec::new());
    for disk in disks {
        let verdicts: Vec<_> = rules
            .iter()
            .map(|rule| {
                obstacle(disk, rule, resolve(&rule.path).as_deref(), busy).or_else(|| unasked(disk, rule))
            })
            .collect();
        if verdicts.iter().any(Option::is_none) {
            found.push(disk);
        } else {
            let whys: BTreeSet<String> = verdicts.into_iter().flatten().collect();
            let whys: Vec<String> = whys.into_iter().collect();
            reasons.push(format!("{}: {}", describe(disk), whys.join(", ")));
        }
    }
    (found, reasons)
}

/// Names of the disks below everything that is mounted or swapped to, through partitions, RAID, device-mapper and Btrfs
/// (whose mounts have no device number of a disk).
pub fn busy(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mounts = fs::read_to_string(root.join("proc/self/mountinfo")).unwrap_or_default();
    for line in mounts.lines() {
        if let Some(number) = line.split(' ').nth(2) {
            below(root, &root.join("sys/dev/block").join(number), 0, &mut found);
        }
        let source = line.split(" - ").nth(1).and_then(|tail| tail.split(' ').nth(1));
        if let Some(name) = source.and_then(|source| source.strip_prefix("/dev/")) {
            below(root, &root.join("sys/class/block").join(name), 0, &mut found);
        }
    }
    let btrfs = root.join("sys/fs/btrfs");
    for devices in names(&btrfs).iter().map(|volume| btrfs.join(volume).join("devices")) {
        for name in names(&devices) {
            below(root, &root.join("sys/class/block").join(name), 0, &mut found);
        }
    }
    let swaps = fs::read_to_string(root.join("proc/swaps")).unwrap_or_default();
    for name in swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next()?.strip_prefix("/dev/"))
    {
        below(root, &root.join("sys/class/block").join(name), 0, &mut found);
    }
    found
}

fn below(root: &Path, device: &Path, depth: usize, found: &mut BTreeSet<String>) {
    let Ok(real) = fs::canonicalize(device) else { return };
    let slaves = names(&real.join("slaves"));
    if !slaves.is_empty() && depth < 8 {
        for slave in slaves {
            below(root, &root.join("sys/class/block").join(slave), depth + 1, found);
        }
        return;
    }
    let whole =
        if read_path(&real.join("partition")).is_empty() { Some(real.as_path()) } else { real.parent() };
    if let Some(name) = whole.and_then(Path::file_name) {
        found.insert(name.to_string_lossy().into_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(name: &str, size: u64, serial: &str) -> Disk {
        Disk {
            name: name.into(),
            path: format!("/dev/{name}"),
            size,
            serial: serial.into(),
            ..Disk::default()
        }
    }

    fn some() -> Vec<Disk> {
        vec![
            disk("sda", 100 << 30, "A"),
            disk("sdb", 100 << 30, "B"),
            disk("sdc", 8 << 30, "C"),
            Disk { removable: true, ..disk("sdd", 4 << 30, "D") },
        ]
    }

    fn check(rule: &DiskRule, busy: &[&str]) -> Result<String, String> {
        let busy = busy.iter().map(|name| (*name).to_owned()).collect();
        choose(&some(), rule, &busy).map(|disk| disk.name.clone())
    }

    #[test]
    fn rules() {
        let rule = DiskRule::default;
        assert_eq!(check(&DiskRule { serial: "b".into(), ..rule() }, &[]), Ok("sdb".into()));
        assert_eq!(check(&DiskRule { max_size: "10G".into(), ..rule() }, &[]), Ok("sdc".into()));
        assert_eq!(check(&DiskRule { pick: Pick::First, ..rule() }, &[]), Ok("sda".into()));
        assert_eq!(check(&DiskRule { pick: Pick::Smallest, ..rule() }, &[]), Ok("sdc".into()));
        assert_eq!(check(&DiskRule { path: "/dev/sdb".into(), ..rule() }, &[]), Ok("sdb".into()));
        assert_eq!(check(&DiskRule { pick: Pick::Largest, ..rule() }, &["sdb"]), Ok("sda".into()));
        assert_eq!(
            check(&DiskRule { serial: "D".into(), ..rule() }, &[]),
            Ok("sdd".into()),
            "removable, by name"
        );
    }

    #[test]
    fn several_rules_fit_several_disks() {
        let all = some();
        let rules = [
            DiskRule { max_size: "10G".into(), ..DiskRule::default() },
            DiskRule { serial: "A".into(), ..DiskRule::default() },
        ];
        let busy = ["sdb".to_owned()].into();
        let (found, reasons) = fitting(&all, &rules, &busy);
        let names: Vec<&str> = found.iter().map(|disk| disk.name.as_str()).collect();
        assert_eq!(names, ["sda", "sdc"]);
        assert_eq!(reasons.len(), 2);
        assert!(reasons[0].starts_with("/dev/sdb 100.0 GiB serial B: is in use"), "{reasons:?}");
        assert!(reasons[1].contains("has another serial, is removable"), "{reasons:?}");
        assert_eq!(fitting(&all, &[], &busy).0, Vec::<&Disk>::new(), "no rule fits nothing");
    }

    #[test]
    fn a_disk_on_a_plug_has_to_be_asked_for() {
        let stick = Disk { transport: "usb".into(), ..disk("sde", 1 << 40, "E") };
        let fits = |rule: DiskRule| fitting(std::slice::from_ref(&stick), &[rule], &BTreeSet::new()).0.len();
        assert_eq!(fits(DiskRule::default()), 0);
        assert_eq!(fits(DiskRule { min_size: "1G".into(), ..DiskRule::default() }), 0);
        assert_eq!(fits(DiskRule { serial: "E".into(), ..DiskRule::default() }), 1);
        assert_eq!(fits(DiskRule { transport: "usb".into(), ..DiskRule::default() }), 1);
        let own = disk("sda", 1 << 30, "A");
        let pick = |disks: &[Disk], rule: DiskRule| {
            choose(disks, &rule, &BTreeSet::new()).map(|disk| disk.name.clone())
        };
        let both = [own, stick.clone()];
        assert_eq!(pick(&both, DiskRule::default()), Ok("sda".into()));
        assert_eq!(pick(&both, DiskRule { pick: Pick::Largest, ..DiskRule::default() }), Ok("sda".into()));
        assert_eq!(
            pick(&both, DiskRule { transport: "usb".into(), ..DiskRule::default() }),
            Ok("sde".into())
        );
        let error =
            pick(&both[1..], DiskRule { pick: Pick::First, ..DiskRule::default() }).expect_err("refused");
        assert!(error.contains("is attached by usb, which the rule does not ask for"), "{error}");
    }

    /// Btrfs mounts have a device number of their own, and say one of the disks at most.
    #[test]
    fn all_disks_of_a_mounted_btrfs_are_busy() {
        let folder = crate::testing::TempDir::new();
        let root = folder.path();
        let mounts = "36 25 0:35 /@ / rw - btrfs /dev/sda2 rw\n37 25 0:5 / /dev rw - devtmpfs udev rw\n";
        fs::create_dir_all(root.join("proc/self")).expect("a folder");
        fs::write(root.join("proc/self/mountinfo"), mounts).expect("a file");
        for (name, partition) in [("sda", "sda2"), ("sdb", "sdb1"), ("sdc", "sdc1")] {
            let place = root.join("sys/devices").join(name).join(partition);
            fs::create_dir_all(&place).expect("a folder");
            fs::write(place.join("partition"), "1\n").expect("a file");
            fs::create_dir_all(root.join("sys/class/block")).expect("a folder");
            std::os::unix::fs::symlink(&place, root.join("sys/class/block").join(partition)).expect("a link");
        }
        for partition in ["sda2", "sdb1"] {
            fs::create_dir_all(root.join("sys/fs/btrfs/3f0a/devices").join(partition)).expect("a folder");
        }
        assert_eq!(busy(root), BTreeSet::from(["sda".to_owned(), "sdb".to_owned()]));
    }

    #[test]
    fn doubt_is_refused_with_the_candidates() {
        let error = check(&DiskRule::default(), &[]).expect_err("ambiguous");
        assert!(error.starts_with("3 disks fit") && error.contains("/dev/sda 100.0 GiB serial A"), "{error}");
        let error = check(&DiskRule { pick: Pick::Largest, ..DiskRule::default() }, &[]).expect_err("tie");
        assert!(error.starts_with("2 disks fit"), "{error}");
        let error =
            check(&DiskRule { serial: "A".into(), ..DiskRule::default() }, &["sda"]).expect_err("busy");
        assert!(
            error.contains("in use by the running system") && error.contains("has another serial"),
            "{error}"
        );
    }
}
