//! What a scenario is made from: files that `scripts/artifacts.sh` builds into one folder.
//!
//! ```text
//! gantry                    the server, command line and helper of labs
//! gantry-agent              the static agent (it is inside initrd.img too)
//! discovery/vmlinuz         the discovery OS
//! discovery/initrd.img
//! loaders/                  boot loaders, as machines ask for them
//! images/NAME.raw.zst       a disk image, optional, with NAME.raw.zst.sha256
//! generic/discovery/        the same with the kernel that has all drivers, optional
//! generic/images/
//! ```

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::error::{Doing, Error, Result};

/// The files of one build.
#[derive(Clone, Debug)]
pub struct Artifacts {
    /// The `gantry` program.
    pub gantry: PathBuf,
    /// The `gantry-agent` program.
    pub agent: PathBuf,
    /// The folder of the discovery OS.
    pub discovery: PathBuf,
    /// The folder of the boot loaders.
    pub loaders: PathBuf,
    /// A disk image, if one was built.
    pub image: Option<Image>,
}

/// The folder of a discovery OS, with kernel and initramfs in it.
fn discovery(folder: &Path) -> Result<PathBuf> {
    let discovery = folder.join("discovery");
    for name in ["vmlinuz", "initrd.img"] {
        let file = discovery.join(name);
        if !file.exists() {
            return Err(Error::Missing(file));
        }
    }
    Ok(discovery)
}

/// A compressed disk image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The file.
    pub file: PathBuf,
    /// The SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

impl Artifacts {
    /// Finds everything below `folder`.
    ///
    /// # Errors
    /// [`Error::Missing`] with the first file that is not there; a disk image may be missing.
    pub fn find(folder: &Path) -> Result<Self> {
        let folder = fs::canonicalize(folder).map_err(|_| Error::Missing(folder.to_owned()))?;
        let there = |name: &str| {
            let path = folder.join(name);
            if path.exists() { Ok(path) } else { Err(Error::Missing(path)) }
        };
        Ok(Self {
            discovery: discovery(&folder)?,
            gantry: there("gantry")?,
            agent: there("gantry-agent")?,
            loaders: there("loaders")?,
            image: Image::find(&folder.join("images"))?,
        })
    }

    /// The same programs with the kernels that have all drivers, in the discovery OS and in the disk image.
    ///
    /// # Errors
    /// [`Error::Missing`] with the first file that is not there.
    pub fn generic(&self) -> Result<Self> {
        let folder = self.discovery.with_file_name("generic");
        let image = Image::find(&folder.join("images"))?;
        Ok(Self { discovery: discovery(&folder)?, image, ..self.clone() })
    }

    /// Lays the files out as a server's file root: loaders at the top, then `discovery/` and `images/`. Files are linked where
    /// the file system can, else copied.
    pub(crate) fn lay_out(&self, root: &Path) -> Result<()> {
        place_folder(&self.loaders, root)?;
        place_folder(&self.discovery, &root.join("discovery"))?;
        place(&self.agent, &root.join("gantry-agent"))?;
        let Some(image) = &self.image else { return Ok(()) };
        let images = root.join("images");
        fs::create_dir_all(&images).doing(|| format!("create {}", images.display()))?;
        place(&image.file, &root.join(image.served_as()))
    }
}

impl Image {
    /// The first image in a folder, by name.
    fn find(folder: &Path) -> Result<Option<Self>> {
        let Ok(entries) = fs::read_dir(folder) else { return Ok(None) };
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        let Some(file) = files.into_iter().find(|file| file.to_string_lossy().ends_with(".raw.zst")) else {
            return Ok(None);
        };
        let sum = PathBuf::from(format!("{}.sha256", file.display()));
        let text = fs::read_to_string(&sum).map_err(|_| Error::Missing(sum.clone()))?;
        let sha256 = text.split_whitespace().next().unwrap_or_default().to_owned();
        Ok(Some(Self { file, sha256 }))
    }

    /// Its path below the server's file root.
    pub fn served_as(&self) -> String {
        let name = self.file.file_name().unwrap_or_default();
        format!("images/{}", name.to_string_lossy())
    }
}

fn place_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).doing(|| format!("create {}", to.display()))?;
    for entry in fs::read_dir(from).doing(|| format!("read {}", from.display()))? {
        let entry = entry.doing(|| format!("read {}", from.display()))?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { place_folder(&from, &to)? } else { place(&from, &to)? }
    }
    Ok(())
}

fn place(from: &Path, to: &Path) -> Result<()> {
    let linked = fs::canonicalize(from).and_then(|from| fs::hard_link(from, to));
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            fs::copy(from, to).map(drop).doing(|| format!("copy {} to {}", from.display(), to.display()))
        }
        other => other.doing(|| format!("link {}", to.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{name}\n")).unwrap();
        }
        folder
    }

    const ALL: [&str; 5] =
        ["discovery/vmlinuz", "discovery/initrd.img", "gantry", "gantry-agent", "loaders/grub/x.mod"];

    #[test]
    fn what_is_missing_is_named() {
        for missing in ALL {
            let rest: Vec<&str> = ALL.into_iter().filter(|name| *name != missing).collect();
            let folder = build(&rest);
            let text = Artifacts::find(folder.path()).unwrap_err().to_string();
            let named = missing.split('/').next().unwrap();
            assert!(text.contains(named) && text.contains("is missing"), "{text}");
        }
    }

    #[test]
    fn an_image_needs_its_checksum() {
        let mut names = ALL.to_vec();
        names.push("images/a.raw.zst");
        assert!(Artifacts::find(build(&names).path()).unwrap_err().to_string().contains("a.raw.zst.sha256"));
        names.push("images/a.raw.zst.sha256");
        let folder = build(&names);
        let image = Artifacts::find(folder.path()).unwrap().image.unwrap();
        assert_eq!(image.sha256, "images/a.raw.zst.sha256");
        assert_eq!(image.served_as(), "images/a.raw.zst");
    }

    #[test]
    fn generic_kernels_lie_beside_the_others() {
        let mut names = ALL.to_vec();
        names.extend(["generic/discovery/vmlinuz", "images/a.raw.zst", "images/a.raw.zst.sha256"]);
        let artifacts = Artifacts::find(build(&names).path()).unwrap();
        assert!(artifacts.generic().unwrap_err().to_string().contains("generic/discovery"));
        names.push("generic/discovery/initrd.img");
        let folder = build(&names);
        let generic = Artifacts::find(folder.path()).unwrap().generic().unwrap();
        assert!(generic.discovery.ends_with("generic/discovery"));
        assert_eq!(generic.image, None, "the image of the other kernel must not be taken");
    }

    #[test]
    fn the_file_root_has_everything_where_machines_ask_for_it() {
        let mut names = ALL.to_vec();
        names.extend(["images/a.raw.zst", "images/a.raw.zst.sha256"]);
        let (folder, root) = (build(&names), tempfile::tempdir().unwrap());
        Artifacts::find(folder.path()).unwrap().lay_out(root.path()).unwrap();
        for served in ["grub/x.mod", "discovery/vmlinuz", "discovery/initrd.img", "images/a.raw.zst"] {
            assert!(root.path().join(served).is_file(), "{served}");
        }
    }
}
