//! The network of a lab: its switch, and a wire into it for this very process.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use super::Lab;
use crate::config::Vlan;
use crate::error::{Doing, Result};
use crate::proto::Request;
use crate::switch::{Impairment, Port, Way};

/// The lab's switch.
#[derive(Clone, Copy, Debug)]
pub struct Switchboard<'a> {
    pub(super) lab: &'a Lab,
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
    pub(super) socket: UnixDatagram,
    pub(super) _connection: OwnedFd,
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
