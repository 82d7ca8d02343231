//! Files out of unpacked packages, and the shared libraries that executables among them need.
//!
//! A [`Pool`] looks a path up in all packages. [`complete`] reads the dynamic section of every ELF file of a tree and
//! adds the program interpreter and the libraries named there, until nothing is missing. Only files that something
//! needs get in, never a whole package. ELF files are parsed by the `object` crate, which trusts no offset.
//! Left out: libraries that a program opens at run time by name; the description lists such files.

use crate::Error;
use crate::apt::Package;
use crate::error::Doing;
use crate::tree::{Node, Source, Tree, absolute, matches, resolve_link};
use object::Endianness;
use object::elf::{self, FileHeader64};
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where Debian's dynamic loader looks, for both architectures that Gantry builds for.
const LIBRARY_DIRS: &[&str] = &[
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib",
    "/usr/lib",
    "/lib64",
];

/// The files of several packages, looked up together.
#[derive(Debug)]
pub(crate) struct Pool<'a> {
    packages: &'a [Package],
}

impl<'a> Pool<'a> {
    pub(crate) fn new(packages: &'a [Package]) -> Self {
        Self { packages }
    }

    /// The host's file for `path`; `/bin` and `/usr/bin` (and so on) are alike, as packages differ in it.
    pub(crate) fn find(&self, path: &str) -> Option<PathBuf> {
        spellings(path).iter().find_map(|path| {
            let mut files = self.packages.iter().map(|package| package.root.join(&path[1..]));
            files.find(|file| file.symlink_metadata().is_ok())
        })
    }

    /// Puts the file, link or whole directory at `path` into the tree; `false` when no package has it.
    pub(crate) fn put(&self, tree: &mut Tree, path: &str) -> Result<bool, Error> {
        let path = absolute(path);
        let Some(file) = self.find(&path) else { return Ok(false) };
        self.put_file(tree, &path, &file)?;
        Ok(true)
    }

    fn put_file(&self, tree: &mut Tree, path: &str, file: &Path) -> Result<(), Error> {
        let meta = file.symlink_metadata().doing("read", file)?;
        if meta.is_dir() {
            for name in names(file)? {
                self.put_file(tree, &format!("{path}/{name}"), &file.join(&name))?;
            }
        } else if meta.is_symlink() {
            let target = fs::read_link(file).doing("read", file)?;
            let target = target.to_string_lossy().into_owned();
            let next = resolve_link(path, &target);
            tree.put(path, Node::Link(target));
            if tree.get(&next).is_none() {
                self.put(tree, &next)?;
            }
        } else if meta.is_file() {
            let mode = meta.permissions().mode() & 0o7777;
            tree.put(path, Node::File(mode, Source::Path(file.to_path_buf())));
        }
        Ok(())
    }

    /// All paths of one package that match `pattern` (`*` within a path component).
    pub(crate) fn glob(package: &Package, pattern: &str) -> Result<Vec<String>, Error> {
        for pattern in spellings(&absolute(pattern)) {
            let mut found = Vec::new();
            let parts: Vec<_> = pattern[1..].split('/').collect();
            descend(&package.root, "", &parts, &mut found)?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }
}

/// The path, and the same with `/usr` added or taken away.
fn spellings(path: &str) -> [String; 2] {
    let other = path.strip_prefix("/usr").filter(|rest| rest.starts_with('/'));
    [path.to_owned(), other.map_or_else(|| format!("/usr{path}"), ToOwned::to_owned)]
}

fn descend(dir: &Path, path: &str, parts: &[&str], found: &mut Vec<String>) -> Result<(), Error> {
    let Some((part, rest)) = parts.split_first() else {
        found.push(path.to_owned());
        return Ok(());
    };
    if dir.symlink_metadata().is_ok_and(|meta| !meta.is_dir()) {
        return Ok(());
    }
    for name in names(dir)?.iter().filter(|name| matches(part, name)) {
        descend(&dir.join(name), &format!("{path}/{name}"), rest, found)?;
    }
    Ok(())
}

/// The names in a directory, sorted.
pub(crate) fn names(dir: &Path) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).doing("list", dir)? {
        names.push(entry.doing("list", dir)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Adds every shared library that the tree's programs and libraries need.
///
/// # Errors
/// [`Error::Missing`] naming a library that no package has and the file that needs it.
pub(crate) fn complete(tree: &mut Tree, pool: &Pool<'_>) -> Result<(), Error> {
    let mut done = BTreeSet::new();
    loop {
        let next: Vec<_> = tree
            .iter()
            .filter_map(|(path, node)| match node {
                Node::File(_, source) if !done.contains(path) => Some((path.to_owned(), source.clone())),
                _ => None,
            })
            .collect();
        if next.is_empty() {
            return Ok(());
        }
        for (path, source) in next {
            if may_be_elf(&path) {
                let needs = Needs::parse(&source.read()?).unwrap_or_default();
                needs.put(tree, pool, &path)?;
            }
            done.insert(path);
        }
    }
}

/// Kernel modules and firmware are many, and none needs a library.
fn may_be_elf(path: &str) -> bool {
    !path.starts_with("/lib/modules/") && !path.starts_with("/lib/firmware/")
}

/// What an ELF file wants to be loaded along with it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Needs {
    interpreter: Option<String>,
    libraries: Vec<String>,
    run_paths: Vec<String>,
}

impl Needs {
    /// Reads program headers and dynamic section; `None` when the bytes are no 64-bit ELF file.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let header = FileHeader64::<Endianness>::parse(bytes).ok()?;
        let endian = header.endian().ok()?;
        let segments = header.program_headers(endian, bytes).ok()?;
        let mut needs = Self::default();
        let mut entries = Vec::new();
        for segment in segments {
            if let Ok(Some(path)) = segment.interpreter(endian, bytes) {
                needs.interpreter = Some(String::from_utf8_lossy(path).into_owned());
            }
            if let Ok(Some(dynamic)) = segment.dynamic(endian, bytes) {
                entries.extend(dynamic.iter().map(|entry| (entry.d_tag(endian), entry.d_val(endian))));
            }
        }
        let value =
            |wanted: elf::DynamicTag| entries.iter().find(|(tag, _)| *tag == wanted).map(|(_, value)| *value);
        let (Some(at), Some(len)) = (value(elf::DT_STRTAB), value(elf::DT_STRSZ)) else { return Some(needs) };
        let strings =
            segments.iter().find_map(|segment| segment.data_range(endian, bytes, at, len).ok()?)?;
        let string = |offset: u64| {
            let rest = strings.get(usize::try_from(offset).ok()?..)?;
            let end = rest.iter().position(|&byte| byte == 0)?;
            Some(String::from_utf8_lossy(&rest[..end]).into_owned())
        };
        for (tag, offset) in &entries {
            if *tag == elf::DT_NEEDED {
                needs.libraries.extend(string(*offset));
            } else if *tag == elf::DT_RUNPATH {
                let paths = string(*offset).unwrap_or_default();
                needs.run_paths.extend(paths.split(':').filter(|path| path.starts_with('/')).map(Into::into));
            }
        }
        Some(needs)
    }

    fn put(&self, tree: &mut Tree, pool: &Pool<'_>, wanted_by: &str) -> Result<(), Error> {
        if let Some(interpreter) = &self.interpreter
            && tree.get(interpreter).is_none()
            && !pool.put(tree, interpreter)?
        {
            return Err(missing(interpreter, wanted_by));
        }
        for library in &self.libraries {
            let dirs = self.run_paths.iter().map(String::as_str).chain(LIBRARY_DIRS.iter().copied());
            let places: Vec<_> = dirs.map(|dir| format!("{dir}/{library}")).collect();
            if places.iter().any(|place| tree.get(place).is_some()) {
                continue;
            }
            let mut found = false;
            for place in &places {
                found = pool.put(tree, place)?;
                if found {
                    break;
                }
            }
            if !found {
                return Err(missing(library, wanted_by));
            }
        }
        Ok(())
    }
}

fn missing(library: &str, wanted_by: &str) -> Error {
    Error::Missing { what: format!("library {library}"), wanted_by: format!("{wanted_by} needs it") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apt::Deb;
    use proptest::prelude::*;

    /// The test program itself: an ELF file that needs libc, whatever the host.
    fn own() -> Vec<u8> {
        fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    fn package(root: &Path) -> Package {
        Package { deb: Deb::default(), root: root.to_path_buf() }
    }

    #[test]
    fn an_executable_names_its_interpreter_and_libraries() {
        let needs = Needs::parse(&own()).unwrap();
        assert!(needs.interpreter.unwrap().contains("/ld-linux"), "the dynamic loader");
        assert!(needs.libraries.iter().any(|name| name == "libc.so.6"), "{:?}", needs.libraries);
    }

    #[test]
    fn scripts_and_scraps_are_no_elf_files() {
        assert_eq!(Needs::parse(b"#!/bin/sh\n"), None);
        assert_eq!(Needs::parse(b"\x7fELF"), None);
        assert_eq!(Needs::parse(b""), None);
    }

    #[test]
    fn libraries_come_with_their_links_and_their_own_libraries() {
        let dir = tempfile::tempdir().unwrap();
        let lib = dir.path().join("lib/x86_64-linux-gnu");
        fs::create_dir_all(&lib).unwrap();
        fs::create_dir_all(dir.path().join("lib64")).unwrap();
        let needs = Needs::parse(&own()).unwrap();
        for name in &needs.libraries {
            fs::write(lib.join(format!("{name}.real")), "not ELF").unwrap();
            std::os::unix::fs::symlink(format!("{name}.real"), lib.join(name)).unwrap();
        }
        let interpreter = needs.interpreter.clone().unwrap();
        let file = dir.path().join(&interpreter[1..]);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "loader").unwrap();
        let packages = [package(dir.path())];
        let mut tree = Tree::default();
        tree.put("/bin/me", Node::File(0o755, Source::Bytes(own())));
        complete(&mut tree, &Pool::new(&packages)).unwrap();
        assert!(tree.get(&interpreter).is_some());
        assert_eq!(tree.get("/lib/x86_64-linux-gnu/libc.so.6"), Some(&Node::Link("libc.so.6.real".into())));
        assert!(matches!(tree.get("/lib/x86_64-linux-gnu/libc.so.6.real"), Some(Node::File(..))));
    }

    #[test]
    fn a_library_that_nobody_has_is_named_with_who_needs_it() {
        let mut tree = Tree::default();
        tree.put("/bin/me", Node::File(0o755, Source::Bytes(own())));
        let error = complete(&mut tree, &Pool::new(&[])).unwrap_err().to_string();
        assert!(error.contains("/bin/me needs it"), "{error}");
    }

    #[test]
    fn usr_and_root_are_alike_in_look_ups() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("usr/bin")).unwrap();
        fs::write(dir.path().join("usr/bin/tool"), "x").unwrap();
        let packages = [package(dir.path())];
        let pool = Pool::new(&packages);
        assert!(pool.find("/bin/tool").is_some() && pool.find("/usr/bin/tool").is_some());
        assert!(pool.find("/sbin/tool").is_none());
        assert_eq!(Pool::glob(&packages[0], "/bin/to*").unwrap(), ["/usr/bin/tool"]);
        assert_eq!(Pool::glob(&packages[0], "/usr/bin/tool/x").unwrap(), [""; 0]);
    }

    proptest! {
        #[test]
        fn damaged_elf_files_never_panic(damage in proptest::collection::vec((0usize..4096, any::<u8>()), 1..20)) {
            let mut bytes = own();
            bytes.truncate(1 << 16);
            for (at, value) in damage {
                bytes[at] = value;
            }
            let _ = Needs::parse(&bytes);
        }
    }
}
