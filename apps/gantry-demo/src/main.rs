//! `gantry-demo`: powers on a machine and tells, live, how it becomes a running operating system.
//!
//! It exits 0 when the machine has reported in from its own operating system, and 1 when it has not within 300 s. Without
//! `--once` the server and the machine stay, so that one can look around; the next demo, or `gantry lab down`, ends them.
//!
//! Left out: building what the demo needs. `scripts/demo.sh` does that first.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};
use std::{io, io::Write as _};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use gantry_lab::{Disk, DiskBus, Lab, Lifetime, Machine, MachineSpec, default_root};
use gantry_testkit::{Artifacts, Error, Milestone, Options, PASSWORD, Progress, Result, Scenario};

/// The name of the demo's lab: that which `gantry lab` takes when it is told none.
const LAB: &str = "lab";
/// A machine that does not run its own operating system by then has failed.
const PATIENCE: Duration = Duration::from_secs(300);
/// The server is asked for news so often.
const LOOK: Duration = Duration::from_millis(300);
/// The API on the host.
const API: ([u8; 4], u16) = ([127, 0, 0, 1], 8092);

fn main() -> ExitCode {
    let matches = command().get_matches();
    match run(&matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("Error: {error}"));
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
}

fn run(matches: &ArgMatches) -> Result<()> {
    let once = matches.get_flag("once");
    let folder = matches.get_one::<PathBuf>("artifacts").cloned().unwrap_or_default();
    let artifacts = Artifacts::find(&folder)?;
    if let Ok(old) = Lab::attach(&default_root(), LAB) {
        say("stopping the lab of an earlier demo");
        old.stop()?;
    }
    let lifetime = if once { Lifetime::Owned } else { Lifetime::Detached };
    let options =
        Options { name: Some(LAB.to_owned()), lifetime, api: API.into(), ..Options::deploying(&artifacts)? };
    let scenario = Scenario::start(&artifacts, &options)?;
    say(&format!("server: {} (user rocketskates, password {PASSWORD})", scenario.url()));
    let ended = demonstrate(&scenario);
    if once {
        let stopped = scenario.stop();
        return ended.and(stopped);
    }
    look_around(&scenario, &artifacts);
    ended
}

fn demonstrate(scenario: &Scenario) -> Result<()> {
    let disks = vec![Disk::blank(DiskBus::Virtio, 4 << 30)];
    let machine = scenario.lab().machine(MachineSpec { disks, ..MachineSpec::new("m1") })?;
    let began = SystemTime::now();
    machine.power_on()?;
    let mut told = Vec::new();
    tell(&mut told, Milestone { at: Duration::ZERO, text: "power on".to_owned() });
    let key = match watch(scenario, &machine, began, &mut told) {
        Ok(key) => key,
        Err(error) => {
            say(&format!("\nThe last of the serial console:\n{}", console(&machine)));
            return Err(error);
        }
    };
    show_trace(scenario, &key)?;
    show_times(&told);
    say(&format!("\n{}", scenario.task_log(&key, "report-running")?.trim_end()));
    Ok(())
}

/// Tells milestones as they come, until the workflow is complete; returns the machine's key.
fn watch(
    scenario: &Scenario,
    machine: &Machine,
    began: SystemTime,
    told: &mut Vec<Milestone>,
) -> Result<String> {
    let mut progress = Progress::new(began);
    let mut known = None;
    loop {
        if known.is_none() {
            known = scenario.registered(machine)?;
        }
        if let Some(key) = &known {
            // Asked first: what led to the end is told before the end is.
            let complete = scenario.completed(key, machine.name())?;
            let (trace, jobs) = (scenario.trace(key)?, scenario.jobs(key)?);
            for milestone in progress.update(SystemTime::now(), &trace, &jobs) {
                tell(told, milestone);
            }
            if complete {
                return Ok(key.clone());
            }
        }
        if began.elapsed().unwrap_or_default() > PATIENCE {
            let what = "the machine to report in from its own operating system".to_owned();
            return Err(Error::Deadline { what, after: PATIENCE, tail: scenario.server_tail() });
        }
        std::thread::sleep(LOOK);
    }
}

fn tell(told: &mut Vec<Milestone>, milestone: Milestone) {
    say(&format!("{:7.1} s  {}", milestone.at.as_secs_f64(), milestone.text));
    told.push(milestone);
}

fn show_trace(scenario: &Scenario, key: &str) -> Result<()> {
    say("\nThe boot, as the server saw it (gantry machines trace shows it again):");
    for entry in scenario.trace(key)? {
        let text = |field: &str| entry.get(field).and_then(serde_json::Value::as_str).unwrap_or_default();
        say(&format!("  {:<30} {:<6} {}", text("Time"), text("Kind"), text("Text")));
    }
    Ok(())
}

fn show_times(told: &[Milestone]) {
    let marks = [
        ("power-on", "power on"),
        ("discovered", "discovered"),
        ("image written", "image written"),
        ("OS up", "runs its own operating system"),
    ];
    say("\nSeconds since power-on:");
    for (name, text) in marks {
        if let Some(found) = told.iter().find(|one| one.text == text) {
            say(&format!("  {name:<14} {:7.1}", found.at.as_secs_f64()));
        }
    }
}

fn look_around(scenario: &Scenario, artifacts: &Artifacts) {
    let (gantry, url) = (artifacts.gantry.display(), scenario.url());
    say("\nThe server is still running. Look around:");
    say(&format!("  {gantry} -E {url} -P {PASSWORD} machines list"));
    say(&format!("  {gantry} lab console m1"));
    say(&format!("Stop it:\n  {gantry} lab down"));
}

fn console(machine: &Machine) -> String {
    let text = machine.serial().and_then(|serial| serial.text()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

fn say(line: &str) {
    // A closed terminal does not stop the demo: its exit code still tells.
    let _ = writeln!(io::stdout(), "{line}");
}
