//! The runner: performs what the session decides.
//!
//! Three threads: the main one owns the session and steps it; a worker performs everything that takes
//! time, one effect after another; a third waits for signals. They talk through channels only.
//!
//! In the discovery OS the runner is a child of PID 1 and leaves the machine by an exit code
//! ([`EXIT_REBOOT`], [`EXIT_POWEROFF`]); in an installed system it asks the service manager.

pub mod calls;
mod credentials;
pub mod env;
pub mod files;
pub mod job;
mod kernel;
pub mod log;
pub mod orphans;
pub mod power;
pub mod proxy;
mod stages;
pub mod watch;

use crate::http::{Client, Endpoint, Fault};
use crate::inventory;
use crate::secret::Secret;
use crate::session::journal::Journal;
use crate::session::{Effect, Input, Session, Settings};
use crate::sys;
use env::Environment;
use job::Kill;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

/// Exit code that asks PID 1 to restart the machine (by kexec when a kernel is loaded).
pub const EXIT_REBOOT: u8 = 64;
/// Exit code that asks PID 1 to switch the machine off.
pub const EXIT_POWEROFF: u8 = 32;

/// Where the agent runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As child of our own PID 1.
    Discovery,
    /// As a service of an installed system.
    Service,
}

impl Mode {
    /// The mode's name in the boot trace.
    pub fn name(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Service => "service",
        }
    }
}

/// Everything the runner needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server.
    pub endpoint: Endpoint,
    /// What the session is told.
    pub settings: Settings,
    /// Address of the file with key and token, if they are to be fetched.
    pub credentials: String,
    /// Where we run.
    pub mode: Mode,
    /// Journal and log spool; on disk in an installed system.
    pub state_dir: PathBuf,
    /// Task directories are made below it.
    pub runner_dir: PathBuf,
    /// Root of the tree that the inventory looks at, `/` outside of tests.
    pub root: PathBuf,
    /// MAC address of the boot card.
    pub bootif: Option<String>,
    /// Timed points of the boot so far, in seconds since the kernel's start.
    pub milestones: Vec<(String, f64)>,
}

/// Runs the agent until it leaves the machine or is told to end.
pub fn run(config: &Config) -> ExitCode {
    let signals = [libc::SIGTERM, libc::SIGINT];
    sys::block_signals(&signals);
    let (inputs, inbox) = mpsc::channel();
    let stop = inputs.clone();
    std::thread::spawn(move || {
        while sys::wait_signal(&signals, None).is_some() {
            if stop.send(Input::Stop).is_err() {
                return;
            }
        }
    });
    run_with(config, inputs, &inbox)
}

/// Runs the agent with inputs from outside; the tests' way in.
pub fn run_with(config: &Config, inputs: mpsc::Sender<Input>, inbox: &mpsc::Receiver<Input>) -> ExitCode {
    if let Err(error) = files::prepare(config) {
        say(&format!("cannot make {}: {error}", config.state_dir.display()));
    }
    let journal = files::load_journal(&config.state_dir);
    orphans::kill(&config.state_dir, &journal.run);
    let boot_id = inventory::boot_id(&config.root);
    let mut session = Session::new(config.settings.clone(), journal, &boot_id);
    let kill = Kill::default();
    let (work, results) = (Worker::new(config.clone(), kill.clone()), inputs);
    let (tasks, task_list) = mpsc::channel();
    // Not joined: it may sit in a wait of an hour, and leaving the machine ends the process from there.
    std::thread::spawn(move || work.run(&task_list, &results));
    let mut effects = session.step(Input::Start);
    loop {
        if let Some(code) = handle(config, effects, &tasks, &kill) {
            return code;
        }
        match inbox.recv() {
            Ok(input) => effects = session.step(input),
            Err(_) => return ExitCode::FAILURE,
        }
    }
}

/// Performs what must not wait and queues the rest. `Some` ends the main loop.
fn handle(
    config: &Config,
    effects: Vec<Effect>,
    tasks: &mpsc::Sender<Effect>,
    kill: &Kill,
) -> Option<ExitCode> {
    for effect in effects {
        match effect {
            Effect::Save(journal) => save(config, &journal),
            Effect::Say(text) => say(&text),
            Effect::Kill => kill.now(),
            Effect::Exit => return Some(ExitCode::SUCCESS),
            other => {
                if tasks.send(other).is_err() {
                    return Some(ExitCode::FAILURE);
                }
            }
        }
    }
    None
}

fn save(config: &Config, journal: &Journal) {
    if let Err(error) = files::save_journal(&config.state_dir, journal) {
        say(&format!("cannot write the journal in {}: {error}", config.state_dir.display()));
    }
}

/// Tells the operator, with the time since the kernel's start, as PID 1 does.
pub fn say(text: &str) {
    let line = format!("gantry-agent: {text} {:.2}s\n", sys::uptime());
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// The thread that talks to the server and runs jobs.
struct Worker {
    config: Config,
    environment: Environment,
    client: Client,
    uuid: String,
    kill: Kill,
    /// The runner's folder is known.
    settled: bool,
    /// The folder that has its socket.
    served: Option<PathBuf>,
}

impl Worker {
    fn new(config: Config, kill: Kill) -> Self {
        let client = Client::new(config.endpoint.clone(), Secret::default());
        let environment = Environment::new(&config);
        Self { config, environment, client, uuid: String::new(), kill, settled: false, served: None }
    }

    fn run(mut self, tasks: &mpsc::Receiver<Effect>, results: &mpsc::Sender<Input>) {
        while let Ok(effect) = tasks.recv() {
            let Some(input) = self.perform(effect) else { continue };
            if results.send(input).is_err() {
                return;
            }
        }
    }

    /// Before the first job: where its files go (engine.md §5.2 steps 4 and 6). A server that does not answer is asked again
    /// before the next one.
    fn settle(&mut self) {
        if self.settled {
            return;
        }
        let asked = self.client.get(&format!("machines/{}/params/runner-tmpdir?aggregate=true", self.uuid));
        self.settled = !matches!(asked, Err(Fault::Transport(_)));
        let place = asked.ok().and_then(|answer| answer.body.as_str().map(PathBuf::from));
        if let Some(base) = place.filter(|base| base.is_absolute()) {
            let moved = files::runner_below(&base, &self.uuid).and_then(|runner_dir| {
                let config = Config { runner_dir, ..self.config.clone() };
                files::prepare(&config).map(|()| self.config = config)
            });
            if let Err(error) = moved {
                say(&format!(
                    "runner-tmpdir {}: {error}; using {}",
                    base.display(),
                    self.config.runner_dir.display()
                ));
            }
        }
        if self.served.as_ref() != Some(&self.config.runner_dir) {
            proxy::start(&self.config.endpoint, &self.config.runner_dir);
            self.served = Some(self.config.runner_dir.clone());
        }
        self.environment = Environment::new(&self.config);
    }

    /// Performs one effect; `None` when it has no answer.
    fn perform(&mut self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Identity { uuid, token } => {
                self.uuid = uuid;
                self.client = self.client.with_token(token);
                None
            }
            Effect::Call(call) => Some(answer(calls::perform(&self.config, &self.client, &self.uuid, &call))),
            Effect::Sleep(time) => {
                std::thread::sleep(jitter(time));
                Some(Input::Woken)
            }
            Effect::Watch(machine) => Some(match watch::wait(&self.client, &machine) {
                Ok(Some(changed)) => Input::Changed(changed),
                Ok(None) => Input::Quiet,
                Err(fault) => Input::Failed(fault),
            }),
            Effect::Execute(plan) => {
                self.settle();
                let job = job::Setting {
                    client: &self.client,
                    environment: &self.environment,
                    config: &self.config,
                    uuid: &self.uuid,
                };
                Some(Input::Executed(job::run(&job, &plan, &self.kill)))
            }
            Effect::Trace(milestone) => {
                calls::trace(&self.config, &self.client, &self.uuid, milestone);
                None
            }
            Effect::Power(power) => {
                power::leave(self.config.mode, power);
                None
            }
            Effect::Save(_) | Effect::Say(_) | Effect::Kill | Effect::Exit => None,
        }
    }
}

fn answer(result: Result<crate::session::Reply, Fault>) -> Input {
    match result {
        Ok(reply) => Input::Answered(reply),
        Err(fault) => Input::Failed(fault),
    }
}

/// Up to a quarter more, so that a thousand machines do not knock at the same instant.
fn jitter(time: Duration) -> Duration {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.subsec_nanos());
    let part = f64::from(nanos.wrapping_mul(2_654_435_761) >> 16) / f64::from(u16::MAX);
    time + time.mul_f64(part.clamp(0.0, 1.0) / 4.0)
}
