//! The discovery OS: a signed Debian kernel and an initramfs whose PID 1 is the agent.
//!
//! # What the image promises to its PID 1
//!
//! * `/init` is a link to `/bin/gantry-agent`, the static agent, which is also found as `/usr/local/bin/drpcli`.
//!   Nothing is mounted, nothing runs; `/dev/console`, `/dev/kmsg` and `/dev/null` exist as nodes; `/proc`, `/sys`,
//!   `/dev`, `/run`, `/tmp` (mode 1777), `/mnt`, `/root` and `/var/...` exist as directories.
//! * `/lib/modules/RELEASE/` holds the modules, uncompressed and signed, with `modules.dep` (a module's line names all it
//!   needs; load from right to left), `modules.alias` (`alias PATTERN MODULE`, patterns in the manner of fnmatch),
//!   `modules.softdep` and `modules.builtin`. The kernel itself calls `/sbin/modprobe`, which is busybox. Load the
//!   modules of all `modalias` files below `/sys/devices`, then again: virtio and other buses bring new devices.
//!   The indexes cover the modules of all layers: a module whose file is absent is in a layer that was not appended.
//! * `/bin/busybox` with a link for each applet where no full program of the name exists; `/bin/sh` is busybox's,
//!   `/bin/bash` is bash. There is no udev: no `/dev/disk/by-*`, no renamed network cards.
//! * Programs for tasks: see `data/discovery.toml`. `/etc/ssl/certs/ca-certificates.crt` is there; `/etc/resolv.conf` and
//!   `/etc/hostname` are not, PID 1 writes them.
//! * Layers may bring `/etc/gantry/start.d/NN-name`: executable, to be started once, in order of name, when the
//!   network is up; none waits for another, a failure is said on the console, and none of them is needed for Gantry itself.
//! * `/etc/gantry/image.json`: `{"kernel": RELEASE, "inputs": DIGEST}` of the base layer.
//!
//! # What a build leaves in the output folder
//!
//! `vmlinuz`; `initrd.img`: the base layer, the agent and every layer that was asked to be appended, one archive after
//! another, as the kernel allows; `layer-NAME.img` for the agent and optional layers, to be named as further
//! initrds; `manifest.json`.
//!
//! # How it is built
//!
//! Packages come through [`crate::apt`]. Each layer is one compressed archive, cached under the digest of all that it is
//! made of, so a new agent costs a tenth of a second. The same inputs give the same bytes: see [`crate::tree`]; zstd's
//! output does not depend on the number of threads.

use crate::apt::{Apt, Deb, Package, Refresh};
use crate::description::{APPLETS, BASE, Description, Layer};
use crate::error::Doing;
use crate::kmod::Modules;
use crate::layer::{contents, put_firmware};
use crate::libs::Pool;
use crate::manifest::{Digest, Manifest, digest_of};
use crate::tree::{Node, Source, Tree};
use crate::{Error, Progress, uki};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What kernel and initramfs of a release may have together, in bytes.
pub const LIMIT: u64 = 40_000_000;

/// The modification time of all files in an archive unless asked otherwise: 2024-01-01.
pub const DEFAULT_TIME: u32 = 1_704_067_200;

/// Changes when the same inputs would give other bytes.
const FORMAT: u32 = 1;

/// What to build.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder for the results.
    pub out: PathBuf,
    /// Folder for packages and finished layers; shared by builds.
    pub cache: PathBuf,
    /// The static agent; without one the image has no `/init`.
    pub agent: Option<PathBuf>,
    /// Which kernel of the description.
    pub kernel: String,
    /// Compression level of zstd, 1 to 19.
    pub level: i32,
    /// Optional layers to build as separate archives.
    pub layers: Vec<String>,
    /// Optional layers to append to `initrd.img` too.
    pub append: Vec<String>,
    /// Most bytes that kernel and `initrd.img` may have together; see [`LIMIT`].
    pub limit: Option<u64>,
    /// Modification time of all files in the archives, in seconds since 1970.
    pub time: u32,
    /// When to fetch the package index.
    pub refresh: Refresh,
    /// Write `discovery.efi` with this kernel command line too.
    pub uki: Option<String>,
    /// What the image consists of.
    pub description: Description,
}

/// Builds the discovery OS, or finds that the folder already holds it.
///
/// # Errors
/// When a package, file, module or library of the description is not to be had, a program fails, or the result is too
/// large.
pub fn build(options: &Options, progress: &dyn Progress) -> Result<Manifest, Error> {
    fs::create_dir_all(&options.out).doing("create", &options.out)?;
    let builder = Builder::new(options, progress)?;
    let base = builder.layer(BASE, None)?;
    let agent = builder.agent_layer()?;
    let extra: BTreeSet<_> = options.layers.iter().chain(&options.append).map(String::as_str).collect();
    let layers: Vec<_> =
        extra.iter().map(|name| builder.layer(name, Some(&base))).collect::<Result<_, _>>()?;

    let mut all: Vec<Deb> =
        base.debs.iter().chain(layers.iter().flat_map(|layer| &layer.debs)).cloned().collect();
    all.sort();
    all.dedup();
    let parts: Vec<_> = [&base].into_iter().chain(&agent).chain(&layers).map(|layer| &layer.digest).collect();
    let inputs = json!({"layers": parts, "append": options.append, "uki": options.uki, "format": FORMAT});
    let mut manifest = Manifest::new("discovery", digest_of(&inputs), &all);
    if let Some(current) = Manifest::current(&options.out, &manifest.inputs) {
        progress.step("nothing to do: the image is up to date");
        return Ok(current);
    }
    progress.step("writing kernel, initramfs and manifest");
    builder.write(&mut manifest, &base, agent.as_ref(), &layers)?;
    Ok(manifest)
}

/// A finished archive in the cache.
#[derive(Debug)]
struct Built {
    name: String,
    file: PathBuf,
    digest: String,
    debs: Vec<Deb>,
    /// Particulars for the manifest.
    summary: Value,
}

struct Builder<'a> {
    options: &'a Options,
    progress: &'a dyn Progress,
    apt: Apt,
    kernel: Package,
    layers_dir: PathBuf,
}

impl<'a> Builder<'a> {
    fn new(options: &'a Options, progress: &'a dyn Progress) -> Result<Self, Error> {
        let layers_dir = options.cache.join("layers");
        fs::create_dir_all(&layers_dir).doing("create", &layers_dir)?;
        let apt = Apt::open(&options.cache.join("apt"), options.refresh, progress)?;
        let kernel = kernel_package(&apt, options.description.kernel(&options.kernel)?)?;
        let kernel = apt.unpack(&[kernel], progress)?.remove(0);
        Ok(Self { options, progress, apt, kernel, layers_dir })
    }

    /// Builds a layer, or finds it in the cache. An optional layer leaves out what the base layer has.
    fn layer(&self, name: &str, base: Option<&Built>) -> Result<Built, Error> {
        let description = &self.options.description;
        let layer = description.layer(name)?;
        let mut debs = self.debs(layer)?;
        debs.extend(base.map(|base| base.debs.clone()).unwrap_or_default());
        debs.push(self.kernel.deb.clone());
        debs.sort();
        debs.dedup();
        let inputs = json!({
            "format": FORMAT,
            "layer": layer,
            "modules": description.layers.values().map(|layer| &layer.modules).collect::<Vec<_>>(),
            "base": base.map(|base| &base.digest),
            "level": self.options.level,
            "time": self.options.time,
            "packages": debs.iter().map(|deb| [&deb.name, &deb.sha256]).collect::<Vec<_>>(),
            "applets": APPLETS,
        });
        let digest = digest_of(&inputs);
        let file = self.layers_dir.join(format!("{name}-{}.img", &digest[..24]));
        let summary_file = file.with_extension("json");
        let known = fs::read(&summary_file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        if let Some(summary) = known.filter(|_| file.is_file()) {
            return Ok(Built { name: name.into(), file, digest, debs, summary });
        }
        self.progress.step(&format!("assembling the layer {name}"));
        let packages = self.apt.unpack(&debs, self.progress)?;
        let (tree, summary) = self.tree(name, layer, &packages, &digest)?;
        self.progress.step(&format!("compressing the layer {name}"));
        let raw = self.compress(&tree, &file)?;
        let summary = with(summary, "unpacked", raw);
        fs::write(&summary_file, summary.to_string()).doing("write", &summary_file)?;
        Ok(Built { name: name.into(), file, digest, debs, summary })
    }

    /// The packages of a layer with the libraries that they need.
    fn debs(&self, layer: &Layer) -> Result<Vec<Deb>, Error> {
        let named: BTreeSet<_> = layer.packages.keys().cloned().collect();
        let mut names = if named.is_empty() { named } else { self.apt.with_libraries(&named)? };
        names.extend(layer.firmware.packages.iter().cloned());
        if names.is_empty() { Ok(Vec::new()) } else { self.apt.resolve(&names) }
    }

    fn tree(
        &self,
        name: &str,
        layer: &Layer,
        packages: &[Package],
        digest: &str,
    ) -> Result<(Tree, Value), Error> {
        let description = &self.options.description;
        let modules = Modules::open(&self.kernel.root)?;
        let base = description.layer(BASE)?;
        let mut own = modules.select(&layer.modules)?;
        let mut all = modules.select(&base.modules)?;
        let mut tree = contents(name, layer, packages)?;
        if name != BASE {
            own.subtract(&all);
            tree.subtract(&contents(BASE, base, packages)?);
        }
        for layer in description.layers.values() {
            all.extend(&modules.select(&layer.modules)?);
        }
        own.put(&mut tree);
        if name == BASE {
            all.put_indexes(&mut tree);
            let about = json!({"kernel": modules.release(), "inputs": digest});
            tree.text("/etc/gantry/image.json", format!("{about}\n"));
        }
        let firmware = put_firmware(&mut tree, &layer.firmware, &all, packages)?;
        let summary = json!({"modules": own.len(), "firmware": firmware, "unmatched": own.unmatched});
        Ok((tree, summary))
    }

    /// The agent's own archive, made anew each time.
    fn agent_layer(&self) -> Result<Option<Built>, Error> {
        let Some(agent) = &self.options.agent else { return Ok(None) };
        let mut tree = Tree::default();
        tree.put(
            "/bin/gantry-agent",
            Node::File(0o755, Source::Bytes(fs::read(agent).doing("read", agent)?)),
        );
        tree.put("/init", Node::Link("/bin/gantry-agent".into()));
        tree.put("/usr/bin/drpcli", Node::Link("/bin/gantry-agent".into()));
        tree.put("/usr/local/bin/drpcli", Node::Link("/bin/gantry-agent".into()));
        let file = self.options.out.join("layer-agent.img");
        let raw = self.compress(&tree, &file)?;
        let digest = Digest::of(&file)?.sha256;
        let summary = json!({"unpacked": raw});
        Ok(Some(Built { name: "agent".into(), file, digest, debs: Vec::new(), summary }))
    }

    /// Writes a tree as a compressed archive, padded to four bytes so that another may follow. Returns its raw size.
    fn compress(&self, tree: &Tree, file: &Path) -> Result<u64, Error> {
        let part = file.with_extension("part");
        let out = File::create(&part).doing("create", &part)?;
        let mut encoder = zstd::Encoder::new(out, self.options.level).doing("compress", file)?;
        encoder.include_checksum(true).doing("compress", file)?;
        encoder.multithread(2).doing("compress", file)?;
        let counter = tree.write(Counter { inner: encoder, written: 0 }, self.options.time)?;
        let written = counter.written;
        let mut out = counter.inner.finish().doing("compress", file)?;
        let len = out.metadata().doing("read", &part)?.len();
        out.write_all(&[0; 4][..len.next_multiple_of(4).abs_diff(len) as usize]).doing("write", &part)?;
        fs::rename(&part, file).doing("move to its place", file)?;
        Ok(written)
    }

    fn write(
        &self,
        manifest: &mut Manifest,
        base: &Built,
        agent: Option<&Built>,
        layers: &[Built],
    ) -> Result<(), Error> {
        let out = &self.options.out;
        copy(&vmlinuz(&self.kernel)?, &out.join("vmlinuz"))?;
        let appended = layers.iter().filter(|layer| self.options.append.contains(&layer.name));
        let parts: Vec<_> = [base].into_iter().chain(agent).chain(appended).collect();
        let initrd = out.join("initrd.img");
        join(&parts, &initrd)?;
        let mut names = vec!["vmlinuz".to_owned(), "initrd.img".to_owned()];
        for layer in layers {
            let name = format!("layer-{}.img", layer.name);
            copy(&layer.file, &out.join(&name))?;
            names.push(name);
        }
        names.extend(agent.map(|_| "layer-agent.img".to_owned()));
        if let Some(line) = &self.options.uki {
            self.progress.step("writing the unified kernel image");
            self.uki(line)?;
            names.push("discovery.efi".into());
        }
        for name in &names {
            manifest.add(out, name)?;
        }
        for layer in [base].into_iter().chain(agent).chain(layers) {
            manifest.details.insert(format!("layer {}", layer.name), layer.summary.clone());
        }
        manifest.details.insert("level".into(), self.options.level.into());
        let size = manifest.size(&["vmlinuz", "initrd.img"]);
        match self.options.limit.filter(|limit| size > *limit) {
            Some(limit) => Err(Error::TooLarge { size, limit }),
            None => manifest.write(out),
        }
    }

    fn uki(&self, command_line: &str) -> Result<(), Error> {
        let names = BTreeSet::from(["systemd-boot-efi".to_owned()]);
        let stub = self.apt.unpack(&self.apt.resolve(&names)?, self.progress)?;
        let stub = Pool::new(&stub).find("/usr/lib/systemd/boot/efi/linuxx64.efi.stub");
        let stub = stub.ok_or_else(|| Error::Missing {
            what: "linuxx64.efi.stub".into(),
            wanted_by: "the package systemd-boot-efi should have it".into(),
        })?;
        let out = &self.options.out;
        let read = |name: &str| fs::read(out.join(name)).doing("read", &out.join(name));
        let stub = fs::read(&stub).doing("read", &stub)?;
        let release = "ID=gantry\nPRETTY_NAME=\"Gantry discovery OS\"\n";
        let (kernel, initrd) = (read("vmlinuz")?, read("initrd.img")?);
        let parts = uki::Parts { release, command_line, kernel: &kernel, initrd: &initrd };
        let image = uki::assemble(&stub, &parts).map_err(|reason| Error::Malformed {
            file: "linuxx64.efi.stub".into(),
            reason: reason.to_string(),
        })?;
        let file = out.join("discovery.efi");
        fs::write(&file, image).doing("write", &file)
    }
}

/// Follows a package that only depends on the newest kernel to the kernel itself.
pub(crate) fn kernel_package(apt: &Apt, name: &str) -> Result<Deb, Error> {
    let depends = apt.depends(&BTreeSet::from([name.to_owned()]))?;
    let mut images = depends.into_values().flatten().filter(|needed| needed.starts_with("linux-image-"));
    let real = images.next().unwrap_or_else(|| name.to_owned());
    Ok(apt.resolve(&BTreeSet::from([real]))?.remove(0))
}

/// The kernel in its unpacked package.
fn vmlinuz(kernel: &Package) -> Result<PathBuf, Error> {
    let found = Pool::glob(kernel, "/boot/vmlinuz-*")?;
    let path = found.first().ok_or_else(|| Error::Missing {
        what: "/boot/vmlinuz-*".into(),
        wanted_by: format!("the package {} should have it", kernel.deb.name),
    })?;
    Ok(kernel.root.join(&path[1..]))
}

/// Copies a file.
fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    fs::copy(from, to).doing("copy", from)?;
    Ok(())
}

/// Writes several archives into one file, one after another.
fn join(parts: &[&Built], to: &Path) -> Result<(), Error> {
    let mut out = File::create(to).doing("create", to)?;
    for part in parts {
        let mut from = File::open(&part.file).doing("read", &part.file)?;
        io::copy(&mut from, &mut out).doing("write", to)?;
    }
    Ok(())
}

/// Adds a number to an object.
fn with(mut object: Value, key: &str, value: u64) -> Value {
    object[key] = value.into();
    object
}

/// Counts what passes through.
struct Counter<W> {
    inner: W,
    written: u64,
}

impl<W: Write> Write for Counter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.inner.write(bytes)?;
        self.written += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
