//! The beginning and the end of a lab: its guardian, a process beside the one that uses the lab.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;
use std::{fs, io};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use crate::config::Config;
use crate::error::{Doing, Error, Result};
use crate::folder::{self, Record};
use crate::proto::{self, Answer, Start};

/// What an owner holds: its end of the socket whose closing ends the lab, and the guardian to be waited for.
#[derive(Debug)]
pub(super) struct Owned {
    socket: OwnedFd,
    guardian: Child,
}

/// Starts the guardian and waits until the lab is ready.
pub(super) fn start_guardian(config: Config, folder: &Path) -> Result<Owned> {
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
        .doing(|| "make a socket to the lab")?;
    let log_path = folder::log_path(folder);
    let log = fs::File::create(&log_path).doing(|| format!("create {}", log_path.display()))?;
    let mut command = Command::new(&config.helper.program);
    command.args(config.helper.arguments("guardian")).stdin(theirs);
    command.stderr(log.try_clone().doing(|| "share the lab's log")?).stdout(log);
    in_a_session_of_its_own(&mut command);
    let guardian = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::Invalid {
            field: "helper",
            value: config.helper.program.display().to_string(),
            right: "the path of gantry or gantry-lab, which is to become the lab's supervisor".to_owned(),
        },
        _ => Error::Io { what: format!("start {}", config.helper.program.display()), source: error },
    })?;
    // The command holds the guardian's end of the socket, whose closing is to be seen.
    drop(command);
    let owned = Owned { socket: ours, guardian };
    let start = Start { config, folder: folder.to_owned(), owner: folder::Process::me() };
    let ready = proto::send(owned.socket.as_fd(), &start, &[])
        .and_then(|()| proto::receive::<Answer>(owned.socket.as_fd()))
        .doing(|| "start the lab")?;
    match ready {
        Some((Ok(_), _)) => Ok(owned),
        Some((Err(message), _)) => Err(Error::Refused { message }),
        None => {
            let said = fs::read_to_string(&log_path).unwrap_or_default();
            Err(Error::Refused { message: format!("the lab ended while it was starting: {}", said.trim()) })
        }
    }
}

/// Keeps the terminal's signals away: the lab ends with its owner, in good order.
fn in_a_session_of_its_own(command: &mut Command) {
    // SAFETY: between fork and exec the closure makes one system call and touches no memory.
    unsafe {
        std::os::unix::process::CommandExt::pre_exec(command, || {
            nix::unistd::setsid().map(drop).map_err(io::Error::from)
        });
    }
}

/// The guardian of a lab that is not ours ends when all is removed.
pub(super) fn wait_for_guardian(record: &Record) -> Result<()> {
    const PATIENCE: Duration = Duration::from_secs(20);
    let deadline = std::time::Instant::now() + PATIENCE;
    while record.guardian.is_alive() {
        if std::time::Instant::now() > deadline {
            let what = format!("the end of lab {}", record.name);
            return Err(Error::Deadline { what, after: PATIENCE, tail: String::new() });
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

impl Owned {
    pub(super) fn end(mut self) -> Result<()> {
        drop(self.socket);
        self.guardian.wait().map(drop).doing(|| "wait for the end of the lab")
    }
}
