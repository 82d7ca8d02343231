//! Turns the description of a layer and its unpacked packages into the tree of its archive.

use crate::Error;
use crate::apt::Package;
use crate::description::{APPLETS, Files, Firmware, Layer, permissions};
use crate::error::Doing;
use crate::kmod::Selected;
use crate::libs::{Pool, complete};
use crate::tree::{Node, Source, Tree, absolute, matches};
use std::fs;

/// Where a program may be, so that no applet's link stands in another program's way.
const PROGRAM_DIRS: [&str; 4] = ["/bin", "/sbin", "/usr/bin", "/usr/sbin"];

/// Everything of the layer called `name` but modules and firmware.
pub(crate) fn contents(name: &str, layer: &Layer, packages: &[Package]) -> Result<Tree, Error> {
    let mut tree = Tree::default();
    let pool = Pool::new(packages);
    for (package, files) in &layer.packages {
        let missing = |what: &str| Error::Missing {
            what: what.to_owned(),
            wanted_by: format!(
                "layers.{name}.packages.{package} asks for it, but the package does not have it"
            ),
        };
        let unpacked = packages.iter().find(|candidate| candidate.deb.name == *package);
        let unpacked = unpacked.ok_or_else(|| missing(package))?;
        take(&mut tree, &pool, unpacked, files)?.map_or(Ok(()), |what| Err(missing(what)))?;
    }
    complete(&mut tree, &pool)?;
    if layer.packages.values().any(|files| files.applets) {
        put_applets(&mut tree);
    }
    put_own(&mut tree, layer);
    Ok(tree)
}

/// Takes what a package is listed for; returns the first thing that it does not have.
fn take<'a>(
    tree: &mut Tree,
    pool: &Pool<'_>,
    package: &Package,
    files: &'a Files,
) -> Result<Option<&'a str>, Error> {
    for pattern in &files.take {
        let found = Pool::glob(package, pattern)?;
        if found.is_empty() {
            return Ok(Some(pattern));
        }
        for path in found {
            // Without `*` the file goes where the description says, wherever the package has it.
            pool.put(tree, if pattern.contains('*') { &path } else { pattern })?;
        }
    }
    for (path, pattern) in &files.join {
        let mut bytes = Vec::new();
        for part in Pool::glob(package, pattern)? {
            let part = package.root.join(&part[1..]);
            bytes.extend(fs::read(&part).doing("read", &part)?);
        }
        if bytes.is_empty() {
            return Ok(Some(pattern));
        }
        tree.put(path, Node::File(0o644, Source::Bytes(bytes)));
    }
    Ok(None)
}

/// Links every applet of busybox whose name no program has.
fn put_applets(tree: &mut Tree) {
    for path in APPLETS.lines() {
        let name = path.rsplit('/').next().unwrap_or(path);
        if PROGRAM_DIRS.iter().all(|dir| tree.get(&format!("{dir}/{name}")).is_none()) {
            tree.put(path, Node::Link("/bin/busybox".into()));
        }
    }
}

/// Puts what the description itself contains.
pub(crate) fn put_own(tree: &mut Tree, layer: &Layer) {
    for (path, mode) in &layer.directories {
        tree.put(path, Node::Directory(permissions(mode).unwrap_or(0o755)));
    }
    for (path, (major, minor)) in &layer.devices {
        tree.put(path, Node::CharacterDevice(0o600, *major, *minor));
    }
    for (path, text) in &layer.files {
        tree.text(path, text.as_str());
    }
    for (path, text) in &layer.programs {
        tree.put(path, Node::File(0o755, Source::Bytes(text.clone().into_bytes())));
    }
    for (path, target) in &layer.links {
        tree.put(path, Node::Link(target.clone()));
    }
}

/// Puts the firmware that the modules ask for and the listed packages have; returns the number of files.
pub(crate) fn put_firmware(
    tree: &mut Tree,
    firmware: &Firmware,
    modules: &Selected,
    packages: &[Package],
) -> Result<usize, Error> {
    let listed = |package: &&Package| firmware.packages.contains(&package.deb.name);
    let packages: Vec<_> = packages.iter().filter(listed).cloned().collect();
    let before = tree.len();
    if packages.is_empty() {
        return Ok(0);
    }
    let pool = Pool::new(&packages);
    for wanted in modules.firmware().into_iter().filter(|wanted| !excluded(firmware, wanted)) {
        // A module may name its firmware with `*`; compressed firmware has a further suffix.
        let path = absolute(&format!("/lib/firmware/{wanted}"));
        for suffix in ["", ".xz", ".zst"] {
            for package in packages.iter().filter(|_| path.starts_with("/lib/firmware/")) {
                for found in Pool::glob(package, &format!("{path}{suffix}"))? {
                    pool.put(tree, found.strip_prefix("/usr").unwrap_or(&found))?;
                }
            }
        }
    }
    Ok(tree.len() - before)
}

fn excluded(firmware: &Firmware, path: &str) -> bool {
    firmware.exclude.iter().any(|pattern| match pattern.strip_suffix('/') {
        Some(dir) => path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/')),
        None => matches(pattern, path),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apt::Deb;
    use std::path::Path;

    fn package(root: &Path, name: &str, files: &[(&str, &str)]) -> Package {
        let root = root.join(name);
        for (path, text) in files {
            let file = root.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        Package { deb: Deb { name: name.into(), ..Deb::default() }, root }
    }

    fn layer(toml: &str) -> Layer {
        toml::from_str(toml).unwrap()
    }

    fn list(tree: &Tree) -> Vec<String> {
        let shown = |(path, node): (&str, &Node)| match node {
            Node::Link(target) => Some(format!("{path} -> {target}")),
            Node::File(mode, source) => {
                Some(format!("{path} {mode:o} {}", String::from_utf8(source.read().unwrap()).unwrap()))
            }
            Node::CharacterDevice(_, major, minor) => Some(format!("{path} {major}:{minor}")),
            Node::Directory(_) => None,
        };
        tree.iter().filter_map(shown).collect()
    }

    #[test]
    fn a_layer_has_what_its_description_says() {
        let dir = tempfile::tempdir().unwrap();
        let certs = [("usr/share/c/b.crt", "B"), ("usr/share/c/a.crt", "A"), ("usr/bin/tool", "T")];
        let packages = [package(dir.path(), "p", &certs)];
        let layer = layer(
            "devices.'/dev/null' = [1, 3]\nlinks.'/l' = '/f'\nfiles.'/f' = 'text'\nprograms.'/run' = 'go'\n\
             packages.p.join.'/etc/all' = '/usr/share/c/*.crt'\npackages.p.take = ['/bin/tool']\n",
        );
        let tree = contents("x", &layer, &packages).unwrap();
        let expected =
            ["/bin/tool 644 T", "/dev/null 1:3", "/etc/all 644 AB", "/f 644 text", "/l -> /f", "/run 755 go"];
        assert_eq!(list(&tree), expected);
    }

    #[test]
    fn applets_make_way_for_programs() {
        let dir = tempfile::tempdir().unwrap();
        let packages = [package(dir.path(), "b", &[("bin/busybox", "B"), ("usr/sbin/fdisk", "F")])];
        let layer =
            layer("packages.b.applets = true\npackages.b.take = ['/bin/busybox', '/usr/sbin/fdisk']\n");
        let tree = contents("x", &layer, &packages).unwrap();
        assert_eq!(tree.get("/bin/sh"), Some(&Node::Link("/bin/busybox".into())));
        assert_eq!(tree.get("/sbin/fdisk"), None);
        assert!(matches!(tree.get("/bin/busybox"), Some(Node::File(..))));
    }

    #[test]
    fn what_a_package_lacks_is_named_with_the_line_that_asks() {
        let dir = tempfile::tempdir().unwrap();
        let packages = [package(dir.path(), "p", &[("a", "")])];
        for (toml, what) in [
            ("packages.p.take = ['/b*']", "/b* is missing: layers.x.packages.p asks for it"),
            ("packages.p.join.'/j' = '/c'", "/c is missing"),
            ("packages.q.take = ['/b']", "q is missing"),
        ] {
            let error = contents("x", &layer(toml), &packages).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn firmware_can_be_excluded_by_file_and_directory() {
        let firmware = Firmware { packages: vec![], exclude: vec!["a/".into(), "b/*.bin".into()] };
        let check = |path, expected| assert_eq!(excluded(&firmware, path), expected, "{path}");
        check("a/x/y", true);
        check("ab/x", false);
        check("b/x.bin", true);
        check("b/x/y.bin", false);
    }
}
