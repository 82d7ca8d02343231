//! A lab, seen by the process that uses it.
//!
//! Every call is a request to the supervisor over a connection of its own, so calls from many threads do not wait for each other.
//! [`Lab`] is a cheap clone; an owned lab ends when the last clone is dropped.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fs, io};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket, socketpair};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::{Config, Files, Lifetime, Vlan};
use crate::error::{Doing, Error, Result};
use crate::folder::{self, Record, control_socket};
use crate::machine::{MachineSpec, MachineStatus, Power};
use crate::process::{Exit, Output, Program};
use crate::proto::{self, Answer, Request, Start, Switch};
use crate::serial::{Line, Serial};
use crate::switch::{Impairment, Port, Way};

/// A running lab.
#[derive(Clone, Debug)]
pub struct Lab(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    owned: Mutex<Option<Owned>>,
}

/// What an owner holds: its end of the socket whose closing ends the lab, and the guardian to be waited for.
#[derive(Debug)]
struct Owned {
    socket: OwnedFd,
    guardian: Child,
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
        if Record::read(&folder).is_some_and(|record| record.is_alive()) {
            return Ok(Lab(Arc::new(Shared { folder, owned: Mutex::new(None) })));
        }
        let known = Lab::names(root).join(", ");
        Err(Error::Unknown { kind: "lab", name: name.to_owned(), known })
    }

    /// The names of the labs that run under `root`.
    pub fn names(root: &Path) -> Vec<String> {
        let alive =
            |folder: PathBuf| Record::read(&folder).filter(Record::is_alive).map(|record| record.name);
        folder::folders(root).into_iter().filter_map(alive).collect()
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
        let path = control_socket(&self.0.folder);
        let dial = || {
            let client = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
            connect(client.as_raw_fd(), &UnixAddr::new(&path)?)?;
            nix::Result::Ok(client)
        };
        dial().doing(|| format!("reach the lab at {} (has it ended?)", path.display()))
    }
}

/// Starts the guardian and waits until the lab is ready.
fn start_guardian(config: Config, folder: &Path) -> Result<Owned> {
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
        .doing(|| "make a socket to the lab")?;
    let log_path = folder::log_path(folder);
    let log = fs::File::create(&log_path).doing(|| format!("create {}", log_path.display()))?;
    let mut command = Command::new(&config.helper.program);
    command.args(config.helper.arguments("guardian")).stdin(theirs);
    command.stderr(log.try_clone().doing(|| "share the lab's log")?).stdout(log);
    in_a_session_of_its_own(&mut command);
    let guardian = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::Invalid {
            field: "helper",
            value: config.helper.program.display().to_string(),
            right: "the path of gantry or gantry-lab, which is to become the lab's supervisor".to_owned(),
        },
        _ => Error::Io { what: format!("start {}", config.helper.program.display()), source: error },
    })?;
    // The command holds the guardian's end of the socket, whose closing is to be seen.
    drop(command);
    let owned = Owned { socket: ours, guardian };
    let start = Start { config, folder: folder.to_owned(), owner: folder::Process::me() };
    let ready = proto::send(owned.socket.as_fd(), &start, &[])
        .and_then(|()| proto::receive::<Answer>(owned.socket.as_fd()))
        .doing(|| "start the lab")?;
    match ready {
        Some((Ok(_), _)) => Ok(owned),
        Some((Err(message), _)) => Err(Error::Refused { message }),
        None => {
            let said = fs::read_to_string(&log_path).unwrap_or_default();
            Err(Error::Refused { message: format!("the lab ended while it was starting: {}", said.trim()) })
        }
    }
}

/// Keeps the terminal's signals away: the lab ends with its owner, in good order.
fn in_a_session_of_its_own(command: &mut Command) {
    // SAFETY: between fork and exec the closure makes one system call and touches no memory.
    unsafe {
        std::os::unix::process::CommandExt::pre_exec(command, || {
            nix::unistd::setsid().map(drop).map_err(io::Error::from)
        });
    }
}

/// The guardian of a lab that is not ours ends when all is removed.
fn wait_for_guardian(record: &Record) -> Result<()> {
    const PATIENCE: Duration = Duration::from_secs(20);
    let deadline = std::time::Instant::now() + PATIENCE;
    while record.guardian.is_alive() {
        if std::time::Instant::now() > deadline {
            let what = format!("the end of lab {}", record.name);
            return Err(Error::Deadline { what, after: PATIENCE, tail: String::new() });
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
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

impl Owned {
    fn end(mut self) -> Result<()> {
        drop(self.socket);
        self.guardian.wait().map(drop).doing(|| "wait for the end of the lab")
    }
}

/// A machine of a lab. Dropping it changes nothing.
#[derive(Clone, Debug)]
pub struct Machine {
    lab: Lab,
    name: String,
}

impl Machine {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Switches it on, if it is off.
    ///
    /// # Errors
    /// If QEMU does not start; the text has what it said.
    pub fn power_on(&self) -> Result<()> {
        self.throw(Switch::On)
    }

    /// Switches it off, at once. What it has written to its disks is on them.
    ///
    /// # Errors
    /// If the lab has ended.
    pub fn power_off(&self) -> Result<()> {
        self.throw(Switch::Off)
    }

    /// Presses the reset button.
    ///
    /// # Errors
    /// If it is off.
    pub fn reset(&self) -> Result<()> {
        self.throw(Switch::Reset)
    }

    /// Presses the power button for a moment, which asks a running system to shut down.
    ///
    /// # Errors
    /// If it is off.
    pub fn press_button(&self) -> Result<()> {
        self.throw(Switch::Button)
    }

    /// How it stands and what has happened to it.
    ///
    /// # Errors
    /// If it has been removed.
    pub fn status(&self) -> Result<MachineStatus> {
        self.lab.ask(&Request::Machine(self.name.clone()))
    }

    /// Is the power on?
    ///
    /// # Errors
    /// If it has been removed.
    pub fn is_on(&self) -> Result<bool> {
        self.status().map(|status| status.power == Power::On)
    }

    /// A cursor at the beginning of the console output of the latest power-on.
    ///
    /// # Errors
    /// If it has been removed.
    pub fn serial(&self) -> Result<Serial> {
        let status = self.status()?;
        Ok(self.serial_at(&status.folder, status.serial_power_on))
    }

    /// A cursor behind everything that its console has printed so far.
    ///
    /// # Errors
    /// If it has been removed.
    pub fn serial_from_now(&self) -> Result<Serial> {
        let status = self.status()?;
        Ok(self.serial_at(&status.folder, status.serial_bytes))
    }

    /// Waits for a line of the latest power-on's console output, come or to come, in which the regular expression is found.
    ///
    /// # Errors
    /// [`Error::Deadline`] with the last lines if it does not come in time.
    pub fn wait_serial(&self, expression: &str, timeout: Duration) -> Result<Line> {
        self.serial()?.wait_for(expression, timeout)
    }

    /// Types text on the serial console.
    ///
    /// # Errors
    /// If it is off.
    pub fn send(&self, text: impl Into<String>) -> Result<()> {
        self.lab.ask(&Request::SerialSend(self.name.clone(), text.into()))
    }

    /// Draws (`false`) or plugs in (`true`) the cable of an interface; the machine sees its link go and come.
    ///
    /// # Errors
    /// If it is off or has no such interface.
    pub fn set_link(&self, nic: usize, up: bool) -> Result<()> {
        self.lab.ask(&Request::SetLink { machine: self.name.clone(), nic, up })
    }

    /// Replaces its disks, and what its firmware remembers, by fresh ones.
    ///
    /// # Errors
    /// If it is on.
    pub fn wipe_disks(&self) -> Result<()> {
        self.lab.ask(&Request::WipeDisks(self.name.clone()))
    }

    /// Switches it off and removes it with all its files.
    ///
    /// # Errors
    /// If it has been removed already.
    pub fn remove(self) -> Result<()> {
        self.lab.ask(&Request::RemoveMachine(self.name.clone()))
    }

    fn throw(&self, switch: Switch) -> Result<()> {
        self.lab.ask(&Request::Power(self.name.clone(), switch))
    }

    fn serial_at(&self, folder: &Path, position: u64) -> Serial {
        let (lab, machine) = (self.lab.clone(), self.name.clone());
        Serial::new(folder, position, move |beyond, timeout| {
            lab.ask(&Request::SerialWait { machine: machine.clone(), beyond, timeout })
        })
    }
}

/// The lab's switch.
#[derive(Clone, Copy, Debug)]
pub struct Switchboard<'a> {
    lab: &'a Lab,
}

impl Switchboard<'_> {
    /// All ports as they stand, by name: server interfaces, `MACHINE.N`, wires.
    ///
    /// # Errors
    /// If the lab has ended.
    pub fn ports(&self) -> Result<Vec<Port>> {
        self.lab.ask(&Request::Ports)
    }

    /// Harms what passes a port one way, from now on. `Impairment::default()` heals it.
    ///
    /// # Errors
    /// For an unknown port or a share that is none.
    pub fn impair(&self, port: &str, way: Way, impairment: Impairment) -> Result<()> {
        impairment.check()?;
        self.lab.ask(&Request::Impair { port: port.to_owned(), way, impairment })
    }

    /// Puts a port into other VLANs.
    ///
    /// # Errors
    /// For an unknown port or a number that is no VLAN's.
    pub fn set_vlan(&self, port: &str, vlan: Vlan) -> Result<()> {
        vlan.check()?;
        self.lab.ask(&Request::SetVlan(port.to_owned(), vlan))
    }
}

/// A port of the switch at which this process is the station. Dropping it removes the port.
#[derive(Debug)]
pub struct Wire {
    socket: UnixDatagram,
    _connection: OwnedFd,
}

impl Wire {
    /// Sends a frame, from its destination address on, without a checksum at its end.
    ///
    /// # Errors
    /// If the lab has ended.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        self.socket.send(frame).map(drop).doing(|| "send a frame")
    }

    /// The next frame; `None` if none comes in time. A timeout of zero counts as a microsecond.
    ///
    /// # Errors
    /// If the lab has ended.
    pub fn receive(&self, timeout: Duration) -> Result<Option<Vec<u8>>> {
        let timeout = timeout.max(Duration::from_micros(1));
        self.socket.set_read_timeout(Some(timeout)).doing(|| "set a timeout")?;
        let mut frame = vec![0; 9_216];
        match self.socket.recv(&mut frame) {
            Ok(length) => {
                frame.truncate(length);
                Ok(Some(frame))
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Ok(None)
            }
            Err(error) => Err(error).doing(|| "receive a frame"),
        }
    }
}

/// A program that runs inside the lab. If it was started as [`Lifetime::Owned`], dropping this kills it.
#[derive(Debug)]
pub struct Process {
    lab: Lab,
    id: u64,
    log: Option<PathBuf>,
    _connection: OwnedFd,
}

impl Process {
    /// Its number in the lab, which is not the system's.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Where its output goes, if it goes to a log.
    pub fn log(&self) -> Option<&Path> {
        self.log.as_deref()
    }

    /// Waits for its end; `None` if it does not come in time.
    ///
    /// # Errors
    /// If the lab has ended.
    pub fn wait(&self, timeout: Duration) -> Result<Option<Exit>> {
        self.lab.ask(&Request::WaitProcess { process: self.id, timeout })
    }

    /// Sends it a signal by number, such as 9; nothing happens if it has ended.
    ///
    /// # Errors
    /// If the number is no signal's.
    pub fn kill(&self, signal: i32) -> Result<()> {
        self.lab.ask(&Request::Kill { process: self.id, signal })
    }
}

/// Removes what ended labs were asked to keep under this root, and what crashed ones left.
pub fn clean(root: &Path) {
    folder::sweep(root);
    for folder in folder::folders(root) {
        if Record::read(&folder).is_some_and(|record| record.files == Files::Keep && !record.is_alive()) {
            // Somebody may be looking at it; it is tried again next time.
            let _ = fs::remove_dir_all(&folder);
        }
    }
}

/// Shows a value as the supervisor would send it; for the command line's `--json`.
pub(crate) fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(io::Error::other).doing(|| "write JSON")
}
