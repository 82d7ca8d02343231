//! The process between a lab's owner and its supervisor.
//!
//! The guardian leaves its namespaces for new ones (users if it must, network, processes) and starts the supervisor, which
//! thereby becomes process 1 of the new process namespace: when it ends, the kernel ends everything in the lab. The guardian stays
//! outside, waits, and removes the lab's folder. It has one thread, which entering a user namespace demands (user_namespaces(7)).
//!
//! | who dies | what follows |
//! |---|---|
//! | the owner | the supervisor sees its socket closed, ends the lab; the guardian insists after [`GRACE`] |
//! | the guardian | the supervisor is killed with it (PR_SET_PDEATHSIG); the next lab sweeps the folder |
//! | the supervisor | the kernel ends everything inside; the guardian removes the folder |

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getgid, getuid};

use crate::config::{Files, Lifetime};
use crate::error::{Doing, Error, Result};
use crate::folder::{self, Process, Record};
use crate::proto::{self, Answer, Start};

/// How long a supervisor may take to end a lab that nobody owns any more.
const GRACE: Duration = Duration::from_secs(15);

/// The guardian's whole life. Standard input is a socket to the owner.
pub(crate) fn run() -> ExitCode {
    let socket = io::stdin();
    match guard(socket.as_fd()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The owner may have gone; the log has it too.
            let _ = proto::send(socket.as_fd(), &Answer::Err(error.to_string()), &[]);
            crate::log::line(format_args!("guardian: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn guard(owner: BorrowedFd<'_>) -> Result<()> {
    let received = proto::receive::<Start>(owner).doing(|| "read what lab to start")?;
    let Some((start, _)) = received else { return Ok(()) };
    let me = Process::me().ok_or_else(|| Error::Refused { message: "/proc is not mounted".to_owned() })?;
    let config = &start.config;
    let mut record = Record {
        name: config.name.clone(),
        lifetime: config.lifetime,
        files: config.files,
        owner: start.owner,
        guardian: me,
        supervisor: None,
        namespace: folder::namespace(),
    };
    record.write(&start.folder)?;
    start.write()?;
    let result = isolate().and_then(|()| supervise(owner, &start, &mut record));
    if config.files == Files::Remove {
        // What cannot be removed now is swept by the next lab.
        let _ = fs::remove_dir_all(&start.folder);
    }
    result
}

fn supervise(owner: BorrowedFd<'_>, start: &Start, record: &mut Record) -> Result<()> {
    let mut supervisor = spawn_supervisor(owner, start)?;
    record.supervisor = Process::of(supervisor.id() as i32);
    record.write(&start.folder)?;
    if start.config.lifetime == Lifetime::Owned {
        wait_for_owner_or(&mut supervisor, owner).doing(|| "wait for the lab's owner")?;
    }
    let status = supervisor.wait().doing(|| "wait for the lab's supervisor")?;
    if !status.success() {
        crate::log::line(format_args!("guardian: the supervisor ended with {status}"));
    }
    Ok(())
}

fn spawn_supervisor(owner: BorrowedFd<'_>, start: &Start) -> Result<Child> {
    let socket: OwnedFd = owner.try_clone_to_owned().doing(|| "share the owner's socket")?;
    let mut command = Command::new("/proc/self/exe");
    command.args(start.config.helper.arguments("supervisor")).arg(&start.folder);
    command.stdin(Stdio::from(socket));
    // SAFETY: between fork and exec the closure makes one system call and touches no memory that another thread could hold.
    unsafe {
        command.pre_exec(|| {
            nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).map_err(io::Error::from)
        });
    }
    command.spawn().doing(|| "start the lab's supervisor")
}

/// Returns when the supervisor has ended, or kills it when it is still there some time after its owner.
fn wait_for_owner_or(supervisor: &mut Child, owner: BorrowedFd<'_>) -> io::Result<()> {
    let process = pidfd(supervisor.id())?;
    let ended = || PollFd::new(process.as_fd(), PollFlags::POLLIN);
    let gone = PollFd::new(owner, PollFlags::POLLHUP);
    poll_through(&mut [ended(), gone], PollTimeout::NONE)?;
    let in_time = poll_through(&mut [ended()], PollTimeout::from(GRACE.as_millis() as u16))?;
    if in_time { Ok(()) } else { supervisor.kill() }
}

/// Waits for one of the files; says whether one was ready in time.
fn poll_through(files: &mut [PollFd<'_>], timeout: PollTimeout) -> io::Result<bool> {
    loop {
        match poll(files, timeout) {
            Err(Errno::EINTR) => {}
            other => return Ok(other? > 0),
        }
    }
}

/// A file that becomes readable when the child ends (pidfd_open(2)).
fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: a system call without pointers, whose result is a new descriptor that is ours alone.
    unsafe {
        let number = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        let number = i32::try_from(number).unwrap_or(-1);
        if number < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(number)) }
    }
}

/// Enters new namespaces: without a user namespace if that is allowed, as it is for root, else with one in which we are root.
fn isolate() -> Result<()> {
    let (uid, gid) = (getuid(), getgid());
    let namespaces = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWPID;
    match unshare(namespaces) {
        Ok(()) => return Ok(()),
        Err(Errno::EPERM) => {}
        Err(error) => return Err(refused("unshare", error.into())),
    }
    unshare(namespaces | CloneFlags::CLONE_NEWUSER).map_err(|error| refused("unshare", error.into()))?;
    // An ordinary user may map itself only, and its group only after giving up setgroups (user_namespaces(7)).
    for (file, text) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("0 {uid} 1")),
        ("/proc/self/gid_map", format!("0 {gid} 1")),
    ] {
        fs::write(file, text).map_err(|error| refused(file, error))?;
    }
    Ok(())
}

fn refused(step: &'static str, source: io::Error) -> Error {
    let hint = match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            "unprivileged user namespaces seem to be forbidden; see sysctl kernel.unprivileged_userns_clone, \
             kernel.apparmor_restrict_unprivileged_userns, or the settings of the container"
        }
        Some(libc::ENOSPC | libc::EUSERS) => {
            "too many namespaces; see sysctl user.max_user_namespaces and its siblings"
        }
        Some(libc::EINVAL) => {
            "the process had more than one thread, or the kernel was built without namespaces"
        }
        _ => "the kernel must have user, network, mount and process namespaces",
    };
    Error::Namespaces { step, source, hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_helps() {
        let text = refused("unshare", io::Error::from_raw_os_error(libc::EPERM)).to_string();
        assert!(text.contains("unshare") && text.contains("hint: unprivileged user namespaces"), "{text}");
    }
}
