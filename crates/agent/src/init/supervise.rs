//! The rest of PID 1's life: keep the session running, bury the dead, end the machine.

use super::HANDOVER;
use crate::cmdline::Boot;
use crate::inventory;
use crate::kexec;
use crate::runner::{EXIT_POWEROFF, EXIT_REBOOT, say};
use crate::sys::{self, End};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Signals that PID 1 waits for: a child died, someone wants the machine to restart or switch off
/// (the traditional meanings for busybox's `reboot` and `poweroff`), ctrl-alt-del.
pub(super) const SIGNALS: [i32; 5] =
    [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGUSR1, libc::SIGUSR2];

/// Pause before a dead session is started again; grows with quick deaths.
const PAUSE: Duration = Duration::from_secs(1);
/// A session that lived this long was fine.
const FINE: Duration = Duration::from_secs(60);
/// Time that processes get between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(3);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Role {
    Session,
    Shell,
    /// What a layer of the image wants to have started, such as an SSH server.
    Service(PathBuf),
}

/// Programs that layers of the image bring: started once, in order of name, none waits for another.
const SERVICES: &str = "/etc/gantry/start.d";

/// Starts the session and stays with it until the machine ends.
pub(super) fn run(boot: &Boot) {
    let mut children = HashMap::new();
    let mut deaths = 0;
    let mut next = Some(Instant::now());
    let mut born = Instant::now();
    for name in inventory::names(Path::new(SERVICES)) {
        adopt(&mut children, Role::Service(Path::new(SERVICES).join(name)));
    }
    if boot.shell {
        adopt(&mut children, Role::Shell);
    }
    loop {
        if next.is_some_and(|when| Instant::now() >= when) {
            born = Instant::now();
            let is_started = adopt(&mut children, Role::Session);
            next = if is_started { None } else { Some(born + PAUSE) };
        }
        match sys::wait_signal(&SIGNALS, Some(1000)) {
            Some(libc::SIGTERM | libc::SIGINT) => leave(restart_kind()),
            Some(libc::SIGUSR1 | libc::SIGUSR2) => leave(End::PowerOff),
            _ => {}
        }
        while let Ok(Some(ended)) = sys::reap(false) {
            match children.remove(&ended.pid) {
                Some(Role::Session) => {
                    act_on(ended.code);
                    deaths = if born.elapsed() >= FINE { 1 } else { (deaths + 1).min(10) };
                    say(&format!("session ended ({}), starting it again", describe(ended.code)));
                    next = Some(Instant::now() + PAUSE * deaths);
                }
                Some(Role::Shell) => {
                    adopt(&mut children, Role::Shell);
                }
                Some(Role::Service(path)) if ended.code != Some(0) => {
                    say(&format!("{} failed ({})", path.display(), describe(ended.code)));
                }
                Some(Role::Service(_)) | None => {}
            }
        }
    }
}

/// The session leaves the machine by its exit code.
fn act_on(code: Option<i32>) {
    match code.and_then(|code| u8::try_from(code).ok()) {
        Some(EXIT_REBOOT) => leave(restart_kind()),
        Some(EXIT_POWEROFF) => leave(End::PowerOff),
        _ => {}
    }
}

fn describe(code: Option<i32>) -> String {
    code.map_or_else(|| "killed".to_owned(), |code| format!("exit code {code}"))
}

fn restart_kind() -> End {
    if kexec::is_ready() { End::Kexec } else { End::Reboot }
}

fn start(role: &Role) -> io::Result<i32> {
    let mut command = match role {
        Role::Session => {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["run", "--handover", HANDOVER]);
            command
        }
        Role::Service(path) => Command::new(path),
        Role::Shell => {
            let shells = ["/bin/bash", "/bin/sh", "/bin/busybox"];
            let shell = shells.into_iter().find(|path| Path::new(path).exists());
            let mut command = Command::new(shell.ok_or_else(|| io::Error::other("no shell in this image"))?);
            command.arg0("sh");
            // SAFETY: setsid is async-signal-safe.
            unsafe {
                command.pre_exec(|| {
                    sys::new_session();
                    Ok(())
                });
            }
            command
        }
    };
    command
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", "/root")
        .env("TERM", "linux");
    // SAFETY: changing the signal mask is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            sys::unblock_all_signals();
            Ok(())
        });
    }
    // The value is dropped without waiting: PID 1 reaps every child in one place.
    Ok(command.spawn()?.id() as i32)
}

/// A shell before there is anything else, for someone who looks for the reason.
pub(super) fn start_shell() {
    if let Err(error) = start(&Role::Shell) {
        say(&format!("shell: {error}"));
    }
}

/// Starts a child that is looked after. False when it could not be started.
fn adopt(children: &mut HashMap<i32, Role>, role: Role) -> bool {
    match start(&role) {
        Ok(pid) => {
            children.insert(pid, role);
            true
        }
        Err(error) => {
            say(&format!("cannot start {role:?}: {error}"));
            false
        }
    }
}

/// Ends the machine: everybody is told to go, what is mounted is unmounted, then the kernel acts. A
/// failed jump into another kernel becomes an ordinary restart.
pub(super) fn leave(end: End) -> ! {
    say(match end {
        End::Reboot => "restarting the machine",
        End::PowerOff => "switching the machine off",
        End::Kexec => "jumping into the loaded kernel",
    });
    let _ = sys::kill(-1, libc::SIGTERM);
    let deadline = Instant::now() + GRACE;
    while others_alive() && Instant::now() < deadline {
        let _ = sys::wait_signal(&[libc::SIGCHLD], Some(50));
        while let Ok(Some(_)) = sys::reap(false) {}
    }
    let _ = sys::kill(-1, libc::SIGKILL);
    while let Ok(Some(_)) = sys::reap(false) {}
    sys::sync();
    unmount_all();
    let error = sys::end_machine(end);
    say(&format!("{end:?}: {error}"));
    loop {
        let _ = sys::end_machine(End::Reboot);
        std::thread::sleep(Duration::from_secs(10));
    }
}

/// True while there is a process with a program (kernel threads have none) other than us.
fn others_alive() -> bool {
    let Ok(entries) = fs::read_dir("/proc") else { return false };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .any(|pid| pid != 1 && fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|text| !text.is_empty()))
}

/// Unmounts file systems on real devices, the youngest first.
fn unmount_all() {
    let table = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let targets = table.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (source, target) = (words.next()?, words.next()?);
        source.starts_with("/dev/").then(|| target.replace("\\040", " "))
    });
    let mut targets: Vec<String> = targets.collect();
    targets.reverse();
    for target in targets {
        if let Err(error) = sys::unmount(Path::new(&target), 0) {
            say(&format!("unmount {target}: {error}"));
            let _ = sys::unmount(Path::new(&target), libc::MNT_DETACH);
        }
    }
    sys::sync();
}
