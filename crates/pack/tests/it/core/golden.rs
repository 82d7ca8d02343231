//! Every template of the pack, rendered for a set of machines and compared with `tests/golden/`.
//!
//! `UPDATE_GOLDEN=1 cargo test -p gantry-pack` writes the files; look at the difference before you commit it. Each file belongs to one
//! object and has a section for each of its templates and cases; a case that comes out as one before says so in a line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_model::{Kind, Machine, Template, View};
use gantry_pack::check;
use serde_json::{Value, json};

use super::{layer, machine, renders, view};

/// Templates for other packs to include by name, and how they do: as tasks of their own.
const PROBES: [(&str, &str); 5] = [
    ("setup", "#!/bin/bash\n{{ template \"setup.tmpl\" . }}\necho \"$arch $osfamily $osclass\"\n"),
    ("setup-without-dot", "#!/bin/bash\n{{ template \"setup.tmpl\" }}\necho \"$arch $osfamily $osclass\"\n"),
    ("reset-workflow", "{{ template \"reset-workflow.tmpl\" . }}"),
    ("runner", "{{ template \"runner.tmpl\" . }}"),
    ("set-proxy-servers", "#!/bin/bash\n{{ template \"set-proxy-servers.sh.tmpl\" . }}"),
];

/// A View and a machine to render for.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) view: View,
    pub(super) machine: Arc<Machine>,
}

pub(super) fn cases() -> Vec<Case> {
    let probes = |more: Vec<(Kind, Value)>| {
        let task = |(name, text): &(&str, &str)| {
            let script = json!({"Name": "script", "Contents": text});
            (Kind::Task, json!({"Name": format!("probe-{name}"), "Templates": [script]}))
        };
        view(&PROBES.iter().map(task).chain(more).collect::<Vec<_>>())
    };
    let case = |name, view, machine| Case { name, view, machine };
    // Public content brings definitions of its own for some of our parameters, without our defaults.
    let public = ["access-keys", "hostname", "kernel-console", "kernel-options", "ntp-servers", "timezone"];
    let public =
        public.iter().map(|name| (Kind::Param, json!({"Name": name, "Schema": {}}))).collect::<Vec<_>>();
    vec![
        case("defaults", probes(vec![]), machine("node1.example.org", &json!({}))),
        case("everything", probes(vec![]), machine("node1.example.org", &everything())),
        case("awkward", probes(vec![]), machine("it's \"Zoë\"; $(reboot)\n`x`", &awkward())),
        case("public", probes(public), machine("node1.example.org", &required())),
    ]
}

fn required() -> Value {
    json!({"image-deploy/image-url": "{{ .ProvisionerURL }}/images/x.raw.zst", "disk-erase/confirm": "node1.example.org"})
}

pub(super) fn everything() -> Value {
    json!({
        "image-deploy/image-url": "{{ .ProvisionerURL }}/images/x.raw.zst",
        "image-deploy/image-format": "zst",
        "image-deploy/image-sha256": "ab".repeat(32),
        "image-deploy/image-tls": "any",
        "image-deploy/install-disk": {"Serial": "S1", "Pick": "first"},
        "image-deploy/grow-root": false,
        "image-deploy/user-data": "#cloud-config\nhostname: {{ .Machine.Name }}\n",
        "access-keys": {"ann": "ssh-ed25519 AAAA ann", "bob": "ssh-ed25519 BBBB bob"},
        "hostname": "{{ .Machine.ShortName }}.lab.test",
        "timezone": "Europe/Berlin",
        "ntp-servers": ["ntp1.lab.test", "192.0.2.123"],
        "time/rtc": "local",
        "kexec-ok": true,
        "kernel-console": "console=ttyS1",
        "kernel-options": "nomodeset",
        "rs-debug-enable": true,
        "proxy-servers": ["http://proxy.lab.test:3128"],
        "no-proxy": ["localhost", ".lab.test"],
        "disk-erase/confirm": "{{ .Machine.Name }}",
        "disk-erase/disks": [{"Serial": "S1"}, {"MinSize": "1T", "Rotational": true}],
        "disk-erase/method": "overwrite",
        "disk-erase/verify": "full",
        "users/groups": [{"Name": "ops", "Gid": 2000}, {"Name": "svc", "System": true}, {"Name": "old", "State": "absent"}],
        "users/accounts": [
            {
                "Name": "ann", "Uid": 2001, "Group": "ops", "Groups": ["svc"], "Comment": "Ann O'Hara", "Home": "/srv/ann",
                "Shell": "/bin/sh", "PasswordHash": "$6$salt$hash", "Locked": true, "Sudo": "nopassword",
                "SshKeys": ["ssh-ed25519 AAAA ann@a", "ssh-ed25519 BBBB ann@b"],
            },
            {"Name": "svc", "System": true, "Groups": [], "Sudo": "none"},
            {"Name": "big", "Uid": 2_000_000_001},
            {"Name": "gone", "State": "absent", "RemoveHome": true},
            {"Name": "root", "SshKeys": ["ssh-ed25519 CCCC"], "KeepOtherKeys": true},
        ],
        "network-config": network(),
    })
}

/// One interface of each kind, with everything that it can have.
pub(super) fn network() -> Value {
    json!({"Interfaces": [
        {
            "Name": "lan0", "MAC": "{{ index .Machine.HardwareAddrs 0 }}", "DHCP": "both", "MTU": 9000, "RouterAdvertisements": false,
            "Addresses": ["192.0.2.20/24", "2001:db8::20/64"], "Gateways": ["192.0.2.1", "2001:db8::1"],
            "NameServers": ["192.0.2.53", "2001:db8::53"], "SearchDomains": ["lab.test", "example.org"],
            "Routes": [{"To": "10.20.0.0/16", "Via": "192.0.2.254", "Metric": 100}, {"To": "default", "Via": "2001:db8::fe"}],
        },
        {"Name": "lan1", "MAC": "{{ index .Machine.HardwareAddrs 1 }}"},
        {"Name": "lan2", "MAC": "{{ index .Machine.HardwareAddrs 2 }}"},
        {"Name": "ens9", "Optional": true, "DHCP": "ipv4"},
        {
            "Name": "bond0", "Type": "bond", "Members": ["lan1", "lan2"], "Mode": "802.3ad", "LacpRate": "fast",
            "HashPolicy": "layer3+4", "MiiMonitor": 200, "MTU": 9000,
        },
        {"Name": "storage", "Type": "vlan", "Link": "bond0", "Id": 20, "Addresses": ["10.20.1.7/24"]},
        {"Name": "guests", "Type": "vlan", "Link": "lan0", "Id": 30},
        {"Name": "br0", "Type": "bridge", "Members": ["guests"], "SpanningTree": true, "DHCP": "ipv4"},
    ]})
}

fn awkward() -> Value {
    json!({
        "image-deploy/image-url": "http://h/it's \"x\"?a=1&b=2",
        "image-deploy/user-data": "a: 'b'\nc: \"d\\n\"\n",
        "access-keys": {"o'neil": "ssh-ed25519 AAAA o'neil $(id) `id`"},
        "hostname": "it's; $(reboot)",
        "timezone": "../../etc/shadow",
        "ntp-servers": [],
        "disk-erase/confirm": "it's",
        "disk-erase/disks": [{"Model": "it's a \"disk\""}],
        "proxy-servers": ["http://a'b"],
        "users/accounts": [{"Name": "a", "Comment": "Zoë 'Z' \"Q\" $(id) `id` \\", "SshKeys": ["a'b", "c\\d"], "Shell": "/opt/my shell"}],
        "network-config": {"Interfaces": [{"Name": "lan0", "MAC": "{{ .Machine.Name }}"}]},
    })
}

/// All renders: object, template, path and case, with the text or the error.
fn all() -> BTreeMap<String, String> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let cases = cases();
    for (kind, object) in objects() {
        let mut sections: Vec<(String, String, &str)> = Vec::new();
        for case in &cases {
            for render in renders(&case.view, kind, &object, &case.machine) {
                let text = match render.result {
                    Ok(bytes) => String::from_utf8(bytes).unwrap(),
                    Err(failure) => {
                        format!("ERROR {}:{}: {}\n", failure.template, failure.line, failure.message)
                    }
                };
                let path =
                    if render.path.is_empty() { String::new() } else { format!(" -> {}", render.path) };
                sections.push((format!("{}{path}", render.template), text, case.name));
            }
        }
        let mut file = String::new();
        for (at, (template, text, case)) in sections.iter().enumerate() {
            let same = sections[..at].iter().find(|(other, known, _)| (other, known) == (template, text));
            match same {
                Some((_, _, first)) => writeln!(file, "=== {template} · {case}: as {first}").unwrap(),
                None => writeln!(file, "=== {template} · {case}\n{text}").unwrap(),
            }
        }
        if !file.is_empty() {
            files.insert(format!("{}/{object}.txt", kind.prefix()), file);
        }
    }
    files
}

/// The objects that render something.
pub(super) fn objects() -> Vec<(Kind, String)> {
    let layer = layer();
    let owners = [Kind::BootEnv, Kind::Stage, Kind::Task];
    let ours = layer.objects().filter(|record| owners.contains(&record.kind()));
    let ours = ours.map(|record| (record.kind(), record.key().to_string()));
    let probes = PROBES.iter().map(|(name, _)| (Kind::Task, format!("probe-{name}")));
    ours.chain(probes).collect()
}

fn place() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

#[test]
fn templates_render_as_recorded() {
    let files = all();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let _ = fs::remove_dir_all(place());
        for (name, text) in &files {
            fs::create_dir_all(place().join(name).parent().unwrap()).unwrap();
            fs::write(place().join(name), text).unwrap();
        }
    }
    let hint = "look at it, then UPDATE_GOLDEN=1 cargo test -p gantry-pack";
    for (name, text) in &files {
        let known = fs::read_to_string(place().join(name));
        let known = known.unwrap_or_else(|error| panic!("tests/golden/{name}: {error}; {hint}"));
        let differs = known.lines().zip(text.lines()).position(|(known, now)| known != now);
        let line = differs.unwrap_or(known.lines().count().min(text.lines().count()));
        let shown = |text: &str| text.lines().nth(line).unwrap_or("(the end)").to_owned();
        assert_eq!(
            &known,
            text,
            "tests/golden/{name}:{}: {:?} is now {:?}; {hint}",
            line + 1,
            shown(&known),
            shown(text)
        );
    }
    let recorded: BTreeSet<String> = ["bootenvs", "stages", "tasks"]
        .iter()
        .filter_map(|kind| Some((kind, fs::read_dir(place().join(kind)).ok()?)))
        .flat_map(|(kind, files)| {
            files.map(move |file| format!("{kind}/{}", file.unwrap().file_name().to_string_lossy()))
        })
        .collect();
    assert_eq!(recorded, files.keys().cloned().collect(), "files that nothing renders any more; {hint}");
}

/// A template that no object and no probe leads to is one that nothing checks.
#[test]
fn every_template_is_rendered() {
    let cases = cases();
    let mut todo: Vec<String> = Vec::new();
    for (kind, object) in objects() {
        todo.push(cases[0].view.record(kind, &object).unwrap().value().to_string().replace("\\\"", "\""));
    }
    let templates: BTreeMap<String, String> = cases[0]
        .view
        .objects::<Template>()
        .map(|template| (template.id.clone(), template.contents.clone()))
        .collect();
    let mut reached = BTreeSet::new();
    while let Some(text) = todo.pop() {
        for (id, contents) in &templates {
            let forms =
                [format!("template \"{id}\""), format!("CallTemplate \"{id}\""), format!("\"ID\":\"{id}\"")];
            if forms.iter().any(|form| text.contains(form)) && reached.insert(id.clone()) {
                todo.push(contents.clone());
            }
        }
    }
    let ours = layer();
    let missed: Vec<_> = ours
        .objects()
        .filter(|record| record.kind() == Kind::Template && !reached.contains(&record.key().to_string()))
        .map(|record| record.key().to_string())
        .collect();
    assert!(missed.is_empty(), "no golden renders {missed:?}: use them in an object, or add a probe");
}

/// As whoever copies the pack will do: `gantry content check core`.
#[test]
fn the_check_finds_nothing_wrong() {
    let report = check::samples(&check::furnished(&view(&[])), &layer(), check::Limits::default());
    assert_eq!(report.findings, []);
}

/// Descriptions are the manual; a parameter without a schema takes anything.
#[test]
fn every_object_says_what_it_is() {
    for record in layer().objects() {
        let value = record.value();
        let described = value["Description"].as_str().is_some_and(|text| !text.is_empty());
        assert!(described, "{} {} has no Description", record.kind(), record.key());
        if record.kind() == Kind::Param {
            assert!(value["Schema"]["type"].is_string(), "params {} has no type", record.key());
        }
    }
}
