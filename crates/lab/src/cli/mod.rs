//! `gantry lab`: the lab from the command line. [`command`] is what it understands, [`run`] does it.
//!
//! Three hidden subcommands are the processes of a lab itself; [`run`] must therefore be called while the process has one thread.

mod command;
mod values;

pub use command::command;

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::ArgMatches;
use ipnet::IpNet;

use crate::client::json;
use crate::config::{Config, Files, Lifetime, Network, Vlan, default_root};
use crate::error::{Doing, Error, Result};
use crate::machine::{Disk, MachineSpec, MachineStatus, Nic, Power};
use crate::process::{Base, Exit, Output, Program};
use crate::switch::{Impairment, Traffic, Way};
use crate::{Lab, Machine, clean, enter, guardian, supervisor};

/// Parses a whole command line and runs it: the `main` of `gantry-lab`.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    run(&command().name("gantry-lab").get_matches_from(args))
}

/// Does what the command line asks for. Errors go to standard error, with exit code 1.
pub fn run(matches: &ArgMatches) -> ExitCode {
    match dispatch(matches) {
        Ok(code) => code,
        Err(error) => {
            // Nobody can be told that standard error is closed.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(matches: &ArgMatches) -> Result<ExitCode> {
    let Some((name, matches)) = matches.subcommand() else { return Ok(ExitCode::FAILURE) };
    match name {
        "guardian" => return Ok(guardian::run()),
        "supervisor" => return Ok(supervisor::run(&required::<PathBuf>(matches, "folder"))),
        "enter" => return Ok(enter_program(matches)),
        "exec" => return exec(matches),
        "up" => up(matches)?,
        "down" => lab(matches)?.stop()?,
        "list" => say(Lab::names(&root(matches)))?,
        "clean" => clean(&root(matches)),
        "status" => status(matches)?,
        "add" => lab(matches)?.machine(spec(matches)).map(drop)?,
        "impair" => impair(matches)?,
        "vlan" => {
            lab(matches)?.switch().set_vlan(&text(matches, "port"), required::<Vlan>(matches, "vlan"))?;
        }
        "capture" => capture(matches)?,
        _ => on_machine(name, matches)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn on_machine(action: &str, matches: &ArgMatches) -> Result<()> {
    let machine = lab(matches)?.existing_machine(&text(matches, "machine"))?;
    match action {
        "remove" => machine.remove(),
        "on" => machine.power_on(),
        "off" => machine.power_off(),
        "reset" => machine.reset(),
        "button" => machine.press_button(),
        "wipe" => machine.wipe_disks(),
        "type" => machine.send(text(matches, "text")),
        "link" => machine.set_link(required(matches, "nic"), text(matches, "state") == "up"),
        "wait" => wait(&machine, matches),
        _ => console(&machine, matches),
    }
}

fn up(matches: &ArgMatches) -> Result<()> {
    let addresses = matches.get_many::<IpNet>("address").into_iter().flatten().copied().collect();
    let lab = Lab::start(Config {
        name: text(matches, "lab"),
        root: root(matches),
        networks: vec![Network { addresses, ..Network::default() }],
        seed: required(matches, "seed"),
        lifetime: Lifetime::Detached,
        files: if matches.get_flag("keep") { Files::Keep } else { Files::Remove },
        ..Config::default()
    })?;
    say([lab.folder().display()])
}

fn status(matches: &ArgMatches) -> Result<()> {
    let lab = lab(matches)?;
    let (machines, ports) = (lab.machines()?, lab.switch().ports()?);
    if matches.get_flag("json") {
        return say([json(
            &serde_json::json!({ "folder": lab.folder(), "machines": machines, "ports": ports }),
        )?]);
    }
    let machine = |status: &MachineStatus| {
        let power = if status.power == Power::On { "on" } else { "off" };
        let event = status.events.last().map_or_else(String::new, |event| format!("{:?}", event.what));
        format!("machine {:<12} {power:<4} {}  {event}", status.spec.name, status.spec.uuid)
    };
    say(machines.iter().map(machine))?;
    say(ports.iter().map(|port| {
        let (counters, link) = (port.counters, if port.connected { "up" } else { "down" });
        let (from, to) = (counters.from_frames, counters.to_frames);
        let lost = counters.harm_from.lost + counters.harm_to.lost;
        format!(
            "port    {:<12} {link:<4} from {from} to {to} frames, {lost} lost on purpose, {} overrun",
            port.name, counters.overrun
        )
    }))
}

fn spec(matches: &ArgMatches) -> MachineSpec {
    let name = text(matches, "machine");
    let default = MachineSpec::new(&name);
    let mut disks: Vec<Disk> = matches.get_many::<Disk>("disk").into_iter().flatten().cloned().collect();
    if let (Some(image), Some(disk)) = (matches.get_one::<PathBuf>("image"), disks.first_mut()) {
        disk.content = disk.content.clone().on_image(image.clone());
    }
    MachineSpec {
        firmware: required(matches, "firmware"),
        memory_mib: required(matches, "memory"),
        cpus: required(matches, "cpus"),
        uuid: matches.get_one("uuid").copied().unwrap_or(default.uuid),
        accel: required(matches, "accel"),
        nics: matches.get_many::<Nic>("nic").into_iter().flatten().cloned().collect(),
        disks,
        boot: required(matches, "boot"),
        ..default
    }
}

fn impair(matches: &ArgMatches) -> Result<()> {
    let share = |name| matches.get_one::<f64>(name).copied().unwrap_or_default();
    let time = |name| matches.get_one::<Duration>(name).copied().unwrap_or_default();
    let impairment = Impairment {
        only: matches.get_one::<Traffic>("only").copied().unwrap_or(Traffic::Any),
        lose_first: matches.get_one::<u32>("lose-first").copied().unwrap_or_default(),
        lose: share("lose"),
        duplicate: share("duplicate"),
        reorder: share("reorder"),
        delay: time("delay"),
        jitter: time("jitter"),
    };
    let lab = lab(matches)?;
    let ways = matches.get_one::<Way>("way").map_or_else(|| vec![Way::From, Way::To], |way| vec![*way]);
    ways.into_iter().try_for_each(|way| lab.switch().impair(&text(matches, "port"), way, impairment))
}

fn capture(matches: &ArgMatches) -> Result<()> {
    let lab = lab(matches)?;
    match matches.get_one::<PathBuf>("file") {
        Some(file) => lab.capture_heads(file, required::<u32>(matches, "bytes") as usize),
        None => lab.end_capture(),
    }
}

fn wait(machine: &Machine, matches: &ArgMatches) -> Result<()> {
    let line = machine.wait_serial(&text(matches, "expression"), required(matches, "timeout"))?;
    say([format!("[{:9.3}] {}", line.since_power_on.as_secs_f64(), line.text)])
}

fn console(machine: &Machine, matches: &ArgMatches) -> Result<()> {
    let (follow, times) = (matches.get_flag("follow"), matches.get_flag("times"));
    let mut serial = machine.serial()?;
    loop {
        let lines = serial.lines()?;
        say(lines.into_iter().map(|line| match times {
            true => format!("[{:9.3}] {}", line.since_power_on.as_secs_f64(), line.text),
            false => line.text,
        }))?;
        if !follow {
            return Ok(());
        }
        while !serial.wait_for_more(Duration::from_secs(60))? {}
    }
}

/// Runs a program with this process's standard streams, folder and environment; its exit code is ours, 128 and the signal if one ended it (as a shell says).
fn exec(matches: &ArgMatches) -> Result<ExitCode> {
    let lab = lab(matches)?;
    let mut words = matches.get_many::<String>("program").into_iter().flatten().cloned();
    let program = words.next().unwrap_or_default();
    let folder = std::env::current_dir().doing(|| "find the current folder")?;
    // What is no text cannot travel, and hardly anything is not.
    let env = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut program = Program {
        output: Output::Inherit,
        folder: Some(folder),
        env: env.collect(),
        base: Base::Nothing,
        ..Program::new(program).args(words)
    };
    if let Some(address) = matches.get_one::<SocketAddr>("api") {
        let doing = || {
            format!(
                "listen on {address} of the host, as --api says (another address may be free: --api=127.0.0.1:PORT)"
            )
        };
        program = program.listener("api", TcpListener::bind(address).doing(doing)?);
    }
    let process = lab.spawn(&program)?;
    loop {
        match process.wait(Duration::from_secs(3600))? {
            Some(Exit { code: Some(code), .. }) => return Ok(ExitCode::from(code as u8)),
            Some(Exit { signal, .. }) => return Ok(ExitCode::from(128 + signal.unwrap_or_default() as u8)),
            None => {}
        }
    }
}

fn enter_program(matches: &ArgMatches) -> ExitCode {
    let files: Vec<i32> = matches.get_many("files").into_iter().flatten().copied().collect();
    let mut words = matches.get_many::<String>("program").into_iter().flatten().cloned();
    let program = words.next().unwrap_or_default();
    enter::run(&files, &text(matches, "names"), &program, &words.collect::<Vec<_>>())
}

fn lab(matches: &ArgMatches) -> Result<Lab> {
    Lab::attach(&root(matches), &text(matches, "lab"))
}

fn root(matches: &ArgMatches) -> PathBuf {
    matches.get_one::<PathBuf>("root").cloned().unwrap_or_else(default_root)
}

fn text(matches: &ArgMatches, name: &str) -> String {
    required(matches, name)
}

/// The value of an argument that clap demands or that has a default.
fn required<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> T {
    matches.get_one::<T>(name).cloned().expect("clap has seen to it that there is a value")
}

fn say<T: std::fmt::Display>(lines: impl IntoIterator<Item = T>) -> Result<()> {
    let mut out = io::stdout().lock();
    let write = || lines.into_iter().try_for_each(|line| writeln!(out, "{line}")).and_then(|()| out.flush());
    match write() {
        // `gantry lab console m1 | head`
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|source| Error::Io { what: "write to standard output".to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Accel, BootOrder, Firmware};

    fn parsed(line: &str) -> ArgMatches {
        command().try_get_matches_from(line.split(' ')).unwrap()
    }

    #[test]
    fn the_command_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn options_make_a_machine() {
        let matches = parsed(
            "lab add m1 --firmware uefi-ipxe --memory 512 --nic e1000e,mac=52:54:00:00:00:09 --nic virtio,vlan=trunk:5,6:native=1 \
             --disk nvme:8G:abc --disk ahci:1M --boot disk",
        );
        let spec = spec(matches.subcommand().unwrap().1);
        spec.check().unwrap();
        assert_eq!((spec.name.as_str(), spec.firmware, spec.memory_mib), ("m1", Firmware::UefiIpxe, 512));
        assert_eq!(spec.mac(0).to_string(), "52:54:00:00:00:09");
        assert_eq!(spec.nics[1].vlan, Vlan::Trunk { native: Some(1), tagged: [5, 6].into() });
        assert_eq!(spec.disks[0].serial, "abc");
        assert_eq!(spec.disks.len(), 2);
        assert_eq!((spec.boot, spec.accel), (BootOrder::DiskFirst, Accel::Tcg));
    }

    #[test]
    fn wrong_words_are_refused_with_what_would_be_right() {
        for (line, expected) in [
            ("lab add m1 --disk nvme", "BUS:SIZE"),
            ("lab add m1 --disk floppy:1M", "virtio, nvme or ahci"),
            ("lab add m1 --firmware coreboot", "bios"),
            ("lab impair srv0 --lose 200%", "0% to 100%"),
            ("lab vlan srv0 5000", "1 to 4094"),
        ] {
            let error = command().try_get_matches_from(line.split(' ')).unwrap_err().to_string();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
