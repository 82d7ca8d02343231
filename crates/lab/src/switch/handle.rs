//! The switch as others see it: its thread, and questions to it.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};
use serde::{Deserialize, Serialize};

use super::channel::Impairment;
use super::fabric::{Counters, Fabric, Way};
use super::{Switch, WAKE};
use crate::capture;
use crate::config::Vlan;
use crate::error::{Doing, Error, Result};

/// A port as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Port {
    /// Its name: a server interface, `MACHINE.N`, or a wire.
    pub name: String,
    /// Its VLANs.
    pub vlan: Vlan,
    /// Is a station connected?
    pub connected: bool,
    /// What is done to frames from the station.
    pub from: Impairment,
    /// What is done to frames to the station.
    pub to: Impairment,
    /// What went through.
    pub counters: Counters,
}

/// Talks to the switch's thread. The thread ends with the last handle.
#[derive(Clone)]
pub(crate) struct Handle {
    /// There until the handle is dropped.
    questions: Option<mpsc::Sender<Question>>,
    wake: Arc<EventFd>,
}

impl Drop for Handle {
    /// Lets the thread see that a handle less is there.
    fn drop(&mut self) {
        self.questions = None;
        // Fails only if the count is full, and then the thread wakes anyway.
        let _ = self.wake.write(1);
    }
}

pub(super) type Question = Box<dyn FnOnce(&mut Switch) + Send>;

/// Starts a switch without ports.
///
/// # Errors
/// Those of `epoll_create`, `eventfd` and of starting a thread.
pub(crate) fn start(seed: u64) -> Result<(Handle, JoinHandle<()>)> {
    let wake = Arc::new(
        EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).doing(|| "make an eventfd")?,
    );
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).doing(|| "make an epoll set")?;
    epoll.add(&*wake, EpollEvent::new(EpollFlags::EPOLLIN, WAKE)).doing(|| "watch an eventfd")?;
    let (questions, inbox) = mpsc::channel();
    let mut switch = Switch {
        fabric: Fabric::new(seed),
        epoll,
        ports: HashMap::new(),
        names: BTreeMap::new(),
        capture: None,
        started: Instant::now(),
        leaving: Vec::new(),
        last_id: 0,
    };
    let handle = Handle { questions: Some(questions), wake: Arc::clone(&wake) };
    let thread = thread::Builder::new()
        .name("switch".to_owned())
        .spawn(move || switch.run(&inbox, &wake))
        .doing(|| "start the switch's thread")?;
    Ok((handle, thread))
}

impl Handle {
    /// Makes a port for a station; `socket` is its end of the cable, if the cable is plugged in.
    pub(crate) fn add_port(&self, name: &str, vlan: Vlan, socket: Option<OwnedFd>) -> Result<()> {
        let name = name.to_owned();
        self.ask(move |switch| switch.add_port(name, vlan, socket))?
    }

    /// Plugs a cable into an existing port, in place of the one that was there.
    pub(crate) fn connect(&self, name: &str, socket: OwnedFd) -> Result<()> {
        let name = name.to_owned();
        self.ask(move |switch| {
            let id = switch.id(&name)?;
            switch.connect(id, socket)
        })?
    }

    /// Takes a port away.
    pub(crate) fn remove_port(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.ask(move |switch| switch.remove_port(&name))?
    }

    pub(crate) fn impair(&self, name: &str, way: Way, impairment: Impairment) -> Result<()> {
        impairment.check()?;
        let name = name.to_owned();
        self.ask(move |switch| switch.id(&name).map(|id| switch.fabric.impair(id, way, impairment)))?
    }

    pub(crate) fn set_vlan(&self, name: &str, vlan: Vlan) -> Result<()> {
        vlan.check()?;
        let name = name.to_owned();
        self.ask(move |switch| switch.id(&name).map(|id| switch.fabric.set_vlan(id, vlan)))?
    }

    pub(crate) fn ports(&self) -> Result<Vec<Port>> {
        self.ask(|switch| switch.states())
    }

    /// Records every frame that comes in at any port; the first `longest` bytes of it.
    pub(crate) fn capture(&self, path: PathBuf, longest: usize) -> Result<()> {
        self.ask(move |switch| {
            switch.capture = Some(capture::Writer::create(&path, longest)?);
            Ok(())
        })?
    }

    /// Ends the recording; the file is complete when this returns.
    pub(crate) fn end_capture(&self) -> Result<()> {
        self.ask(|switch| match switch.capture.take() {
            Some(mut writer) => writer.flush().doing(|| "write the end of the capture"),
            None => Ok(()),
        })?
    }

    /// Runs a closure on the switch's thread, between frames.
    fn ask<T: Send + 'static>(&self, question: impl FnOnce(&mut Switch) -> T + Send + 'static) -> Result<T> {
        let (sender, answer) = mpsc::sync_channel(1);
        let boxed: Question = Box::new(move |switch| {
            // The asker may be gone; then nobody wants the answer.
            let _ = sender.send(question(switch));
        });
        let gone = || Error::Refused { message: "the switch has stopped".to_owned() };
        self.questions.as_ref().ok_or_else(gone)?.send(boxed).map_err(|_| gone())?;
        self.wake.write(1).doing(|| "wake the switch")?;
        answer.recv().map_err(|_| gone())
    }
}
