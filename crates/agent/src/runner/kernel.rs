//! Entering the next boot environment without the firmware: its kernel is fetched and loaded, so that the restart
//! that follows is a jump (engine.md §5.7). Whatever is missing (leave by `kexec-ok`, a file `machines/<uuid>/kexec`, the
//! card to boot from) makes it an ordinary restart; UEFI firmware is then told when the disk is meant.

use super::{Config, Mode, power, say};
use crate::deploy::efi;
use crate::http::{self, Client, Fault};
use crate::sys;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::path::Path;

/// The recipe is a few lines.
const RECIPE: u64 = 64 << 10;
/// Where files of machines are, if the server does not say.
const FILE_PORT: u64 = 8091;

/// The kernel of a boot environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Recipe {
    kernel: String,
    initrds: Vec<String>,
    params: String,
}

/// The boot environment whose machines start from their own disk.
const LOCAL: &str = "local";

/// Prepares the restart into `boot_env`: by its kernel, or else by the firmware. Says what came of it where there was
/// something to try.
pub(super) fn prepare(config: &Config, client: &Client, uuid: &str, boot_env: &str) {
    if power::kexec_loaded() {
        return;
    }
    if is_allowed(client, uuid) {
        load(config, client, uuid);
    }
    if boot_env == LOCAL && config.mode == Mode::Discovery && !power::kexec_loaded() && efi::is_there() {
        match efi::boot_next() {
            Ok(true) => say("the firmware boots the disk next"),
            Ok(false) => {}
            Err(error) => say(&format!("the firmware cannot be told to boot the disk: {error}")),
        }
    }
}

fn load(config: &Config, client: &Client, uuid: &str) {
    match try_load(config, client, uuid) {
        Ok(Some(kernel)) => say(&format!("kexec: loaded {kernel}")),
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
    let url = format!("{}/machines/{uuid}/kexec", files_url(client));
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
    let kernel = download(config, std::slice::from_ref(&recipe.kernel))?;
    let initrd = match recipe.initrds.is_empty() {
        true => None,
        false => Some(download(config, &recipe.initrds)?),
    };
    let cmdline = format!("{} BOOTIF={card}", recipe.params);
    sys::kexec_file_load(&kernel, initrd.as_ref(), &cmdline)
        .map_err(|error| format!("{}: {error}", recipe.kernel))?;
    Ok(Some(recipe.kernel))
}

/// Files are served beside the API, on a port of their own.
fn files_url(client: &Client) -> String {
    let info = client.get("info").map(|answer| answer.body).unwrap_or_default();
    let port = info.get("file_port").and_then(Value::as_u64).unwrap_or(FILE_PORT);
    let host = http::host(&client.endpoint().url);
    format!("http://{host}:{port}")
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

/// Files one behind the other, in a file without a name.
fn download(config: &Config, urls: &[String]) -> Result<File, String> {
    let place = config.runner_dir.join(format!("kexec-{}", std::process::id()));
    let mut file = nameless(&place).map_err(|error| format!("{}: {error}", place.display()))?;
    for url in urls {
        http::copy(url, config.endpoint.pin, &mut file).map_err(|fault| format!("{url}: {fault}"))?;
    }
    file.seek(SeekFrom::Start(0)).map_err(|error| format!("{}: {error}", place.display()))?;
    // The kernel refuses files that somebody may still write to.
    let read_only = File::open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file)));
    read_only.map_err(|error| format!("{}: {error}", place.display()))
}

fn nameless(place: &Path) -> io::Result<File> {
    fs::create_dir_all(place.parent().unwrap_or(place))?;
    let file = File::options().read(true).write(true).create_new(true).open(place)?;
    fs::remove_file(place)?;
    Ok(file)
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
}
