//! What a lab's clients and its supervisor say to each other.
//!
//! One request, one answer, each a JSON text in one packet of a Unix `SOCK_SEQPACKET` socket; open files travel with it
//! (`SCM_RIGHTS`, unix(7)). Both ends are the same program of the same user, so there are no versions.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::cmsg_space;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{Config, Lifetime, Vlan};
use crate::error::{Doing, Result};
use crate::folder::Process;
use crate::machine::MachineSpec;
use crate::process::Base;
use crate::switch::{Impairment, Way};

/// The longest path of a Unix socket (unix(7): 108 bytes with the final zero).
pub(crate) const PATH_MAX: usize = 107;
/// The longest message, in bytes: below what a socket takes by default.
const MESSAGE_MAX: usize = 192 * 1024;
/// The most files that travel with one message.
const FILES_MAX: usize = 32;

/// The first message to a guardian.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    pub(crate) config: Config,
    pub(crate) folder: PathBuf,
    pub(crate) owner: Option<Process>,
}

impl Start {
    /// Leaves the message for the supervisor in the lab's folder.
    pub(crate) fn write(&self) -> Result<()> {
        let path = Start::path(&self.folder);
        let text = serde_json::to_vec(self).map_err(io::Error::other);
        text.and_then(|text| std::fs::write(&path, text)).doing(|| format!("write {}", path.display()))
    }

    pub(crate) fn read(folder: &Path) -> Result<Start> {
        let path = Start::path(folder);
        let text = std::fs::read(&path);
        text.and_then(|text| Ok(serde_json::from_slice(&text)?)).doing(|| format!("read {}", path.display()))
    }

    fn path(folder: &Path) -> PathBuf {
        folder.join("start.json")
    }
}

/// What a client asks of the supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Ends the lab.
    Stop,
    AddMachine(Box<MachineSpec>),
    RemoveMachine(String),
    Machines,
    Machine(String),
    Power(String, Switch),
    WipeDisks(String),
    SetLink {
        machine: String,
        nic: usize,
        up: bool,
    },
    SerialSend(String, String),
    SerialWait {
        machine: String,
        beyond: u64,
        timeout: Duration,
    },
    Ports,
    Impair {
        port: String,
        way: Way,
        impairment: Impairment,
    },
    SetVlan(String, Vlan),
    Capture {
        path: PathBuf,
        longest: usize,
    },
    EndCapture,
    /// A new port; its other end comes back as a file.
    AttachWire(String, Vlan),
    /// Files: standard input, output and error if `inherits`, then the listeners.
    Spawn(Spawn),
    Kill {
        process: u64,
        signal: i32,
    },
    WaitProcess {
        process: u64,
        timeout: Duration,
    },
    /// A UDP socket inside the lab, bound to this address, comes back as a file.
    UdpSocket(std::net::SocketAddr),
    /// A TCP connection made inside the lab comes back as a file.
    TcpConnect(std::net::SocketAddr, Duration),
    /// A TCP listener inside the lab comes back as a file.
    TcpListen(std::net::SocketAddr),
}

/// A machine's switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Switch {
    On,
    Off,
    Reset,
    /// The power button as the running system sees it (ACPI).
    Button,
}

/// A program to be run inside the lab.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Spawn {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) base: Base,
    pub(crate) folder: Option<PathBuf>,
    pub(crate) lifetime: Lifetime,
    /// The log's name in the lab's folder; without one, standard input, output and error come with the message.
    pub(crate) log: Option<String>,
    /// The names of the listeners that come with the message.
    pub(crate) listeners: Vec<String>,
}

/// The supervisor's answer: a value, or the reason why not.
pub(crate) type Answer = std::result::Result<Value, String>;

/// Sends one message.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    message: &impl Serialize,
    files: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    if text.len() > MESSAGE_MAX || files.len() > FILES_MAX {
        let problem = format!("a message of {} bytes and {} files is too big", text.len(), files.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
    }
    let numbers: Vec<RawFd> = files.iter().map(AsRawFd::as_raw_fd).collect();
    let control = [ControlMessage::ScmRights(&numbers)];
    let control = if numbers.is_empty() { &[][..] } else { &control[..] };
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&text)], control, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}

/// Receives one message; `None` when the other end has been closed.
pub(crate) fn receive<T: DeserializeOwned>(socket: BorrowedFd<'_>) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut text = vec![0; MESSAGE_MAX];
    let mut space = cmsg_space!([RawFd; FILES_MAX]);
    let mut vectors = [IoSliceMut::new(&mut text)];
    let message = loop {
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        match recvmsg::<()>(socket.as_raw_fd(), &mut vectors, Some(&mut space), flags) {
            Err(nix::errno::Errno::EINTR) => {}
            // The other process has died with something of ours unread.
            Err(nix::errno::Errno::ECONNRESET) => return Ok(None),
            other => break other?,
        }
    };
    let mut files = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = control {
            // SAFETY: the kernel has just made these descriptors for us, and nobody else knows their numbers.
            files.extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
        }
    }
    let (length, cut) = (message.bytes, message.flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC));
    if length == 0 {
        return Ok(None);
    }
    if cut {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a message was cut short"));
    }
    Ok(Some((serde_json::from_slice(&text[..length])?, files)))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

    use super::*;

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap()
    }

    #[test]
    fn a_request_travels_with_its_files() {
        let (a, b) = pair();
        let (mut keep, give) = UnixStream::pair().unwrap();
        send(a.as_fd(), &Request::Machine("x".into()), &[give.as_fd()]).unwrap();
        drop(give);
        let (request, mut files) = receive::<Request>(b.as_fd()).unwrap().unwrap();
        assert!(matches!(request, Request::Machine(name) if name == "x"));
        UnixStream::from(files.remove(0)).write_all(b"hi").unwrap();
        let mut text = String::new();
        keep.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hi");
    }

    #[test]
    fn the_end_is_no_error() {
        let (a, b) = pair();
        drop(a);
        assert!(receive::<Request>(b.as_fd()).unwrap().is_none());
    }

    #[test]
    fn what_is_too_big_is_not_sent_and_what_is_no_request_is_an_error() {
        let (a, b) = pair();
        assert!(send(a.as_fd(), &"x".repeat(MESSAGE_MAX), &[]).is_err());
        send(a.as_fd(), &"Nonsense", &[]).unwrap();
        assert!(receive::<Request>(b.as_fd()).is_err());
        send(a.as_fd(), &Request::SerialSend("x".into(), "y".repeat(MESSAGE_MAX - 100)), &[]).unwrap();
        assert!(receive::<Request>(b.as_fd()).unwrap().is_some());
    }
}
