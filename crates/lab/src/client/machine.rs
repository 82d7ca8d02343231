//! One machine of a lab: its buttons and its console.

use std::path::Path;
use std::time::Duration;

use super::Lab;
use crate::error::Result;
use crate::machine::{MachineStatus, Power};
use crate::proto::{Request, Switch};
use crate::serial::{Line, Serial};

/// A machine of a lab. Dropping it changes nothing.
#[derive(Clone, Debug)]
pub struct Machine {
    pub(super) lab: Lab,
    pub(super) name: String,
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
