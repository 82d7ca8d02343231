//! A program that runs in a lab.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Lab;
use crate::error::Result;
use crate::process::Exit;
use crate::proto::Request;

/// A program that runs inside the lab. If it was started as [`Lifetime::Owned`], dropping this kills it.
#[derive(Debug)]
pub struct Process {
    pub(super) lab: Lab,
    pub(super) id: u64,
    pub(super) log: Option<PathBuf>,
    pub(super) _connection: OwnedFd,
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
