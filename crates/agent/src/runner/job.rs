//! Running one job: files are written, scripts are executed, their output becomes the job's log.
//!
//! Every script runs in a process group of its own with the environment of `super::env`, standard input
//! from `/dev/null`, standard output and error merged. A script that exceeds its deadline, or that runs
//! when the agent is told to end, is killed with its whole group. Daemons that a script leaves behind
//! live on. Rules: engine.md §5.5.

use super::env::Environment;
use super::log::{Spool, ship};
use super::{Config, say};
use crate::http::Client;
use crate::session::Plan;
use crate::session::exit::{After, Codes, Outcome, Position, Verdict, judge};
use crate::sys;
use crate::text::{file_name, parse_seconds};
use crate::wire::Action;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A script without a deadline of its own gets this one.
const DEADLINE: Duration = Duration::from_secs(24 * 3600);
/// How long output is awaited after a script's end, when something it started keeps the pipe open.
const LINGER: Duration = Duration::from_millis(500);
/// Time between a polite and a hard kill.
const GRACE: Duration = Duration::from_secs(5);

/// The library that bash tasks source as `./helper`.
const HELPER: &str = include_str!("helper.sh");

/// Tells a running job to end.
#[derive(Clone, Debug, Default)]
pub struct Kill(Arc<KillState>);

#[derive(Debug, Default)]
struct KillState {
    wanted: AtomicBool,
    group: Mutex<Option<i32>>,
}

impl Kill {
    /// Kills what runs, and lets nothing more start.
    pub fn now(&self) {
        self.0.wanted.store(true, Ordering::SeqCst);
        if let Ok(group) = self.0.group.lock()
            && let Some(pid) = *group
        {
            let _ = sys::kill(-pid, libc::SIGTERM);
        }
    }

    fn is_wanted(&self) -> bool {
        self.0.wanted.load(Ordering::SeqCst)
    }

    fn guard(&self, pid: Option<i32>) {
        if let Ok(mut group) = self.0.group.lock() {
            *group = pid;
        }
    }
}

/// What a job needs besides its plan.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// For the log.
    pub client: &'a Client,
    /// Of all scripts.
    pub environment: &'a Environment,
    /// Folders.
    pub config: &'a Config,
    /// Key of the machine.
    pub uuid: &'a str,
}

/// Runs a job to its end.
pub fn run(setting: &Setting<'_>, plan: &Plan, kill: &Kill) -> Outcome {
    let (more, wake) = channel();
    let shipper = {
        let (client, state_dir) = (setting.client.clone(), setting.config.state_dir.clone());
        let job = plan.job.uuid.clone();
        std::thread::spawn(move || ship(&client, &state_dir, &job, &wake))
    };
    let outcome = match Spool::open(&setting.config.state_dir, &plan.job.uuid) {
        Ok(spool) => Running { setting, plan, kill, log: Log { spool, more } }.all(),
        Err(error) => {
            say(&format!("job {}: log spool: {error}", plan.job.uuid));
            drop(more);
            Outcome::Failed
        }
    };
    let _ = shipper.join();
    outcome
}

struct Log {
    spool: Spool,
    more: Sender<()>,
}

impl Log {
    fn bytes(&mut self, bytes: &[u8]) {
        if let Err(error) = self.spool.write(bytes) {
            say(&format!("log spool: {error}"));
        }
        let _ = self.more.send(());
    }

    fn line(&mut self, text: &str) {
        self.bytes(format!("{text}\n").as_bytes());
    }
}

struct Running<'a> {
    setting: &'a Setting<'a>,
    plan: &'a Plan,
    kill: &'a Kill,
    log: Log,
}

impl Running<'_> {
    fn all(mut self) -> Outcome {
        let job = &self.plan.job;
        let title = format!("{}:{}:{}", job.workflow, job.stage, job.task);
        say(&format!("task {} starts", job.task));
        self.log.line(&format!("Starting task {title} on {}", self.plan.machine_name));
        let dir = match self.make_dir() {
            Ok(dir) => dir,
            Err(error) => {
                self.log.line(&format!("Failed to make the task folder: {error}"));
                return Outcome::Failed;
            }
        };
        let outcome = self.actions(&dir);
        let _ = fs::remove_dir_all(&dir);
        self.log.line(&format!("Task {title} {}", outcome.state()));
        say(&format!("task {} {}/{}", self.plan.job.task, outcome.state(), outcome.exit_state()));
        outcome
    }

    fn make_dir(&self) -> io::Result<PathBuf> {
        let short: String = self.plan.job.uuid.chars().take(8).collect();
        let name = format!("{}-{}", file_name(&self.plan.job.task), file_name(&short));
        let dir = self.setting.config.runner_dir.join(name);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir)?;
        write_file(&dir.join("helper"), HELPER.as_bytes(), 0o600)?;
        Ok(dir)
    }

    fn actions(&mut self, dir: &Path) -> Outcome {
        let plan = self.plan;
        let last = plan.actions.len().saturating_sub(1);
        for (index, action) in plan.actions.iter().enumerate() {
            if self.kill.is_wanted() {
                return Outcome::Interrupted;
            }
            if !action.path.is_empty() {
                if let Err(error) = self.write(dir, action) {
                    self.log.line(&format!("Failed to write {} to {}: {error}", action.name, action.path));
                    return Outcome::Failed;
                }
                continue;
            }
            let position = if index == last { Position::Last } else { Position::Inner };
            match self.script(dir, action, position) {
                Verdict::Next => {}
                Verdict::End(outcome) => return outcome,
            }
        }
        Outcome::Finished(After::Continue)
    }

    fn write(&mut self, dir: &Path, action: &Action) -> io::Result<()> {
        let path = dir.join(&action.path);
        self.log.line(&format!("Writing {} to {}", action.name, path.display()));
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        write_file(&path, action.content.as_bytes(), 0o644)
    }

    fn script(&mut self, dir: &Path, action: &Action, position: Position) -> Verdict {
        self.log.line(&format!("Running {}", action.name));
        let ended = self.spawn(dir, action);
        if self.kill.is_wanted() {
            self.log.line("Interrupted: the agent was told to end");
            return Verdict::End(Outcome::Interrupted);
        }
        match ended {
            Ok(status) => {
                match status.code() {
                    Some(code) => self.log.line(&format!("Command exited with status {code}")),
                    None => {
                        self.log.line(&format!("Command killed by signal {}", status.signal().unwrap_or(0)));
                    }
                }
                judge(status.code(), self.codes(dir), position)
            }
            Err(error) => {
                self.log.line(&format!("Failed to run {}: {error}", action.name));
                Verdict::End(Outcome::Failed)
            }
        }
    }

    /// The script's own wish (`.sane-exit-codes`) beats the task's flags.
    fn codes(&self, dir: &Path) -> Codes {
        if dir.join(".sane-exit-codes").exists() {
            return Codes::Sane;
        }
        Codes::of_flags(self.plan.task.meta.get("feature-flags").map_or("", String::as_str))
    }

    fn deadline(&self, action: &Action) -> Duration {
        let wish = action.meta.get("Timeout").or_else(|| self.plan.task.meta.get("timeout"));
        wish.and_then(|text| parse_seconds(text)).map_or(DEADLINE, Duration::from_secs)
    }

    fn spawn(&mut self, dir: &Path, action: &Action) -> io::Result<ExitStatus> {
        let name = file_name(&format!("{}-{}", self.plan.job.task, action.name));
        let path = dir.join(&name);
        write_file(&path, action.content.as_bytes(), 0o700)?;
        let (reader, writer) = io::pipe()?;
        let mut command = match action.meta.get("Interpreter").filter(|text| !text.is_empty()) {
            Some(interpreter) => {
                let mut words = interpreter.split_whitespace();
                let mut command = Command::new(words.next().unwrap_or("sh"));
                command.args(words).arg(&path);
                command
            }
            None => {
                let mut command = Command::new(&path);
                command.arg0(format!("./{name}"));
                command
            }
        };
        command
            .current_dir(dir)
            .env_clear()
            .envs(self.environment(dir))
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0);
        // SAFETY: the function only changes the signal mask, which is async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                sys::unblock_all_signals();
                Ok(())
            });
        }
        let limit = self.deadline(action);
        let mut child = command.spawn()?;
        drop(command);
        let pid = child.id() as i32;
        self.kill.guard(Some(pid));
        let (ended, end) = channel();
        std::thread::spawn(move || ended.send(child.wait()));
        let status = self.follow(pid, reader, &end, limit);
        self.kill.guard(None);
        status
    }

    fn environment(&self, dir: &Path) -> BTreeMap<String, String> {
        let token = self.setting.client.token().expose();
        self.setting.environment.of_job(&self.plan.job, self.setting.uuid, token, dir)
    }

    /// Copies output to the log until the script is done.
    fn follow(
        &mut self,
        pid: i32,
        reader: io::PipeReader,
        end: &Receiver<io::Result<ExitStatus>>,
        limit: Duration,
    ) -> io::Result<ExitStatus> {
        let output = read_in_background(reader);
        let start = Instant::now();
        let mut killing: Option<Instant> = None;
        loop {
            match output.recv_timeout(Duration::from_millis(100)) {
                Ok(bytes) => {
                    self.log.bytes(&bytes);
                }
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(Duration::from_millis(2)),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Ok(status) = end.try_recv() {
                self.drain(&output);
                return status;
            }
            let over = start.elapsed() >= limit;
            match killing {
                None if over || self.kill.is_wanted() => {
                    if over {
                        self.log
                            .line(&format!("Deadline of {} s passed: killing the script", limit.as_secs()));
                    }
                    let _ = sys::kill(-pid, libc::SIGTERM);
                    killing = Some(Instant::now());
                }
                Some(since) if since.elapsed() >= GRACE => {
                    let _ = sys::kill(-pid, libc::SIGKILL);
                }
                _ => {}
            }
        }
    }

    /// What is still in the pipe; a daemon that holds it open is not waited for.
    fn drain(&mut self, output: &Receiver<Vec<u8>>) {
        let until = Instant::now() + LINGER;
        while let Ok(bytes) = output.recv_timeout(until.saturating_duration_since(Instant::now())) {
            self.log.bytes(&bytes);
        }
    }
}

fn read_in_background(mut reader: io::PipeReader) -> Receiver<Vec<u8>> {
    let (sender, output) = std::sync::mpsc::sync_channel(16);
    std::thread::spawn(move || {
        let mut buffer = vec![0; super::log::PIECE];
        while let Ok(count) = reader.read(&mut buffer) {
            if count == 0 || sender.send(buffer[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    output
}

fn write_file(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(content)
}
