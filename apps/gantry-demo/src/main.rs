//! `gantry-demo`: powers on a machine and tells, live, how it becomes a running operating system.
//!
//! It exits 0 when the machine has reported in from its own operating system, and 1 when it has not within 300 s. Without
//! `--once` the server and the machine stay, so that one can look around; the next demo, or `gantry lab down`, ends them.
//! Ctrl-C stops everything, and the exit code is 130.
//!
//! Left out: building what the demo needs. `scripts/demo.sh` does that first.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};
use std::{env, fs, process};

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use gantry_lab::{Disk, DiskBus, Firmware, Lab, Lifetime, Machine, MachineSpec, default_root};
use gantry_testkit::{
    Artifacts, Error, Milestone, Options, PASSWORD, Progress, Result, Scenario, USER, job_progress,
};

use crate::screen::{INTERRUPTED, Screen};

mod measure;
mod screen;

/// The name of the demo's lab: that which `gantry lab` takes when it is told none.
const LAB: &str = "lab";
/// A machine that does not run its own operating system by then has failed.
const PATIENCE: Duration = Duration::from_secs(300);
/// The server is asked for news so often.
const LOOK: Duration = Duration::from_millis(300);
/// The API on the host.
const API: ([u8; 4], u16) = ([127, 0, 0, 1], 8092);

/// Firmware by its name on the command line.
const FIRMWARE: [(&str, Firmware); 3] =
    [("bios", Firmware::Bios), ("uefi-pxe", Firmware::UefiPxe), ("uefi-http", Firmware::UefiHttp)];
/// What is timed, and the milestone that it is.
const MARKS: [(&str, &str); 7] = [
    ("has an address", "has an address"),
    ("has discovery kernel", "has the discovery kernel"),
    ("has discovery initramfs", "has the discovery initramfs"),
    ("discovered", "discovered"),
    ("deploy begins", "task image-deploy running"),
    ("image written", "image written"),
    ("OS up", "runs its own operating system"),
];

fn main() -> ExitCode {
    let matches = command().get_matches();
    let stop = Arc::new(AtomicBool::new(false));
    // Where the system refuses, a signal ends the demo as it ends any program.
    let _ = screen::stop_on_signals(&stop);
    let screen = Screen::new(stop);
    let ended = run(&matches, &screen);
    screen.clear();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Interrupted) => {
            screen.say("Interrupted: server and machine are stopped.");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            screen.say(&format!("Error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn command() -> Command {
    Command::new("gantry-demo")
        .about("Power on a machine and watch it become a running operating system")
        .arg(
            Arg::new("artifacts")
                .long("artifacts")
                .value_name("DIR")
                .value_parser(value_parser!(PathBuf))
                .default_value("build")
                .help("Folder that scripts/artifacts.sh has filled"),
        )
        .arg(Arg::new("once").long("once").action(ArgAction::SetTrue).help("Stop everything at the end"))
        .arg(
            Arg::new("firmware")
                .long("firmware")
                .value_name("FIRMWARE")
                .value_parser(
                    PossibleValuesParser::new(FIRMWARE.map(|(name, _)| name)).map(|name| firmware(&name)),
                )
                .default_value("bios")
                .help("What runs when the power comes on"),
        )
        .arg(
            Arg::new("measure")
                .long("measure")
                .value_name("ROUNDS")
                .value_parser(value_parser!(u8).range(1..=20))
                .help("Boot so often with each firmware, stop everything, and print the times only"),
        )
}

fn firmware(wanted: &str) -> Firmware {
    FIRMWARE.iter().find(|(name, _)| *name == wanted).map_or(Firmware::Bios, |(_, firmware)| *firmware)
}

fn run(matches: &ArgMatches, screen: &Screen) -> Result<()> {
    let folder = matches.get_one::<PathBuf>("artifacts").cloned().unwrap_or_default();
    let artifacts = Artifacts::find(&folder)?;
    if let Some(rounds) = matches.get_one::<u8>("measure") {
        return measure::run(&artifacts, usize::from(*rounds), screen);
    }
    let firmware = matches.get_one::<Firmware>("firmware").copied().unwrap_or(Firmware::Bios);
    if let Ok(old) = Lab::attach(&default_root(), LAB) {
        screen.waiting("stopping the lab of an earlier demo");
        old.stop()?;
    }
    let once = matches.get_flag("once");
    let lifetime = if once { Lifetime::Owned } else { Lifetime::Detached };
    let options =
        Options { name: Some(LAB.to_owned()), lifetime, api: API.into(), ..Options::deploying(&artifacts)? };
    screen.waiting("starting the lab and the server");
    let scenario = Scenario::start(&artifacts, &options)?;
    screen.say(&format!("server: {} (user {USER}, password {PASSWORD})", scenario.url()));
    let ended = demonstrate(&artifacts, &scenario, firmware, screen);
    // Ctrl-C may have come when nothing asked for it any more.
    let ended = screen.go_on().and(ended);
    if once || matches!(ended, Err(Error::Interrupted)) {
        return stop(ended, screen, || scenario.stop()).map(drop);
    }
    screen.clear();
    look_around(screen, &artifacts.gantry, ended.as_deref().unwrap_or("NAME"));
    ended.map(drop)
}

/// Stops what was started, whatever has come of it. Who interrupts is told that all is stopped, so an error of the stop counts
/// more than that; others come first.
fn stop<T>(ended: Result<T>, screen: &Screen, everything: impl FnOnce() -> Result<()>) -> Result<T> {
    screen.waiting("stopping everything");
    match (ended, everything()) {
        (Err(Error::Interrupted) | Ok(_), Err(error)) => Err(error),
        (ended, _) => ended,
    }
}

fn demonstrate(
    artifacts: &Artifacts,
    scenario: &Scenario,
    firmware: Firmware,
    screen: &Screen,
) -> Result<String> {
    let (key, told) = boot(scenario, firmware, screen)?;
    screen.clear();
    let name = scenario.name_of(&key)?;
    show_trace(screen, &artifacts.gantry, scenario.url(), &name)?;
    show_times(screen, &told);
    screen.say(&format!("\n{}", scenario.task_log(&key, "report-running")?.trim_end()));
    Ok(name)
}

/// Powers a fresh machine on and tells what it does until its workflow is complete; returns its key and all that was told.
fn boot(scenario: &Scenario, firmware: Firmware, screen: &Screen) -> Result<(String, Vec<Milestone>)> {
    let disks = vec![Disk::blank(DiskBus::Virtio, 4 << 30)];
    let machine = scenario.lab().machine(MachineSpec { firmware, disks, ..MachineSpec::new("m1") })?;
    let began = SystemTime::now();
    machine.power_on()?;
    let mut told = Vec::new();
    tell(screen, &mut told, Milestone::power_on());
    match watch(scenario, &machine, began, &mut told, screen) {
        Ok(key) => Ok((key, told)),
        Err(Error::Interrupted) => Err(Error::Interrupted),
        Err(error) => {
            screen.say(&format!("\nThe last of the serial console:\n{}", console(&machine)));
            Err(error)
        }
    }
}

/// Tells milestones as they come, until the workflow is complete; returns the machine's key.
fn watch(
    scenario: &Scenario,
    machine: &Machine,
    began: SystemTime,
    told: &mut Vec<Milestone>,
    screen: &Screen,
) -> Result<String> {
    let mut progress = Progress::new(began);
    let mac = machine.status()?.spec.mac(0).to_string();
    let mut known = None;
    loop {
        screen.go_on()?;
        if known.is_none() {
            known = scenario.registered(machine)?;
        }
        // Asked first: what led to the end is told before the end is.
        let complete = known.as_ref().map_or(Ok(None), |key| scenario.completed(key))?;
        let jobs = known.as_ref().map_or(Ok(Vec::new()), |key| scenario.jobs(key))?;
        let trace = scenario.trace(known.as_ref().unwrap_or(&mac))?;
        for milestone in progress.update(SystemTime::now(), &trace, &jobs) {
            tell(screen, told, milestone);
        }
        scenario.check_jobs(&jobs, machine.name())?;
        match known {
            Some(key) if complete.is_some() => return Ok(key),
            _ => {}
        }
        if let Some((part, rest)) = job_progress(&scenario.running_log(&jobs)?) {
            screen.copying(part, &rest);
        }
        if began.elapsed().unwrap_or_default() > PATIENCE {
            let what = "the machine to report in from its own operating system".to_owned();
            return Err(Error::Deadline { what, after: PATIENCE, tail: scenario.server_tail() });
        }
        std::thread::sleep(LOOK);
    }
}

fn tell(screen: &Screen, told: &mut Vec<Milestone>, milestone: Milestone) {
    screen.say(&format!("{:7.1} s  {}", milestone.at.as_secs_f64(), milestone.text));
    screen.waiting(&milestone.next);
    told.push(milestone);
}

/// The trace, as the command line prints it.
fn show_trace(screen: &Screen, gantry: &Path, url: &str, name: &str) -> Result<()> {
    screen.say(&format!("\nThe boot, as the server saw it ({} machines trace Name:{name}):", nearby(gantry)));
    let mut command = process::Command::new(gantry);
    command.args(["--endpoint", url, "--username", USER, "--password", PASSWORD, "machines", "trace"]);
    command.arg(format!("Name:{name}"));
    let output =
        command.output().map_err(|source| Error::Io { what: format!("run {}", gantry.display()), source })?;
    let said = if output.status.success() { output.stdout } else { output.stderr };
    screen.say(String::from_utf8_lossy(&said).trim_end());
    Ok(())
}

fn show_times(screen: &Screen, told: &[Milestone]) {
    screen.say("\nSeconds since power-on:");
    for (name, text) in MARKS {
        if let Some(found) = told.iter().find(|one| one.text == text) {
            screen.say(&format!("  {name:<24} {:7.1}", found.at.as_secs_f64()));
        }
    }
}

fn look_around(screen: &Screen, gantry: &Path, name: &str) {
    let gantry = nearby(gantry);
    screen.say("\nThe server is still running. Look around:");
    for words in [
        "machines list",
        &format!("machines show Name:{name}"),
        &format!("machines trace Name:{name}"),
        "lab console m1",
    ] {
        screen.say(&format!("  {gantry} {words}"));
    }
    screen.say(&format!("Stop it:\n  {gantry} lab down"));
}

/// The program's path as one types it here.
fn nearby(program: &Path) -> String {
    let here = env::current_dir().ok().and_then(|here| fs::canonicalize(here).ok());
    let relative = here.and_then(|here| program.strip_prefix(here).ok());
    relative.unwrap_or(program).display().to_string()
}

fn console(machine: &Machine) -> String {
    let text = machine.serial().and_then(|serial| serial.text()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It would say "stopped" while the machine runs.
    #[test]
    fn who_interrupts_is_told_what_could_not_be_stopped() {
        let screen = Screen::new(Arc::new(AtomicBool::new(true)));
        let refused = || Err(Error::Missing("the lab".into()));
        let interrupted = || screen.go_on().and(Ok("m1"));
        assert!(matches!(stop(interrupted(), &screen, refused), Err(Error::Missing(_))));
        assert!(matches!(stop(interrupted(), &screen, || Ok(())), Err(Error::Interrupted)));
        assert!(matches!(stop(Ok("m1"), &screen, refused), Err(Error::Missing(_))));
        assert!(matches!(stop(Ok("m1"), &screen, || Ok(())), Ok("m1")));
        let failed = || Err::<(), _>(Error::Server { end: "1".to_owned(), tail: String::new() });
        assert!(matches!(stop(failed(), &screen, refused), Err(Error::Server { .. })));
    }

    #[test]
    fn firmware_is_taken_by_name() {
        let taken = |words: &[&str]| {
            let matches = command().try_get_matches_from([&["gantry-demo"], words].concat());
            matches.map(|matches| *matches.get_one::<Firmware>("firmware").unwrap())
        };
        assert_eq!(taken(&[]).unwrap(), Firmware::Bios);
        for (name, firmware) in FIRMWARE {
            assert_eq!(taken(&["--firmware", name]).unwrap(), firmware);
        }
        assert!(taken(&["--firmware", "coreboot"]).unwrap_err().to_string().contains("uefi-http"));
    }
}
