//! Debian packages without root and without touching the host: found, fetched, verified and unpacked.
//!
//! The host's own apt does the work, with the host's mirrors, proxies and keys, but with its state and its cache in a
//! directory of ours and with an empty list of installed packages. Verification is apt's: signed index, then checksum.
//! A package is kept unpacked under the checksum of its `.deb`, so that a second build fetches nothing.
//!
//! Of the host's sources those of the distribution itself are taken (suites named after the host's release), and the
//! component `non-free-firmware` is added, because it holds the firmware layer and is often absent from servers.

mod sources;

use crate::error::Doing;
use crate::{Error, Progress, process};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

/// When the package index is fetched anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Refresh {
    /// When it is older than a day.
    #[default]
    Daily,
    /// In any case.
    Always,
    /// Only when there is none.
    Never,
}

/// One version of a package, as the index names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deb {
    /// Name of the package.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the `.deb` file, in hexadecimal.
    pub sha256: String,
    /// Name that `apt-get download` gives to the file.
    pub(crate) file: String,
}

/// An unpacked package.
#[derive(Debug, Clone)]
pub struct Package {
    /// Which one.
    pub deb: Deb,
    /// The directory that holds its files.
    pub root: PathBuf,
}

/// The host's apt with a state of its own. Holds a lock on its directory, so builds that share it take turns.
#[derive(Debug)]
pub struct Apt {
    dir: PathBuf,
    config: PathBuf,
    sources: Vec<PathBuf>,
    _lock: File,
}

impl Apt {
    /// Prepares apt in `dir` and fetches the package index if `refresh` asks for it.
    ///
    /// # Errors
    /// When apt is absent or fails, or `dir` cannot be written.
    pub fn open(dir: &Path, refresh: Refresh, progress: &dyn Progress) -> Result<Self, Error> {
        for sub in ["state/lists/partial", "cache/archives/partial", "sources", "unpacked"] {
            fs::create_dir_all(dir.join(sub)).doing("create", &dir.join(sub))?;
        }
        let dir = dir.canonicalize().doing("find", dir)?;
        let lock = File::create(dir.join("lock")).doing("create", &dir.join("lock"))?;
        lock.lock().doing("lock", &dir.join("lock"))?;
        let (sources, changed) = sources::write(&dir.join("sources"))?;
        let config = dir.join("apt.conf");
        fs::write(&config, configuration(&dir)).doing("write", &config)?;
        let apt = Self { dir, config, sources, _lock: lock };
        if changed || apt.stale(refresh) {
            progress.step("fetching the package index");
            apt.update()?;
        }
        Ok(apt)
    }

    /// The source files in use, for other programs that fetch packages.
    pub fn sources(&self) -> &[PathBuf] {
        &self.sources
    }

    /// The versions of the named packages that apt would install.
    ///
    /// # Errors
    /// When a name is unknown, or apt fails.
    pub fn resolve(&self, names: &BTreeSet<String>) -> Result<Vec<Deb>, Error> {
        let mut command = self.command("apt-get")?;
        command.args(["download", "--print-uris"]).args(names);
        let listed = process::text(&mut command, "look up package versions")?;
        let mut debs: Vec<_> = listed.lines().filter_map(Deb::parse).collect();
        debs.sort();
        let absent = names.iter().find(|name| debs.binary_search_by(|deb| deb.name.cmp(name)).is_err());
        match absent {
            None => Ok(debs),
            Some(name) => Err(Error::Missing {
                what: format!("package {name}"),
                wanted_by: "no source of the host's apt offers it".into(),
            }),
        }
    }

    /// The packages and all library packages that they need, directly or through other libraries.
    ///
    /// # Errors
    /// When apt fails.
    pub fn with_libraries(&self, names: &BTreeSet<String>) -> Result<BTreeSet<String>, Error> {
        let mut known = names.clone();
        let mut new = names.clone();
        while !new.is_empty() {
            let needed = self.depends(&new)?.into_values().flatten();
            new = needed.filter(|name| is_library(name) && !known.contains(name)).collect();
            known.extend(new.iter().cloned());
        }
        Ok(known)
    }

    /// The first choice for each dependency of each of the packages.
    ///
    /// # Errors
    /// When apt fails.
    pub fn depends(&self, names: &BTreeSet<String>) -> Result<BTreeMap<String, Vec<String>>, Error> {
        let only = ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"];
        let mut command = self.command("apt-cache")?;
        command.arg("depends").args(only.map(|kind| format!("--no-{kind}"))).args(names);
        let listed = process::text(&mut command, "look up dependencies")?;
        Ok(parse_depends(&listed))
    }

    /// Fetches and unpacks what is not there yet.
    ///
    /// # Errors
    /// When a file cannot be fetched, is not what the index promises, or cannot be unpacked.
    pub fn unpack(&self, debs: &[Deb], progress: &dyn Progress) -> Result<Vec<Package>, Error> {
        let missing: Vec<_> = debs.iter().filter(|deb| !self.root(deb).is_dir()).collect();
        if !missing.is_empty() {
            progress.step(&format!("fetching {} packages", missing.len()));
            self.fetch(&missing)?;
        }
        Ok(debs.iter().map(|deb| Package { deb: deb.clone(), root: self.root(deb) }).collect())
    }

    fn fetch(&self, debs: &[&Deb]) -> Result<(), Error> {
        let work = self.dir.join("incoming");
        remove(&work)?;
        fs::create_dir(&work).doing("create", &work)?;
        let mut command = self.command("apt-get")?;
        command.args(["download", "-q"]).args(debs.iter().map(|deb| format!("{}={}", deb.name, deb.version)));
        process::output(command.current_dir(&work), "fetch packages")?;
        for deb in debs {
            let target = work.join("root");
            let mut command = process::program("dpkg-deb")?;
            command.arg("-x").arg(work.join(&deb.file)).arg(&target);
            process::output(&mut command, &format!("unpack {}", deb.file))?;
            fs::rename(&target, self.root(deb)).doing("move to its place", &target)?;
        }
        remove(&work)
    }

    fn root(&self, deb: &Deb) -> PathBuf {
        self.dir.join("unpacked").join(format!("{}-{}", deb.name, &deb.sha256[..24]))
    }

    fn command(&self, program: &str) -> Result<Command, Error> {
        let mut command = process::program(program)?;
        command.arg("-c").arg(&self.config);
        Ok(command)
    }

    fn update(&self) -> Result<(), Error> {
        process::output(self.command("apt-get")?.args(["update", "-q"]), "fetch the package index")?;
        let stamp = self.stamp();
        fs::write(&stamp, "").doing("write", &stamp)
    }

    fn stamp(&self) -> PathBuf {
        self.dir.join("state/updated")
    }

    fn stale(&self, refresh: Refresh) -> bool {
        let written = fs::metadata(self.stamp()).and_then(|meta| meta.modified());
        match (written, refresh) {
            (Err(_), _) | (_, Refresh::Always) => true,
            (Ok(_), Refresh::Never) => false,
            (Ok(at), Refresh::Daily) => {
                SystemTime::now().duration_since(at).is_ok_and(|age| age > Duration::from_secs(24 * 3600))
            }
        }
    }
}

impl Deb {
    /// Reads a line of `apt-get download --print-uris`: `'URI' name_version_arch.deb size SHA256:hex`.
    fn parse(line: &str) -> Option<Self> {
        let rest = line.strip_prefix('\'')?.split_once("' ")?.1;
        let mut words = rest.split(' ');
        let (file, _size, sum) = (words.next()?, words.next()?, words.next()?);
        let sha256 = sum.strip_prefix("SHA256:")?;
        let hex = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut parts = file.strip_suffix(".deb")?.split('_');
        let (name, version) = (parts.next()?, parts.next()?);
        let plain = !file.contains('/') && !name.starts_with('.');
        (hex && plain).then(|| Self {
            name: name.into(),
            version: version.replace("%3a", ":"),
            sha256: sha256.into(),
            file: file.into(),
        })
    }
}

fn remove(dir: &Path) -> Result<(), Error> {
    if dir.exists() { fs::remove_dir_all(dir).doing("remove", dir) } else { Ok(()) }
}

/// Debian names library packages `lib...`; the one important exception is zlib.
fn is_library(name: &str) -> bool {
    name.starts_with("lib") || name == "zlib1g"
}

/// Reads the output of `apt-cache depends`; of alternatives the first counts, virtual packages do not.
fn parse_depends(listed: &str) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::new();
    let mut current: Option<&mut Vec<String>> = None;
    let mut alternative = false;
    for line in listed.lines() {
        if !line.starts_with([' ', '|']) {
            current = Some(all.entry(line.trim().to_owned()).or_default());
            alternative = false;
            continue;
        }
        let Some((kind, name)) = line.split_once("Depends: ") else { continue };
        let skip = std::mem::replace(&mut alternative, kind.contains('|'));
        if let Some(list) = current.as_mut().filter(|_| !skip && !name.starts_with('<')) {
            list.push(name.split(':').next().unwrap_or(name).to_owned());
        }
    }
    all
}

/// Settings on top of the host's own. `#clear` removes hooks that the host runs after an update of its own index.
fn configuration(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "#clear APT::Update::Post-Invoke;\n\
         #clear APT::Update::Post-Invoke-Success;\n\
         #clear APT::Update::Pre-Invoke;\n\
         Dir::State \"{dir}/state\";\n\
         Dir::State::lists \"lists\";\n\
         Dir::State::status \"/dev/null\";\n\
         Dir::Cache \"{dir}/cache\";\n\
         Dir::Etc::sourcelist \"/dev/null\";\n\
         Dir::Etc::sourceparts \"{dir}/sources\";\n\
         Acquire::Languages \"none\";\n\
         Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n\
         Acquire::Retries \"3\";\n\
         APT::Sandbox::User \"root\";\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "3d3fdbe91d4660c873e14b092c213fe81c1da6362daa236eb25d0171eb108744";

    #[test]
    fn a_line_of_print_uris_is_a_package() {
        let line = format!("'http://m.example/b.deb' busybox_1%3a1.35.0-4+b1_amd64.deb 928188 SHA256:{SUM}");
        let deb = Deb::parse(&line).unwrap();
        assert_eq!((deb.name.as_str(), deb.version.as_str()), ("busybox", "1:1.35.0-4+b1"));
        assert_eq!((deb.sha256.as_str(), deb.file.as_str()), (SUM, "busybox_1%3a1.35.0-4+b1_amd64.deb"));
    }

    #[test]
    fn other_lines_are_no_packages() {
        for line in [
            "",
            "Get:1 http://m.example bookworm InRelease",
            "'uri' a_1_amd64.deb 5 MD5Sum:abc",
            "'uri' a_1_amd64.deb 5 SHA256:zz",
            "'uri' a.deb",
            "'uri",
        ] {
            assert_eq!(Deb::parse(line), None, "{line}");
        }
        assert_eq!(
            Deb::parse(&format!("'u' ../a_1_all.deb 5 SHA256:{SUM}")),
            None,
            "no way out of the folder"
        );
    }

    #[test]
    fn dependencies_take_the_first_alternative_and_no_virtual_packages() {
        let listed = "mdadm\n  PreDepends: init-system-helpers\n |Depends: debconf\n  Depends: <debconf-2.0>\n    \
                      cdebconf\n  Depends: libc6\n |Depends: libsystemd0\n  Depends: libelogind0\n<virtual>\ncurl\n  \
                      Depends: libcurl4:any\n";
        let depends = parse_depends(listed);
        assert_eq!(depends["mdadm"], ["init-system-helpers", "debconf", "libc6", "libsystemd0"]);
        assert_eq!(depends["curl"], ["libcurl4"]);
    }
}
