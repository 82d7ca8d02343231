//! Files inside a mounted system, seen as that system would see them: symbolic links are followed inside
//! its root and cannot lead out of it. An image is somebody else's work; `/etc/hostname -> /dev/sda`
//! must not reach our own device.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::path::{Component, Path, PathBuf};

/// Links followed for one path, at most.
const MAX_LINKS: usize = 40;

/// The root of a mounted system.
#[derive(Clone, Debug)]
pub struct Root(PathBuf);

impl Root {
    /// A system mounted at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where the root is mounted.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The real place of an absolute path of that system.
    pub fn resolve(&self, path: &str) -> io::Result<PathBuf> {
        let mut todo: Vec<String> = parts(Path::new(path));
        todo.reverse();
        let mut place = PathBuf::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            match part.as_str() {
                ".." => drop(place.pop()),
                name => {
                    let next = place.join(name);
                    let Ok(target) = fs::read_link(self.0.join(&next)) else {
                        place = next;
                        continue;
                    };
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(io::Error::other(format!("{path}: too many symbolic links")));
                    }
                    if target.is_absolute() {
                        place.clear();
                    }
                    todo.extend(parts(&target).into_iter().rev());
                }
            }
        }
        Ok(self.0.join(place))
    }

    /// Reads a text; `None` when it is not there.
    pub fn read(&self, path: &str) -> io::Result<Option<String>> {
        match fs::read(self.resolve(path)?) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(named(path, &error)),
        }
    }

    /// True when there is something.
    pub fn exists(&self, path: &str) -> bool {
        self.resolve(path).is_ok_and(|place| place.exists())
    }

    /// Writes a file with its folders.
    pub fn write(&self, path: &str, content: &[u8], mode: u32) -> io::Result<()> {
        self.try_write(path, content, mode).map_err(|error| named(path, &error))
    }

    fn try_write(&self, path: &str, content: &[u8], mode: u32) -> io::Result<()> {
        let place = self.resolve(path)?;
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&place)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(content)
    }

    /// Makes a folder with a mode and an owner.
    pub fn make_dir(&self, path: &str, mode: u32, owner: Option<(u32, u32)>) -> io::Result<()> {
        let place = self.resolve(path)?;
        fs::create_dir_all(&place).map_err(|error| named(path, &error))?;
        fs::set_permissions(&place, fs::Permissions::from_mode(mode)).map_err(|error| named(path, &error))?;
        self.own(path, owner)
    }

    /// Gives a file to somebody; quietly nothing where the caller may not.
    pub fn own(&self, path: &str, owner: Option<(u32, u32)>) -> io::Result<()> {
        let Some((user, group)) = owner else { return Ok(()) };
        match chown(self.resolve(path)?, Some(user), Some(group)) {
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(named(path, &error)),
            _ => Ok(()),
        }
    }

    /// Makes a symbolic link, replacing one that is there.
    pub fn link(&self, target: &str, path: &str) -> io::Result<()> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let folder = self.resolve(folder)?;
        fs::create_dir_all(&folder).map_err(|error| named(path, &error))?;
        let place = folder.join(name);
        match fs::remove_file(&place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(named(path, &error)),
            _ => {}
        }
        std::os::unix::fs::symlink(target, place).map_err(|error| named(path, &error))
    }
}

fn parts(path: &Path) -> Vec<String> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            Component::ParentDir => Some("..".to_owned()),
            _ => None,
        })
        .collect()
}

fn named(path: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{path} in the written system: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    #[test]
    fn links_stay_inside() {
        let dir = TempDir::new();
        let root = Root::new(dir.path());
        let link =
            |target: &str, at: &str| std::os::unix::fs::symlink(target, dir.path().join(at)).expect("link");
        fs::create_dir_all(dir.path().join("etc")).expect("dir");
        link("/run/hostname", "etc/hostname");
        link("../../../../tmp/escape", "etc/up");
        link("loop", "etc/loop");
        assert_eq!(root.resolve("/etc/hostname").expect("path"), dir.path().join("run/hostname"));
        assert_eq!(root.resolve("/etc/up").expect("path"), dir.path().join("tmp/escape"));
        assert!(root.resolve("/etc/loop").is_err());
        root.write("/etc/hostname", b"node\n", 0o644).expect("write");
        assert_eq!(root.read("/etc/hostname").expect("read").as_deref(), Some("node\n"));
        assert!(dir.path().join("run/hostname").exists());
        assert_eq!(root.read("/nothing").expect("read"), None);
    }
}
