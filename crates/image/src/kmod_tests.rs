//! Selection and indexes, on modules made here: an ELF file with nothing but a `.modinfo` section.

use super::*;
use proptest::prelude::*;

/// A 64-bit little-endian ELF file with the sections `.modinfo` and `.shstrtab`.
fn module(info: &str) -> Vec<u8> {
    let names = b"\0.modinfo\0.shstrtab\0";
    let info = info.replace(' ', "\0");
    let (info_at, names_at) = (64, 64 + info.len());
    let table_at = (names_at + names.len()).next_multiple_of(8);
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let half = |elf: &mut Vec<u8>, value: usize| elf.extend_from_slice(&(value as u16).to_le_bytes());
    let word = |elf: &mut Vec<u8>, value: usize| elf.extend_from_slice(&(value as u32).to_le_bytes());
    let long = |elf: &mut Vec<u8>, value: usize| elf.extend_from_slice(&(value as u64).to_le_bytes());
    [1, 62].iter().for_each(|value| half(&mut elf, *value));
    word(&mut elf, 1);
    [0, 0, table_at].iter().for_each(|value| long(&mut elf, *value));
    word(&mut elf, 0);
    [64, 0, 0, 64, 3, 2].iter().for_each(|value| half(&mut elf, *value));
    elf.extend_from_slice(info.as_bytes());
    elf.extend_from_slice(names);
    elf.resize(table_at, 0);
    for (name, kind, at, len) in [(0, 0, 0, 0), (1, 1, info_at, info.len()), (10, 3, names_at, names.len())] {
        word(&mut elf, name);
        word(&mut elf, kind);
        [0, 0, at, len].iter().for_each(|value| long(&mut elf, *value));
        [0, 0].iter().for_each(|value| word(&mut elf, *value));
        [1, 0].iter().for_each(|value| long(&mut elf, *value));
    }
    elf
}

/// A package's root with the modules that the tests below select from.
fn package() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("lib/modules/6.1.0-test");
    let put = |path: &str, info: &str| {
        let file = root.join("kernel").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, module(info)).unwrap();
    };
    put("net/virtio_net.ko", "license=GPL alias=virtio:d1v* depends=virtio,net-failover firmware=a.bin");
    put("net/net_failover.ko", "depends=failover");
    put("net/failover.ko", "depends=");
    put("net/old.ko", "depends=virtio alias=pci:old");
    put("virtio/virtio.ko", "depends=");
    put("fs/ext4.ko", "depends=jbd2 alias=fs-ext4 softdep=pre:\u{1}crc32c");
    put("fs/jbd2.ko", "depends=");
    put("crypto/crc32c.ko", "depends= alias=crypto-crc32c");
    fs::write(root.join("modules.builtin"), "kernel/fs/proc-fs.ko\n").unwrap();
    dir
}

fn select(include: &[&str], exclude: &[&str]) -> Selected {
    let package = package();
    let owned = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect();
    let selection = Selection { include: owned(include), exclude: owned(exclude) };
    Modules::open(package.path()).unwrap().select(&selection).unwrap()
}

#[test]
fn dependencies_come_along_and_stand_in_loading_order_from_right_to_left() {
    let selected = select(&["virtio-net"], &[]);
    assert_eq!(
        selected.dep(),
        "kernel/net/failover.ko:\n\
         kernel/net/net_failover.ko: kernel/net/failover.ko\n\
         kernel/virtio/virtio.ko:\n\
         kernel/net/virtio_net.ko: kernel/net/net_failover.ko kernel/net/failover.ko kernel/virtio/virtio.ko\n"
    );
    assert_eq!(selected.alias(), "alias virtio:d1v* virtio_net\n");
    assert_eq!(selected.firmware().into_iter().collect::<Vec<_>>(), ["a.bin"]);
}

#[test]
fn directories_patterns_and_exclusions() {
    let names = |include: &[&str], exclude: &[&str]| {
        select(include, exclude).modules.keys().cloned().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&["kernel/fs/"], &[]), "ext4 jbd2");
    assert_eq!(names(&["kernel/fs/e*.ko"], &["jbd2"]), "ext4 jbd2", "a dependency is never left out");
    assert_eq!(names(&["kernel/net/"], &["kernel/net/*_net.ko", "net_failover"]), "failover old virtio");
    assert_eq!(names(&["kernel/ne"], &[]), "", "a directory is matched as a whole");
}

#[test]
fn what_a_kernel_does_not_have_is_told_but_built_in_is_fine() {
    assert_eq!(select(&["proc_fs", "nothing", "kernel/none/"], &[]).unmatched, ["nothing", "kernel/none/"]);
}

#[test]
fn the_tree_gets_modules_and_indexes() {
    let mut tree = Tree::default();
    let selected = select(&["ext4"], &[]);
    selected.put(&mut tree);
    selected.put_indexes(&mut tree);
    let paths: Vec<_> =
        tree.iter().filter(|(_, node)| matches!(node, Node::File(..))).map(|(path, _)| path).collect();
    let dir = "/lib/modules/6.1.0-test";
    let expected = [
        "kernel/fs/ext4.ko",
        "kernel/fs/jbd2.ko",
        "modules.alias",
        "modules.builtin",
        "modules.dep",
        "modules.softdep",
    ];
    assert_eq!(paths, expected.map(|file| format!("{dir}/{file}")));
}

#[test]
fn a_layer_has_the_modules_that_the_base_lacks_and_one_index_covers_both() {
    let (mut all, base) = (select(&["kernel/net/"], &[]), select(&["virtio_net"], &[]));
    let mut layer = all.clone();
    layer.subtract(&base);
    assert_eq!(layer.modules.keys().collect::<Vec<_>>(), ["old"]);
    all.extend(&select(&["jbd2"], &[]));
    assert!(all.dep().contains("jbd2.ko:") && all.dep().contains("old.ko: kernel/virtio/virtio.ko"));
}

#[test]
fn soft_dependencies_are_companions() {
    let info = Info::parse(b"softdep=pre: crc32c post: a-b\0depends=x\0");
    assert_eq!(info.companions().collect::<Vec<_>>(), ["x", "crc32c", "a_b"]);
    assert_eq!(info.soft_depends, ["pre: crc32c post: a-b"]);
}

#[test]
fn a_file_that_is_no_module_is_refused() {
    let package = package();
    fs::write(package.path().join("lib/modules/6.1.0-test/kernel/fs/jbd2.ko"), "text").unwrap();
    let selection = Selection { include: vec!["ext4".into()], exclude: vec![] };
    let error = Modules::open(package.path()).unwrap().select(&selection).unwrap_err();
    assert!(error.to_string().contains("jbd2.ko: not a kernel module"), "{error}");
    assert!(Modules::open(Path::new("/nonexistent")).is_err());
}

proptest! {
    #[test]
    fn random_modinfo_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Info::parse(&bytes);
        let _ = Info::of_module(&bytes);
    }

    #[test]
    fn damaged_modules_never_panic(at in 0usize..350, value: u8) {
        let mut bytes = module("depends=a,b alias=c");
        let len = bytes.len();
        bytes[at % len] = value;
        let _ = Info::of_module(&bytes);
    }
}
