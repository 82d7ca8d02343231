//! The files of an archive before it is written: paths, what stands there, and where the bytes come from.
//!
//! A [`Tree`] is sorted by path and knows no time, owner or order of insertion, which is half of why archives come out
//! the same twice; [`crate::cpio`] is the other half. Missing parent directories are made on the way.

use crate::Error;
use crate::cpio::Writer;
use crate::error::Doing;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A directory with its permission bits.
    Directory(u32),
    /// A regular file with its permission bits.
    File(u32, Source),
    /// A symbolic link with its target.
    Link(String),
    /// A character device: permission bits, major and minor number.
    CharacterDevice(u32, u32, u32),
}

/// Where the bytes of a file come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// They are here.
    Bytes(Vec<u8>),
    /// They are in a file of the host.
    Path(PathBuf),
}

impl Source {
    /// All bytes.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&self) -> Result<Vec<u8>, Error> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::Path(path) => fs::read(path).doing("read", path),
        }
    }
}

/// What an archive shall contain, by absolute path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    nodes: BTreeMap<String, Node>,
}

impl Tree {
    /// Puts `node` at `path`, replacing what was there, and makes its parent directories.
    pub fn put(&mut self, path: &str, node: Node) {
        let path = absolute(path);
        let mut parent = Path::new(&path).parent();
        while let Some(dir) = parent.filter(|dir| dir.parent().is_some()) {
            self.nodes.entry(dir.to_string_lossy().into_owned()).or_insert(Node::Directory(0o755));
            parent = dir.parent();
        }
        self.nodes.insert(path, node);
    }

    /// Puts a file with text at `path`.
    pub fn text(&mut self, path: &str, text: impl Into<String>) {
        self.put(path, Node::File(0o644, Source::Bytes(text.into().into_bytes())));
    }

    /// What stands at `path`.
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(&absolute(path))
    }

    /// All entries in order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether nothing was put in.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Removes everything that `other` has in the same form, and directories that `other` has in any form: what is left
    /// is an archive to be unpacked over `other`.
    pub fn subtract(&mut self, other: &Self) {
        self.nodes.retain(|path, node| match other.nodes.get(path) {
            Some(Node::Directory(_)) if matches!(node, Node::Directory(_)) => false,
            Some(same) => same != node,
            None => true,
        });
    }

    /// Writes the tree as a cpio archive with the time `mtime` on every entry.
    ///
    /// # Errors
    /// When a source cannot be read or the archive cannot be written.
    pub fn write<W: Write>(&self, out: W, mtime: u32) -> Result<W, Error> {
        let mut archive = Writer::new(out, mtime);
        for (path, node) in &self.nodes {
            write_node(&mut archive, path, node).doing("archive", Path::new(path))?;
        }
        archive.finish().doing("write", Path::new("the archive"))
    }
}

fn write_node<W: Write>(archive: &mut Writer<W>, path: &str, node: &Node) -> io::Result<()> {
    match node {
        Node::Directory(mode) => archive.directory(path, *mode),
        Node::Link(target) => archive.link(path, target),
        Node::CharacterDevice(mode, major, minor) => archive.character_device(path, *mode, *major, *minor),
        Node::File(mode, Source::Bytes(bytes)) => {
            archive.file(path, *mode, bytes.len() as u64, bytes.as_slice())
        }
        Node::File(mode, Source::Path(source)) => {
            let file = File::open(source)?;
            let len = file.metadata()?.len();
            archive.file(path, *mode, len, file)
        }
    }
}

/// `path` with one leading slash and without empty, `.` and `..` components.
pub(crate) fn absolute(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The path that a symbolic link at `path` with `target` leads to.
pub(crate) fn resolve_link(path: &str, target: &str) -> String {
    if target.starts_with('/') {
        return absolute(target);
    }
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    absolute(&format!("{parent}/{target}"))
}

/// Whether `name` matches `pattern`, in which `*` stands for any text without a slash.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(head) else { return false };
    loop {
        if matches(rest, name) {
            return true;
        }
        match name.chars().next() {
            None | Some('/') => return false,
            Some(first) => name = &name[first.len_utf8()..],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpio::Reader;

    fn paths(tree: &Tree) -> Vec<String> {
        let bytes = tree.write(Vec::new(), 0).unwrap();
        Reader::new(&bytes).map(|e| String::from_utf8(e.unwrap().path.to_vec()).unwrap()).collect()
    }

    #[test]
    fn parents_come_first_whatever_the_order_of_insertion() {
        let mut tree = Tree::default();
        tree.text("/usr/bin/b", "b");
        tree.text("a", "a");
        tree.put("/usr", Node::Directory(0o700));
        assert_eq!(paths(&tree), ["a", "usr", "usr/bin", "usr/bin/b"]);
        assert_eq!(tree.get("usr/"), Some(&Node::Directory(0o700)));
    }

    #[test]
    fn order_of_insertion_does_not_change_the_bytes() {
        let (mut one, mut two) = (Tree::default(), Tree::default());
        one.text("/x/1", "1");
        one.put("/x/l", Node::Link("1".into()));
        two.put("/x/l", Node::Link("1".into()));
        two.text("/x/1", "1");
        assert_eq!(one.write(Vec::new(), 7).unwrap(), two.write(Vec::new(), 7).unwrap());
    }

    #[test]
    fn a_layer_keeps_only_what_is_new_or_different() {
        let (mut base, mut layer) = (Tree::default(), Tree::default());
        base.text("/lib/a", "a");
        base.text("/etc/c", "base");
        layer.text("/lib/a", "a");
        layer.text("/lib/x/b", "b");
        layer.text("/etc/c", "layer");
        layer.subtract(&base);
        assert_eq!(paths(&layer), ["etc/c", "lib/x", "lib/x/b"]);
    }

    #[test]
    fn an_absent_source_names_the_file() {
        let mut tree = Tree::default();
        tree.put("/bin/x", Node::File(0o755, Source::Path("/no/such/file".into())));
        let error = tree.write(Vec::new(), 0).unwrap_err();
        assert!(error.to_string().contains("archive /bin/x"), "{error}");
    }

    #[test]
    fn links_resolve_within_the_tree() {
        assert_eq!(resolve_link("/usr/lib/a.so", "b.so.1"), "/usr/lib/b.so.1");
        assert_eq!(resolve_link("/usr/lib/a.so", "../../lib/b"), "/lib/b");
        assert_eq!(resolve_link("/a", "../../../etc/passwd"), "/etc/passwd");
        assert_eq!(resolve_link("/a/b", "/c//d/"), "/c/d");
    }

    #[test]
    fn a_star_stands_for_anything_but_a_slash() {
        for (pattern, name, expected) in [
            ("/bin/*", "/bin/ls", true),
            ("/bin/*", "/bin/a/b", false),
            ("lib*.so*", "libc.so.6", true),
            ("lib*.so", "libc.so.6", false),
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("é*", "éa", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
