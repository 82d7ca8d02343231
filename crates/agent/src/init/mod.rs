//! PID 1 of the discovery OS.
//!
//! Mounts, loads drivers, brings up the network, starts the session as a child and keeps it running.
//! It prints short, timed lines (`gantry-agent: link eth0 up 1.23s`), which tests and people read. PID 1
//! itself runs no job and talks to no server, so little can go wrong with it; should it panic all the
//! same, it says so, waits and restarts the machine (or what `gantry.panic=` says).
//!
//! Order, for speed: drivers of network cards first, then DHCP on all of them while the drivers of
//! everything else load. The session starts when both are done.

pub mod dhcp;
pub mod link;
pub mod modules;
pub mod mounts;
pub mod network;
mod supervise;

use crate::cmdline::{self, Boot, OnPanic};
use crate::runner::say;
use crate::sys::{self, End};
use modules::Modules;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Where PID 1 leaves what the session must know.
pub const HANDOVER: &str = "/run/gantry/boot.json";
/// Pause before the machine restarts after a panic of PID 1.
const PANIC_PAUSE: Duration = Duration::from_secs(30);

/// What PID 1 tells the session. May contain a token: mode 0600.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Handover {
    /// API endpoint.
    pub url: String,
    /// Where key and token of this machine are to be fetched; empty for nowhere.
    pub config: String,
    /// Token of the kernel command line, if one is written there.
    pub token: crate::secret::Secret,
    /// Machine key of the kernel command line.
    pub uuid: String,
    /// Certificate pin.
    pub pin: Option<[u8; 32]>,
    /// MAC of the boot card.
    pub bootif: Option<String>,
    /// Timed points so far.
    pub milestones: Vec<(String, f64)>,
}

/// The timed points of this boot.
#[derive(Clone, Debug, Default)]
pub struct Milestones(Arc<Mutex<Vec<(String, f64)>>>);

impl Milestones {
    /// Prints a line and remembers it under a short name.
    pub fn reach(&self, name: &str, text: &str) {
        say(text);
        if let Ok(mut all) = self.0.lock() {
            all.push((name.to_owned(), sys::uptime()));
        }
    }

    fn all(&self) -> Vec<(String, f64)> {
        self.0.lock().map(|all| all.clone()).unwrap_or_default()
    }
}

/// Runs PID 1; never returns.
pub fn run() -> ! {
    let result = std::panic::catch_unwind(boot);
    let on_panic = cmdline::parse(&fs::read_to_string("/proc/cmdline").unwrap_or_default()).on_panic;
    let reason = match result {
        Ok(()) => "PID 1 has nothing left to do",
        Err(_) => "PID 1 panicked, see above",
    };
    give_up(reason, on_panic)
}

fn give_up(reason: &str, on_panic: OnPanic) -> ! {
    say(&format!("{reason}; policy is {on_panic:?}"));
    std::thread::sleep(PANIC_PAUSE);
    loop {
        match on_panic {
            OnPanic::Reboot => supervise::leave(End::Reboot),
            OnPanic::PowerOff => supervise::leave(End::PowerOff),
            OnPanic::Hold => {}
        }
        std::thread::sleep(PANIC_PAUSE);
    }
}

fn boot() {
    mounts::all();
    sys::block_signals(&supervise::SIGNALS);
    sys::disable_ctrl_alt_del();
    let milestones = Milestones::default();
    milestones.reach("pid1", &format!("pid 1 on kernel {}", sys::kernel_release()));
    let boot = cmdline::parse(&fs::read_to_string("/proc/cmdline").unwrap_or_default());
    for problem in &boot.problems {
        say(&format!("kernel command line: {problem}"));
    }
    if boot.shell {
        supervise::start_shell();
    }
    let mut modules = Modules::open(Path::new("/"), &sys::kernel_release());
    modules.coldplug(modules::Wanted::Network);
    let network = {
        let (net, bootif, milestones) = (boot.net.clone(), boot.bootif.clone(), milestones.clone());
        std::thread::spawn(move || network::bring_up(&net, bootif.as_deref(), &milestones))
    };
    modules.coldplug(modules::Wanted::All);
    mounts::late();
    milestones.reach("coldplug", &format!("coldplug loaded {} modules", modules.count()));
    let lease = network.join().unwrap_or_default();
    let handover = hand_over(&boot, &lease, &milestones);
    if let Err(error) = write_handover(&handover) {
        say(&format!("{HANDOVER}: {error}"));
    }
    supervise::run(&boot);
}

fn hand_over(boot: &Boot, lease: &network::Up, milestones: &Milestones) -> Handover {
    let beside_dhcp = lease.server.map(|server| format!("https://{server}:8092"));
    let url = boot.url.clone().or(beside_dhcp).unwrap_or_default();
    if url.is_empty() {
        say("no server: want gantry.url=https://HOST:8092 on the kernel command line");
    }
    Handover {
        url,
        config: boot.config.clone().unwrap_or_default(),
        token: boot.token.clone().unwrap_or_default(),
        uuid: boot.uuid.clone().unwrap_or_default(),
        pin: boot.pin,
        bootif: boot.bootif.clone().or_else(|| lease.mac.clone()),
        milestones: milestones.all(),
    }
}

fn write_handover(handover: &Handover) -> std::io::Result<()> {
    fs::create_dir_all("/run/gantry")?;
    let text = serde_json::to_vec(handover).map_err(std::io::Error::other)?;
    crate::runner::files::replace(Path::new(HANDOVER), &text, 0o600)
}
