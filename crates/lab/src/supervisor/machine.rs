//! One machine: its files, its ports, and its QEMU while the power is on.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::children::Children;
use crate::error::{Doing, Error, Result};
use crate::machine::{DiskContent, Event, Happening, MachineSpec, MachineStatus, Power};
use crate::qemu::command::{self, Inherited};
use crate::qemu::qmp::Qmp;
use crate::serial::Recorder;
use crate::switch;

/// How long QEMU may take to write out its disks when the power goes off.
const ORDERLY: Duration = Duration::from_secs(10);
/// How many events are remembered.
const EVENTS: usize = 1_000;

/// A machine in the supervisor.
pub(crate) struct Machine {
    spec: MachineSpec,
    folder: PathBuf,
    serial: Recorder,
    events: Mutex<VecDeque<Event>>,
    /// Held through every change of power, so that there is never a second QEMU.
    running: Mutex<Option<Running>>,
    children: Children,
    switch: switch::Handle,
}

struct Running {
    process: u64,
    qmp: Qmp,
    console: UnixStream,
}

/// QEMU's ends of the sockets.
struct QemuEnds {
    serial: OwnedFd,
    monitor: OwnedFd,
    nics: Vec<OwnedFd>,
}

impl Machine {
    /// Makes the machine's folder, disks and ports.
    pub(crate) fn create(
        spec: MachineSpec,
        labs: &Path,
        children: &Children,
        switch: &switch::Handle,
    ) -> Result<Arc<Machine>> {
        spec.check()?;
        let folder = labs.join("machines").join(&spec.name);
        fs::create_dir_all(&folder).doing(|| format!("create the folder {}", folder.display()))?;
        let made = make_files(&spec, &folder, children).and_then(|serial| {
            add_ports(&spec, switch)?;
            Ok(serial)
        });
        match made {
            Ok(serial) => Ok(Arc::new(Machine {
                spec,
                folder,
                serial,
                events: Mutex::default(),
                running: Mutex::default(),
                children: children.clone(),
                switch: switch.clone(),
            })),
            Err(error) => {
                // The first error is the one to be told.
                let _ = fs::remove_dir_all(&folder);
                Err(error)
            }
        }
    }

    /// Cuts the power and removes everything of the machine.
    pub(crate) fn remove(&self) -> Result<()> {
        self.power_off()?;
        for n in 0..self.spec.nics.len() {
            self.switch.remove_port(&self.spec.port(n))?;
        }
        fs::remove_dir_all(&self.folder).doing(|| format!("remove {}", self.folder.display()))
    }

    pub(crate) fn status(&self) -> MachineStatus {
        MachineStatus {
            spec: self.spec.clone(),
            power: if lock(&self.running).is_some() { Power::On } else { Power::Off },
            folder: self.folder.clone(),
            serial_bytes: self.serial.length(),
            serial_power_on: self.serial.power_on_offset(),
            events: lock(&self.events).iter().cloned().collect(),
        }
    }

    pub(crate) fn serial(&self) -> &Recorder {
        &self.serial
    }

    /// Starts QEMU, unless it runs.
    pub(crate) fn power_on(self: &Arc<Self>) -> Result<()> {
        let mut running = lock(&self.running);
        if running.is_some() {
            return Ok(());
        }
        self.serial.power_on();
        self.happened(Happening::PowerOn);
        let (console, theirs) = UnixStream::pair().doing(|| "make a socket for the serial console")?;
        let (monitor, their_monitor) = UnixStream::pair().doing(|| "make a socket for QEMU's monitor")?;
        let cables = self.plug_in()?;
        let ends = QemuEnds { serial: theirs.into(), monitor: their_monitor.into(), nics: cables };
        let process = self.start_qemu(&ends)?;
        // QEMU holds them now; ours would keep the sockets open beyond its end.
        drop(ends);
        let reader = console.try_clone().doing(|| "share the serial console")?;
        self.watch(process, reader)?;
        match Qmp::start(monitor, self.listener()) {
            Ok(qmp) => {
                *running = Some(Running { process, qmp, console });
                Ok(())
            }
            Err(error) => {
                self.end(process)?;
                let said = fs::read_to_string(self.qemu_log()).unwrap_or_default();
                let tail: Vec<&str> = said.lines().rev().take(5).collect();
                let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
                Err(Error::Refused { message: format!("QEMU does not start: {error}\n{tail}") })
            }
        }
    }

    /// Cuts the power. What QEMU has in hand for the disks is written out, as a disk with a battery would.
    pub(crate) fn power_off(&self) -> Result<()> {
        // The lock stays: nobody may start another QEMU before this one has let go of the disks.
        let mut power = lock(&self.running);
        let Some(running) = power.take() else { return Ok(()) };
        // QEMU may end before it has answered.
        let _ = running.qmp.execute("quit", &json!({}));
        if self.children.wait(running.process, Some(ORDERLY))?.is_none() {
            self.end(running.process)?;
        }
        Ok(())
    }

    pub(crate) fn reset(&self) -> Result<()> {
        self.monitor(|running| running.qmp.execute("system_reset", &json!({})))?;
        Ok(())
    }

    pub(crate) fn press_button(&self) -> Result<()> {
        self.monitor(|running| running.qmp.execute("system_powerdown", &json!({})))?;
        Ok(())
    }

    pub(crate) fn set_link(&self, nic: usize, up: bool) -> Result<()> {
        if nic >= self.spec.nics.len() {
            let right = format!("{} has {} cards, and the first is 0", self.spec.name, self.spec.nics.len());
            return Err(Error::Invalid { field: "nic", value: nic.to_string(), right });
        }
        self.monitor(|running| {
            running.qmp.execute("set_link", &json!({ "name": format!("nic{nic}"), "up": up }))
        })?;
        Ok(())
    }

    /// Types on the serial console.
    pub(crate) fn send(&self, text: &str) -> Result<()> {
        self.monitor(|running| {
            (&running.console).write_all(text.as_bytes()).doing(|| "write to the serial console")
        })
    }

    /// Puts fresh disks in; the power must be off.
    pub(crate) fn wipe_disks(&self) -> Result<()> {
        let running = lock(&self.running);
        if running.is_some() {
            return Err(Error::Refused {
                message: format!("{} is on: its disks cannot be replaced", self.spec.name),
            });
        }
        make_disks(&self.spec, &self.folder, &self.children)?;
        if command::has_vars(self.spec.firmware) { copy_vars(&self.folder) } else { Ok(()) }
    }

    fn monitor<T>(&self, action: impl FnOnce(&Running) -> Result<T>) -> Result<T> {
        let running = lock(&self.running);
        let off = || Error::Refused { message: format!("{} is off", self.spec.name) };
        action(running.as_ref().ok_or_else(off)?)
    }

    /// Connects every interface with its port; QEMU's ends come back.
    fn plug_in(&self) -> Result<Vec<OwnedFd>> {
        let plug = |n| {
            let (ours, theirs) = UnixDatagram::pair().doing(|| "make a network cable")?;
            self.switch.connect(&self.spec.port(n), ours.into())?;
            Ok(theirs.into())
        };
        (0..self.spec.nics.len()).map(plug).collect()
    }

    fn start_qemu(&self, ends: &QemuEnds) -> Result<u64> {
        let inherited = Inherited {
            serial: ends.serial.as_raw_fd(),
            qmp: ends.monitor.as_raw_fd(),
            nics: ends.nics.iter().map(AsRawFd::as_raw_fd).collect(),
        };
        let log = OpenOptions::new().create(true).append(true).open(self.qemu_log());
        let log = log.doing(|| format!("open {}", self.qemu_log().display()))?;
        let mut line = Command::new(command::QEMU);
        line.args(command::arguments(&self.spec, &self.folder, &inherited)?);
        line.stdin(Stdio::null()).stderr(log.try_clone().doing(|| "share QEMU's log")?).stdout(log);
        let numbers = inherited.nics.iter().copied().chain([inherited.serial, inherited.qmp]).collect();
        pass_on(&mut line, numbers);
        self.children.spawn(&mut line).map(|(process, _)| process).map_err(|error| match error {
            Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Error::Missing { program: command::QEMU.into(), package: "qemu-system-x86" }
            }
            other => other,
        })
    }

    /// Copies the console while QEMU runs, and notes its end.
    fn watch(self: &Arc<Self>, process: u64, console: UnixStream) -> Result<()> {
        let machine = Arc::clone(self);
        let watcher =
            thread::Builder::new().name(format!("console of {}", self.spec.name)).spawn(move || {
                machine.serial.copy(console);
                let exit = machine.children.wait(process, None);
                let how =
                    exit.ok().flatten().map_or_else(|| "lost from sight".to_owned(), |exit| exit.to_string());
                // Whoever cuts the power has taken it out already.
                let mut running = lock(&machine.running);
                if running.as_ref().is_some_and(|running| running.process == process) {
                    *running = None;
                }
                drop(running);
                machine.happened(Happening::Off(how));
            });
        watcher.doing(|| "start a thread for a serial console").map(drop)
    }

    /// Notes QEMU's events. Holds the machine weakly: the monitor's thread must not keep it.
    fn listener(self: &Arc<Self>) -> impl Fn(&Value) + Send + 'static {
        let machine: Weak<Machine> = Arc::downgrade(self);
        move |event| {
            let Some(machine) = machine.upgrade() else { return };
            let by_guest = event["data"]["guest"].as_bool().unwrap_or_default();
            let what = match event["event"].as_str().unwrap_or_default() {
                "RESET" if by_guest => Happening::GuestReset,
                "RESET" => Happening::Reset,
                "SHUTDOWN" if by_guest => Happening::GuestShutdown,
                other => Happening::Qemu(other.to_owned()),
            };
            machine.happened(what);
        }
    }

    fn happened(&self, what: Happening) {
        let mut events = lock(&self.events);
        if events.len() == EVENTS {
            events.pop_front();
        }
        events.push_back(Event { at: SystemTime::now(), since_power_on: self.serial.since_power_on(), what });
    }

    fn end(&self, process: u64) -> Result<()> {
        self.children.kill(process, Signal::SIGKILL)?;
        self.children.wait(process, Some(ORDERLY)).map(drop)
    }

    fn qemu_log(&self) -> PathBuf {
        self.folder.join("qemu.log")
    }
}

/// Lets the command inherit these files, under the same numbers.
pub(crate) fn pass_on(command: &mut Command, files: Vec<RawFd>) {
    // SAFETY: between fork and exec the closure makes system calls without pointers, and touches no memory but its own list.
    unsafe {
        command.pre_exec(move || {
            for file in &files {
                if libc::fcntl(*file, libc::F_SETFD, 0) < 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
}

fn make_files(spec: &MachineSpec, folder: &Path, children: &Children) -> Result<Recorder> {
    make_disks(spec, folder, children)?;
    if command::has_vars(spec.firmware) {
        copy_vars(folder)?;
    }
    Recorder::create(folder)
}

/// All ports, or none.
fn add_ports(spec: &MachineSpec, switch: &switch::Handle) -> Result<()> {
    for (n, nic) in spec.nics.iter().enumerate() {
        if let Err(error) = switch.add_port(&spec.port(n), nic.vlan.clone(), None) {
            // They are there: they have just been added.
            (0..n).for_each(|earlier| drop(switch.remove_port(&spec.port(earlier))));
            return Err(error);
        }
    }
    Ok(())
}

fn make_disks(spec: &MachineSpec, folder: &Path, children: &Children) -> Result<()> {
    for (n, disk) in spec.disks.iter().enumerate() {
        let mut create = Command::new("qemu-img");
        create.args(["create", "-q", "-f", "qcow2"]);
        let size = match &disk.content {
            DiskContent::Blank(size) => size,
            DiskContent::Image(image, size) => {
                let image =
                    fs::canonicalize(image).doing(|| format!("find the image {}", image.display()))?;
                create.args(["-F", "raw", "-b"]).arg(image);
                size
            }
        };
        create.arg(command::disk_path(folder, n)).arg(size.to_string());
        children.run(&mut create).map_err(|error| match error {
            Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Error::Missing { program: "qemu-img".into(), package: "qemu-utils" }
            }
            other => other,
        })?;
    }
    Ok(())
}

/// The firmware's variables as they leave the factory.
fn copy_vars(folder: &Path) -> Result<()> {
    let copy = || {
        let mut fresh = File::create(command::vars_path(folder))?;
        io::copy(&mut File::open(command::OVMF_VARS)?, &mut fresh)
    };
    copy().map(drop).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::Missing { program: command::OVMF_VARS.into(), package: "ovmf" },
        _ => Error::Io { what: format!("copy {}", command::OVMF_VARS), source: error },
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
