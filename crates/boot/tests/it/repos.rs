//! Package repositories as installers read them (engine §1.8).

use std::sync::Arc;

use gantry_model::{Catalogue, Kind};
use serde_json::{Value, json};

use crate::support::{file, id, machine, view};

fn render(os: &str, repositories: Value, text: &str) -> Result<String, String> {
    let mut machine = machine();
    machine["OS"] = os.into();
    machine["BootEnv"] = "env".into();
    let env = json!({"Name": "env", "OS": {"Name": os}, "Templates": [{"Name": "x", "Path": "{{.Machine.Path}}/x", "Contents": text}]});
    let global = json!({"Name": "global", "Params": {"package-repositories": repositories}});
    file(
        &view(&[(Kind::Machine, machine), (Kind::BootEnv, env), (Kind::Profile, global)]),
        &format!("machines/{}/x", id(1)),
    )
}

#[test]
fn installers_get_their_lines() {
    let yum = json!([
        {"tag": "base", "os": ["centos-7"], "arch": "x86_64", "url": "http://m/c", "installSource": true},
        {"tag": "upd", "os": ["centos-7"], "arch": "any", "url": "http://m/u", "securitySource": true, "distribution": "7", "components": ["os", "extras"]},
        {"tag": "other", "os": ["debian-12"], "arch": "any", "url": "http://m/o"},
        {"tag": "archless", "os": ["centos-7"], "url": "http://m/a"},
    ]);
    let apt = json!([
        {"tag": "main", "os": ["ubuntu-22"], "arch": "amd64", "url": "https://m:80/ubuntu", "installSource": true, "distribution": "jammy", "components": ["main", "universe"]},
        {"tag": "sec", "os": ["ubuntu-22"], "arch": "any", "url": "http://s/sec", "securitySource": true, "distribution": "jammy-security", "components": ["main"]},
    ]);
    let install = "{{range .InstallRepos}}{{.Install}}{{end}}";
    let lines = "{{range $r := .MachineRepos}}{{$r.Lines}}{{end}}";
    let table = [
        (
            "centos-7",
            &yum,
            install,
            "install\nurl --url http://m/c\nrepo --name=\"base\" --baseurl=http://m/c --cost=100\nrepo --name=\"upd-os\" --baseurl=http://m/u/7/os/$basearch --cost=200\nrepo --name=\"upd-extras\" --baseurl=http://m/u/7/extras/$basearch --cost=200\n",
        ),
        (
            "centos-7",
            &yum,
            lines,
            "\n[base]\nname=centos-7 - base\nbaseurl=http://m/c\ngpgcheck=0\n\n[upd-os]\nname=upd - os\nbaseurl=http://m/u/7/os/$basearch\ngpgcheck=0\n\n[upd-extras]\nname=upd - extras\nbaseurl=http://m/u/7/extras/$basearch\ngpgcheck=0\n",
        ),
        (
            "ubuntu-22",
            &apt,
            install,
            "d-i mirror/protocol string https\nd-i mirror/http/hostname string m:80\nd-i mirror/http/directory string /ubuntu\n\nd-i apt-setup/security_host string s\nd-i apt-setup/security_path string /sec\n\n",
        ),
        (
            "ubuntu-22",
            &apt,
            lines,
            "deb https://m:80/ubuntu jammy main universe\ndeb http://s/sec jammy-security main\n",
        ),
        (
            "ubuntu-22",
            &apt,
            "{{.Env.InstallUrl}} {{range .Repos \"sec\"}}{{.Tag}} {{.JoinedComponents}} {{.UrlFor \"\"}}{{end}}",
            "https://m:80/ubuntu sec main http://s/sec",
        ),
    ];
    for (os, repositories, text, expected) in table {
        assert_eq!(render(os, repositories.clone(), text), Ok(expected.to_owned()), "{os} {text}");
    }
}

#[test]
fn unknown_styles_fail() {
    let odd = json!([{"tag": "x", "os": ["plan9"], "arch": "any", "url": "http://m"}]);
    let error = render("plan9", odd, "{{range .MachineRepos}}{{.Lines}}{{end}}").unwrap_err();
    assert!(error.ends_with("No idea how to handle repos for plan9"), "{error}");
}

/// What a machine in the boot environment `local` reads, whose operating system another environment installs from `files`.
fn beside_a_tree(os: &str, files: &[&str], text: &str) -> Result<String, String> {
    let mut machine = machine();
    machine["OS"] = os.into();
    machine["Stage"] = "after".into();
    let stage = json!({"Name": "after", "Templates": [{"Name": "x", "Path": "{{.Machine.Path}}/x", "Contents": text}]});
    let installer = json!({"Name": "own-install", "OS": {"Name": os}, "Kernel": "boot/k", "Initrds": ["boot/i"], "Templates": []});
    let entry = |tag: &str, more: Value| {
        let mut entry = json!({"tag": tag, "os": [os], "arch": "amd64", "url": format!("http://m/{tag}"), "distribution": "d", "components": []});
        entry.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        entry
    };
    let repositories = json!([
        entry("upd", json!({"securitySource": true})),
        entry("net", json!({"installSource": true})),
        entry("net2", json!({"installSource": true})),
        entry("extra", json!({})),
    ]);
    let global = json!({"Name": "global", "Params": {"package-repositories": repositories, "proxy-servers": ["http://p:3128"]}});
    let files = files.iter().map(|file| (format!("{os}/install/{file}"), 1)).collect();
    let view = view(&[
        (Kind::Stage, stage),
        (Kind::Machine, machine),
        (Kind::BootEnv, installer),
        (Kind::Profile, global),
    ]);
    let catalogue = Arc::new(Catalogue { files, complete: true });
    file(&view.with_catalogue(catalogue), &format!("machines/{}/x", id(1)))
}

/// What a machine in the boot environment `own` of this system reads, whose files are all there.
fn in_its_tree(machine_os: &str, env_os: &str, text: &str) -> Result<String, String> {
    let mut machine = machine();
    machine["OS"] = machine_os.into();
    machine["BootEnv"] = "own".into();
    let template = json!({"Name": "x", "Path": "{{.Machine.Path}}/x", "Contents": text});
    let env = json!({"Name": "own", "OS": {"Name": env_os}, "Kernel": "k", "Initrds": ["i"], "Templates": [template]});
    let files = ["k", "i"].map(|file| (format!("{env_os}/{file}"), 1)).into();
    let view = view(&[(Kind::Machine, machine), (Kind::BootEnv, env)]);
    let catalogue = Arc::new(Catalogue { files, complete: true });
    file(&view.with_catalogue(catalogue), &format!("machines/{}/x", id(1)))
}

#[test]
fn what_a_machine_is_discovered_with_is_no_tree_of_packages() {
    let repos = "{{range .MachineRepos}}{{.Lines}}{{end}}|{{range .InstallRepos}}{{.Install}}{{end}}";
    assert_eq!(in_its_tree("", "discovery", repos), Ok("|".to_owned()));
    let url = "{{.Env.InstallUrl}}";
    let none = in_its_tree("", "discovery", url).unwrap_err();
    assert!(none.ends_with("No install repository available"), "{none}");
    let trees = [("", "centos-7"), ("centos-7", "centos-7"), ("esxi-67", "esxi-67")];
    for (machine_os, env_os) in trees {
        let expected = format!("http://10.0.0.1:8091/{env_os}");
        assert_eq!(in_its_tree(machine_os, env_os, url), Ok(expected), "{machine_os} {env_os}");
    }
}

#[test]
fn the_components_of_a_tree_for_apt_are_those_that_it_has() {
    let lines = "{{range .InstallRepos}}{{if .InstallSource}}{{.Lines}}{{end}}{{end}}";
    let kernel = ["boot/k", "boot/i"];
    let bookworm = [
        "dists/bookworm/Release",
        "dists/bookworm/by-hash/SHA256/00",
        "dists/bookworm/contrib/binary-all/Packages.gz",
        "dists/bookworm/main/binary-amd64/Packages.gz",
        "dists/bookworm/main/source/Sources.gz",
        "dists/bookworm/non-free/source/Sources.gz",
    ];
    // What DRP has a tree of, it has these components of.
    let stable = ["dists/stable/Release", "dists/stable/main/binary-amd64/Packages.gz"];
    let table: [(&[&str], &str); 4] = [
        (&bookworm, "bookworm contrib main"),
        (&bookworm[..1], "bookworm main restricted"),
        (&stable, "stable main restricted"),
        (&[&bookworm[..], &stable].concat(), "stable main restricted"),
    ];
    for (files, suite) in table {
        let expected = format!("deb http://10.0.0.1:8091/debian-12/install {suite}\n");
        assert_eq!(beside_a_tree("debian-12", &[&kernel, files].concat(), lines), Ok(expected), "{files:?}");
    }
}

#[test]
fn an_unpacked_tree_takes_the_place_of_install_sources_in_any_boot_environment() {
    let text = "{{range .MachineRepos}}{{.Tag}} {{end}}- {{range .InstallRepos}}{{.Tag}}={{.URL}} {{end}}";
    let kernel = ["boot/k", "boot/i"];
    let apt = ["boot/k", "boot/i", "dists/jammy/Release"];
    let table: [(&str, &[&str], &str); 5] = [
        ("centos-7", &[], "upd net net2 extra - net=http://m/net upd=http://m/upd "),
        ("centos-7", &["boot/k"], "upd net net2 extra - net=http://m/net upd=http://m/upd "),
        (
            "centos-7",
            &kernel,
            "own-install upd extra - own-install=http://10.0.0.1:8091/centos-7/install upd=http://m/upd ",
        ),
        // Kernels without packages are no tree for apt; what is on an ISO is enough to install, not to live on.
        ("ubuntu-22", &kernel, "upd net net2 extra - net=http://m/net upd=http://m/upd "),
        (
            "ubuntu-22",
            &apt,
            "upd net net2 extra - own-install=http://10.0.0.1:8091/ubuntu-22/install upd=http://m/upd ",
        ),
    ];
    for (os, files, expected) in table {
        assert_eq!(beside_a_tree(os, files, text), Ok(expected.to_owned()), "{os} {files:?}");
    }
    let lines = "{{range .InstallRepos}}{{.Install}}{{end}}";
    let tree = "http://10.0.0.1:8091/centos-7/install";
    let proxy = "--proxy=\"http://p:3128\"";
    assert_eq!(
        beside_a_tree("centos-7", &kernel, lines),
        Ok(format!(
            "install\nurl --url {tree}\nrepo --name=\"own-install\" --baseurl={tree} --cost=100 {proxy}\nrepo --name=\"upd\" --baseurl=http://m/upd --cost=200 {proxy}\n"
        ))
    );
}
