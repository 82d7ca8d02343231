//! Kernel modules: which a device asks for, what they need, and loading them.
//!
//! Devices say what they are in `modalias` files; `modules.alias` maps patterns over these to modules and
//! `modules.dep` names what each module needs first (both written by depmod). A full scan of patterns for
//! every device is slow under emulation, so patterns are found by their literal beginning.
//! Modules may be compressed; a kernel that cannot unpack them gets them unpacked.

use crate::inventory::{names, read_path};
use crate::runner::say;
use crate::sys;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Largest unpacked module, in bytes.
const MAX_MODULE: u64 = 128 << 20;
/// Depth of the device tree, at most.
const MAX_DEPTH: usize = 24;

/// Which devices to find drivers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Network cards, and buses that hide some.
    Network,
    /// Everything.
    All,
}

/// The modules of one kernel.
#[derive(Debug, Default)]
pub struct Modules {
    base: PathBuf,
    devices: PathBuf,
    index: Index,
    done: HashSet<String>,
    loaded: usize,
}

impl Modules {
    /// Reads the indexes of a kernel below a root.
    pub fn open(root: &Path, release: &str) -> Self {
        let base = root.join("lib/modules").join(release);
        let text = |name: &str| fs::read_to_string(base.join(name)).unwrap_or_default();
        let index = Index::parse(&text("modules.dep"), &text("modules.alias"));
        Self { devices: root.join("sys/devices"), base, index, ..Self::default() }
    }

    /// Loads drivers for all present devices; twice, for a bus driver brings new devices.
    pub fn coldplug(&mut self, wanted: Wanted) {
        for _ in 0..2 {
            let mut found = BTreeSet::new();
            collect(&self.devices, 0, &mut found);
            for alias in found.iter().filter(|alias| wanted == Wanted::All || is_network(alias)) {
                self.load(alias);
            }
        }
    }

    /// Loads what a name or an alias stands for. True when there was something.
    pub fn load(&mut self, name: &str) -> bool {
        let files = self.index.resolve(name);
        for file in &files {
            self.insert(file);
        }
        !files.is_empty()
    }

    /// How many modules were loaded.
    pub fn count(&self) -> usize {
        self.loaded
    }

    fn insert(&mut self, file: &str) {
        if !self.done.insert(file.to_owned()) {
            return;
        }
        match insert(&self.base.join(file)) {
            Ok(()) => self.loaded += 1,
            Err(error) if matches!(error.raw_os_error(), Some(libc::EEXIST | libc::ENODEV)) => {}
            Err(error) => say(&format!("module {file}: {error}")),
        }
    }
}

/// `modprobe -q [-a] [-b] NAME…`, as the kernel calls it. Exit code 0 when every name was found.
pub fn modprobe(arguments: &[String]) -> u8 {
    let mut modules = Modules::open(Path::new("/"), &sys::kernel_release());
    let mut all = true;
    for name in arguments.iter().filter(|argument| !argument.starts_with('-')) {
        all &= modules.load(name);
    }
    u8::from(!all)
}

/// Network classes, virtio and USB host controllers, and the paravirtual buses.
fn is_network(alias: &str) -> bool {
    alias.starts_with("pci:")
        && (alias.contains("bc02") || alias.contains("v00001AF4") || alias.contains("bc0Csc03"))
        || ["virtio:d00000001", "vmbus:", "xen:vif", "usb:", "of:"]
            .iter()
            .any(|prefix| alias.starts_with(prefix))
}

/// All modaliases below a folder.
fn collect(dir: &Path, depth: usize, found: &mut BTreeSet<String>) {
    if depth > MAX_DEPTH {
        return;
    }
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => collect(&entry.path(), depth + 1, found),
            Ok(kind) if kind.is_file() && entry.file_name() == "modalias" => {
                let alias = read_path(&entry.path());
                if !alias.is_empty() {
                    found.insert(alias);
                }
            }
            _ => {}
        }
    }
}

fn insert(path: &Path) -> io::Result<()> {
    let file = fs::File::open(path)?;
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    if extension == "ko" {
        return sys::finit_module(&file, false);
    }
    match sys::finit_module(&file, true) {
        Ok(()) => Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Err(error),
        Err(_) => sys::init_module(&unpack(file, extension)?),
    }
}

fn unpack(file: fs::File, extension: &str) -> io::Result<Vec<u8>> {
    let mut image = Vec::new();
    let mut reader: Box<dyn Read> = match extension {
        "gz" => Box::new(flate2::read::GzDecoder::new(file)),
        "xz" => Box::new(lzma_rust2::XzReader::new(io::BufReader::new(file), true)),
        "zst" => Box::new(zstd::stream::read::Decoder::new(file)?),
        _ => Box::new(file),
    };
    reader.by_ref().take(MAX_MODULE).read_to_end(&mut image)?;
    Ok(image)
}

/// Names to files, aliases to names.
#[derive(Debug, Default)]
struct Index {
    /// Name to its file and to what it needs, nearest first.
    files: HashMap<String, (String, Vec<String>)>,
    /// Literal beginning of a pattern to patterns and modules.
    aliases: HashMap<String, Vec<(String, String)>>,
}

impl Index {
    fn parse(dep: &str, alias: &str) -> Self {
        let mut index = Self::default();
        for (file, needs) in dep.lines().filter_map(|line| line.split_once(':')) {
            let needs = needs.split_whitespace().map(str::to_owned).collect();
            index.files.insert(module_name(file), (file.to_owned(), needs));
        }
        for line in alias.lines() {
            let mut words = line.split(' ');
            let (Some("alias"), Some(pattern), Some(module)) = (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let literal = pattern.split(['*', '?', '[']).next().unwrap_or_default();
            let row = (pattern.to_owned(), module.replace('-', "_"));
            index.aliases.entry(literal.to_owned()).or_default().push(row);
        }
        index
    }

    /// The files to load, in order, for a module name or an alias.
    fn resolve(&self, name: &str) -> Vec<String> {
        let plain = name.replace('-', "_");
        if self.files.contains_key(&plain) {
            return self.with_needs(&plain);
        }
        self.matching(name).iter().flat_map(|module| self.with_needs(module)).collect()
    }

    fn matching(&self, alias: &str) -> Vec<&str> {
        let beginnings = (0..=alias.len()).filter_map(|end| alias.get(..end));
        let rows = beginnings.filter_map(|start| self.aliases.get(start)).flatten();
        let mut modules: Vec<&str> = rows
            .filter(|(pattern, _)| glob(pattern.as_bytes(), alias.as_bytes()))
            .map(|(_, module)| module.as_str())
            .collect();
        modules.sort_unstable();
        modules.dedup();
        modules
    }

    fn with_needs(&self, module: &str) -> Vec<String> {
        let Some((file, needs)) = self.files.get(module) else { return Vec::new() };
        needs.iter().rev().chain(std::iter::once(file)).cloned().collect()
    }
}

fn module_name(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.split(".ko").next().unwrap_or(name).replace('-', "_")
}

/// Shell patterns with `*`, `?` and `[…]`; the time is bounded by the product of the lengths.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match step(pattern.get(p..).unwrap_or_default(), text[t]) {
            Some(0) => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(width) => {
                p += width;
                t += 1;
            }
            None => {
                let Some((after, from)) = star else { return false };
                star = Some((after, from + 1));
                (p, t) = (after, from + 1);
            }
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

/// Width of the pattern's first element if it takes `byte`; 0 for a star.
fn step(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern.first()? {
        b'*' => Some(0),
        b'?' => Some(1),
        b'[' => {
            let end = pattern.iter().position(|b| *b == b']')?;
            set_has(&pattern[1..end], byte).then_some(end + 1)
        }
        literal => (*literal == byte).then_some(1),
    }
}

fn set_has(set: &[u8], byte: u8) -> bool {
    let mut i = 0;
    while i < set.len() {
        if let [low, b'-', high, ..] = set[i..] {
            if (low..=high).contains(&byte) {
                return true;
            }
            i += 3;
        } else {
            if set[i] == byte {
                return true;
            }
            i += 1;
        }
    }
    false
}

/// The names of network interfaces below a root, without the loopback.
pub fn interfaces(root: &Path) -> Vec<String> {
    names(&root.join("sys/class/net")).into_iter().filter(|name| name != "lo").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "kernel/net/virtio_net.ko: kernel/net/failover.ko kernel/core/failover.ko\n\
        kernel/core/failover.ko:\nkernel/net/failover.ko: kernel/core/failover.ko\nkernel/drivers/e1000e.ko.xz:\n";
    const ALIAS: &str = "# comment\nalias virtio:d00000001v* virtio-net\n\
        alias pci:v00008086d000010D3sv*sd*bc*sc*i* e1000e\nalias fs-ext4 ext4\nalias acpi*:PNP0C0[AB]:* button\n";

    #[test]
    fn a_device_finds_its_driver_and_what_it_needs() {
        let index = Index::parse(DEP, ALIAS);
        assert_eq!(
            index.resolve("virtio:d00000001v00001AF4"),
            ["kernel/core/failover.ko", "kernel/net/failover.ko", "kernel/net/virtio_net.ko"]
        );
        assert_eq!(
            index.resolve("pci:v00008086d000010D3sv00008086sd0000A01Fbc02sc00i00"),
            ["kernel/drivers/e1000e.ko.xz"]
        );
        assert_eq!(index.resolve("e1000e").len(), 1);
        assert!(index.resolve("pci:v00008086d000010D4sv0sd0bc02sc00i00").is_empty());
    }

    #[test]
    fn patterns() {
        let yes = |pattern: &str, text: &str| glob(pattern.as_bytes(), text.as_bytes());
        assert!(yes("acpi*:PNP0C0[AB]:*", "acpi:PNP0C0A:"));
        assert!(!yes("acpi*:PNP0C0[AB]:*", "acpi:PNP0C0C:"));
        assert!(yes("a[0-9]?*z", "a5xyz") && yes("*", "") && yes("a*b*c", "aXbYbc"));
        assert!(!yes("a*b*c", "aXbY") && !yes("", "x") && !yes("[", "["));
    }

    #[test]
    fn network_devices_come_first() {
        for alias in [
            "pci:v00008086d000010D3sv00008086sd0000A01Fbc02sc00i00",
            "virtio:d00000001v00001AF4",
            "pci:v00001AF4d00001041sv00001AF4sd00001100bc02sc00i00",
        ] {
            assert!(is_network(alias), "{alias}");
        }
        assert!(!is_network("pci:v00008086d00002922sv00001AF5sd00001100bc01sc06i01"));
        assert!(!is_network("acpi:PNP0C0A:"));
    }

    proptest::proptest! {
        #[test]
        fn any_pattern_ends(pattern in "[a*?\\[\\]-]{0,20}", text in "[a\\[-]{0,40}") {
            let _ = glob(pattern.as_bytes(), text.as_bytes());
        }

        #[test]
        fn a_text_matches_itself_and_a_star(text in "[a-z0-9:]{0,40}") {
            proptest::prop_assert!(glob(text.as_bytes(), text.as_bytes()));
            proptest::prop_assert!(glob(b"*", text.as_bytes()));
        }
    }
}
