//! Starts programs for clients.

use std::fs::OpenOptions;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};

use super::children::Children;
use super::machine::pass_on;
use crate::config::check_name;
use crate::error::{Doing, Error, Result};
use crate::process::Base;
use crate::proto::{Spawn, Start};

/// Starts a program; its log lies in the lab's `folder`.
pub(crate) fn start(folder: &Path, children: &Children, spawn: &Spawn, files: Vec<OwnedFd>) -> Result<u64> {
    let mut files = files.into_iter();
    let mut line = match spawn.listeners.is_empty() {
        true => Command::new(&spawn.program),
        false => Command::new("/proc/self/exe"),
    };
    output(&mut line, folder, spawn, &mut files)?;
    let listeners: Vec<OwnedFd> = files.collect();
    if listeners.len() != spawn.listeners.len() {
        let message = format!("{} files came for {} listeners", listeners.len(), spawn.listeners.len());
        return Err(Error::Refused { message });
    }
    if !listeners.is_empty() {
        enter(&mut line, folder, spawn, &listeners)?;
    }
    if spawn.base == Base::Nothing {
        line.env_clear();
    }
    line.args(&spawn.args).envs(spawn.env.iter().map(|(name, value)| (name, value)));
    if let Some(folder) = &spawn.folder {
        line.current_dir(folder);
    }
    children.spawn(&mut line).map(|(process, _)| process).map_err(|error| match error {
        Error::Io { source, .. } => Error::Io { what: format!("start {}", spawn.program.display()), source },
        other => other,
    })
}

/// The words by which this program becomes the other one with its listeners in place.
fn enter(line: &mut Command, folder: &Path, spawn: &Spawn, listeners: &[OwnedFd]) -> Result<()> {
    spawn.listeners.iter().try_for_each(|name| check_name("listener", name))?;
    let numbers: Vec<_> = listeners.iter().map(AsRawFd::as_raw_fd).collect();
    let list = numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    line.args(Start::read(folder)?.config.helper.arguments("enter"));
    line.arg(list).arg(spawn.listeners.join(":")).arg("--").arg(&spawn.program);
    pass_on(line, numbers);
    Ok(())
}

fn output(
    line: &mut Command,
    folder: &Path,
    spawn: &Spawn,
    files: &mut impl Iterator<Item = OwnedFd>,
) -> Result<()> {
    if let Some(name) = &spawn.log {
        check_name("log", name)?;
        let path = folder.join(format!("{name}.log"));
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .doing(|| format!("open {}", path.display()))?;
        let again = log.try_clone().doing(|| "share a log")?;
        line.stdin(Stdio::null()).stdout(log).stderr(again);
        return Ok(());
    }
    let mut next = || {
        let missing = || Error::Refused {
            message: "a program's standard streams did not come with the request".to_owned(),
        };
        files.next().ok_or_else(missing)
    };
    line.stdin(next()?).stdout(next()?).stderr(next()?);
    Ok(())
}
