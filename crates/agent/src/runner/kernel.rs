//! Entering the next boot environment without the firmware: its kernel is fetched and loaded, so that the restart
//! that follows is a jump (engine.md §5.7). Whatever is missing (leave by `kexec-ok`, a file `machines/<uuid>/kexec`, the
//! card to boot from) makes it an ordinary restart; UEFI firmware is then told when the disk is meant. A kernel that was
//! loaded before for something else is dropped: a task that restarts the machine between the deployment of an image and the
//! change to `local` comes back to the boot environment that it is in, and only a kernel that a task loaded itself is
//! entered by the restart that it asks for.
//!
//! Where the server's certificate is known, and in an installed system always, recipe and files come over TLS only:
//! whoever sends the kernel owns the machine.

use super::{Config, Mode, say};
use crate::deploy::efi;
use crate::http::{self, Client, Fault};
use crate::kexec::{self, LOCAL, Purpose};
use crate::session::Restart;
use crate::sys;
use serde_json::Value;
use std::fs::{self, File};
use std::path::Path;

/// The recipe is a few lines.
const RECIPE: u64 = 64 << 10;
/// A kernel, or all of its initrds together, in bytes: they are held in memory.
const LARGEST: u64 = 1 << 30;
/// Where files of machines are, if the server does not say.
const FILE_PORT: u64 = 8091;

/// The kernel of a boot environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Recipe {
    kernel: String,
    initrds: Vec<String>,
    params: String,
}

/// Prepares the restart into `boot_env`: by its kernel, or else by the firmware. Says what came of it where there was
/// something to try.
pub(super) fn prepare(config: &Config, client: &Client, uuid: &str, boot_env: &str, restart: Restart) {
    if kexec::is_loaded() {
        let purpose = Purpose::read(Path::new(kexec::NOTE));
        if purpose.suits(boot_env, restart) {
            return;
        }
        say(&format!("kexec: the loaded kernel is for {purpose}, not for {boot_env}; dropping it"));
        drop_kernel();
    }
    if restart == Restart::Onward && is_allowed(client, uuid) {
        load(config, client, uuid, boot_env);
    }
    if boot_env == LOCAL && config.mode == Mode::Discovery && !kexec::is_ready() && efi::is_there() {
        match efi::boot_next() {
            Ok(true) => say("the firmware boots the disk next"),
            Ok(false) => {}
            Err(error) => say(&format!("the firmware cannot be told to boot the disk: {error}")),
        }
    }
}

/// What stays loaded all the same must not be entered.
fn drop_kernel() {
    match sys::kexec_unload() {
        Ok(()) => note(&Purpose::Task),
        Err(error) => {
            say(&format!("kexec: the loaded kernel cannot be dropped ({error}); restarting by the firmware"));
            note(&Purpose::Nothing);
        }
    }
}

fn note(purpose: &Purpose) {
    if let Err(error) = purpose.note(Path::new(kexec::NOTE)) {
        say(&format!("{}: {error}", kexec::NOTE));
    }
}

fn load(config: &Config, client: &Client, uuid: &str, boot_env: &str) {
    match try_load(config, client, uuid) {
        Ok(Some(kernel)) => {
            say(&format!("kexec: loaded {kernel}"));
            note(&Purpose::BootEnv(boot_env.to_owned()));
        }
        Ok(None) => {}
        Err(text) => say(&format!("kexec: {text}; restarting by the firmware")),
    }
}

fn is_allowed(client: &Client, uuid: &str) -> bool {
    let answer = client.get(&format!("machines/{uuid}/params/kexec-ok?aggregate=true"));
    answer.is_ok_and(|answer| answer.body == Value::Bool(true))
}

/// `None`: the boot environment has no recipe.
fn try_load(config: &Config, client: &Client, uuid: &str) -> Result<Option<String>, String> {
    let pin = config.endpoint.pin;
    let files = Files::of(config, client)?;
    let url = format!("{}/machines/{uuid}/kexec", files.origin());
    let text = match http::fetch(&url, pin, RECIPE) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(Fault::Refused(refusal)) if refusal.code == 404 => return Ok(None),
        Err(fault) => return Err(format!("{url}: {fault}")),
    };
    let recipe = parse(&text).map_err(|text| format!("{url}: {text}"))?;
    let cmdline = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let card = boot_card(&cmdline)
        .or_else(|| last_card(client, uuid))
        .ok_or("the card to boot from is not known (BOOTIF, last-boot-macaddr)")?;
    let kernel_url = files.address(&recipe.kernel)?;
    let initrd_urls: Vec<String> =
        recipe.initrds.iter().map(|url| files.address(url)).collect::<Result<_, _>>()?;
    let kernel = download(pin, std::slice::from_ref(&kernel_url))?;
    let initrd = if initrd_urls.is_empty() { None } else { Some(download(pin, &initrd_urls)?) };
    let cmdline = format!("{} BOOTIF={card}", recipe.params);
    sys::kexec_file_load(&kernel, initrd.as_ref(), &cmdline)
        .map_err(|error| format!("{kernel_url}: {error}"))?;
    Ok(Some(kernel_url))
}

/// Where the server has its files: beside the API, on ports of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Files {
    host: String,
    /// Port of plain HTTP.
    plain: u64,
    /// Port of HTTPS, where nothing else will do.
    secure: Option<u64>,
}

impl Files {
    fn of(config: &Config, client: &Client) -> Result<Self, String> {
        let info = client.get("info").map(|answer| answer.body).unwrap_or_default();
        let is_secure = config.endpoint.pin.is_some() || config.mode == Mode::Service;
        Self::from_info(http::host(&client.endpoint().url), &info, is_secure)
    }

    fn from_info(host: &str, info: &Value, is_secure: bool) -> Result<Self, String> {
        let port = |name: &str| info.get(name).and_then(Value::as_u64).filter(|port| *port != 0);
        let secure = port("secure_file_port");
        if is_secure && secure.is_none() {
            return Err(
                "the server names no port for files over TLS, and a kernel is not taken without".into()
            );
        }
        let plain = port("file_port").unwrap_or(FILE_PORT);
        Ok(Self { host: host.to_owned(), plain, secure: secure.filter(|_| is_secure) })
    }

    fn origin(&self) -> String {
        match self.secure {
            Some(port) => format!("https://{}:{port}", self.host),
            None => format!("http://{}:{}", self.host, self.plain),
        }
    }

    /// How to fetch a file that the recipe names: what is on the server's plain port is on the other one, too.
    fn address(&self, url: &str) -> Result<String, String> {
        let Some(secure) = self.secure.filter(|_| !url.starts_with("https://")) else {
            return Ok(url.to_owned());
        };
        let origin = http::origin(url);
        let path = url.get(origin.len()..).unwrap_or_default();
        origin
            .strip_prefix("http://")
            .and_then(|authority| authority.rsplit_once(':'))
            .filter(|(_, port)| *port == self.plain.to_string())
            .map(|(host, _)| format!("https://{host}:{secure}{path}"))
            .ok_or_else(|| format!("{url}: want https or the server's own port {}", self.plain))
    }
}

/// Lines of a word and its value: `kernel URL`, any number of `initrd URL`, `params WORDS…`.
fn parse(text: &str) -> Result<Recipe, String> {
    let mut recipe = Recipe::default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (word, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let value = value.trim().to_owned();
        match word {
            "kernel" => recipe.kernel = value,
            "initrd" => recipe.initrds.push(value),
            "params" => recipe.params = value,
            other => return Err(format!("{other}: want lines of kernel, initrd and params")),
        }
    }
    if recipe.kernel.is_empty() { Err("no line kernel URL".into()) } else { Ok(recipe) }
}

fn boot_card(cmdline: &str) -> Option<String> {
    let mut cards = cmdline.split_whitespace().filter_map(|word| word.strip_prefix("BOOTIF="));
    cards.next_back().map(str::to_owned)
}

/// Written by the agent of the last network boot, in the same form.
fn last_card(client: &Client, uuid: &str) -> Option<String> {
    let answer = client.get(&format!("machines/{uuid}/params/last-boot-macaddr")).ok()?;
    answer.body.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Files one behind the other, in memory.
fn download(pin: Option<[u8; 32]>, urls: &[String]) -> Result<File, String> {
    let mut file = sys::memory_file().map_err(|error| format!("memory for files: {error}"))?;
    let mut left = LARGEST;
    for url in urls {
        left -= http::copy(url, pin, left, &mut file).map_err(|fault| format!("{url}: {fault}"))?;
    }
    sys::read_only(&file).map_err(|error| format!("memory for files: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes() {
        let text = "\nkernel http://a/vmlinuz\n  initrd http://a/1\ninitrd http://a/2\nparams quiet a=b c\n";
        let recipe = Recipe {
            kernel: "http://a/vmlinuz".into(),
            initrds: vec!["http://a/1".into(), "http://a/2".into()],
            params: "quiet a=b c".into(),
        };
        assert_eq!(parse(text), Ok(recipe));
        assert!(parse("initrd http://a/1\n").is_err_and(|text| text.contains("no line kernel")));
        assert!(parse("#!ipxe\nkernel x").is_err_and(|text| text.contains("#!ipxe: want")));
    }

    #[test]
    fn the_card_is_the_one_of_this_boot() {
        assert_eq!(boot_card("a BOOTIF=01-x quiet BOOTIF=01-y\n").as_deref(), Some("01-y"));
        assert_eq!(boot_card("quiet"), None);
    }

    #[test]
    fn files_come_over_tls_where_that_is_asked_for() {
        let info = serde_json::json!({"file_port": 8091, "secure_file_port": 8090});
        let address = |is_secure: bool, url: &str| Files::from_info("a", &info, is_secure)?.address(url);
        let same = |url: &str| Ok(url.to_owned());
        assert_eq!(address(false, "http://a:8091/x/vmlinuz"), same("http://a:8091/x/vmlinuz"));
        assert_eq!(address(true, "http://a:8091/x/vmlinuz"), same("https://a:8090/x/vmlinuz"));
        assert_eq!(address(true, "http://[fd77::1]:8091/x"), same("https://[fd77::1]:8090/x"));
        assert_eq!(address(true, "https://mirror/x"), same("https://mirror/x"));
        for url in ["http://mirror/x", "http://a:80/x", "ftp://a:8091/x", "a:8091/x", ""] {
            assert!(address(true, url).is_err_and(|text| text.contains("want https")), "{url}");
        }
        assert_eq!(Files::from_info("a", &info, true).map(|files| files.origin()), same("https://a:8090"));
        assert_eq!(Files::from_info("a", &info, false).map(|files| files.origin()), same("http://a:8091"));
        let old = serde_json::json!({"file_port": 8091, "secure_file_port": 0});
        assert!(Files::from_info("a", &old, true).is_err_and(|text| text.contains("over TLS")));
        assert_eq!(
            Files::from_info("a", &Value::Null, false).map(|files| files.origin()),
            same("http://a:8091")
        );
    }
}
