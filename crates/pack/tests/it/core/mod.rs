//! Our own content pack: what its templates render to, whether the scripts are sound, and what they do.

mod disks;
mod golden;
mod network;
mod network_live;
mod setup;
mod shell;
mod system;
mod users;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use gantry_boot::Renderer;
use gantry_boot::survey::{Render, World};
use gantry_model::{Edit, Kind, Layer, Machine, Record, View};
use gantry_pack::Pack;
use serde_json::{Value, json};

/// The machine that everything is rendered for.
const UUID: &str = "00000000-0000-4000-8000-000000000001";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content/core")
}

fn layer() -> Arc<Layer> {
    Pack::read(&folder()).unwrap().layer().unwrap()
}

/// A fresh server's objects, with these stored beside them.
fn view(objects: &[(Kind, Value)]) -> View {
    let (view, _) = View::base().put_layer(layer(), 1).unwrap();
    let edits: Vec<Edit> = objects
        .iter()
        .map(|(kind, value)| Edit::put(Record::from_value(*kind, value.clone(), 2).unwrap().into()))
        .collect();
    view.apply(&edits, 2).0
}

fn machine(name: &str, params: &Value) -> Arc<Machine> {
    let machine = json!({
        "Name": name, "Uuid": UUID, "Address": "192.0.2.10", "Arch": "amd64", "BootEnv": "local", "Stage": "none",
        "HardwareAddrs": ["52:54:00:00:00:0a", "52:54:00:00:00:0b", "52:54:00:00:00:0c"], "Params": params,
    });
    Record::from_value(Kind::Machine, machine, 2).unwrap().typed()
}

fn renders(view: &View, kind: Kind, object: &str, machine: &Arc<Machine>) -> Vec<Render> {
    let record = view.record(kind, object).unwrap_or_else(|| panic!("no {kind} {object}"));
    let world = World::default();
    let mut all = Vec::new();
    Renderer::new().survey_object(view, record, machine, &world, &mut |render| all.push(render));
    all
}

/// What a template of a task renders to for a machine with these parameters.
fn script(task: &str, template: &str, params: &Value) -> Result<String, String> {
    let machine = machine("node1.example.org", params);
    let all = renders(&view(&[]), Kind::Task, task, &machine);
    let render = all.into_iter().find(|render| render.template == template).unwrap();
    let bytes = render.result.map_err(|failure| failure.message)?;
    Ok(String::from_utf8(bytes).unwrap())
}

/// How a script ended and what it said.
struct Ran {
    code: i32,
    log: String,
}

/// A folder in which a task runs, and the system that it sets up.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir_all(bench.root().join("etc")).unwrap();
        fs::create_dir_all(bench.folder.path().join("bin")).unwrap();
        bench
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// A file of the system.
    fn with(self, path: &str, text: &str) -> Self {
        let place = self.root().join(path.trim_start_matches('/'));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, text).unwrap();
        self
    }

    /// A program that scripts find before all others.
    fn program(self, name: &str, text: &str) -> Self {
        let place = self.folder.path().join("bin").join(name);
        fs::write(&place, text).unwrap();
        fs::set_permissions(place, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn read(&self, path: &str) -> String {
        let place = self.root().join(path.trim_start_matches('/'));
        fs::read_to_string(&place).unwrap_or_else(|error| panic!("{}: {error}", place.display()))
    }

    fn exists(&self, path: &str) -> bool {
        self.root().join(path.trim_start_matches('/')).symlink_metadata().is_ok()
    }

    fn mode(&self, path: &str) -> u32 {
        fs::metadata(self.root().join(path.trim_start_matches('/'))).unwrap().permissions().mode() & 0o777
    }

    /// Runs a script on the system, by these words: a shell, or what leads to one.
    fn run_by(&self, by: &[&str], text: &str) -> Ran {
        let place = self.folder.path().join("script");
        fs::write(&place, text).unwrap();
        let path = format!(
            "{}:/usr/sbin:/sbin:{}",
            self.folder.path().join("bin").display(),
            std::env::var("PATH").unwrap_or_default()
        );
        let (program, arguments) = by.split_first().unwrap();
        let output = Command::new(program)
            .args(arguments)
            .arg(&place)
            .current_dir(self.folder.path())
            .env("GANTRY_ROOT", self.root())
            .env("PATH", path)
            .env("RS_UUID", UUID)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let log =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        Ran { code: output.status.code().unwrap_or(-1), log }
    }

    fn run(&self, text: &str) -> Ran {
        self.run_by(&["sh"], text)
    }

    /// Runs a script that must end well; returns its log.
    #[track_caller]
    fn done(&self, text: &str) -> String {
        let ran = self.run(text);
        assert_eq!(ran.code, 0, "{}", ran.log);
        ran.log
    }
}

/// True when a program can be run; tests say what they leave out without it.
#[expect(clippy::print_stderr, reason = "a test that leaves something out says so")]
fn there_is(program: &str) -> bool {
    let found =
        ["/usr/bin", "/usr/sbin", "/bin", "/sbin"].iter().any(|dir| Path::new(dir).join(program).exists());
    if !found {
        eprintln!("left out: {program} is not installed");
    }
    found
}
