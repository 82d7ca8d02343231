//! Leaving the machine: restart, kexec, power off.

use super::{EXIT_POWEROFF, EXIT_REBOOT, Mode, say};
use crate::kexec;
use crate::session::journal::Power;
use std::process::Command;
use std::time::Duration;

/// Patience with a service manager that was asked to restart the machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// Leaves; never returns to the session.
pub fn leave(mode: Mode, power: Power) {
    let code = match power {
        Power::Reboot => EXIT_REBOOT,
        Power::PowerOff => EXIT_POWEROFF,
    };
    if mode == Mode::Discovery {
        std::process::exit(code.into());
    }
    let words: &[&[&str]] = match power {
        Power::Reboot if kexec::is_ready() => &[&["systemctl", "kexec"], &["reboot"]],
        Power::Reboot => &[&["systemctl", "reboot"], &["reboot"], &["reboot", "-f"]],
        Power::PowerOff => &[&["systemctl", "poweroff"], &["poweroff"], &["poweroff", "-f"]],
    };
    for command in words {
        let (program, arguments) = command.split_first().unwrap_or((&"reboot", &[]));
        // Newer systemd enters a loaded kernel at any restart unless it is told not to; which one to enter was decided before.
        let status = Command::new(program).args(arguments).env("SYSTEMCTL_SKIP_AUTO_KEXEC", "1").status();
        match status {
            Ok(status) if status.success() => {
                std::thread::sleep(PATIENCE);
                say(&format!("{} had no effect", command.join(" ")));
            }
            Ok(status) => say(&format!("{}: {status}", command.join(" "))),
            Err(error) => say(&format!("{}: {error}", command.join(" "))),
        }
    }
    std::process::exit(1);
}
