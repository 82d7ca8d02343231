//! What the task network does to a running system: it applies the network, asks for the server, and finds its way back.
//!
//! The system is a folder with this host's programs; the programs that apply a network, and the clock, are scripts that note how they
//! were called. No network service takes part.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use super::network::{enable, files, text};
use super::system::in_namespace;
use super::{Bench, Ran};

const RENDERERS: [&str; 4] = ["networkd", "netplan", "networkmanager", "ifupdown"];

/// What every stand-in does: it notes its call, and kills the task when it is the one that is to be cut off.
const NOTE: &str = "#!/bin/sh\necho \"${0##*/} $*\" >> /told\n\
                    if [ \"$(cat /cut)\" = \"${0##*/}\" ]; then : > /cut; kill -9 $PPID; fi\n";

/// Lets the system's clock go on by a number of seconds.
const CLOCK: &str = "pass() { read -r now _ < /proc/uptime; echo \"$((now + $1)) 0\" > /proc/uptime; }\n";

/// A running system with the files of each network service.
fn system() -> Bench {
    let mut bench = Bench::new()
        .with("/told", "")
        .with("/cut", "")
        .with("/proc/uptime", "1000 0\n")
        .with("/etc/cloud/cloud.cfg.d/x.cfg", "")
        .with("/etc/netplan/50-cloud-init.yaml", "network: {version: 2}\n")
        .with("/etc/network/interfaces", "auto eth0\niface eth0 inet dhcp\n")
        .with("/etc/NetworkManager/system-connections/theirs.nmconnection", "[connection]\n")
        .with("/etc/systemd/network/50-theirs.network", "[Match]\nName=x\n")
        .with("/run/resolv.conf", "nameserver 192.0.2.1\n");
    symlink("../run/resolv.conf", bench.root().join("etc/resolv.conf")).unwrap();
    enable(&bench, "systemd-networkd.service");
    let pass = format!("{CLOCK}pass \"$1\"\n");
    // The server does not answer at all, unless it is said to be in reach.
    let limit = format!("{CLOCK}[ -e /reachable ] || {{ pass \"$3\"; exit 137; }}\nshift 3\nexec \"$@\"\n");
    for (name, more) in [("sleep", &*pass), ("timeout", &limit)] {
        bench = bench.with(&format!("/stubs/{name}"), &format!("{NOTE}{more}"));
    }
    for name in ["systemctl", "networkctl", "netplan", "nmcli", "drpcli"] {
        bench = bench.with(&format!("/stubs/{name}"), NOTE);
    }
    bench
}

/// Runs the task on the running system. None where that is not allowed.
fn run(bench: &Bench, config: &Value) -> Option<Ran> {
    // This host's systemd would tell the task how resolv.conf is made.
    let before = format!(
        "chmod +x $GANTRY_ROOT/stubs/*; cp \"$(dirname $0)/inner\" $GANTRY_ROOT/inner; \
         [ ! -d /usr/lib/systemd ] || mount -t tmpfs none $GANTRY_ROOT/usr/lib/systemd; \
         GANTRY_ROOT= PATH=/stubs:$PATH exec chroot {} sh /inner #",
        bench.root().display()
    );
    in_namespace(bench, &before, &text(config))
}

fn reachable(bench: &Bench, is: bool) {
    let place = bench.root().join("reachable");
    if is { fs::write(place, "").unwrap() } else { fs::remove_file(place).unwrap() }
}

fn cut(bench: &Bench, program: &str) {
    fs::write(bench.root().join("cut"), program).unwrap();
}

/// How often a program was called since the last time that this was asked.
fn told(bench: &Bench, call: &str) -> usize {
    let text = bench.read("/told");
    fs::write(bench.root().join("told"), "").unwrap();
    text.lines().filter(|line| line.starts_with(call)).count()
}

/// How a renderer's network is applied.
fn applies(renderer: &str) -> &'static str {
    match renderer {
        "networkd" => "networkctl reload",
        "netplan" => "netplan apply",
        "networkmanager" => "nmcli connection reload",
        _ => "systemctl restart networking.service",
    }
}

/// All files below /etc with what is in them, links by where they lead.
fn etc(bench: &Bench) -> BTreeMap<String, String> {
    fn walk(folder: &Path, all: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if kind.is_dir() {
                walk(&path, all);
            } else {
                let text = if kind.is_symlink() {
                    format!("-> {}", fs::read_link(&path).unwrap().display())
                } else {
                    fs::read_to_string(&path).unwrap()
                };
                all.insert(path.display().to_string(), text);
            }
        }
    }
    let mut all = BTreeMap::new();
    walk(&bench.root().join("etc"), &mut all);
    all
}

fn one(renderer: &str, name: &str, server: &str) -> Value {
    json!({"Renderer": renderer, "Interfaces": [{"Name": name, "DHCP": "ipv4", "NameServers": [server]}]})
}

#[track_caller]
fn well(bench: &Bench, config: &Value) -> String {
    let ran = run(bench, config).unwrap();
    assert_eq!(ran.code, 0, "{}", ran.log);
    assert!(!bench.exists("/var/lib/gantry-network"), "what was saved is still there:\n{}", ran.log);
    ran.log
}

#[track_caller]
fn taken_back(bench: &Bench, config: &Value) {
    let ran = run(bench, config).unwrap();
    assert!(ran.code == 1 && ran.log.contains("cannot be reached with it: going back"), "{}", ran.log);
    assert!(!bench.exists("/var/lib/gantry-network"), "what was saved is still there:\n{}", ran.log);
}

#[test]
fn a_first_network_that_loses_the_server_is_taken_back() {
    for renderer in RENDERERS {
        let bench = system();
        let before = etc(&bench);
        if run(&bench, &json!({"Renderer": renderer, "Interfaces": [{"Name": "x"}]})).is_none() {
            return;
        }
        assert_eq!(etc(&bench), before, "{renderer}");
        assert_eq!(told(&bench, applies(renderer)), 2, "{renderer}");
        reachable(&bench, true);
        well(&bench, &one(renderer, "new", "192.0.2.53"));
        assert_ne!(etc(&bench), before, "{renderer}");
        assert_eq!(told(&bench, applies(renderer)), 1, "{renderer}");
    }
}

/// It goes back to the network of the run before, not to that before Gantry, and not to both.
#[test]
fn a_second_network_that_loses_the_server_is_taken_back() {
    for renderer in RENDERERS {
        let bench = system();
        reachable(&bench, true);
        let (first, second) = (one(renderer, "first", "192.0.2.53"), one(renderer, "second", "192.0.2.54"));
        let Some(ran) = run(&bench, &first) else { return };
        assert_eq!(ran.code, 0, "{}", ran.log);
        let before = etc(&bench);
        told(&bench, "");
        reachable(&bench, false);
        taken_back(&bench, &second);
        assert_eq!(etc(&bench), before, "{renderer}");
        assert_eq!(told(&bench, applies(renderer)), 2, "{renderer}");

        reachable(&bench, true);
        assert!(well(&bench, &first).contains("nothing to change"), "{renderer}");
        well(&bench, &second);
        assert_ne!(etc(&bench), before, "{renderer}");
    }
}

/// What comes into netplan's folder between two runs is set aside, and back.
#[test]
fn files_that_came_since_are_not_lost() {
    let bench = system();
    reachable(&bench, true);
    if run(&bench, &one("netplan", "first", "192.0.2.53")).is_none() {
        return;
    }
    let bench =
        bench.with("/etc/netplan/50-cloud-init.yaml", "new\n").with("/etc/netplan/60-more.yaml", "more\n");
    let before = etc(&bench);
    reachable(&bench, false);
    taken_back(&bench, &one("netplan", "second", "192.0.2.54"));
    assert_eq!(etc(&bench), before);
}

/// The files are all there, yet the network was never applied.
#[test]
fn a_run_that_is_cut_off_before_it_applies_is_made_up_for() {
    for (renderer, program) in [
        ("networkd", "systemctl"),
        ("netplan", "netplan"),
        ("networkmanager", "nmcli"),
        ("ifupdown", "systemctl"),
    ] {
        let bench = system();
        reachable(&bench, true);
        let config = one(renderer, "new", "192.0.2.53");
        cut(&bench, program);
        let Some(ran) = run(&bench, &config) else { return };
        assert_eq!(ran.code, -1, "{renderer} was not killed: {}", ran.log);
        told(&bench, "");
        let log = well(&bench, &config);
        assert!(log.contains("an earlier run was cut off"), "{renderer}: {log}");
        assert_eq!(told(&bench, applies(renderer)), 1, "{renderer}: {log}");
        assert!(well(&bench, &config).contains("nothing to change"), "{renderer}");
        assert_eq!(told(&bench, applies(renderer)), 0, "{renderer}");
    }
}

/// A network that never reached the server is not one to keep, only because its run had no time to find that out.
#[test]
fn a_run_that_is_cut_off_while_it_waits_is_not_taken_for_good() {
    for renderer in RENDERERS {
        let bench = system();
        let before = etc(&bench);
        let config = one(renderer, "new", "192.0.2.53");
        for _ in 0..2 {
            cut(&bench, "sleep");
            let Some(ran) = run(&bench, &config) else { return };
            assert_eq!(ran.code, -1, "{renderer} was not killed: {}", ran.log);
            assert_ne!(etc(&bench), before, "{renderer}");
        }
        taken_back(&bench, &config);
        assert_eq!(etc(&bench), before, "{renderer}");
    }
}

/// A minute by the clock, however long each question takes to fail; once more after going back.
#[test]
fn the_server_is_waited_for_no_longer_than_a_minute() {
    let bench = system();
    let Some(ran) = run(&bench, &one("networkd", "new", "192.0.2.53")) else { return };
    assert_eq!(ran.code, 1, "{}", ran.log);
    assert_eq!(bench.read("/proc/uptime"), "1120 0\n");
    let text = bench.read("/told");
    assert!(text.contains("timeout -s KILL 10 drpcli machines exists "), "{text}");
    assert_eq!(told(&bench, "timeout "), 10);
    assert_eq!(files(&bench, "etc/systemd/network"), ["50-theirs.network"]);
}
