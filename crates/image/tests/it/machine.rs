//! One QEMU machine: started, watched on its serial line, ended.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A running machine; it ends with this value.
pub(crate) struct Machine {
    child: Child,
    lines: Receiver<String>,
    started: Instant,
    /// Everything on the serial line so far.
    pub(crate) seen: Vec<String>,
}

impl Machine {
    /// Starts QEMU in software emulation with the serial line as only output.
    pub(crate) fn start(memory: u32, args: &[&str]) -> Self {
        let mut command = Command::new("qemu-system-x86_64");
        command.args(["-M", "q35,graphics=off", "-accel", "tcg", "-smp", "1", "-m", &memory.to_string()]);
        command.args([
            "-display",
            "none",
            "-serial",
            "stdio",
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
        ]);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("qemu-system-x86_64 must be installed");
        let output = child.stdout.take().unwrap();
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                if send.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                    break;
                }
            }
        });
        Self { child, lines, started: Instant::now(), seen: Vec::new() }
    }

    /// Waits for a line with `text` and returns it with the time since the start.
    pub(crate) fn wait(&mut self, text: &str, limit: Duration) -> (String, Duration) {
        let deadline = Instant::now() + limit;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return (line, self.started.elapsed());
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.fail(text, "did not come in time"),
                Err(RecvTimeoutError::Disconnected) => {
                    self.fail(text, "did not come before the machine ended")
                }
            }
        }
    }

    fn fail(&self, text: &str, why: &str) -> ! {
        panic!("{text:?} {why}; the serial line said:\n{}", self.seen.join("\n"));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Options for UEFI firmware with a private copy of its variables in `dir`.
pub(crate) fn uefi(dir: &Path) -> Vec<String> {
    let vars = dir.join("vars.fd");
    std::fs::copy("/usr/share/OVMF/OVMF_VARS_4M.fd", &vars).expect("the package ovmf must be installed");
    let drive = |rest: String| ["-drive".to_owned(), format!("if=pflash,format=raw,{rest}")];
    let code = drive("unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd".into());
    let vars = drive(format!("unit=1,file={}", vars.display()));
    [code, vars].concat()
}
