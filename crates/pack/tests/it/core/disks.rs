//! What the task disk-erase does to files that play disks.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Bench, Ran, script, there_is};

const MIB: u64 = 1 << 20;
/// Not a whole number of MiB, as real disks are not.
const SIZE: u64 = 40 * MIB + 1536;

/// A bench whose `gantry-agent disks` finds files of the folder; `disks` are their names and transports.
fn bench(disks: &[(&str, &str)]) -> Bench {
    let bench = Bench::new();
    let mut list = String::from("#!/bin/sh\necho \"$@\" >> asked\n");
    for (name, transport) in disks {
        let path = bench.folder.path().join(name);
        File::create(&path).unwrap().set_len(SIZE).unwrap();
        list +=
            &format!("printf '{}\\t{SIZE}\\t{transport}\\tssd\\t{name} of the test\\n'\n", path.display());
    }
    // Those of the host must not be asked about files; each test says what its disks can.
    let cannot = "#!/bin/sh\nexit 1\n";
    bench
        .program("gantry-agent", &list)
        .program("blkdiscard", cannot)
        .program("nvme", cannot)
        .program("hdparm", cannot)
        .program("drpcli", "#!/bin/sh\necho \"$@\" >> told\n")
}

fn place(bench: &Bench, name: &str) -> PathBuf {
    bench.folder.path().join(name)
}

/// Something in many places of the disk, a label of ext4 and the signatures of GPT at both ends among it.
fn fill(bench: &Bench, name: &str) {
    let mut file = File::options().write(true).open(place(bench, name)).unwrap();
    for at in (0..SIZE).step_by(777_777) {
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(b"precious").unwrap();
    }
    file.write_all_at(&[0x53, 0xef], 0x438).unwrap();
    file.write_all_at(b"EFI PART", 512).unwrap();
    file.write_all_at(b"EFI PART", SIZE - 512).unwrap();
}

/// Data between the ends, where samples are taken.
fn fill_between(bench: &Bench, name: &str) {
    let file = File::options().write(true).open(place(bench, name)).unwrap();
    file.write_all_at(&[1; 4 << 20], 18 * MIB).unwrap();
}

/// The offset of the first byte that is not as it should be.
fn first_other(bench: &Bench, name: &str, wanted: u8) -> Option<usize> {
    let mut bytes = Vec::new();
    File::open(place(bench, name)).unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, SIZE, "the file changed its size");
    bytes.iter().position(|byte| *byte != wanted)
}

fn erase(bench: &Bench, params: &Value) -> Ran {
    let mut all = json!({"disk-erase/confirm": "node1.example.org"});
    all.as_object_mut().unwrap().extend(params.as_object().unwrap().clone());
    fs::write(place(bench, "rules.json"), script("disk-erase", "rules", &all).unwrap()).unwrap();
    bench.run(&script("disk-erase", "disk-erase", &all).unwrap())
}

#[test]
fn without_its_name_nothing_is_touched() {
    for confirm in ["", "node1", "it's", "node2.example.org"] {
        let bench = bench(&[("a", "virtio")]);
        fill(&bench, "a");
        let ran = erase(&bench, &json!({"disk-erase/confirm": confirm}));
        assert_eq!(ran.code, 1, "{}", ran.log);
        assert!(ran.log.contains("refused: the parameter disk-erase/confirm is"), "{}", ran.log);
        assert!(!place(&bench, "asked").exists() && first_other(&bench, "a", 0).is_some());
    }
}

#[test]
fn every_byte_of_every_disk_is_overwritten() {
    let bench = bench(&[("a", "virtio"), ("b", "sata")]);
    fill(&bench, "a");
    fill(&bench, "b");
    let ran = erase(&bench, &json!({"disk-erase/method": "overwrite", "disk-erase/verify": "full"}));
    assert_eq!(ran.code, 0, "{}", ran.log);
    assert_eq!((first_other(&bench, "a", 0), first_other(&bench, "b", 0)), (None, None));
    assert!(
        ran.log.contains("reads as erased (full)") && ran.log.contains("all disks are erased"),
        "{}",
        ran.log
    );
    assert_eq!(fs::read_to_string(place(&bench, "asked")).unwrap(), "disks --rules rules.json\n");
    assert_eq!(fs::read_to_string(place(&bench, "rules.json")).unwrap(), "[{}]\n");
    let told = fs::read_to_string(place(&bench, "told")).unwrap();
    let calls =
        ["get", "remove"].map(|verb| format!("machines {verb} {} param disk-erase/confirm\n", super::UUID));
    assert_eq!(told, calls.concat());
}

/// Another erasure must not find the confirmation of this one.
#[test]
fn a_confirmation_that_stays_fails_the_task() {
    let drpcli = "#!/bin/sh\n[ \"$2\" = get ] && echo '\"node1.example.org\"'\n";
    let bench = bench(&[("a", "virtio")]).program("drpcli", drpcli).program("sleep", "#!/bin/sh\n");
    let ran = erase(&bench, &json!({"disk-erase/method": "quick"}));
    assert_eq!(ran.code, 1, "{}", ran.log);
    assert!(ran.log.contains("the confirmation stays"), "{}", ran.log);
    let bench = self::bench(&[("a", "virtio")]).program("drpcli", "#!/bin/sh\necho null\n");
    let ran = erase(&bench, &json!({"disk-erase/method": "quick"}));
    assert_eq!(ran.code, 0, "one of a profile stays: {}", ran.log);
}

/// What hdparm says of a disk, and what comes of it. `erase` is what the erase command does to the file `$disk`.
fn ata(security: &str, erase: &str) -> Bench {
    let text = format!(
        "ATA device\n\nSecurity: \n\tMaster password revision code = 65534\n{security}\nChecksum: correct\n"
    );
    let hdparm = format!(
        "#!/bin/sh\nfor disk; do :; done\ncase \"$*\" in\n-I*) printf '%s' '{text}' ;;\n*--security-erase*) echo \"$@\" >> asked-ata; {erase} ;;\n*) echo \"$@\" >> asked-ata ;;\nesac\n"
    );
    bench(&[("a", "sata")]).program("hdparm", &hdparm)
}

const ZEROS: &str = "head -c \"$(stat -c %s \"$disk\")\" /dev/zero > zeros && cat zeros > \"$disk\"";

#[test]
fn a_sata_disk_erases_itself_where_it_can() {
    let able =
        "\t\tsupported\n\tnot\tenabled\n\tnot\tlocked\n\tnot\tfrozen\n\tnot\tsupported: enhanced erase";
    let bench = ata(able, ZEROS);
    fill(&bench, "a");
    let ran = erase(&bench, &json!({"disk-erase/method": "secure-erase", "disk-erase/verify": "full"}));
    assert_eq!((ran.code, first_other(&bench, "a", 0)), (0, None), "{}", ran.log);
    let asked = fs::read_to_string(place(&bench, "asked-ata")).unwrap();
    assert!(
        asked.contains("--security-set-pass gantry") && asked.contains("--security-erase gantry"),
        "{asked}"
    );

    for unable in [
        "\tnot\tsupported\n\tnot\tenabled\n\tnot\tlocked\n\tnot\tfrozen",
        "\t\tsupported\n\tnot\tenabled\n\tnot\tlocked\n\t\tfrozen\n\t\tsupported: enhanced erase",
    ] {
        let bench = ata(unable, ZEROS);
        fill(&bench, "a");
        let ran = erase(&bench, &json!({"disk-erase/method": "secure-erase"}));
        assert_eq!(ran.code, 1, "{unable}: {}", ran.log);
        assert!(!place(&bench, "asked-ata").exists(), "{unable}");
    }
}

#[test]
fn a_disk_that_was_cut_off_while_it_erased_itself_is_unlocked_first() {
    let locked = "\t\tsupported\n\t\tenabled\n\t\tlocked\n\tnot\tfrozen";
    let bench = ata(locked, ZEROS);
    fill(&bench, "a");
    let ran = erase(&bench, &json!({}));
    assert_eq!(ran.code, 1, "{}", ran.log);
    assert!(ran.log.contains("is locked with a password that is not known here"), "{}", ran.log);
    let asked = fs::read_to_string(place(&bench, "asked-ata")).unwrap();
    assert!(
        asked.contains("--security-unlock gantry") && asked.contains("--security-disable gantry"),
        "{asked}"
    );
    assert!(first_other(&bench, "a", 0).is_some(), "nothing was written to a disk that takes nothing");
}

/// What a self-encrypting disk shows after it has thrown its key away is noise.
#[test]
fn a_disk_that_reads_as_noise_after_its_own_command_is_overwritten() {
    let nvme = "#!/bin/sh\nexit 0\n";
    let bench = bench(&[("a", "nvme")]).program("nvme", nvme);
    let noise: Vec<u8> = (0..SIZE).map(|at| (at % 251) as u8).collect();
    fs::write(place(&bench, "a"), noise).unwrap();
    let ran = erase(&bench, &json!({}));
    assert_eq!((ran.code, first_other(&bench, "a", 0)), (0, None), "{}", ran.log);
    assert!(ran.log.contains("does not read as erased after its own command"), "{}", ran.log);
}

/// A disk that somebody else holds is no disk to erase, whatever the list said.
#[test]
fn a_disk_in_use_is_left_alone() {
    let wipefs = "#!/bin/sh\ncase \"$*\" in *--no-act*) echo 'wipefs: error: probing initialization failed: Device or resource busy' >&2; exit 1 ;; esac\n";
    let bench = bench(&[("a", "virtio")]).program("wipefs", wipefs);
    fill(&bench, "a");
    let before = fs::read(place(&bench, "a")).unwrap();
    let ran = erase(&bench, &json!({"disk-erase/method": "overwrite"}));
    assert_eq!((ran.code, fs::read(place(&bench, "a")).unwrap() == before), (1, true), "{}", ran.log);
    assert!(ran.log.contains("is left alone: wipefs: error: probing"), "{}", ran.log);
}

#[test]
fn a_disk_that_cannot_erase_itself_is_overwritten() {
    let bench = bench(&[("a", "nvme")]);
    fill(&bench, "a");
    let ran = erase(&bench, &json!({}));
    assert_eq!((ran.code, first_other(&bench, "a", 0)), (0, None), "{}", ran.log);
    assert!(ran.log.contains("MiB of zeros"), "{}", ran.log);
}

/// A discard is a hint; a disk may keep its bytes, and say that all went well.
#[test]
fn a_discard_that_did_nothing_is_noticed() {
    let lying = || bench(&[("a", "virtio")]).program("blkdiscard", "#!/bin/sh\nexit 0\n");
    let bench = lying();
    fill(&bench, "a");
    fill_between(&bench, "a");
    let ran = erase(&bench, &json!({"disk-erase/method": "discard"}));
    assert_eq!(ran.code, 1, "{}", ran.log);
    assert!(
        ran.log.contains("does not read as zeros after a discard") && ran.log.contains("not erased"),
        "{}",
        ran.log
    );
    assert!(!place(&bench, "told").exists(), "the confirmation went");

    let bench = lying();
    fill(&bench, "a");
    fill_between(&bench, "a");
    let ran = erase(&bench, &json!({}));
    assert_eq!((ran.code, first_other(&bench, "a", 0)), (0, None), "{}", ran.log);
}

/// NVMe: what a format leaves may be ones, but not data.
#[test]
fn a_disk_may_erase_itself_to_ones() {
    let nvme = "#!/bin/sh\necho \"$@\" >> format\nlast=$2\nhead -c \"$(stat -c %s \"$last\")\" /dev/zero | tr '\\000' '\\377' > ones && cat ones > \"$last\"\n";
    let bench = bench(&[("a", "nvme")]).program("nvme", nvme);
    fill(&bench, "a");
    let ran = erase(&bench, &json!({"disk-erase/method": "secure-erase", "disk-erase/verify": "full"}));
    assert_eq!(ran.code, 0, "{}", ran.log);
    assert!(fs::read_to_string(place(&bench, "format")).unwrap().contains("--ses=1"));
    assert_eq!(first_other(&bench, "a", 0), Some(16 << 20), "the ends are zeros, what is between ones");
}

#[test]
fn quick_takes_what_boots_and_says_no_more() {
    let bench = bench(&[("a", "virtio")]);
    fill(&bench, "a");
    let ran = erase(&bench, &json!({"disk-erase/method": "quick"}));
    assert_eq!(ran.code, 0, "{}", ran.log);
    assert!(ran.log.contains("reads as erased (ends)"), "{}", ran.log);
    let mut bytes = fs::read(place(&bench, "a")).unwrap();
    let tail = bytes.split_off(bytes.len() - (16 << 20));
    assert!(tail.iter().all(|byte| *byte == 0) && bytes[..16 << 20].iter().all(|byte| *byte == 0));
    assert!(bytes.iter().any(|byte| *byte != 0), "the middle is left");
    if there_is("blkid") {
        let found = std::process::Command::new("blkid").arg("-p").arg(place(&bench, "a")).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    }
}

#[test]
fn one_bad_disk_fails_the_task_after_the_others_are_done() {
    let bench = bench(&[("a", "virtio"), ("bad", "virtio")]);
    fill(&bench, "a");
    fs::remove_file(place(&bench, "bad")).unwrap();
    fs::create_dir(place(&bench, "bad")).unwrap();
    let ran = erase(&bench, &json!({"disk-erase/method": "overwrite"}));
    assert_eq!((ran.code, first_other(&bench, "a", 0)), (1, None), "{}", ran.log);
    assert!(ran.log.contains(&format!("not erased: {}", place(&bench, "bad").display())), "{}", ran.log);
}

#[test]
fn no_disk_is_a_failure() {
    let ran = erase(&bench(&[]), &json!({}));
    assert_eq!(ran.code, 1, "{}", ran.log);
    assert!(ran.log.contains("no disk fits the parameter disk-erase/disks"), "{}", ran.log);
}
