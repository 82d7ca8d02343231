//! Process 1 of a lab: owns the network, the switch, the machines and the programs, and answers requests about them.
//!
//! Every client connection has a thread. What a client owns (programs and wires that are to end with it) ends with its
//! connection. The lab ends with a request, or with the owner's socket; then this process leaves, and the kernel takes along
//! whatever else is in the process namespace.

mod children;
mod machine;
mod programs;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept4, bind, listen, socket};
use serde::Serialize;
use serde_json::Value;

use crate::config::{Lifetime, Vlan};
use crate::error::{Doing, Error, Result};
use crate::folder::control_socket;
use crate::proto::{self, Answer, Request, Start, Switch};
use crate::{log, net, switch};
use children::Children;
use machine::Machine;

/// How long programs may take to end by themselves when the lab ends.
const PATIENCE: Duration = Duration::from_secs(3);

/// The supervisor's whole life. Standard input is the socket to the owner.
pub(crate) fn run(folder: &Path) -> ExitCode {
    let owner = io::stdin();
    match start(folder) {
        Ok((lab, socket)) => {
            let ready = Answer::Ok(Value::Null);
            if proto::send(owner.as_fd(), &ready, &[]).is_err() && lab.lifetime == Lifetime::Owned {
                lab.end();
            }
            if lab.lifetime == Lifetime::Owned {
                end_with_owner(&lab);
            }
            serve(&lab, &socket)
        }
        Err(error) => {
            // The owner may have gone; the log has it too.
            let _ = proto::send(owner.as_fd(), &Answer::Err(error.to_string()), &[]);
            log::line(format_args!("supervisor: {error}"));
            ExitCode::FAILURE
        }
    }
}

struct Lab {
    folder: PathBuf,
    lifetime: Lifetime,
    switch: switch::Handle,
    children: Children,
    machines: Mutex<BTreeMap<String, Arc<Machine>>>,
}

fn start(folder: &Path) -> Result<(Arc<Lab>, OwnedFd)> {
    let Start { config, folder, .. } = Start::read(folder)?;
    mount_proc();
    net::set_up(&config.networks)?;
    let (switch, _) = switch::start(config.seed)?;
    for network in &config.networks {
        let socket = net::packet_socket(network)?;
        switch.add_port(&network.interface, network.vlan.clone(), Some(socket))?;
    }
    let children = Children::start()?;
    let control = control_socket(&folder);
    let socket = listen_at(&control).doing(|| format!("listen at {}", control.display()))?;
    let lab = Lab { folder, lifetime: config.lifetime, switch, children, machines: Mutex::default() };
    Ok((Arc::new(lab), socket))
}

/// A /proc that shows the lab's processes only. Containers often forbid it; then the lab lives with the host's.
fn mount_proc() {
    let none: Option<&str> = None;
    let mounted = unshare(CloneFlags::CLONE_NEWNS)
        .and_then(|()| mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none))
        .and_then(|()| {
            mount(
                Some("proc"),
                "/proc",
                Some("proc"),
                MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
                none,
            )
        });
    if let Err(error) = mounted {
        log::line(format_args!("supervisor: the lab has no /proc of its own: {error}"));
    }
}

fn listen_at(path: &Path) -> io::Result<OwnedFd> {
    let listener = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    let number = std::os::fd::AsRawFd::as_raw_fd(&listener);
    bind(number, &UnixAddr::new(path)?)?;
    listen(&listener, Backlog::new(64)?)?;
    Ok(listener)
}

/// Ends the lab when the owner's socket is closed.
fn end_with_owner(lab: &Arc<Lab>) {
    let lab = Arc::clone(lab);
    thread::spawn(move || {
        // The owner never sends anything more: this returns at the end.
        let _ = proto::receive::<Value>(io::stdin().as_fd());
        lab.end();
    });
}

fn serve(lab: &Arc<Lab>, socket: &OwnedFd) -> ExitCode {
    loop {
        let number = std::os::fd::AsRawFd::as_raw_fd(socket);
        match accept4(number, SockFlag::SOCK_CLOEXEC) {
            Ok(number) => {
                // SAFETY: the kernel has just made this descriptor for us.
                let client = unsafe { OwnedFd::from_raw_fd(number) };
                let lab = Arc::clone(lab);
                thread::spawn(move || Session { lab, processes: Vec::new(), wires: Vec::new() }.run(&client));
            }
            Err(nix::errno::Errno::EINTR | nix::errno::Errno::ECONNABORTED) => {}
            Err(error) => {
                log::line(format_args!("supervisor: accept: {error}"));
                return ExitCode::FAILURE;
            }
        }
    }
}

/// One client connection, and what ends with it.
struct Session {
    lab: Arc<Lab>,
    processes: Vec<u64>,
    wires: Vec<String>,
}

/// What a request brings: a value, and files.
type Reply = Result<(Value, Vec<OwnedFd>)>;

impl Session {
    fn run(mut self, client: &OwnedFd) {
        loop {
            match proto::receive::<Request>(client.as_fd()) {
                Ok(Some((Request::Stop, _))) => {
                    self.lab.end_orderly();
                    // The client may not wait for it.
                    let _ = proto::send(client.as_fd(), &Answer::Ok(Value::Null), &[]);
                    self.lab.leave();
                }
                Ok(Some((request, files))) => {
                    let (answer, files) = match self.handle(request, files) {
                        Ok((value, files)) => (Answer::Ok(value), files),
                        Err(error) => (Answer::Err(error.to_string()), Vec::new()),
                    };
                    let files: Vec<_> = files.iter().map(AsFd::as_fd).collect();
                    if let Err(error) = proto::send(client.as_fd(), &answer, &files) {
                        log::line(format_args!("supervisor: answer: {error}"));
                        break;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    log::line(format_args!("supervisor: request: {error}"));
                    let message = format!(
                        "the lab cannot read the request (was its helper built from other sources?): {error}"
                    );
                    // The client may have gone.
                    let _ = proto::send(client.as_fd(), &Answer::Err(message), &[]);
                    break;
                }
            }
        }
        for process in self.processes {
            // It may have ended already.
            let _ = self.lab.children.kill(process, Signal::SIGKILL);
        }
        for wire in self.wires {
            // Somebody may have removed it already.
            let _ = self.lab.switch.remove_port(&wire);
        }
    }

    fn handle(&mut self, request: Request, files: Vec<OwnedFd>) -> Reply {
        let lab = Arc::clone(&self.lab);
        match request {
            Request::Spawn(spawn) => {
                let owned = spawn.lifetime == Lifetime::Owned;
                let process = programs::start(&lab.folder, &lab.children, &spawn, files)?;
                if owned {
                    self.processes.push(process);
                }
                value(process)
            }
            Request::AttachWire(name, vlan) => {
                let wire = lab.attach_wire(&name, vlan)?;
                self.wires.push(name);
                Ok((Value::Null, vec![wire]))
            }
            Request::Stop => done(()),
            other => lab.handle(other),
        }
    }
}

impl Lab {
    fn handle(&self, request: Request) -> Reply {
        match request {
            Request::AddMachine(spec) => done(self.add_machine(*spec)?),
            Request::RemoveMachine(name) => done(self.remove_machine(&name)?),
            Request::Machines => {
                value(self.machines().values().map(|machine| machine.status()).collect::<Vec<_>>())
            }
            Request::Machine(name) => value(self.machine(&name)?.status()),
            Request::Power(name, switch) => done(throw(&self.machine(&name)?, switch)?),
            Request::WipeDisks(name) => done(self.machine(&name)?.wipe_disks()?),
            Request::SetLink { machine, nic, up } => done(self.machine(&machine)?.set_link(nic, up)?),
            Request::SerialSend(name, text) => done(self.machine(&name)?.send(&text)?),
            Request::SerialWait { machine, beyond, timeout } => {
                value(self.machine(&machine)?.serial().wait_beyond(beyond, timeout))
            }
            Request::Ports => value(self.switch.ports()?),
            Request::Impair { port, way, impairment } => done(self.switch.impair(&port, way, impairment)?),
            Request::SetVlan(port, vlan) => done(self.switch.set_vlan(&port, vlan)?),
            Request::Capture { path, longest } => done(self.switch.capture(path, longest)?),
            Request::EndCapture => done(self.switch.end_capture()?),
            Request::Kill { process, signal } => done(self.children.kill(process, signal_of(signal)?)?),
            Request::WaitProcess { process, timeout } => value(self.children.wait(process, Some(timeout))?),
            Request::UdpSocket(address) => {
                file(UdpSocket::bind(address).doing(|| format!("bind UDP {address}"))?)
            }
            Request::TcpConnect(address, timeout) => file(connect(address, timeout)?),
            Request::TcpListen(address) => {
                file(TcpListener::bind(address).doing(|| format!("listen at TCP {address}"))?)
            }
            Request::Spawn(_) | Request::AttachWire(..) | Request::Stop => done(()),
        }
    }

    fn machines(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Machine>>> {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn machine(&self, name: &str) -> Result<Arc<Machine>> {
        let machines = self.machines();
        machines.get(name).map(Arc::clone).ok_or_else(|| Error::Unknown {
            kind: "machine",
            name: name.to_owned(),
            known: machines.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }

    fn add_machine(&self, spec: crate::MachineSpec) -> Result<()> {
        let mut machines = self.machines();
        if machines.contains_key(&spec.name) {
            let right = "a name that no machine of the lab has yet".to_owned();
            return Err(Error::Invalid { field: "machine name", value: spec.name, right });
        }
        let name = spec.name.clone();
        let machine = Machine::create(spec, &self.folder, &self.children, &self.switch)?;
        machines.insert(name, machine);
        Ok(())
    }

    fn remove_machine(&self, name: &str) -> Result<()> {
        self.machine(name)?.remove()?;
        self.machines().remove(name);
        Ok(())
    }

    fn attach_wire(&self, name: &str, vlan: Vlan) -> Result<OwnedFd> {
        crate::config::check_name("wire", name)?;
        let (ours, theirs) = UnixDatagram::pair().doing(|| "make a wire")?;
        self.switch.add_port(name, vlan, Some(ours.into()))?;
        Ok(theirs.into())
    }

    /// Ends everything as it would wish to be ended.
    fn end_orderly(&self) {
        let machines: Vec<_> = self.machines().values().cloned().collect();
        for machine in machines {
            if let Err(error) = machine.power_off() {
                log::line(format_args!("supervisor: {error}"));
            }
        }
        self.children.end_all(PATIENCE);
        // The capture's file may have been removed by its owner.
        let _ = self.switch.end_capture();
    }

    /// Removes nothing: the guardian does, when nobody writes any more.
    fn leave(&self) -> ! {
        let _ = fs::remove_file(control_socket(&self.folder));
        std::process::exit(0)
    }

    fn end(&self) -> ! {
        self.end_orderly();
        self.leave()
    }
}

fn throw(machine: &Arc<Machine>, switch: Switch) -> Result<()> {
    match switch {
        Switch::On => machine.power_on(),
        Switch::Off => machine.power_off(),
        Switch::Reset => machine.reset(),
        Switch::Button => machine.press_button(),
    }
}

fn signal_of(number: i32) -> Result<Signal> {
    Signal::try_from(number).map_err(|_| Error::Invalid {
        field: "signal",
        value: number.to_string(),
        right: "the number of a signal".to_owned(),
    })
}

fn connect(address: SocketAddr, timeout: Duration) -> Result<TcpStream> {
    TcpStream::connect_timeout(&address, timeout).doing(|| format!("connect to TCP {address}"))
}

#[expect(clippy::unnecessary_wraps, reason = "an arm of a table whose other arms fail")]
fn done((): ()) -> Reply {
    Ok((Value::Null, Vec::new()))
}

fn value(value: impl Serialize) -> Reply {
    let value = serde_json::to_value(value).map_err(io::Error::other).doing(|| "write an answer")?;
    Ok((value, Vec::new()))
}

#[expect(clippy::unnecessary_wraps, reason = "an arm of a table whose other arms fail")]
fn file(file: impl Into<OwnedFd>) -> Reply {
    Ok((Value::Null, vec![file.into()]))
}
