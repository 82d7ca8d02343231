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

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use serde::{Deserialize, Serialize};

pub use channel::{Harm, Impairment};
pub use fabric::{Counters, Way};
pub use frame::Traffic;

use crate::capture;
use crate::config::Vlan;
use crate::error::{Doing, Error, Result};
use channel::Fate;
use fabric::{Fabric, PortId};

/// Frames that may wait for a slow station. A TCP window of 6 MiB fits.
const BACKLOG: usize = 4_096;
/// The event that means "a closure is waiting"; ports count from 1.
const WAKE: u64 = 0;

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

type Question = Box<dyn FnOnce(&mut Switch) + Send>;

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
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::frame::tests::frame;
    use super::*;
    use crate::mac::Mac;

    const LONG: Duration = Duration::from_secs(10);

    fn plug(switch: &Handle, name: &str) -> UnixDatagram {
        let (station, port) = UnixDatagram::pair().unwrap();
        station.set_read_timeout(Some(LONG)).unwrap();
        switch.add_port(name, Vlan::default(), Some(port.into())).unwrap();
        station
    }

    fn receive(station: &UnixDatagram) -> Vec<u8> {
        let mut buffer = vec![0; 2000];
        let length = station.recv(&mut buffer).unwrap();
        buffer.truncate(length);
        buffer
    }

    fn port(switch: &Handle, name: &str) -> Port {
        switch.ports().unwrap().into_iter().find(|port| port.name == name).unwrap()
    }

    #[test]
    fn frames_go_from_socket_to_socket() {
        let (switch, _) = start(1).unwrap();
        let (a, b) = (plug(&switch, "a"), plug(&switch, "b"));
        let hello = frame(Mac::BROADCAST, Mac::numbered(1), b"hello");
        a.send(&hello).unwrap();
        assert_eq!(receive(&b), hello);
        assert_eq!(port(&switch, "b").counters.to_frames, 1);
    }

    #[test]
    fn a_delayed_frame_comes_later() {
        let (switch, _) = start(1).unwrap();
        let (a, b) = (plug(&switch, "a"), plug(&switch, "b"));
        let delay = Duration::from_millis(40);
        switch.impair("b", Way::To, Impairment { delay, ..Impairment::default() }).unwrap();
        let begin = Instant::now();
        a.send(&frame(Mac::BROADCAST, Mac::numbered(1), b"slow")).unwrap();
        receive(&b);
        assert!(begin.elapsed() >= delay, "{:?}", begin.elapsed());
    }

    #[test]
    fn a_station_that_leaves_is_noticed_and_may_come_back() {
        let (switch, _) = start(1).unwrap();
        let (a, b) = (plug(&switch, "a"), plug(&switch, "b"));
        drop(b);
        let hello = frame(Mac::BROADCAST, Mac::numbered(1), b"anyone?");
        let deadline = Instant::now() + LONG;
        while port(&switch, "b").connected {
            assert!(Instant::now() < deadline);
            a.send(&hello).unwrap();
        }
        let (again, end) = UnixDatagram::pair().unwrap();
        again.set_read_timeout(Some(LONG)).unwrap();
        switch.connect("b", end.into()).unwrap();
        a.send(&hello).unwrap();
        assert_eq!(receive(&again), hello);
    }

    #[test]
    fn a_station_that_does_not_read_costs_its_own_frames_only() {
        let (switch, _) = start(1).unwrap();
        let (a, lazy, c) = (plug(&switch, "a"), plug(&switch, "lazy"), plug(&switch, "c"));
        let hello = frame(Mac::BROADCAST, Mac::numbered(1), &[0; 100]);
        let total = BACKLOG as u64 + 500;
        for _ in 0..total {
            a.send(&hello).unwrap();
            receive(&c);
        }
        let counters = port(&switch, "lazy").counters;
        assert!(counters.overrun > 0 && counters.overrun <= 500, "{counters:?}");
        let kept = total - counters.overrun;
        for _ in 0..kept {
            receive(&lazy);
        }
        assert_eq!(port(&switch, "c").counters.overrun, 0);
    }

    #[test]
    fn a_capture_names_the_port_and_what_was_lost() {
        let path = std::env::temp_dir().join(format!("gantry-lab-{}.pcapng", uuid::Uuid::new_v4()));
        let (switch, _) = start(1).unwrap();
        let (a, b) = (plug(&switch, "a"), plug(&switch, "b"));
        switch.capture(path.clone(), 65_535).unwrap();
        switch.impair("a", Way::From, Impairment { lose_first: 1, ..Impairment::default() }).unwrap();
        let frames = [
            frame(Mac::BROADCAST, Mac::numbered(1), b"one"),
            frame(Mac::BROADCAST, Mac::numbered(1), b"two"),
        ];
        for frame in &frames {
            a.send(frame).unwrap();
        }
        assert_eq!(receive(&b), frames[1]);
        switch.end_capture().unwrap();
        let read = capture::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let shown: Vec<_> =
            read.iter().map(|c| (c.port.as_str(), c.frame.clone(), c.remark.as_deref())).collect();
        assert_eq!(
            shown,
            [("a", frames[0].clone(), Some("lost by the lab")), ("a", frames[1].clone(), None)]
        );
    }

    #[test]
    fn unknown_ports_and_taken_names_are_refused() {
        let (switch, _) = start(1).unwrap();
        let _a = plug(&switch, "a");
        let error = switch.impair("x", Way::To, Impairment::default()).unwrap_err();
        assert_eq!(error.to_string(), "there is no port named \"x\" in the lab (there are: a)");
        assert!(switch.add_port("a", Vlan::default(), None).is_err());
        assert!(switch.set_vlan("a", Vlan::Access(0)).is_err());
        switch.remove_port("a").unwrap();
        assert!(switch.remove_port("a").is_err());
    }

    #[test]
    fn the_thread_ends_with_the_last_handle() {
        let (switch, thread) = start(1).unwrap();
        let other = switch.clone();
        drop(switch);
        other.ports().unwrap();
        drop(other);
        thread.join().unwrap();
    }
}
