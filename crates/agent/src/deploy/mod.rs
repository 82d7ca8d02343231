//! Image deploy: from a URL to a disk that boots, as a command for task scripts.
//!
//! ```text
//! source (HTTP, resumes, hashes) → decode (gz, xz, zst) → sink (direct to disk, zeros skipped)
//! → volume, root, lvm (partition table spans the disk; the root found, grown with what holds it, mounted)
//! → configure (host name, users, machine id, cloud-init seed, agent service)
//! → efi (an entry of the firmware that leads to the disk)
//! → kexec (the image's own kernel loaded; the jump itself is the agent's restart)
//! ```
//!
//! The order is JSON, see [`spec::Spec`]. A disk that turns out to have got the wrong bytes is wiped, so
//! that nothing boots from it.

pub mod boot;
pub mod configure;
pub mod decode;
pub mod efi;
pub mod gpt;
pub mod inside;
pub mod lvm;
pub mod mbr;
pub mod root;
pub mod sink;
pub mod source;
pub mod spec;
pub mod table;
pub mod target;
pub mod volume;

use crate::http::tls::Trust;
use crate::inventory::disks;
use crate::kexec;
use crate::secret::Secret;
use crate::text::human_size;
use configure::Identity;
use gpt::Partition;
use sink::{Sink, Written};
use source::{Progress, Source};
use spec::Spec;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use table::Table;
use volume::{Kind, Mounted};

/// Why a deployment failed. Each variant says what we were doing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The order itself is wrong.
    #[error("{0}")]
    Spec(String),
    /// No disk, or too many.
    #[error("target disk: {0}")]
    Target(String),
    /// Reading the image.
    #[error("image download: {0}")]
    Download(io::Error),
    /// Unpacking or writing it.
    #[error("writing {disk}: {source}")]
    Write {
        /// The disk.
        disk: String,
        /// What went wrong.
        source: io::Error,
    },
    /// Other bytes than promised.
    #[error("the image has SHA-256 {found}, not {wanted}: it is damaged or was exchanged; {disk} was wiped")]
    Checksum {
        /// Of what came.
        found: String,
        /// Of the order.
        wanted: String,
        /// The disk.
        disk: String,
    },
    /// Partitions and file systems.
    #[error("{what}: {source}")]
    System {
        /// What we were doing.
        what: &'static str,
        /// What went wrong.
        source: io::Error,
    },
}

/// Where lines for the operator go.
pub type Say<'a> = &'a mut dyn FnMut(&str);

/// Carries out an order on this machine.
pub fn run(spec: &Spec, identity: &Identity, say: Say<'_>) -> Result<(), Error> {
    let root = Path::new("/");
    let all = disks::gather(root);
    let disk = target::choose(&all, &spec.disk, &target::busy(root)).map_err(Error::Target)?;
    say(&format!("target disk {}", target::describe(disk)));
    let path = Path::new(&disk.path);
    let image = open_image(spec, &identity.service.endpoint, say)?;
    // Not before there is something to put in its place.
    if efi::is_there()
        && let Err(error) = efi::remove_entries()
    {
        say(&format!("the firmware's entry for the old system stays: {error}"));
    }
    write_image(spec, image, path, say)?;
    volume::reread(path)
        .map_err(|source| Error::System { what: "reading the new partition table", source })?;
    if spec.system.is_none() && spec.kexec.is_none() && spec.keep_size {
        return Ok(());
    }
    set_up(spec, identity, path, say)
}

/// Asks for the image; fails when it cannot be had. `endpoint` is the server of this job.
pub fn open_image(spec: &Spec, endpoint: &str, say: Say<'_>) -> Result<Source, Error> {
    let trust = spec.trust();
    let source = Source::open(&spec.url, trust, host(endpoint)).map_err(Error::Download)?;
    let length = source.length().map_or_else(|| "length unknown".to_owned(), human_size);
    say(&format!("image {} ({length})", spec.url));
    if spec.url.starts_with("https://") {
        let own = host(&spec.url) == host(endpoint);
        say(match trust {
            Trust::Pin(_) => "https: only the certificate that the order names is accepted",
            Trust::Any => "https: any certificate is accepted, as the order says",
            Trust::Authorities if own => {
                "https: any certificate is accepted, for it is the server of this job"
            }
            Trust::Authorities => "https: checked against the certificate authorities of this system",
        });
    }
    Ok(source)
}

/// The host in a URL.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    match host.starts_with('[') {
        true => host.split_inclusive(']').next().unwrap_or_default(),
        false => host.split(':').next().unwrap_or_default(),
    }
}

/// Unpacks, writes and verifies; also on a regular file.
pub fn write_image(spec: &Spec, mut source: Source, disk: &Path, say: Say<'_>) -> Result<Written, Error> {
    let name = disk.display().to_string();
    let length = source.length();
    let failed = |source| Error::Write { disk: name.clone(), source };
    let sink = Sink::open(disk).map_err(&failed)?;
    let mut progress = Progress::new();
    let copied = copy(&mut source, spec.format, &sink, &mut progress, say);
    let written = sink.finish();
    let resumed = source.resumed();
    // The writer's reason explains a copy that ended early, so it comes first.
    let outcome = written.and_then(|written| copied.map(|()| written));
    let written = match outcome {
        Ok(written) => written,
        Err(error) => {
            let _ = sink::wipe(disk);
            return Err(failed(error));
        }
    };
    let found = source.finish().map_err(|error| {
        let _ = sink::wipe(disk);
        Error::Download(error)
    })?;
    if !spec.sha256.is_empty() && !found.eq_ignore_ascii_case(&spec.sha256) {
        sink::wipe(disk).map_err(&failed)?;
        return Err(Error::Checksum { found, wanted: spec.sha256.clone(), disk: name });
    }
    say(&summary(&written, length, progress.elapsed().as_secs_f64(), resumed));
    say(&format!(
        "sha256 {found} {}",
        if spec.sha256.is_empty() { "(not compared: none was given)" } else { "as promised" }
    ));
    Ok(written)
}

fn summary(written: &Written, length: Option<u64>, seconds: f64, resumed: u32) -> String {
    let speed = written.total as f64 / seconds.max(0.001) / 1e6;
    let read = length.map_or_else(String::new, |length| format!(", {} read", human_size(length)));
    let again = if resumed > 0 { format!(", download resumed {resumed} times") } else { String::new() };
    format!(
        "image written: {} ({} of data{read}) in {seconds:.1} s, {speed:.1} MB/s{again}",
        human_size(written.total),
        human_size(written.data)
    )
}

/// Fills buffers from the decoder until the image or the writer ends.
fn copy(
    source: &mut Source,
    format: spec::Format,
    sink: &Sink,
    progress: &mut Progress,
    say: Say<'_>,
) -> io::Result<()> {
    let length = source.length();
    let read = std::cell::Cell::new(0);
    let counted = Counted { inner: source, count: &read };
    let mut image = decode::reader(format, io::BufReader::with_capacity(256 * 1024, counted))?;
    let mut made = 0;
    while let Some(mut buffer) = sink.buffer() {
        let count = fill(&mut image, buffer.space())?;
        if count == 0 {
            return Ok(());
        }
        buffer.length = count;
        made += count as u64;
        if !sink.write(buffer) {
            break;
        }
        if let Some(line) = progress.line(read.get(), length, made) {
            say(&line);
        }
    }
    Ok(())
}

/// Lets the progress see how much was read, while the decoder holds the source.
struct Counted<'a> {
    inner: &'a mut Source,
    count: &'a std::cell::Cell<u64>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buf)?;
        self.count.set(self.count.get() + count as u64);
        Ok(count)
    }
}

/// Reads until the buffer is full or the image ends.
fn fill(image: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match image.read(&mut buffer[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// Everything after the bytes are on the disk.
fn set_up(spec: &Spec, identity: &Identity, disk: &Path, say: Say<'_>) -> Result<(), Error> {
    let failed = |what| move |source| Error::System { what, source };
    let parts = partitions(disk).map_err(failed("reading the partition table"))?;
    let place = root::find(spec, disk, &parts).map_err(failed("finding the root"))?;
    say(&format!("root is {place}"));
    if !spec.keep_size {
        for line in volume::grow(disk, place.part.number).map_err(failed("growing the root partition"))? {
            say(&line);
        }
        volume::reread(disk).map_err(failed("reading the grown partition table"))?;
    }
    let open = place.open(disk).map_err(failed("opening the root"))?;
    if !spec.keep_size {
        open.extend(say);
    }
    let mounted = Mounted::new(&open.device, place.kind).map_err(failed("mounting the root"))?;
    if !spec.keep_size {
        grow_file_system(&mounted, &open.device, place.kind, say);
    }
    if let Some(system) = &spec.system {
        configure::apply(&mounted.root(), system, identity, say)
            .map_err(failed("setting up the written system"))?;
    }
    if efi::is_there() {
        match efi::add_entry(disk, &parts) {
            Ok(Some(loader)) => say(&format!("firmware entry for {loader}")),
            Ok(None) => say("no EFI system partition: only a kexec or a BIOS can start this disk"),
            Err(error) => say(&format!("no firmware entry: {error}")),
        }
    }
    if let Some(order) = &spec.kexec {
        load_kernel(&mounted, order, disk, &parts, &place, say);
    }
    Ok(())
}

fn partitions(disk: &Path) -> io::Result<Vec<Partition>> {
    let mut file = File::open(disk)?;
    let size = sink::size_of_target(&file)?;
    Ok(Table::read(&mut file, size)?.partitions())
}

/// A file system that does not grow is no failure: it works at its old size.
fn grow_file_system(mounted: &Mounted, device: &Path, kind: Kind, say: Say<'_>) {
    let size = File::open(device).and_then(|file| sink::size_of_target(&file));
    match size.and_then(|size| mounted.grow(kind, size).map(|()| size)) {
        Ok(size) => say(&format!("{} now spans {}", kind.name(), human_size(size))),
        Err(error) => say(&format!("{} keeps its size: {error}", kind.name())),
    }
}

/// A kernel that cannot be loaded is no failure: the machine then boots from its disk.
fn load_kernel(
    mounted: &Mounted,
    order: &spec::Kexec,
    disk: &Path,
    parts: &[Partition],
    place: &root::Place,
    say: Say<'_>,
) {
    let _boot = boot::mount(&mounted.root(), disk, parts);
    let root = mounted.root();
    let Some(entry) = kexec::find(&root, &place.root_argument()) else {
        say("kexec: no kernel found in the written system; it will boot from its disk");
        return;
    };
    let purpose = kexec::Purpose::BootEnv(kexec::LOCAL.to_owned());
    match kexec::load(&root, &entry, &order.append, &purpose) {
        Ok(()) => say(&format!(
            "kexec: loaded {} ({}) with: {} {}",
            entry.kernel, entry.origin, entry.cmdline, order.append
        )),
        Err(error) => say(&format!(
            "kexec: {} cannot be loaded ({error}); the machine will boot from its disk",
            entry.kernel
        )),
    }
}

/// Who the agent in the written system is: whoever runs this job (`RS_ENDPOINT`, `RS_TOKEN`, `RS_UUID`,
/// `GANTRY_TLS`).
pub fn identity() -> Identity {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    Identity {
        service: crate::roles::ServiceConfig {
            endpoint: variable("RS_ENDPOINT"),
            token: Secret::new(variable("RS_TOKEN")),
            uuid: variable("RS_UUID"),
            tls: variable("GANTRY_TLS"),
            context: String::new(),
        },
        program: std::fs::read("/proc/self/exe").unwrap_or_default(),
    }
}
