//! How a lab is set up: plain data, filled in by struct literals.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// One lab.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Config {
    /// Its name, and the name of its folder under `root`.
    pub name: String,
    /// The folder that holds the folders of all labs of this user.
    pub root: PathBuf,
    /// The program that becomes the lab's supervisor.
    pub helper: Helper,
    /// The interfaces at which servers inside the lab listen; each is one port of the switch.
    pub networks: Vec<Network>,
    /// Whatever is random in the lab (lost frames, for one) follows from this number.
    pub seed: u64,
    /// Who decides when the lab ends.
    pub lifetime: Lifetime,
    /// What happens to logs, disks and captures when it ends.
    pub files: Files,
}

/// The end of the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lifetime {
    /// The lab ends when the [`crate::Lab`] value is dropped or its process ends, however it ends.
    Owned,
    /// The lab stays until somebody stops it.
    Detached,
}

/// What remains of a lab that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Files {
    /// Nothing.
    Remove,
    /// Its whole folder, for a look at what happened.
    Keep,
}

/// The program that becomes the supervisor: `gantry-lab`, or `gantry lab`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Helper {
    /// The executable.
    pub program: PathBuf,
    /// The words that come before the name of the supervisor's own subcommand.
    pub words: Vec<String>,
}

/// An interface for servers, inside the lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// The interface's name, at most 13 characters; the switch's end is called the same with `-p` behind.
    pub interface: String,
    /// The addresses of the server, with the length of the network's prefix.
    pub addresses: Vec<IpNet>,
    /// Which VLANs of the switch reach it.
    pub vlan: Vlan,
}

/// Which VLANs a port of the switch belongs to (IEEE 802.1Q).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Vlan {
    /// Untagged frames only; they belong to this VLAN.
    Access(u16),
    /// Tagged frames of these VLANs, and untagged ones of the native VLAN if there is one.
    Trunk {
        /// The VLAN of untagged frames; without it they are dropped.
        native: Option<u16>,
        /// The VLANs that come and go with a tag.
        tagged: BTreeSet<u16>,
    },
}

impl Default for Vlan {
    fn default() -> Vlan {
        Vlan::Access(1)
    }
}

impl Default for Config {
    /// An owned lab with a fresh name and one network, 192.168.124.1/24 on `srv0`.
    fn default() -> Config {
        let id = uuid::Uuid::new_v4().simple().to_string();
        Config {
            name: format!("t{}", &id[..8]),
            root: default_root(),
            helper: Helper::find(),
            networks: vec![Network::default()],
            seed: 1,
            lifetime: Lifetime::Owned,
            files: Files::Remove,
        }
    }
}

impl Default for Network {
    fn default() -> Network {
        let address = "192.168.124.1/24".parse().expect("a network written right here");
        Network { interface: "srv0".to_owned(), addresses: vec![address], vlan: Vlan::default() }
    }
}

impl Config {
    /// The folder of this lab.
    pub fn folder(&self) -> PathBuf {
        self.root.join(&self.name)
    }

    /// Finds what cannot be, before anything is started.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the first wrong field.
    pub fn check(&self) -> Result<()> {
        check_name("lab name", &self.name)?;
        let mut seen = BTreeSet::new();
        for network in &self.networks {
            check_name("interface", &network.interface)?;
            let fits = network.interface.len() <= 13 && network.interface != "lo";
            if !fits || !seen.insert(&network.interface) {
                let right = "a name of at most 13 characters, used once, and not lo".to_owned();
                return Err(Error::Invalid { field: "interface", value: network.interface.clone(), right });
            }
            network.vlan.check()?;
        }
        let socket = crate::folder::control_socket(&self.folder());
        if socket.as_os_str().len() > crate::proto::PATH_MAX {
            let right = format!(
                "a folder so short that {} is at most {} bytes",
                socket.display(),
                crate::proto::PATH_MAX
            );
            return Err(Error::Invalid { field: "root", value: self.root.display().to_string(), right });
        }
        Ok(())
    }
}

impl Vlan {
    /// Are all numbers VLAN numbers (1 to 4094)?
    ///
    /// # Errors
    /// [`Error::Invalid`] with the first that is not.
    pub fn check(&self) -> Result<()> {
        let numbers: Vec<u16> = match self {
            Vlan::Access(vlan) => vec![*vlan],
            Vlan::Trunk { native, tagged } => native.iter().chain(tagged).copied().collect(),
        };
        match numbers.iter().find(|number| !(1..=4094).contains(*number)) {
            None => Ok(()),
            Some(wrong) => Err(Error::Invalid {
                field: "vlan",
                value: wrong.to_string(),
                right: "a number from 1 to 4094".to_owned(),
            }),
        }
    }
}

impl Helper {
    /// The helper beside the running program: the program itself if it is one, else `gantry-lab` or `gantry` in its
    /// folder or the one above (where cargo puts binaries, seen from a test).
    pub fn find() -> Helper {
        let me = std::env::current_exe().unwrap_or_default();
        let folders = me.ancestors().skip(1).take(2);
        let beside = folders.flat_map(|folder| [folder.join("gantry-lab"), folder.join("gantry")]);
        let program = std::iter::once(me.clone())
            .filter(|path| is_helper(path))
            .chain(beside.filter(|path| path.is_file()))
            .next()
            .unwrap_or_else(|| PathBuf::from("gantry-lab"));
        Helper::at(program)
    }

    /// The helper at this path; its name tells whether it is `gantry` (with the subcommand `lab`) or `gantry-lab`.
    pub fn at(program: impl Into<PathBuf>) -> Helper {
        let program = program.into();
        let words =
            if program.file_name() == Some("gantry-lab".as_ref()) { vec![] } else { vec!["lab".to_owned()] };
        Helper { program, words }
    }

    /// The command line's words for one of the hidden subcommands.
    pub(crate) fn arguments(&self, subcommand: &str) -> Vec<OsString> {
        self.words.iter().map(String::as_str).chain([subcommand]).map(OsString::from).collect()
    }
}

fn is_helper(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "gantry-lab" || name == "gantry")
}

/// `/tmp/gantry-lab-UID`: short enough for a socket's path, and private.
pub fn default_root() -> PathBuf {
    PathBuf::from(format!("/tmp/gantry-lab-{}", nix::unistd::getuid()))
}

/// Names become file names, interface names and words of QEMU's command line, where a comma separates.
pub(crate) fn check_name(field: &'static str, name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !name.is_empty() && name.len() <= 64 && name.chars().all(plain) && !name.starts_with(['.', '-']) {
        return Ok(());
    }
    Err(Error::Invalid {
        field,
        value: name.to_owned(),
        right: "1 to 64 letters, digits, '-', '_' and '.', beginning with a letter or digit".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_lab_is_in_order() {
        Config::default().check().unwrap();
        assert_ne!(Config::default().name, Config::default().name);
    }

    #[test]
    fn wrong_fields_are_named_with_what_would_be_right() {
        let network =
            |interface: &str, vlan| Network { interface: interface.into(), addresses: vec![], vlan };
        let cases = [
            (Config { name: "../x".into(), ..Config::default() }, "lab name: \"../x\""),
            (Config { name: String::new(), ..Config::default() }, "lab name: \"\""),
            (Config { root: "/".repeat(108).into(), ..Config::default() }, "root: "),
            (
                Config { networks: vec![network("lo", Vlan::default())], ..Config::default() },
                "interface: \"lo\"",
            ),
            (
                Config { networks: vec![network("abcdefghijklmn", Vlan::default())], ..Config::default() },
                "interface: ",
            ),
            (
                Config { networks: vec![Network::default(), Network::default()], ..Config::default() },
                "used once",
            ),
            (
                Config { networks: vec![network("a", Vlan::Access(4095))], ..Config::default() },
                "vlan: \"4095\"",
            ),
        ];
        for (config, expected) in cases {
            let text = config.check().unwrap_err().to_string();
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn the_name_of_the_helper_tells_its_words() {
        assert_eq!(Helper::at("/x/gantry-lab").arguments("init"), ["init"]);
        assert_eq!(Helper::at("/x/gantry").arguments("init"), ["lab", "init"]);
    }
}
