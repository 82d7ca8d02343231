//! Whether a client netboots, and with which file (network.md §1.11, §1.12; engine.md §2.6).

use std::net::Ipv4Addr;
use std::sync::Arc;

use gantry_model::{BootEnv, Kind, Machine};
use serde_json::Value;

use super::reply::Terms;
use super::{Ask, Handed, Note, Remember, Withheld};
use crate::dhcp::client::{ArchRow, Boot};
use crate::dhcp::option::code;

/// The script that every iPXE of ours starts with.
const SCRIPT: &str = "default.ipxe";
/// Our iPXE for a BIOS that runs an iPXE which cannot boot our scripts.
const BIOS_IPXE: &str = "ipxe.pxe";

/// A boot file that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    /// Path in the file tree, or a URL for HTTP clients.
    pub(super) file: String,
    /// Which step of the chain it is.
    pub(super) step: Step,
}

/// Who is booting, as far as the server knows, and what.
struct Known {
    machine: Option<Arc<Machine>>,
    env: Option<Arc<BootEnv>>,
}

/// A step of the chain from firmware to script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A loader, after which iPXE may come and ask again.
    Loader,
    /// The script of an iPXE.
    Script,
    /// What the operator set.
    Explicit,
}

impl Ask<'_> {
    /// The boot file, or why there is none. Where a machine is known, its boot environment decides.
    pub(super) fn choose_boot(
        &self,
        terms: &Terms,
        explicit: Option<&Vec<u8>>,
        notes: &mut Vec<Note>,
    ) -> Result<Choice, Withheld> {
        let choice = self.boot_env_of(terms, explicit, notes).and_then(|known| self.file(&known, explicit));
        if let Err(why) = &choice
            && !matches!(why, Withheld::NotAsked | Withheld::NoFirmware)
        {
            notes.push(Note::Withheld(*why));
        }
        choice
    }

    /// The machine and environment to boot, if netboot is to be offered at all.
    fn boot_env_of(
        &self,
        terms: &Terms,
        explicit: Option<&Vec<u8>>,
        notes: &mut Vec<Note>,
    ) -> Result<Known, Withheld> {
        if !self.packet.requests(code::BOOT_FILE) {
            return Err(Withheld::NotAsked);
        }
        if explicit.is_some_and(Vec::is_empty) {
            return Err(Withheld::ByReservation);
        }
        if terms.skip_boot {
            return Err(Withheld::Unmanaged);
        }
        let machine = self.machine(Some(terms.address).filter(|a| !a.is_unspecified()));
        let Some(machine) = machine else {
            let name = self.view().preference("unknownBootEnv");
            return Ok(Known { machine: None, env: self.view().object(&name) });
        };
        match self.view().object::<BootEnv>(&machine.boot_env) {
            None => {
                notes.push(Note::MissingBootEnv(machine.boot_env.clone()));
                Ok(Known { machine: Some(machine), env: None })
            }
            Some(env) if !env.net_bootable() => Err(Withheld::BootEnv),
            env => Ok(Known { machine: Some(machine), env }),
        }
    }

    /// The known machine that this client is: by its hardware address, else by the address that it gets.
    pub(super) fn machine(&self, address: Option<Ipv4Addr>) -> Option<Arc<Machine>> {
        let view = self.view();
        let by = |index: &str, value: &str| {
            let keys = view.find(Kind::Machine, index, value);
            keys.into_iter().find_map(|key| view.object::<Machine>(key.as_str()))
        };
        by("HardwareAddrs", self.token.as_str()).or_else(|| by("Address", &address?.to_string()))
    }

    fn file(&self, known: &Known, explicit: Option<&Vec<u8>>) -> Result<Choice, Withheld> {
        if let Some(file) = explicit {
            return Ok(self.choice(String::from_utf8_lossy(file).into_owned(), Step::Explicit));
        }
        if self.client.boot == Boot::Other {
            return Err(Withheld::NoFirmware);
        }
        if self.runs_script() {
            return Ok(self.choice(SCRIPT.into(), Step::Script));
        }
        let row = self.client.arch.row().ok_or(Withheld::NoLoader(self.client.arch.0))?;
        let loader = self.loader(row, known.machine.as_deref(), known.env.as_deref());
        let loader = loader.ok_or(Withheld::NoLoader(self.client.arch.0))?;
        Ok(self.choice(loader, Step::Loader))
    }

    /// An iPXE that can boot our scripts, or that we cannot improve: it came out of the loader that we gave it.
    fn runs_script(&self) -> bool {
        self.client.ipxe.is_some_and(|ipxe| {
            let memory = self.engine.memory;
            ipxe.is_good_enough(self.client.arch)
                || memory.has_loader(&self.packet.chaddr, self.packet.xid, self.engine.now)
        })
    }

    fn choice(&self, file: String, step: Step) -> Choice {
        let file = if self.by_http(step) && !file.contains("://") { self.url(&file) } else { file };
        Choice { file, step }
    }

    /// Firmware that boots over HTTP gets URLs, and so does the iPXE that it loaded: TFTP may not pass there.
    fn by_http(&self, step: Step) -> bool {
        let follows = || self.engine.memory.boots_by_http(&self.packet.chaddr, self.engine.now);
        self.client.boot == Boot::Http || step == Step::Script && follows()
    }

    fn url(&self, file: &str) -> String {
        let server = self.respond_from(Ipv4Addr::UNSPECIFIED);
        format!("http://{server}:{}/{}", self.engine.settings.file_port, file.trim_start_matches('/'))
    }

    /// The environment's loader for this kind of client, the operator's, or ours, in this order.
    fn loader(&self, row: &ArchRow, machine: Option<&Machine>, env: Option<&BootEnv>) -> Option<String> {
        let of_env = env.and_then(|env| {
            let by_class = row.class.and_then(|class| self.env_loader(class, machine, env));
            let by_arch = || env.arch(row.arch).map(|info| info.loader.clone());
            let file = by_class.or_else(by_arch).filter(|f| !f.is_empty())?;
            Some(in_directory(env, row.arch, &file))
        });
        let bios_ipxe = self.client.arch.is_bios() && self.client.ipxe.is_some();
        let ours = if bios_ipxe { Some(BIOS_IPXE) } else { row.loader };
        of_env.or_else(|| self.operators_loader(row, machine)).or_else(|| ours.map(str::to_owned))
    }

    /// `Loaders` of the environment, with what `bootenv-customize` puts over it for this machine.
    fn env_loader(&self, class: &str, machine: Option<&Machine>, env: &BootEnv) -> Option<String> {
        let custom = self.engine.host.param(self.view(), machine, "bootenv-customize");
        let path = custom.as_ref().and_then(|c| c.get(&env.name)?.get("Loaders")?.get(class)?.as_str());
        path.map(str::to_owned).or_else(|| env.loaders.get(class).cloned())
    }

    fn operators_loader(&self, row: &ArchRow, machine: Option<&Machine>) -> Option<String> {
        let loaders = self.engine.host.param(self.view(), machine, "bootloaders")?;
        let file = row.class.and_then(|class| loaders.get(class)).or_else(|| loaders.get(row.arch));
        file.and_then(Value::as_str).filter(|f| !f.is_empty()).map(str::to_owned)
    }

    /// What the next packet of this client is to be judged by.
    pub(super) fn remember_loader(&self, choice: &Result<Choice, Withheld>) -> Option<Remember> {
        let choice = choice.as_ref().ok()?;
        let script = match choice.step {
            Step::Loader => false,
            Step::Script => true,
            Step::Explicit => return None,
        };
        let http = self.by_http(choice.step);
        let handed = Handed { xid: self.packet.xid, at: self.engine.now, script, http };
        Some(Remember::Handed(self.packet.chaddr, handed))
    }
}

/// Where an environment's files lie in the tree (engine.md §2.4).
fn in_directory(env: &BootEnv, arch: &str, file: &str) -> String {
    let mut path = env.os.name.clone();
    if arch != "amd64" {
        path = format!("{path}/{arch}");
    }
    if env.name.ends_with("-install") {
        path.push_str("/install");
    }
    format!("{path}/{}", file.trim_start_matches('/'))
}
