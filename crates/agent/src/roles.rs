//! Which role the binary plays: by its name, then by its first argument.

use crate::cmdline;
use crate::deploy;
use crate::drpcli;
use crate::http::Endpoint;
use crate::init::{self, Handover};
use crate::inventory;
use crate::kexec;
use crate::runner::{self, Config, Mode, say};
use crate::secret::Secret;
use crate::session::Settings;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Configuration of the service in an installed system.
pub const SERVICE_CONFIG: &str = "/etc/gantry/agent.json";
/// State of the service.
const SERVICE_STATE: &str = "/var/lib/gantry-agent";

const USAGE: &str = "gantry-agent: the machine agent of Gantry

usage:
  gantry-agent run [--config FILE] [--state DIR]  take jobs; configuration from /etc/gantry/agent.json or RS_ENDPOINT, RS_TOKEN, RS_UUID
  gantry-agent deploy --spec FILE         write an image to a disk as the JSON file says; - is standard input
  gantry-agent disks [--rules FILE]       list the disks that deploy sees; with a JSON list of rules (as deploy's Disk) those that
                                          fit one, as path, bytes, transport, ssd or hdd, description, separated by tabs
  gantry-agent install [--root DIR]       install this program as a service of the system at DIR (/), for RS_ENDPOINT, RS_TOKEN, RS_UUID
  gantry-agent kexec KERNEL INITRD CMDLINE  load a kernel; the restart that the task asks for (exit code 64), or that leads to the disk, jumps into it
  gantry-agent inventory                  print the hardware as JSON
  gantry-agent version                    print the version

As process 1 it is the discovery OS, called `drpcli` a small
client of the API for task scripts, called `modprobe` it loads kernel modules.
";

/// Content of [`SERVICE_CONFIG`]; the file must have mode 0600, for the token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ServiceConfig {
    /// API endpoint, `https://host:port`.
    pub endpoint: String,
    /// The machine's token.
    pub token: Secret,
    /// Key of the machine.
    pub uuid: String,
    /// `sha256:…` of the server's certificate, empty to accept any.
    pub tls: String,
    /// Which jobs to take; empty is the machine's own agent.
    pub context: String,
}

/// Runs the role that the arguments ask for.
pub fn entry(arguments: Vec<OsString>) -> ExitCode {
    let words: Vec<String> = arguments.into_iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let name = words.first().map(|path| file_name(path)).unwrap_or_default();
    let rest = words.get(1..).unwrap_or_default();
    if std::process::id() == 1 {
        init::run();
    }
    if name == "modprobe" {
        return init::modules::modprobe(rest).into();
    }
    if name == "drpcli" {
        return drpcli::run(rest);
    }
    let (verb, rest) = rest.split_first().map_or(("help", rest), |(verb, rest)| (verb.as_str(), rest));
    match verb {
        "run" => run(rest),
        "deploy" => deploy(rest),
        "disks" => match option(rest, "--rules") {
            Some(file) => fitting_disks(Path::new(file)),
            None => disks(),
        },
        "install" => install(Path::new(option(rest, "--root").unwrap_or("/"))),
        "kexec" => load_kernel(rest),
        "inventory" => print_json(&inventory::gather(Path::new("/"))),
        "drpcli" => drpcli::run(rest),
        "modprobe" => init::modules::modprobe(rest).into(),
        "version" | "--version" => print(concat!("gantry-agent ", env!("CARGO_PKG_VERSION"), "\n")),
        "help" | "--help" | "-h" => print(USAGE),
        other => {
            say(&format!("no such command: {other}; gantry-agent help lists them"));
            ExitCode::from(2)
        }
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn print_json(value: &impl Serialize) -> ExitCode {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print(&format!("{text}\n")),
        Err(_) => ExitCode::FAILURE,
    }
}

/// The value behind an option.
fn option<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|word| word == name)?;
    arguments.get(at + 1).map(String::as_str)
}

fn deploy(arguments: &[String]) -> ExitCode {
    let mut tell = |text: &str| {
        let _ = print(&format!("deploy: {text}\n"));
    };
    let text = match option(arguments, "--spec") {
        Some("-") => {
            let mut text = Vec::new();
            std::io::stdin()
                .read_to_end(&mut text)
                .map(|_| text)
                .map_err(|error| format!("standard input: {error}"))
        }
        Some(path) => std::fs::read(path).map_err(|error| format!("{path}: {error}")),
        None => Err("want --spec FILE".to_owned()),
    };
    let result = text.and_then(|text| deploy::spec::parse(&text)).and_then(|spec| {
        deploy::run(&spec, &deploy::identity(), &mut tell).map_err(|error| error.to_string())
    });
    match result {
        Ok(()) => {
            tell("done");
            ExitCode::SUCCESS
        }
        Err(text) => {
            tell(&format!("failed: {text}"));
            ExitCode::FAILURE
        }
    }
}

fn disks() -> ExitCode {
    let root = Path::new("/");
    let busy = deploy::target::busy(root);
    let mut text = String::new();
    for disk in inventory::disks::gather(root) {
        let note = if busy.contains(&disk.name) { "  (in use)" } else { "" };
        text += &format!("{}{note}\n", deploy::target::describe(&disk));
    }
    print(&text)
}

/// Prints the disks that fit one of the rules of a file, and says why the others do not.
fn fitting_disks(file: &Path) -> ExitCode {
    let text = std::fs::read(file).map_err(|error| error.to_string());
    let rules = match text.and_then(|text| deploy::spec::rules(&text)) {
        Ok(rules) => rules,
        Err(error) => {
            say(&format!("{}: want a list of disk rules: {error}", file.display()));
            return ExitCode::from(2);
        }
    };
    let root = Path::new("/");
    let disks = inventory::disks::gather(root);
    let (found, others) = deploy::target::fitting(&disks, &rules, &deploy::target::busy(root));
    others.iter().for_each(|line| say(&format!("not chosen: {line}")));
    let row = |disk: &&inventory::disks::Disk| {
        let kind = if disk.rotational { "hdd" } else { "ssd" };
        let transport = if disk.transport.is_empty() { "other" } else { &disk.transport };
        let about = deploy::target::describe(disk);
        format!("{}\t{}\t{transport}\t{kind}\t{about}\n", disk.path, disk.size)
    };
    print(&found.iter().map(row).collect::<String>())
}

fn install(root: &Path) -> ExitCode {
    let identity = deploy::identity();
    let service = &identity.service;
    if service.endpoint.is_empty() || service.token.is_empty() || service.uuid.is_empty() {
        say("install: RS_ENDPOINT, RS_TOKEN and RS_UUID must say which machine of which server this is");
        return ExitCode::from(2);
    }
    match deploy::configure::agent(&deploy::inside::Root::new(root), &identity) {
        Ok(()) => print(&format!("installed {}\n", deploy::configure::AGENT_PATH)),
        Err(error) => {
            say(&format!("install: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn load_kernel(arguments: &[String]) -> ExitCode {
    let [kernel, initrd, cmdline] = arguments else {
        say("kexec: want KERNEL INITRD CMDLINE; INITRD may be -");
        return ExitCode::from(2);
    };
    let entry = kexec::Entry {
        kernel: kernel.clone(),
        initrds: Some(initrd.clone()).filter(|path| path != "-").into_iter().collect(),
        cmdline: cmdline.clone(),
        origin: String::new(),
    };
    match kexec::load(&deploy::inside::Root::new("/"), &entry, "", &kexec::Purpose::Task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("kexec {kernel}: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> ExitCode {
    let config = match option(arguments, "--handover") {
        Some(path) => handed_over(Path::new(path)),
        None => {
            let file = option(arguments, "--config").unwrap_or(SERVICE_CONFIG);
            let state = option(arguments, "--state").unwrap_or(SERVICE_STATE);
            service(Path::new(file), Path::new(state))
        }
    };
    match config {
        Ok(config) => runner::run(&config),
        Err(text) => {
            say(&text);
            ExitCode::from(2)
        }
    }
}

fn handed_over(path: &Path) -> Result<Config, String> {
    let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let handover: Handover =
        serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Config {
        endpoint: Endpoint { url: handover.url, pin: handover.pin },
        settings: Settings {
            uuid: handover.uuid,
            fetches: handover.token.is_empty() && !handover.config.is_empty(),
            token: handover.token,
            ..Settings::default()
        },
        credentials: handover.config,
        mode: Mode::Discovery,
        state_dir: "/run/gantry/agent".into(),
        runner_dir: "/run/gantry/jobs".into(),
        root: "/".into(),
        bootif: handover.bootif,
        milestones: handover.milestones,
    })
}

/// From the file, with the environment over it.
fn service(path: &Path, state: &Path) -> Result<Config, String> {
    let mut config = match std::fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => ServiceConfig::default(),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(url) = variable("RS_ENDPOINT") {
        config.endpoint = url;
    }
    if let Some(token) = variable("RS_TOKEN") {
        config.token = Secret::new(token);
    }
    if let Some(uuid) = variable("RS_UUID") {
        config.uuid = uuid;
    }
    if config.endpoint.is_empty() {
        return Err(format!("no server: write Endpoint to {} or set RS_ENDPOINT", path.display()));
    }
    let pin = match config.tls.as_str() {
        "" => None,
        text => Some(
            cmdline::pin(text)
                .ok_or_else(|| format!("Tls={text}: want sha256: and 64 hexadecimal digits"))?,
        ),
    };
    let token_lasts = !config.token.is_empty() && !config.uuid.is_empty();
    Ok(Config {
        endpoint: Endpoint { url: config.endpoint.trim_end_matches('/').to_owned(), pin },
        settings: Settings {
            uuid: config.uuid,
            token: config.token,
            token_lasts,
            context: config.context,
            ..Settings::default()
        },
        credentials: String::new(),
        mode: Mode::Service,
        state_dir: state.to_owned(),
        runner_dir: variable("RS_RUNNER_DIR").map_or_else(|| state.join("jobs"), PathBuf::from),
        root: "/".into(),
        bootif: None,
        milestones: Vec::new(),
    })
}
