//! Kernel modules: which ones an image takes, and the index files that loaders read.
//!
//! Packages do not contain `modules.dep` and `modules.alias`; depmod makes them on the machine. Each module says all
//! that is needed in its `.modinfo` section (`depends=`, `alias=`, `softdep=`, `firmware=`), so [`Modules::select`]
//! makes the indexes itself, for the selected modules only.
//!
//! The base layer's indexes cover the modules of all layers. A file that an index names and that is absent belongs to a
//! layer that was not appended; a loader can say so.
//!
//! A selector is a module's name (`virtio_net`; `-` and `_` are alike), or a directory or file below the module
//! directory (`kernel/drivers/net/ethernet/`), in which `*` matches within a component.
//! Left out: `modules.symbols` and the binary `.bin` indexes (busybox and the agent read the text files).

use crate::Error;
use crate::description::Selection;
use crate::error::Doing;
use crate::libs::names;
use crate::tree::{Node, Source, Tree, matches};
use object::Endianness;
use object::elf::FileHeader64;
use object::read::elf::{FileHeader as _, SectionHeader as _};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// No module unpacks to more than this; a compressed one that claims more is refused.
const MAX_MODULE_LEN: u64 = 64 << 20;

/// What a module says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Info {
    /// Names of the modules that must be loaded before.
    pub depends: Vec<String>,
    /// Patterns of devices and services for which the module is meant.
    pub aliases: Vec<String>,
    /// Modules that should be loaded before or after if present: `pre: a b post: c`.
    pub soft_depends: Vec<String>,
    /// Firmware files that it may ask for, relative to `/lib/firmware`.
    pub firmware: Vec<String>,
}

impl Info {
    /// Reads a `.modinfo` section: `key=value` strings, each ended by a NUL.
    pub fn parse(section: &[u8]) -> Self {
        let mut info = Self::default();
        for entry in section.split(|&byte| byte == 0) {
            let Some((key, value)) = std::str::from_utf8(entry).ok().and_then(|text| text.split_once('='))
            else {
                continue;
            };
            match key {
                "depends" => {
                    info.depends = value.split(',').filter(|name| !name.is_empty()).map(plain).collect();
                }
                "alias" => info.aliases.push(value.into()),
                "softdep" => info.soft_depends.push(value.into()),
                "firmware" => info.firmware.push(value.into()),
                _ => {}
            }
        }
        info
    }

    /// Reads the `.modinfo` section out of a module; `None` when the bytes are no module.
    pub fn of_module(bytes: &[u8]) -> Option<Self> {
        let header = FileHeader64::<Endianness>::parse(bytes).ok()?;
        let endian = header.endian().ok()?;
        let sections = header.sections(endian, bytes).ok()?;
        let (_, section) = sections.section_by_name(endian, b".modinfo")?;
        section.data(endian, bytes).ok().map(Self::parse)
    }

    /// Everything that should be there when this module is.
    fn companions(&self) -> impl Iterator<Item = String> + '_ {
        let soft = self.soft_depends.iter().flat_map(|text| text.split_whitespace());
        let soft = soft.filter(|word| !word.ends_with(':')).map(plain);
        self.depends.iter().cloned().chain(soft)
    }
}

/// The module directory of one kernel.
#[derive(Debug)]
pub struct Modules {
    dir: PathBuf,
    release: String,
    /// Name to path below the directory.
    files: BTreeMap<String, String>,
    /// `modules.builtin` as the package has it.
    builtin: String,
}

/// The modules that an image takes.
#[derive(Debug, Clone, Default)]
pub struct Selected {
    release: String,
    builtin: String,
    modules: BTreeMap<String, Module>,
    /// Selectors that matched nothing in this kernel.
    pub unmatched: Vec<String>,
}

#[derive(Debug, Clone)]
struct Module {
    path: String,
    info: Info,
    source: Source,
}

impl Modules {
    /// Opens the module directory in an unpacked kernel package.
    ///
    /// # Errors
    /// [`Error::Missing`] when the package has none.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let parent =
            ["lib/modules", "usr/lib/modules"].map(|dir| root.join(dir)).into_iter().find(|d| d.is_dir());
        let parent = parent.ok_or_else(|| no_modules(root))?;
        let release = names(&parent)?.into_iter().next().ok_or_else(|| no_modules(root))?;
        let dir = parent.join(&release);
        let mut files = BTreeMap::new();
        list(&dir, "kernel", &mut files)?;
        let builtin = fs::read_to_string(dir.join("modules.builtin")).unwrap_or_default();
        Ok(Self { dir, release, files, builtin })
    }

    /// The kernel's release, e.g. `6.1.0-56-amd64`.
    pub fn release(&self) -> &str {
        &self.release
    }

    /// Picks modules and everything that they depend on.
    ///
    /// # Errors
    /// When a module cannot be read or is none.
    pub fn select(&self, selection: &Selection) -> Result<Selected, Error> {
        let (release, builtin) = (self.release.clone(), self.builtin.clone());
        let mut selected = Selected { release, builtin, ..Selected::default() };
        let builtin: BTreeSet<_> = self.builtin.lines().filter_map(module_name).collect();
        let mut queue = Vec::new();
        for selector in &selection.include {
            let before = queue.len();
            queue.extend(self.matching(selector).map(ToOwned::to_owned));
            if queue.len() == before && !builtin.contains(&plain(selector)) {
                selected.unmatched.push(selector.clone());
            }
        }
        let excluded: BTreeSet<_> = selection.exclude.iter().flat_map(|s| self.matching(s)).collect();
        queue.retain(|name| !excluded.contains(name.as_str()));
        while let Some(name) = queue.pop() {
            let Some(path) = self.files.get(&name).filter(|_| !selected.modules.contains_key(&name)) else {
                continue;
            };
            let module = self.read(path)?;
            queue.extend(module.info.companions());
            selected.modules.insert(name, module);
        }
        Ok(selected)
    }

    fn matching<'a>(&'a self, selector: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let (name, selector) = (plain(selector), selector.to_owned());
        let fits = move |(known, path): &(&String, &String)| {
            if selector.contains('/') {
                below(&selector, path)
            } else {
                **known == name || matches(&name, known)
            }
        };
        self.files.iter().filter(fits).map(|(name, _)| name.as_str())
    }

    fn read(&self, path: &str) -> Result<Module, Error> {
        let file = self.dir.join(path);
        let source = match path.strip_suffix(".xz") {
            None => Source::Path(file.clone()),
            Some(_) => Source::Bytes(unpack(&file)?),
        };
        let info = Info::of_module(&source.read()?).ok_or_else(|| Error::Malformed {
            file: file.display().to_string(),
            reason: "not a kernel module: it has no .modinfo section".into(),
        })?;
        Ok(Module { path: path.trim_end_matches(".xz").into(), info, source })
    }
}

impl Selected {
    /// Number of modules.
    pub fn len(&self) -> usize {
        self.modules.len()
    }

    /// Whether no module was selected.
    pub fn is_empty(&self) -> bool {
        self.modules.is_empty()
    }

    /// The firmware files that the modules may ask for.
    pub fn firmware(&self) -> BTreeSet<&str> {
        self.modules.values().flat_map(|module| &module.info.firmware).map(String::as_str).collect()
    }

    /// Adds the modules of `other`.
    pub fn extend(&mut self, other: &Self) {
        self.modules.extend(other.modules.iter().map(|(name, module)| (name.clone(), module.clone())));
    }

    /// Removes the modules of `other`.
    pub fn subtract(&mut self, other: &Self) {
        self.modules.retain(|name, _| !other.modules.contains_key(name));
    }

    /// Puts the modules below `/lib/modules/RELEASE`.
    pub fn put(&self, tree: &mut Tree) {
        for module in self.modules.values() {
            let path = format!("/lib/modules/{}/{}", self.release, module.path);
            tree.put(&path, Node::File(0o644, module.source.clone()));
        }
    }

    /// Puts the indexes of the modules beside them.
    pub fn put_indexes(&self, tree: &mut Tree) {
        let indexes = [
            ("dep", self.dep()),
            ("alias", self.alias()),
            ("softdep", self.softdep()),
            ("builtin", self.builtin.clone()),
        ];
        for (kind, text) in indexes {
            tree.text(&format!("/lib/modules/{}/modules.{kind}", self.release), text);
        }
    }

    /// `modules.dep`: each module with all it needs, the last named to be loaded first.
    fn dep(&self) -> String {
        let mut text = String::new();
        for (name, module) in &self.modules {
            let mut order = Vec::new();
            self.visit(name, &mut BTreeSet::new(), &mut order);
            text.push_str(&module.path);
            text.push(':');
            // The module itself is visited last; the others precede whatever needs them.
            for needed in order.iter().rev().skip(1) {
                let _ = write!(text, " {}", self.modules[*needed].path);
            }
            text.push('\n');
        }
        text
    }

    fn visit<'a>(&'a self, name: &'a str, seen: &mut BTreeSet<&'a str>, order: &mut Vec<&'a str>) {
        let Some(module) = self.modules.get(name) else { return };
        if seen.insert(name) {
            module.info.depends.iter().for_each(|needed| self.visit(needed, seen, order));
            order.push(name);
        }
    }

    fn alias(&self) -> String {
        self.lines("alias", |name, info| info.aliases.iter().map(|alias| format!("{alias} {name}")).collect())
    }

    fn softdep(&self) -> String {
        self.lines("softdep", |name, info| {
            info.soft_depends.iter().map(|soft| format!("{name} {soft}")).collect()
        })
    }

    fn lines(&self, word: &str, of: impl Fn(&str, &Info) -> Vec<String>) -> String {
        let all = self.modules.iter().flat_map(|(name, module)| of(name, &module.info));
        all.map(|line| format!("{word} {line}\n")).collect()
    }
}

fn no_modules(root: &Path) -> Error {
    Error::Missing {
        what: "lib/modules".into(),
        wanted_by: format!("the kernel package in {}", root.display()),
    }
}

/// Collects `name -> path` below `dir`.
fn list(root: &Path, dir: &str, files: &mut BTreeMap<String, String>) -> Result<(), Error> {
    for name in names(&root.join(dir))? {
        let path = format!("{dir}/{name}");
        if root.join(&path).is_dir() {
            list(root, &path, files)?;
        } else if let Some(module) = module_name(&path) {
            files.insert(module, path);
        }
    }
    Ok(())
}

/// The name of the module in the file `path`, if it is one.
fn module_name(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    file.strip_suffix(".ko").or_else(|| file.strip_suffix(".ko.xz")).map(plain)
}

/// A module's name as the kernel has it.
fn plain(name: &str) -> String {
    name.replace('-', "_")
}

/// Whether `path` is, or lies below, the file or directory that `selector` names.
fn below(selector: &str, path: &str) -> bool {
    let selector = selector.trim_matches('/');
    let depth = selector.split('/').count();
    let head: Vec<_> = path.splitn(depth + 1, '/').take(depth).collect();
    matches(selector, &head.join("/"))
}

fn unpack(file: &Path) -> Result<Vec<u8>, Error> {
    let packed = fs::File::open(file).doing("read", file)?;
    let mut bytes = Vec::new();
    let reader = lzma_rust2::XzReader::new(std::io::BufReader::new(packed), true);
    reader.take(MAX_MODULE_LEN).read_to_end(&mut bytes).doing("unpack", file)?;
    Ok(bytes)
}

#[cfg(test)]
#[path = "kmod_tests.rs"]
mod tests;
