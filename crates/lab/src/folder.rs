//! The folders that labs live in, and how what a crash left behind is found and removed.
//!
//! `ROOT/NAME/` holds everything of one lab. Its `lab.json` records the processes by number *and* start time, so that a number
//! that the system has given to another process since is never taken for ours. The next lab that starts under the same root
//! sweeps the others: a lab whose owner is gone is ended, a lab whose supervisor is gone is removed. Containers may share the root:
//! the processes of a lab in another process namespace cannot be seen, so it lives as long as it answers.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::unistd::{Pid, getuid};
use serde::{Deserialize, Serialize};

use crate::config::{Files, Lifetime};
use crate::error::{Doing, Error, Result};

/// How old a folder without a record must be before it counts as left behind. Its lab may be just starting.
const GRACE: Duration = Duration::from_secs(60);

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// In clock ticks since the system's start: field 22 of `/proc/PID/stat` (proc(5)).
    started: u64,
}

impl Process {
    /// The process with this number, if there is one.
    pub(crate) fn of(pid: i32) -> Option<Process> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the name in parentheses, which may hold anything.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        if fields.next()? == "Z" {
            return None;
        }
        Some(Process { pid, started: fields.nth(18)?.parse().ok()? })
    }

    pub(crate) fn me() -> Option<Process> {
        Process::of(std::process::id() as i32)
    }

    pub(crate) fn is_alive(self) -> bool {
        Process::of(self.pid) == Some(self)
    }

    /// Ends this very process, at once.
    pub(crate) fn kill(self) {
        if self.is_alive() {
            // It may have ended meanwhile; that is what was wanted.
            let _ = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
        }
    }
}

/// What `lab.json` says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) lifetime: Lifetime,
    pub(crate) files: Files,
    /// Who started the lab.
    pub(crate) owner: Option<Process>,
    /// The process that waits for the supervisor, outside its process namespace.
    pub(crate) guardian: Process,
    /// The supervisor: process 1 of its namespace. Its end is the end of everything in there.
    pub(crate) supervisor: Option<Process>,
    /// The process namespace in which those numbers mean something, see [`namespace`].
    #[serde(default)]
    pub(crate) namespace: Option<u64>,
}

/// What tells this process's namespace of processes from others: the inode of its file (namespaces(7)).
pub(crate) fn namespace() -> Option<u64> {
    Some(fs::metadata("/proc/self/ns/pid").ok()?.ino())
}

impl Record {
    pub(crate) fn read(folder: &Path) -> Option<Record> {
        serde_json::from_slice(&fs::read(record_path(folder)).ok()?).ok()
    }

    /// Written beside and renamed, so that a reader never sees half of it.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let fresh = folder.join("lab.json.new");
        let write = || {
            fs::write(&fresh, serde_json::to_vec(self).map_err(io::Error::other)?)?;
            fs::rename(&fresh, record_path(folder))
        };
        write().doing(|| format!("write {}", record_path(folder).display()))
    }

    /// Its processes run, and somebody still wants them.
    pub(crate) fn is_alive(&self, folder: &Path) -> bool {
        let wanted = self.lifetime == Lifetime::Detached || self.owner.is_some_and(Process::is_alive);
        if self.is_elsewhere() { answers(folder) } else { wanted && self.guardian.is_alive() }
    }

    /// Nothing is left of it but files.
    fn is_over(&self, folder: &Path) -> bool {
        if self.is_elsewhere() { !answers(folder) } else { !self.guardian.is_alive() }
    }

    fn is_elsewhere(&self) -> bool {
        self.namespace.is_some() && self.namespace != namespace()
    }
}

fn record_path(folder: &Path) -> PathBuf {
    folder.join("lab.json")
}

/// Where the supervisor listens.
pub(crate) fn control_socket(folder: &Path) -> PathBuf {
    folder.join("control")
}

/// A connection to the supervisor.
pub(crate) fn dial(folder: &Path) -> nix::Result<OwnedFd> {
    let client = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    connect(client.as_raw_fd(), &UnixAddr::new(&control_socket(folder))?)?;
    Ok(client)
}

/// Whether somebody listens for the lab, or may soon: it may be just starting.
fn answers(folder: &Path) -> bool {
    dial(folder).is_ok() || !is_older_than_grace(folder)
}

/// Where the supervisor and everything in the lab that has no log of its own writes.
pub(crate) fn log_path(folder: &Path) -> PathBuf {
    folder.join("lab.log")
}

/// Makes the folder of a lab, after sweeping its neighbours.
///
/// # Errors
/// If the root belongs to somebody else, or a lab of that name runs.
pub(crate) fn create(root: &Path, name: &str) -> Result<PathBuf> {
    private_folder(root)?;
    sweep(root);
    let folder = root.join(name);
    match DirBuilder::new().mode(0o700).create(&folder) {
        Ok(()) => Ok(folder),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => reuse(folder, name),
        Err(error) => Err(error).doing(|| format!("create the folder {}", folder.display())),
    }
}

/// A folder of that name was kept by an earlier lab, or a lab lives in it.
fn reuse(folder: PathBuf, name: &str) -> Result<PathBuf> {
    let kept = Record::read(&folder).is_some_and(|record| record.is_over(&folder));
    if !kept {
        let right = format!("a name that is free, or end that lab first: gantry lab down --lab {name}");
        return Err(Error::Invalid { field: "lab name", value: name.to_owned(), right });
    }
    let renew = || {
        fs::remove_dir_all(&folder)?;
        DirBuilder::new().mode(0o700).create(&folder)
    };
    renew().doing(|| format!("renew the folder {}", folder.display()))?;
    Ok(folder)
}

/// Nobody else may put anything into the root: it usually lies in `/tmp`.
fn private_folder(root: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(root);
    made.doing(|| format!("create the folder {}", root.display()))?;
    let meta = fs::symlink_metadata(root).doing(|| format!("look at {}", root.display()))?;
    if meta.is_dir() && meta.uid() == getuid().as_raw() && meta.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(Error::Invalid {
        field: "root",
        value: root.display().to_string(),
        right: "a folder of your own into which nobody else may write".to_owned(),
    })
}

/// Ends and removes what crashed labs left under this root. Best effort: what cannot be removed now is tried next time.
pub(crate) fn sweep(root: &Path) {
    for folder in folders(root) {
        match Record::read(&folder) {
            Some(record) if record.is_alive(&folder) => {}
            Some(record) => {
                if !record.is_elsewhere() {
                    record.guardian.kill();
                    record.supervisor.into_iter().for_each(Process::kill);
                }
                if record.files == Files::Remove {
                    let _ = fs::remove_dir_all(&folder);
                }
            }
            None if is_older_than_grace(&folder) => {
                let _ = fs::remove_dir_all(&folder);
            }
            None => {}
        }
    }
}

/// The folders of labs under a root, by name.
pub(crate) fn folders(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let mut folders: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn is_older_than_grace(folder: &Path) -> bool {
    let modified = fs::metadata(folder).and_then(|meta| meta.modified());
    modified.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > GRACE))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use nix::sys::socket::{Backlog, bind, listen};

    use super::*;

    struct Root(PathBuf);

    impl Root {
        fn new() -> Root {
            let path = std::env::temp_dir().join(format!("gantry-lab-{}", uuid::Uuid::new_v4()));
            private_folder(&path).unwrap();
            Root(path)
        }

        fn lab(&self, name: &str, change: impl FnOnce(&mut Record)) -> PathBuf {
            let folder = self.0.join(name);
            fs::create_dir(&folder).unwrap();
            let mut record = Record {
                name: name.into(),
                lifetime: Lifetime::Owned,
                files: Files::Remove,
                owner: Process::me(),
                guardian: Process::me().unwrap(),
                supervisor: None,
                namespace: namespace(),
            };
            change(&mut record);
            record.write(&folder).unwrap();
            folder
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn dead() -> Process {
        Process { pid: std::process::id() as i32, started: 1 }
    }

    #[test]
    fn a_process_is_known_by_its_start_too() {
        assert!(Process::me().unwrap().is_alive());
        assert!(!dead().is_alive());
        assert_eq!(Process::of(i32::MAX), None);
    }

    #[test]
    fn labs_that_live_stay_and_the_others_go() {
        let root = Root::new();
        let alive = root.lab("alive", |_| ());
        let gone = root.lab("gone", |record| record.guardian = dead());
        let kept = root.lab("kept", |record| (record.guardian, record.files) = (dead(), Files::Keep));
        let starting = root.0.join("starting");
        fs::create_dir(&starting).unwrap();
        sweep(&root.0);
        assert_eq!(
            [&alive, &gone, &kept, &starting].map(|folder| folder.exists()),
            [true, false, true, true]
        );
    }

    #[test]
    fn a_lab_of_another_container_lives_as_long_as_it_answers() {
        let root = Root::new();
        let foreign = |record: &mut Record| (record.guardian, record.namespace) = (dead(), Some(1));
        let folders = ["answers", "silent", "starting"].map(|name| root.lab(name, foreign));
        let listener =
            socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(listener.as_raw_fd(), &UnixAddr::new(&control_socket(&folders[0])).unwrap()).unwrap();
        listen(&listener, Backlog::new(8).unwrap()).unwrap();
        let old = SystemTime::now() - GRACE * 2;
        for folder in &folders[..2] {
            fs::File::open(folder).unwrap().set_modified(old).unwrap();
        }
        assert!(create(&root.0, "answers").is_err() && create(&root.0, "starting").is_err());
        assert_eq!(folders.each_ref().map(|folder| folder.exists()), [true, false, true]);
    }

    #[test]
    fn a_lab_without_its_owner_is_ended() {
        let root = Root::new();
        let mut sleeper = Command::new("sleep").arg("1000").spawn().unwrap();
        let process = Process::of(sleeper.id() as i32).unwrap();
        let orphan = root.lab("orphan", |record| (record.owner, record.guardian) = (Some(dead()), process));
        sweep(&root.0);
        assert!(!sleeper.wait().unwrap().success());
        assert!(!orphan.exists());
    }

    #[test]
    fn a_detached_lab_needs_no_owner() {
        let root = Root::new();
        let detached =
            root.lab("detached", |record| (record.owner, record.lifetime) = (None, Lifetime::Detached));
        sweep(&root.0);
        assert!(detached.exists());
    }

    #[test]
    fn a_name_is_free_when_its_lab_has_ended() {
        let root = Root::new();
        root.lab("busy", |_| ());
        let text = create(&root.0, "busy").unwrap_err().to_string();
        assert!(text.contains("gantry lab down --lab busy"), "{text}");
        let kept = root.lab("kept", |record| (record.guardian, record.files) = (dead(), Files::Keep));
        fs::write(kept.join("old"), "").unwrap();
        assert_eq!(create(&root.0, "kept").unwrap(), kept);
        assert!(!kept.join("old").exists());
    }

    #[test]
    fn a_root_that_others_may_write_to_is_refused() {
        let root = Root::new();
        let open = root.0.join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        assert!(create(&open, "x").is_err());
        assert!(create(Path::new("/etc/passwd"), "x").is_err());
    }
}
