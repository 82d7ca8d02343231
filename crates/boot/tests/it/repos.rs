//! Package repositories as installers read them (engine §1.8).

use gantry_model::Kind;
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
