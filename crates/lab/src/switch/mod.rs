//! The user-space Ethernet switch: a thread that moves frames between sockets.
//!
//! The rules are in [`fabric`] and [`channel`], which know no sockets; here are the sockets, the clock and the thread. A port is
//! any socket whose datagrams are frames. The thread owns everything; the rest of the process asks it to run a closure
//! ([`Handle::ask`]), so there is no lock on the way of a frame.
//!
//! A station that does not read fast enough fills its queue here, and what finds no room is dropped and counted, as in any switch.

mod batch;
mod channel;
mod fabric;
mod frame;
mod handle;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::EventFd;

pub use channel::{Harm, Impairment};
pub use fabric::{Counters, Way};
pub use frame::Traffic;
pub use handle::Port;
pub(crate) use handle::{Handle, start};

use crate::capture;
use crate::config::Vlan;
use crate::error::{Doing, Error, Result};
use channel::Fate;
use fabric::{Fabric, PortId};
use handle::Question;

/// Frames that may wait for a slow station. A TCP window of 6 MiB fits.
const BACKLOG: usize = 4_096;
/// The event that means "a closure is waiting"; ports count from 1.
const WAKE: u64 = 0;

struct Switch {
    fabric: Fabric,
    epoll: Epoll,
    ports: HashMap<PortId, Station>,
    names: BTreeMap<String, PortId>,
    capture: Option<capture::Writer>,
    started: Instant,
    /// Frames on their way from the fabric to the backlogs; kept to reuse its memory.
    leaving: Vec<(PortId, Bytes)>,
    last_id: u32,
}

/// The station at a port, as far as the switch sees it.
struct Station {
    name: Arc<str>,
    socket: Option<OwnedFd>,
    backlog: VecDeque<Bytes>,
    /// The socket is full, and epoll tells when it is not.
    waiting: bool,
}

impl Switch {
    fn run(&mut self, inbox: &mpsc::Receiver<Question>, wake: &EventFd) {
        let mut receiver = batch::Receiver::new();
        let mut events = vec![EpollEvent::empty(); 64];
        loop {
            let timeout = self.timeout();
            let count = match self.epoll.wait(&mut events, timeout) {
                Ok(count) => count,
                Err(nix::errno::Errno::EINTR) => 0,
                // Nothing to be done without epoll; the handles report that the switch has stopped.
                Err(_) => return,
            };
            for event in &events[..count] {
                match event.data() {
                    WAKE => {
                        // Non-blocking; only says that there are questions.
                        let _ = wake.read();
                    }
                    port => self.serve(PortId(port as u32), event.events(), &mut receiver),
                }
            }
            let now = self.now();
            self.fabric.advance(now, &mut self.leaving);
            self.distribute();
            loop {
                match inbox.try_recv() {
                    Ok(question) => question(self),
                    Err(mpsc::TryRecvError::Empty) => break,
                    Err(mpsc::TryRecvError::Disconnected) => return self.close(),
                }
            }
        }
    }

    /// How long to wait for a frame: not at all past the next delayed one. Captures are written out before a wait.
    fn timeout(&mut self) -> EpollTimeout {
        if let Some(writer) = &mut self.capture {
            // A full disk ends the capture, not the lab.
            if writer.flush().is_err() {
                self.capture = None;
            }
        }
        let Some(due) = self.fabric.next_due() else { return EpollTimeout::NONE };
        let wait = due.saturating_sub(self.now());
        let milliseconds = wait.as_micros().div_ceil(1000).min(60_000) as u16;
        EpollTimeout::from(milliseconds)
    }

    fn close(&mut self) {
        if let Some(mut writer) = self.capture.take() {
            // Nobody is left to be told.
            let _ = writer.flush();
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn serve(&mut self, id: PortId, events: EpollFlags, receiver: &mut batch::Receiver) {
        if events.contains(EpollFlags::EPOLLOUT) {
            self.flush(id);
        }
        if events.contains(EpollFlags::EPOLLIN) {
            self.take_in(id, receiver);
        } else if events.intersects(EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR) {
            self.hang_up(id);
        }
    }

    fn take_in(&mut self, id: PortId, receiver: &mut batch::Receiver) {
        let Some(station) = self.ports.get(&id) else { return };
        let Some(socket) = &station.socket else { return };
        let name = Arc::clone(&station.name);
        let (now, at) = (self.started.elapsed(), SystemTime::now());
        let (fabric, leaving, capture) = (&mut self.fabric, &mut self.leaving, &mut self.capture);
        let received = receiver.receive(socket.as_fd(), |frame| {
            let kept = capture.as_ref().map(|_| frame.clone());
            let fate = fabric.receive(id, frame, now, leaving);
            if let (Some(writer), Some(frame)) = (capture.as_mut(), kept) {
                let remark = (fate == Fate::Lost).then_some("lost by the lab");
                if writer.frame(&name, at, &frame, remark).is_err() {
                    *capture = None;
                }
            }
        });
        self.distribute();
        match received {
            Ok(_) => {}
            // An interface that went down reports so once, and may come up again.
            Err(error) if is_passing(&error) => {}
            Err(_) => self.hang_up(id),
        }
    }

    /// Moves what leaves the fabric to the stations' backlogs, and these to the sockets.
    fn distribute(&mut self) {
        let mut touched = Vec::new();
        for (id, frame) in self.leaving.drain(..) {
            match self.ports.get_mut(&id) {
                Some(station) if station.socket.is_some() && station.backlog.len() < BACKLOG => {
                    station.backlog.push_back(frame);
                    if !station.waiting && !touched.contains(&id) {
                        touched.push(id);
                    }
                }
                _ => self.fabric.count_overrun(id, 1),
            }
        }
        touched.into_iter().for_each(|id| self.flush(id));
    }

    /// Sends as much of a backlog as the socket takes.
    fn flush(&mut self, id: PortId) {
        let Some(station) = self.ports.get_mut(&id) else { return };
        let Some(socket) = &station.socket else { return };
        while !station.backlog.is_empty() {
            match batch::send(socket.as_fd(), station.backlog.iter()) {
                Ok(count) => drop(station.backlog.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return self.hang_up(id),
                // The first frame is the one that is refused (too long for the interface, for one).
                Err(_) => {
                    station.backlog.pop_front();
                    self.fabric.count_overrun(id, 1);
                }
            }
        }
        let waiting = !station.backlog.is_empty();
        if waiting != station.waiting {
            station.waiting = waiting;
            let out = if waiting { EpollFlags::EPOLLOUT } else { EpollFlags::empty() };
            let mut event = EpollEvent::new(EpollFlags::EPOLLIN | out, id.0.into());
            if self.epoll.modify(socket, &mut event).is_err() {
                self.hang_up(id);
            }
        }
    }

    /// The station's end of the cable is gone.
    fn hang_up(&mut self, id: PortId) {
        let Some(station) = self.ports.get_mut(&id) else { return };
        if let Some(socket) = station.socket.take() {
            // Closing the socket would do it too; the set must not hold a number that is used again.
            let _ = self.epoll.delete(&socket);
        }
        self.fabric.count_overrun(id, station.backlog.len() as u64);
        station.backlog.clear();
        station.waiting = false;
        self.fabric.forget(id);
    }

    fn add_port(&mut self, name: String, vlan: Vlan, socket: Option<OwnedFd>) -> Result<()> {
        vlan.check()?;
        if self.names.contains_key(&name) {
            return Err(Error::Invalid {
                field: "port",
                value: name,
                right: "a name that no port has yet".to_owned(),
            });
        }
        self.last_id += 1;
        let id = PortId(self.last_id);
        self.fabric.add_port(id, vlan);
        let station =
            Station { name: name.as_str().into(), socket: None, backlog: VecDeque::new(), waiting: false };
        self.ports.insert(id, station);
        self.names.insert(name, id);
        socket.map_or(Ok(()), |socket| self.connect(id, socket))
    }

    fn connect(&mut self, id: PortId, socket: OwnedFd) -> Result<()> {
        self.hang_up(id);
        let event = EpollEvent::new(EpollFlags::EPOLLIN, id.0.into());
        self.epoll.add(&socket, event).doing(|| "watch the socket of a port")?;
        if let Some(station) = self.ports.get_mut(&id) {
            station.socket = Some(socket);
        }
        Ok(())
    }

    fn remove_port(&mut self, name: &str) -> Result<()> {
        let id = self.id(name)?;
        self.hang_up(id);
        self.fabric.remove_port(id);
        self.ports.remove(&id);
        self.names.remove(name);
        Ok(())
    }

    fn id(&self, name: &str) -> Result<PortId> {
        self.names.get(name).copied().ok_or_else(|| Error::Unknown {
            kind: "port",
            name: name.to_owned(),
            known: self.names.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }

    fn states(&self) -> Vec<Port> {
        let state = |(name, id): (&String, &PortId)| {
            let (vlan, from, to, counters) = self.fabric.state(*id)?;
            let connected = self.ports.get(id).is_some_and(|station| station.socket.is_some());
            Some(Port { name: name.clone(), vlan: vlan.clone(), connected, from: *from, to: *to, counters })
        };
        self.names.iter().filter_map(state).collect()
    }
}

fn is_passing(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENETDOWN)
        || matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests;
