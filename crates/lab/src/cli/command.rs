//! The words of `gantry lab`.

use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, value_parser};
use ipnet::IpNet;

use super::values::{self, choice, duration, share, traffic, vlan};
use crate::Accel;
use crate::machine::{BootOrder, Firmware};
use crate::switch::Way;

/// The subcommand `lab` with everything below it.
pub fn command() -> Command {
    Command::new("lab")
        .about("Virtual networks with real firmware, for rehearsals and tests")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(
            Arg::new("lab")
                .long("lab")
                .global(true)
                .value_name("NAME")
                .default_value("lab")
                .help("Work on this lab"),
        )
        .arg(
            Arg::new("root")
                .long("root")
                .global(true)
                .value_name("FOLDER")
                .value_parser(value_parser!(PathBuf))
                .help("Keep the folders of labs here [default: /tmp/gantry-lab-UID]"),
        )
        .subcommands(lab_commands())
        .subcommands(machine_commands())
        .subcommands(network_commands())
        .subcommands(hidden_commands())
}

fn lab_commands() -> [Command; 6] {
    [
        Command::new("up")
            .about("Start a lab; it stays until `down`")
            .arg(
                Arg::new("address")
                    .long("address")
                    .value_name("ADDRESS/LENGTH")
                    .value_parser(value_parser!(IpNet))
                    .action(ArgAction::Append)
                    .default_value("192.168.124.1/24")
                    .help("Give the servers' interface srv0 this address; may be repeated"),
            )
            .arg(number("seed", "Let everything that is random follow from this number").default_value("1"))
            .arg(flag("keep", "Keep logs, disks and captures when the lab ends")),
        Command::new("down").about("End a lab with everything in it"),
        Command::new("list").about("List the labs that run"),
        Command::new("status").about("Show machines and ports").arg(flag("json", "Print JSON")),
        Command::new("exec")
            .about("Run a program inside the lab, with the environment and in the folder of the caller")
            .arg(
                option(
                    "api",
                    "ADDRESS",
                    "Listen here on the host, and hand that to the program as its API (LISTEN_FDS): \
                                          `gantry serve` then answers the host too",
                )
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("127.0.0.1:8092")
                .value_parser(value_parser!(std::net::SocketAddr)),
            )
            .arg(
                Arg::new("program")
                    .required(true)
                    .num_args(1..)
                    .trailing_var_arg(true)
                    .allow_hyphen_values(true),
            ),
        Command::new("clean").about("Remove what ended labs have kept and what crashed ones left"),
    ]
}

fn machine_commands() -> Vec<Command> {
    let on = |name: &'static str, about: &'static str| Command::new(name).about(about).arg(machine_arg());
    vec![
        on("add", "Make a machine; its power is off").args(machine_options()),
        on("remove", "Remove a machine and its disks"),
        on("on", "Switch a machine on"),
        on("off", "Switch a machine off"),
        on("reset", "Press a machine's reset button"),
        on("button", "Press a machine's power button for a moment"),
        on("wipe", "Replace a machine's disks and firmware variables by fresh ones"),
        on("console", "Show a machine's serial console")
            .arg(flag("follow", "Stay and show what comes"))
            .arg(flag("times", "Show before each line the seconds since the power came on")),
        on("wait", "Wait until the console shows a regular expression")
            .arg(Arg::new("expression").required(true))
            .arg(
                option("timeout", "DURATION", "Give up after this time")
                    .value_parser(duration)
                    .default_value("60s"),
            ),
        on("type", "Type on a machine's serial console").arg(Arg::new("text").required(true)),
        on("link", "Draw or plug in a network cable")
            .arg(Arg::new("nic").required(true).value_parser(value_parser!(usize)))
            .arg(Arg::new("state").required(true).value_parser(["up", "down"])),
    ]
}

fn machine_options() -> [Arg; 9] {
    [
        option("firmware", "FIRMWARE", "What runs when the power comes on")
            .value_parser(choice(FIRMWARE))
            .default_value("bios"),
        number("memory", "Memory in MiB").value_parser(value_parser!(u32)).default_value("1024"),
        number("cpus", "Number of processors").value_parser(value_parser!(u32)).default_value("1"),
        option("uuid", "UUID", "Its UUID [default: follows from the name]")
            .value_parser(value_parser!(uuid::Uuid)),
        option(
            "nic",
            "MODEL[,mac=MAC][,vlan=VLAN]",
            "A network interface: virtio, e1000 or e1000e; may be repeated",
        )
        .value_parser(values::nic)
        .action(ArgAction::Append)
        .default_value("virtio"),
        option("disk", "BUS:SIZE[:SERIAL]", "A disk: virtio, nvme or ahci, such as nvme:8G; may be repeated")
            .value_parser(values::disk)
            .action(ArgAction::Append),
        option("image", "FILE", "Let the first disk begin as a copy of this raw image")
            .value_parser(value_parser!(PathBuf)),
        option("boot", "ORDER", "What the firmware tries to boot from")
            .value_parser(choice(BOOT))
            .default_value("network"),
        option("accel", "ACCEL", "Who executes instructions")
            .value_parser(choice(ACCEL))
            .default_value("tcg"),
    ]
}

fn network_commands() -> [Command; 3] {
    let port = || Arg::new("port").required(true).help("srv0, MACHINE.0, …; see `status`");
    [
        Command::new("impair")
            .about("Lose, delay, duplicate or reorder what passes a port; without options, heal it")
            .arg(port())
            .arg(
                option("way", "WAY", "Frames from or to the station at the port [default: both]")
                    .value_parser(choice(WAY)),
            )
            .arg(option("lose", "SHARE", "Lose this share, such as 5%").value_parser(share))
            .arg(number("lose-first", "Lose so many frames first").value_parser(value_parser!(u32)))
            .arg(option("duplicate", "SHARE", "Send this share twice").value_parser(share))
            .arg(option("reorder", "SHARE", "Send this share after the next frame").value_parser(share))
            .arg(option("delay", "DURATION", "Delay every frame, such as 50ms").value_parser(duration))
            .arg(
                option("jitter", "DURATION", "Delay by up to this much more, at random")
                    .value_parser(duration),
            )
            .arg(option("only", "TRAFFIC", "Only arp, udp, tcp, udp:PORT or tcp:PORT").value_parser(traffic)),
        Command::new("vlan").about("Put a port into VLANs").arg(port()).arg(
            Arg::new("vlan")
                .required(true)
                .value_parser(vlan)
                .help("A number, or trunk:N,N… or trunk:N,N…:native=N"),
        ),
        Command::new("capture")
            .about("Record every frame to a pcapng file; without a file, end the recording")
            .arg(Arg::new("file").value_parser(value_parser!(PathBuf)))
            .arg(
                number("bytes", "Keep so many bytes of each frame")
                    .value_parser(value_parser!(u32))
                    .default_value("65535"),
            ),
    ]
}

fn hidden_commands() -> [Command; 3] {
    [
        Command::new("guardian").hide(true),
        Command::new("supervisor")
            .hide(true)
            .arg(Arg::new("folder").required(true).value_parser(value_parser!(PathBuf))),
        Command::new("enter")
            .hide(true)
            .arg(Arg::new("files").required(true).value_delimiter(',').value_parser(value_parser!(i32)))
            .arg(Arg::new("names").required(true))
            .arg(Arg::new("program").required(true).num_args(1..).last(true)),
    ]
}

const FIRMWARE: &[(&str, Firmware)] = &[
    ("bios", Firmware::Bios),
    ("uefi", Firmware::UefiPxe),
    ("uefi-http", Firmware::UefiHttp),
    ("uefi-ipxe", Firmware::UefiIpxe),
];
const BOOT: &[(&str, BootOrder)] = &[
    ("network", BootOrder::NetworkFirst),
    ("disk", BootOrder::DiskFirst),
    ("disk-only", BootOrder::DiskOnly),
];
const ACCEL: &[(&str, Accel)] = &[("tcg", Accel::Tcg), ("kvm", Accel::Kvm)];
const WAY: &[(&str, Way)] = &[("from", Way::From), ("to", Way::To)];

fn machine_arg() -> Arg {
    Arg::new("machine").required(true).help("Its name")
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn number(name: &'static str, help: &'static str) -> Arg {
    option(name, "N", help).value_parser(value_parser!(u64))
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}
