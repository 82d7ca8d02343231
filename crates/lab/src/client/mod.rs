//! A lab, seen by the process that uses it.
//!
//! Every call is a request to the supervisor over a connection of its own, so calls from many threads do not wait for each other.
//! [`Lab`] is a cheap clone; an owned lab ends when the last clone is dropped.

mod machine;
mod network;
mod process;
mod start;

pub use machine::Machine;
pub use network::{Switchboard, Wire};
pub use process::Process;
use start::{Owned, start_guardian, wait_for_guardian};

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fs, io};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::{Config, Files, Lifetime, Vlan};
use crate::error::{Doing, Error, Result};
use crate::folder::{self, Record, control_socket};
use crate::machine::{MachineSpec, MachineStatus};
use crate::process::{Output, Program};
use crate::proto::{self, Answer, Request};

/// A running lab.
#[derive(Clone, Debug)]
pub struct Lab(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    owned: Mutex<Option<Owned>>,
}

impl Lab {
    /// Starts a lab, and sweeps what crashed labs under the same root left behind.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a wrong configuration, [`Error::Missing`] without the helper, [`Error::Refused`] with the reason if
    /// the kernel does not allow the namespaces.
    pub fn start(config: Config) -> Result<Lab> {
        config.check()?;
        let folder = folder::create(&config.root, &config.name)?;
        let lifetime = config.lifetime;
        let started = start_guardian(config, &folder);
        match started {
            Ok(owned) => {
                let owned = Mutex::new((lifetime == Lifetime::Owned).then_some(owned));
                Ok(Lab(Arc::new(Shared { folder, owned })))
            }
            Err(error) => {
                // The guardian removes it too, if it got that far.
                let _ = fs::remove_dir_all(&folder);
                Err(error)
            }
        }
    }

    /// A lab that was started elsewhere, by the name of its folder under `root`.
    ///
    /// # Errors
    /// [`Error::Unknown`] if no such lab runs.
    pub fn attach(root: &Path, name: &str) -> Result<Lab> {
        let folder = root.join(name);
        if Record::read(&folder).is_some_and(|record| record.is_alive(&folder)) {
            return Ok(Lab(Arc::new(Shared { folder, owned: Mutex::new(None) })));
        }
        let known = Lab::names(root).join(", ");
        Err(Error::Unknown { kind: "lab", name: name.to_owned(), known })
    }

    /// The names of the labs that run under `root`.
    pub fn names(root: &Path) -> Vec<String> {
        let alive = |folder: PathBuf| Record::read(&folder).filter(|record| record.is_alive(&folder));
        folder::folders(root).into_iter().filter_map(alive).map(|record| record.name).collect()
    }

    /// The lab's folder: logs, disks, captures.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// Makes a machine; its power is off.
    ///
    /// # Errors
    /// [`Error::Refused`] for a wrong specification, a name that is taken, or a missing tool.
    pub fn machine(&self, spec: MachineSpec) -> Result<Machine> {
        let name = spec.name.clone();
        spec.check()?;
        self.ask::<()>(&Request::AddMachine(Box::new(spec)))?;
        Ok(Machine { lab: self.clone(), name })
    }

    /// A machine that exists.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is none of that name.
    pub fn existing_machine(&self, name: &str) -> Result<Machine> {
        self.ask::<MachineStatus>(&Request::Machine(name.to_owned()))?;
        Ok(Machine { lab: self.clone(), name: name.to_owned() })
    }

    /// All machines as they stand, by name.
    ///
    /// # Errors
    /// If the lab has ended.
    pub fn machines(&self) -> Result<Vec<MachineStatus>> {
        self.ask(&Request::Machines)
    }

    /// The switch.
    pub fn switch(&self) -> Switchboard<'_> {
        Switchboard { lab: self }
    }

    /// Records every frame, whole, to a file in the pcapng form, until [`Lab::end_capture`].
    ///
    /// # Errors
    /// If the file cannot be created.
    pub fn capture(&self, path: impl Into<PathBuf>) -> Result<()> {
        self.capture_heads(path, 65_535)
    }

    /// Records the first `longest` bytes of every frame. 700 tell everything but the contents of files.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub fn capture_heads(&self, path: impl Into<PathBuf>, longest: usize) -> Result<()> {
        let path = std::path::absolute(path.into()).doing(|| "make a path absolute")?;
        self.ask(&Request::Capture { path, longest })
    }

    /// Ends the recording; the file is complete then.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn end_capture(&self) -> Result<()> {
        self.ask(&Request::EndCapture)
    }

    /// Connects this very process with the switch: a port whose frames it sends and receives itself.
    ///
    /// # Errors
    /// If the name is taken or wrong.
    pub fn wire(&self, name: &str, vlan: Vlan) -> Result<Wire> {
        vlan.check()?;
        let connection = self.connect()?;
        let (_, files) = call::<Value>(&connection, &Request::AttachWire(name.to_owned(), vlan), &[])?;
        Ok(Wire { socket: UnixDatagram::from(one(files)?), _connection: connection })
    }

    /// Runs a program inside the lab.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn spawn(&self, program: &Program) -> Result<Process> {
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        let mut files: Vec<BorrowedFd<'_>> = Vec::new();
        let log = match &program.output {
            Output::Log(name) => Some(name.clone()),
            Output::Inherit => {
                files.extend([stdin.as_fd(), stdout.as_fd(), stderr.as_fd()]);
                None
            }
        };
        files.extend(program.listeners.iter().map(|(_, listener)| listener.as_fd()));
        let request = Request::Spawn(proto::Spawn {
            program: program.program.clone(),
            args: program.args.clone(),
            env: program.env.clone(),
            base: program.base,
            folder: program.folder.clone(),
            lifetime: program.lifetime,
            log: log.clone(),
            listeners: program.listeners.iter().map(|(name, _)| name.clone()).collect(),
        });
        let connection = self.connect()?;
        let (id, _) = call::<u64>(&connection, &request, &files)?;
        let log = log.map(|name| self.folder().join(format!("{name}.log")));
        Ok(Process { lab: self.clone(), id, log, _connection: connection })
    }

    /// A UDP socket inside the lab, on the servers' side.
    ///
    /// # Errors
    /// If it cannot be bound to the address.
    pub fn udp_socket(&self, address: SocketAddr) -> Result<UdpSocket> {
        self.file(&Request::UdpSocket(address)).map(UdpSocket::from)
    }

    /// A TCP connection made inside the lab, on the servers' side.
    ///
    /// # Errors
    /// If nobody accepts it in time.
    pub fn tcp_connect(&self, address: SocketAddr, timeout: Duration) -> Result<TcpStream> {
        self.file(&Request::TcpConnect(address, timeout)).map(TcpStream::from)
    }

    /// A TCP listener inside the lab, on the servers' side.
    ///
    /// # Errors
    /// If it cannot be bound to the address.
    pub fn tcp_listener(&self, address: SocketAddr) -> Result<TcpListener> {
        self.file(&Request::TcpListen(address)).map(TcpListener::from)
    }

    /// Ends the lab, for everybody: machines, programs, network, and its folder unless it is to be kept.
    ///
    /// # Errors
    /// If the supervisor cannot be reached.
    pub fn stop(self) -> Result<()> {
        let record = Record::read(self.folder());
        self.ask::<()>(&Request::Stop)?;
        if let Some(owned) = self.0.take_owned() {
            return owned.end();
        }
        record.map_or(Ok(()), |record| wait_for_guardian(&record))
    }

    fn file(&self, request: &Request) -> Result<OwnedFd> {
        one(call::<Value>(&self.connect()?, request, &[])?.1)
    }

    fn ask<T: DeserializeOwned>(&self, request: &Request) -> Result<T> {
        Ok(call(&self.connect()?, request, &[])?.0)
    }

    fn connect(&self) -> Result<OwnedFd> {
        let folder = &self.0.folder;
        folder::dial(folder)
            .doing(|| format!("reach the lab at {} (has it ended?)", control_socket(folder).display()))
    }
}

fn call<T: DeserializeOwned>(
    connection: &OwnedFd,
    request: &Request,
    files: &[BorrowedFd<'_>],
) -> Result<(T, Vec<OwnedFd>)> {
    let answer = proto::send(connection.as_fd(), request, files)
        .and_then(|()| proto::receive::<Answer>(connection.as_fd()))
        .doing(|| "ask the lab")?;
    match answer {
        Some((Ok(value), files)) => {
            let value =
                serde_json::from_value(value).map_err(io::Error::other).doing(|| "read the lab's answer")?;
            Ok((value, files))
        }
        Some((Err(message), _)) => Err(Error::Refused { message }),
        None => Err(Error::Refused { message: "the lab has ended".to_owned() }),
    }
}

fn one(files: Vec<OwnedFd>) -> Result<OwnedFd> {
    files
        .into_iter()
        .next()
        .ok_or_else(|| Error::Refused { message: "the lab sent no file with its answer".to_owned() })
}

impl Shared {
    fn take_owned(&self) -> Option<Owned> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Shared {
    /// Ends an owned lab, and returns when nothing of it is left.
    fn drop(&mut self) {
        if let Some(owned) = self.take_owned() {
            // Nobody can be told.
            let _ = owned.end();
        }
    }
}

/// Removes what ended labs were asked to keep under this root, and what crashed ones left.
pub fn clean(root: &Path) {
    folder::sweep(root);
    for folder in folder::folders(root) {
        if Record::read(&folder)
            .is_some_and(|record| record.files == Files::Keep && !record.is_alive(&folder))
        {
            // Somebody may be looking at it; it is tried again next time.
            let _ = fs::remove_dir_all(&folder);
        }
    }
}

/// Shows a value as the supervisor would send it; for the command line's `--json`.
pub(crate) fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(io::Error::other).doing(|| "write JSON")
}
