//! The last step before a program in the lab: puts the listeners where systemd would put them (sd_listen_fds(3)).
//!
//! It is a process of its own, because LISTEN_PID must hold the program's own number, which is known only in that very process, and
//! because between fork and exec the numbers from 3 on are not free to be used.

use std::io;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// The first number that is handed over.
const FIRST: RawFd = 3;

/// Becomes `program`. `files` are the inherited listeners; `names` are theirs, in the same order.
pub(crate) fn run(files: &[RawFd], names: &str, program: &str, args: &[String]) -> ExitCode {
    let error = match place(files) {
        Ok(()) => {
            let mut command = Command::new(program);
            command.args(args);
            command.env("LISTEN_FDS", files.len().to_string());
            command.env("LISTEN_FDNAMES", names);
            command.env("LISTEN_PID", std::process::id().to_string());
            command.exec()
        }
        Err(error) => error,
    };
    crate::log::line(format_args!("cannot start {program}: {error}"));
    ExitCode::from(127)
}

/// Moves the files to 3 and on, open across the exec.
fn place(files: &[RawFd]) -> io::Result<()> {
    let end = FIRST + files.len() as RawFd;
    let mut copies = Vec::new();
    for file in files {
        // SAFETY: a system call without pointers. Copies lie behind the target numbers, so that none is overwritten below.
        copies.push(checked(unsafe { libc::fcntl(*file, libc::F_DUPFD_CLOEXEC, end) })?);
        // SAFETY: as above. The program gets the copy, not the file under its old number too.
        checked(unsafe { libc::fcntl(*file, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    }
    for (copy, target) in copies.into_iter().zip(FIRST..) {
        // SAFETY: a system call without pointers. This process has one thread and nothing of its own open from 3 on.
        checked(unsafe { libc::dup2(copy, target) })?;
    }
    Ok(())
}

fn checked(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
