//! Where the root of a written system is: in a partition, or in a logical volume that a partition holds.

use super::Say;
use super::gpt::Partition;
use super::lvm::Group;
use super::spec::Spec;
use super::volume::{self, Kind, Mounted};
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The place of a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The partition.
    pub part: Partition,
    /// Its file system.
    pub kind: Kind,
    /// The logical volume inside the partition, if it is in one.
    volume: Option<Volume>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Volume {
    name: String,
    path: PathBuf,
}

/// A root that can be mounted for as long as this value lives.
#[derive(Debug)]
pub struct Open {
    /// Its device.
    pub device: PathBuf,
    inside: Option<(Group, String)>,
}

/// Tries the likely partitions, then the logical volumes, until one holds a system.
///
/// # Errors
/// When none does; the text says what was found instead.
pub fn find(spec: &Spec, disk: &Path, parts: &[Partition]) -> io::Result<Place> {
    let mut file = File::open(disk)?;
    let candidates = volume::candidates(&mut file, parts, spec.root_partition);
    for (part, kind) in &candidates {
        let Ok(device) = volume::node(disk, part.number) else { continue };
        if Mounted::new(&device, *kind).is_ok_and(|mounted| mounted.is_system()) {
            return Ok(Place { part: part.clone(), kind: *kind, volume: None });
        }
    }
    let mut trouble = Vec::new();
    for part in parts.iter().filter(|part| spec.root_partition == 0 || part.number == spec.root_partition) {
        if !volume::is_physical(&mut file, part.start) {
            continue;
        }
        match find_inside(disk, part) {
            Ok(Some(place)) => return Ok(place),
            Ok(None) => trouble.push(format!("partition {}: no logical volume holds a system", part.number)),
            Err(error) => trouble.push(format!("partition {}: {error}", part.number)),
        }
    }
    if trouble.is_empty() {
        trouble.push(volume::why_no_root(&mut file, parts, &candidates));
    }
    Err(io::Error::other(trouble.join("; ")))
}

fn find_inside(disk: &Path, part: &Partition) -> io::Result<Option<Place>> {
    let group = Group::open(&volume::node(disk, part.number)?)?;
    for name in group.volumes()? {
        let path = group.path(&name);
        let Some(kind) = volume::detect(&mut File::open(&path)?, 0) else { continue };
        if Mounted::new(&path, kind).is_ok_and(|mounted| mounted.is_system()) {
            return Ok(Some(Place { part: part.clone(), kind, volume: Some(Volume { name, path }) }));
        }
    }
    Ok(None)
}

impl Place {
    /// Makes the root's device appear.
    ///
    /// # Errors
    /// When it does not, or LVM refuses.
    pub fn open(&self, disk: &Path) -> io::Result<Open> {
        let device = volume::node(disk, self.part.number)?;
        let Some(volume) = &self.volume else { return Ok(Open { device, inside: None }) };
        let group = Group::open(&device)?;
        Ok(Open { device: volume.path.clone(), inside: Some((group, volume.name.clone())) })
    }

    /// What `root=` calls it on a kernel command line.
    pub fn root_argument(&self) -> String {
        match &self.volume {
            Some(volume) => volume.path.display().to_string(),
            None => format!("PARTUUID={}", self.part.id),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.volume {
            None => write!(out, "partition {} ({})", self.part.number, self.kind.name()),
            Some(volume) => {
                let path = volume.path.display();
                write!(out, "{path} in partition {} (LVM, {})", self.part.number, self.kind.name())
            }
        }
    }
}

impl Open {
    /// Gives a logical volume the room that its partition got. One that does not grow is no failure.
    pub fn extend(&self, say: Say<'_>) {
        let Some((group, volume)) = &self.inside else { return };
        match group.extend(volume) {
            Ok(()) => say(&format!("{} takes all of its volume group", self.device.display())),
            Err(error) => say(&format!("{} keeps its size: {error}", self.device.display())),
        }
    }
}
