//! The discovery OS is built twice alike, boots in 512 MB and has what tasks need.

use crate::machine::Machine;
use crate::{Lines, cache};
use gantry_image::apt::Refresh;
use gantry_image::cpio::{Node, Reader};
use gantry_image::description::Description;
use gantry_image::discovery::{DEFAULT_TIME, Options, build};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// Stands in for the agent: loads modules by alias twice, tries tools, and powers off.
const INIT: &str = include_str!("init.sh");

fn options(dir: &Path, kernel: &str) -> Options {
    let agent = dir.join("agent");
    fs::write(&agent, INIT).unwrap();
    Options {
        out: dir.join("out"),
        cache: cache(),
        agent: Some(agent),
        kernel: kernel.into(),
        level: 1,
        layers: Vec::new(),
        append: Vec::new(),
        limit: None,
        time: DEFAULT_TIME,
        refresh: Refresh::Daily,
        uki: None,
        description: Description::load(None, &[]).unwrap(),
    }
}

#[test]
#[ignore = "fetches Debian packages"]
fn the_same_inputs_give_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path(), "cloud");
    options.layers = vec!["ssh".into()];
    options.uki = Some("quiet".into());
    let first = build(&options, &Lines).unwrap();
    // Without the finished layers everything is made again.
    fs::remove_dir_all(cache().join("layers")).unwrap();
    options.out = dir.path().join("again");
    let second = build(&options, &Lines).unwrap();
    assert_eq!(first, second);
    let names: Vec<_> = first.files.keys().map(String::as_str).collect();
    assert_eq!(names, ["discovery.efi", "initrd.img", "layer-agent.img", "layer-ssh.img", "vmlinuz"]);
    for name in names {
        let bytes = |folder: &str| fs::read(dir.path().join(folder).join(name)).unwrap();
        assert!(bytes("out") == bytes("again"), "{name}");
    }
}

/// What the archives hold, one behind the other; zeros between them are padding.
fn unpacked(mut packed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(start) = packed.iter().position(|byte| *byte != 0) {
        let mut frame = zstd::Decoder::with_buffer(&packed[start..]).unwrap().single_frame();
        frame.read_to_end(&mut bytes).unwrap();
        packed = frame.finish();
    }
    bytes
}

#[test]
#[ignore = "fetches Debian packages"]
fn the_archive_keeps_its_promises_to_pid_1() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), "cloud");
    build(&options, &Lines).unwrap();
    let packed = fs::read(options.out.join("initrd.img")).unwrap();
    let bytes = unpacked(&packed);
    let entries: Vec<_> = Reader::new(&bytes).collect::<Result<_, _>>().unwrap();
    let find =
        |path: &str| entries.iter().find(|entry| entry.path == path.as_bytes()).map(|entry| entry.node);
    assert_eq!(find("dev/console"), Some(Node::CharacterDevice(5, 1)));
    assert_eq!(find("sbin/modprobe"), Some(Node::Link(b"/bin/busybox")));
    for dir in ["proc", "sys", "dev", "run", "tmp", "mnt", "root"] {
        assert_eq!(find(dir), Some(Node::Directory), "{dir}");
    }
    for tool in ["bin/bash", "usr/bin/jq", "usr/bin/curl", "sbin/sgdisk", "sbin/kexec", "usr/bin/ipmitool"] {
        assert!(matches!(find(tool), Some(Node::File(_))), "{tool}");
    }
    let dep = entries.iter().find(|entry| entry.path.ends_with(b"/modules.dep")).unwrap();
    let Node::File(dep) = dep.node else { panic!("modules.dep is a file") };
    assert!(String::from_utf8_lossy(dep).contains("virtio_net.ko:"));
}

#[test]
#[ignore = "fetches Debian packages and boots QEMU"]
fn it_boots_in_512_mb_and_every_tool_finds_its_libraries() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), "generic");
    build(&options, &Lines).unwrap();
    let disk = dir.path().join("disk");
    fs::File::create(&disk).unwrap().set_len(2 << 30).unwrap();
    let file = |name: &str| options.out.join(name).display().to_string();
    let (kernel, initrd) = (file("vmlinuz"), file("initrd.img"));
    let drive = format!("if=none,id=d,format=raw,file={}", disk.display());
    let args = [
        "-kernel",
        &kernel,
        "-initrd",
        &initrd,
        "-append",
        "console=ttyS0 quiet",
        "-drive",
        &drive,
        "-device",
        "nvme,drive=d,serial=1",
        "-device",
        "virtio-net-pci",
        "-device",
        "e1000e",
    ];
    let mut machine = Machine::start(512, &args);
    let limit = Duration::from_secs(240);
    let (line, at) = machine.wait("TEST pid1", limit);
    println!("{line} after {at:?}");
    let (line, at) = machine.wait("TEST coldplug", limit);
    println!("{line} after {at:?}");
    assert!(line.contains("eth0") && line.contains("eth1") && line.contains("nvme0n1"), "{line}");
    let (line, _) = machine.wait("TEST libraries", limit);
    assert_eq!(line, "TEST libraries ok", "{}", machine.seen.join("\n"));
    for what in ["ext4", "xfs", "vfat", "lvm", "md"] {
        let (line, _) = machine.wait(&format!("TEST {what} "), limit);
        assert_eq!(line, format!("TEST {what} ok"), "{}", machine.seen.join("\n"));
    }
    let (line, _) = machine.wait("TEST done", limit);
    println!("{line}");
}
