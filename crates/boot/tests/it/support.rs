//! A small house to render in: machines, environments, profiles, and a host whose tokens can be read.

use std::sync::Arc;
use std::time::Duration;

use gantry_boot::{File, Host, Renderer, Server};
use gantry_model::{Edit, Info, Kind, Machine, Record, View};
use serde_json::{Value, json};

/// A host without a world; tokens say what they are for.
#[derive(Debug, Default)]
pub(crate) struct Told;

impl gantry_template::Host for Told {
    fn random(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }

    fn now(&self) -> Duration {
        Duration::from_secs(1_700_000_000)
    }

    fn file(&self, path: &str) -> Option<Arc<[u8]>> {
        ["esxi/install/boot.cfg", "debian-12/boot.cfg"]
            .contains(&path)
            .then(|| b"title=x\nkernel=/b.b00\n".as_slice().into())
    }
}

impl Host for Told {
    fn machine_token(&self, machine: &Machine, seconds: i64) -> String {
        format!("token-of-{}-for-{seconds}", machine.name)
    }

    fn unknown_token(&self, seconds: i64) -> String {
        format!("unknown-for-{seconds}")
    }

    fn profile_token(&self, profile: &str, seconds: i64) -> String {
        format!("profile-{profile}-for-{seconds}")
    }

    fn open(&self, kind: Kind, key: &str, _sealed: &Value) -> Option<Value> {
        Some(format!("opened of {kind}/{key}").into())
    }
}

pub(crate) fn host() -> Arc<dyn Host> {
    Arc::new(Told)
}

pub(crate) fn server() -> Arc<Server> {
    let info = Info {
        api_port: 8092,
        file_port: 8091,
        secure_file_port: 8090,
        id: "fred".to_owned(),
        ..Info::default()
    };
    Arc::new(Server { info: Arc::new(info), address: [10, 0, 0, 1].into(), client: None })
}

/// The UUID with the number `n` at its end.
pub(crate) fn id(n: u32) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

/// The built-in objects and these, stored without judging them.
pub(crate) fn view(objects: &[(Kind, Value)]) -> View {
    let edits: Vec<Edit> = objects
        .iter()
        .map(|(kind, value)| Edit::put(Record::from_value(*kind, value.clone(), 1).unwrap().into()))
        .collect();
    View::base().apply(&edits, 1).0
}

/// Adds objects to a View.
pub(crate) fn with(view: &View, objects: &[(Kind, Value)]) -> View {
    let edits: Vec<Edit> = objects
        .iter()
        .map(|(kind, value)| Edit::put(Record::from_value(*kind, value.clone(), 2).unwrap().into()))
        .collect();
    view.apply(&edits, view.revision() + 1).0
}

/// A machine with everything that templates ask for.
pub(crate) fn machine() -> Value {
    json!({
        "Name": "rack7-u3.example.org", "Uuid": id(1), "Address": "10.0.0.77", "BootEnv": "debian-12-install", "Stage": "st",
        "Arch": "amd64", "HardwareAddrs": ["52:54:00:00:00:01", "52:54:00:00:00:02"], "Profiles": ["p1"],
        "Params": {"own": "mine", "n": 1_000_000}, "CurrentTask": 3, "Tasks": ["a", "b"], "Meta": {"feature-flags": "x"},
        "OS": "debian-12",
    })
}

/// One environment, stage and profiles for [`machine`].
pub(crate) fn furnished() -> View {
    view(&[
        (Kind::Machine, machine()),
        (Kind::Profile, json!({"Name": "global", "Params": {"site": "north", "deep": {"a": 1}}})),
        (
            Kind::Profile,
            json!({"Name": "p1", "Params": {"own": "theirs", "deep": {"b": 2}}, "Profiles": ["p2"]}),
        ),
        (
            Kind::Profile,
            json!({"Name": "p2", "Params": {"nested": "yes {{.Machine.Name}}", "deep": {"b": 3, "c": 3}}}),
        ),
        (Kind::Param, json!({"Name": "defaulted", "Schema": {"type": "string", "default": "by default"}})),
        (Kind::Param, json!({"Name": "undefaulted", "Schema": {"type": "string"}})),
        (Kind::Template, json!({"ID": "common.tmpl", "Contents": "common for {{.Machine.ShortName}}"})),
        (
            Kind::Stage,
            json!({
                "Name": "st", "Params": {"staged": "in st"},
                "Templates": [{"Name": "seed", "Path": "{{.Machine.Path}}/seed", "Contents": "stage {{.Stage.Name}} env {{.Env.Name}} {{.Param \"staged\"}}"}],
            }),
        ),
        (
            Kind::BootEnv,
            json!({
                "Name": "debian-12-install", "Kernel": "linux", "Initrds": ["deep/initrd.gz", "more.gz"],
                "BootParams": "auto url={{.Machine.Url}}/seed", "OS": {"Name": "debian-12", "Family": "debian", "Version": "12"},
                "Templates": [
                    {"Name": "ipxe-mac", "Path": "{{.Machine.MacAddr \"ipxe\"}}.ipxe", "Contents": "#!ipxe\nkernel {{.Env.PathFor \"http\" .Env.Kernel}} {{.BootParams}}\n# {{.Machine.MacAddr \"rpi4\"}}"},
                    {"Name": "pxelinux", "Path": "pxelinux.cfg/{{.Machine.HexAddress}}", "Contents": "append initrd={{.Env.JoinInitrds \"tftp\"}} {{.BootParams}}"},
                    {"Name": "pxelinux-mac", "Path": "pxelinux.cfg/{{.Machine.MacAddr \"pxelinux\"}}", "Contents": "{{template \"pxelinux\" .}}"},
                    {"Name": "ks", "Path": "{{.Machine.Path}}/compute.ks", "ID": "common.tmpl"},
                    {"Name": "byname", "Path": "hosts/{{.Machine.Name}}.txt", "Contents": "{{.Machine.Address}}"},
                    {"Name": "const", "Path": "/fixed/for/asker", "Contents": "for {{.Machine.Name}}"},
                    {"Name": "alias", "Path": "{{.Machine.Path}}/kernel", "Link": "{{.Env.PathFor \"tftp\" \"linux\"}}"},
                    {"Name": "bad", "Path": "{{.Machine.Path}}/bad", "Contents": "{{.Param \"nowhere\"}}"},
                ],
            }),
        ),
    ])
}

/// Renders `text` as a file of the machine.
pub(crate) fn render(view: &View, text: &str) -> Result<String, String> {
    let env = json!({
        "Name": "try", "OS": {"Name": "debian-12", "Family": "debian", "Version": "12", "SupportedArchitectures": {"aarch64": {"Kernel": "armk"}}},
        "Kernel": "linux", "Initrds": ["deep/initrd.gz"], "BootParams": "quiet {{.Machine.Name}}",
        "Templates": [{"Name": "sibling", "Path": "s", "Contents": "sibling:{{.}}"}, {"Name": "try", "Path": "{{.Machine.Path}}/try", "Contents": text}],
    });
    let mut machine = machine();
    machine["BootEnv"] = "try".into();
    let view = with(view, &[(Kind::BootEnv, env), (Kind::Machine, machine)]);
    file(&view, &format!("machines/{}/try", id(1)))
}

/// The text behind a path.
pub(crate) fn file(view: &View, path: &str) -> Result<String, String> {
    match Renderer::new().file(view, path, &server(), &host()) {
        Ok(File::Rendered(rendered)) => Ok(String::from_utf8(rendered.bytes).unwrap()),
        Ok(File::Static(path)) => Ok(format!("<static {path}>")),
        Ok(File::Remote(url)) => Ok(format!("<remote {url}>")),
        Err(error) => Err(error.to_string()),
    }
}
