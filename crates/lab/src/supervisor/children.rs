//! The processes that run in the lab, by id.
//!
//! The supervisor is process 1, so whatever loses its parent in the lab becomes its child. One thread collects them all; therefore
//! nothing in the supervisor may wait for a process by itself. A process's number stays its own until it is collected, and it is
//! collected and signalled under one lock, so that a signal never hits a stranger.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use crate::error::{Doing, Error, Result};
use crate::process::Exit;

/// All processes that the supervisor has started.
#[derive(Clone)]
pub(crate) struct Children(Arc<Shared>);

struct Shared {
    table: Mutex<Table>,
    changed: Condvar,
}

#[derive(Default)]
struct Table {
    last_id: u64,
    by_id: BTreeMap<u64, Entry>,
}

struct Entry {
    pid: Pid,
    name: String,
    exit: Option<Exit>,
}

impl Children {
    /// Starts the thread that collects.
    pub(crate) fn start() -> Result<Children> {
        let shared = Arc::new(Shared { table: Mutex::default(), changed: Condvar::new() });
        let mine = Arc::clone(&shared);
        let reaper = thread::Builder::new().name("children".to_owned()).spawn(move || mine.collect());
        reaper.doing(|| "start the thread that collects processes")?;
        Ok(Children(shared))
    }

    /// Starts a process. The `Child` is good for its pipes only; waiting is for [`Children::wait`].
    pub(crate) fn spawn(&self, command: &mut Command) -> Result<(u64, Child)> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut table = self.0.lock();
        let child = command.spawn().doing(|| format!("start {name}"))?;
        table.last_id += 1;
        let id = table.last_id;
        table.by_id.insert(id, Entry { pid: Pid::from_raw(child.id() as i32), name, exit: None });
        self.0.changed.notify_all();
        Ok((id, child))
    }

    /// Runs a tool to its end; what it says on standard error becomes the error.
    pub(crate) fn run(&self, command: &mut Command) -> Result<()> {
        let (id, mut child) =
            self.spawn(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()))?;
        let mut said = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            stderr.read_to_string(&mut said).doing(|| "read what a tool says")?;
        }
        let exit = self.wait(id, None)?;
        if exit.is_some_and(Exit::is_success) {
            return Ok(());
        }
        let name = command.get_program().to_string_lossy();
        Err(Error::Refused { message: format!("{name} failed: {}", said.trim()) })
    }

    /// Waits for the end of a process; `None` if it does not come in time.
    pub(crate) fn wait(&self, id: u64, timeout: Option<Duration>) -> Result<Option<Exit>> {
        let table = self.0.lock();
        if !table.by_id.contains_key(&id) {
            return Err(table.unknown(id));
        }
        let running = |table: &mut Table| table.by_id.get(&id).is_some_and(|entry| entry.exit.is_none());
        let table = match timeout {
            None => self.0.changed.wait_while(table, running).unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => {
                let waited = self.0.changed.wait_timeout_while(table, timeout, running);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        Ok(table.by_id.get(&id).and_then(|entry| entry.exit))
    }

    /// Sends a signal, unless the process has ended.
    pub(crate) fn kill(&self, id: u64, signal: Signal) -> Result<()> {
        let table = self.0.lock();
        let entry = table.by_id.get(&id).ok_or_else(|| table.unknown(id))?;
        if entry.exit.is_some() {
            return Ok(());
        }
        kill(entry.pid, signal).doing(|| format!("send {signal} to {}", entry.name))
    }

    /// Asks everything to end, then waits a little.
    pub(crate) fn end_all(&self, patience: Duration) {
        let table = self.0.lock();
        for entry in table.by_id.values().filter(|entry| entry.exit.is_none()) {
            // The kernel ends whoever does not listen.
            let _ = kill(entry.pid, Signal::SIGTERM);
        }
        let running = |table: &mut Table| table.by_id.values().any(|entry| entry.exit.is_none());
        drop(self.0.changed.wait_timeout_while(table, patience, running));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For ever: looks who has ended, and only then, under the lock, collects it. While the lock is held by `spawn`, a child whose
    /// exec fails is collected there, by the standard library.
    fn collect(&self) {
        loop {
            match waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {
                Ok(status) => {
                    let mut table = self.lock();
                    if let Some(Ok(status)) = status.pid().map(|pid| waitpid(pid, Some(WaitPidFlag::WNOHANG)))
                    {
                        table.ended(status);
                    }
                    self.changed.notify_all();
                }
                Err(Errno::ECHILD) => {
                    let table = self.lock();
                    let idle = |table: &mut Table| table.by_id.values().all(|entry| entry.exit.is_some());
                    drop(self.changed.wait_while(table, idle));
                }
                Err(_) => {}
            }
        }
    }
}

impl Table {
    fn ended(&mut self, status: WaitStatus) {
        let exit = match status {
            WaitStatus::Exited(_, code) => Exit { code: Some(code), signal: None },
            WaitStatus::Signaled(_, signal, _) => Exit { code: None, signal: Some(signal as i32) },
            _ => return,
        };
        let ended =
            self.by_id.values_mut().find(|entry| Some(entry.pid) == status.pid() && entry.exit.is_none());
        // An orphan of some process in the lab has no entry.
        if let Some(entry) = ended {
            entry.exit = Some(exit);
        }
    }

    fn unknown(&self, id: u64) -> Error {
        let known = self
            .by_id
            .iter()
            .map(|(id, entry)| format!("{id} {}", entry.name))
            .collect::<Vec<_>>()
            .join(", ");
        Error::Unknown { kind: "process", name: id.to_string(), known }
    }
}
