//! Content packs with the built program: files, uploads, and a server that dies in the middle of one.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{GANTRY, Ran, Serving, Started, run, serve};

/// A server whose store outlives it.
struct Durable {
    child: Child,
    endpoint: String,
}

impl Durable {
    fn start(base: &Path) -> Self {
        let Started { child, endpoint, .. } = serve(Path::new(GANTRY), &["serve"], base);
        Self { endpoint, child }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(GANTRY);
        command.env_clear().env("RS_ENDPOINT", &self.endpoint).args(args);
        command
    }

    fn ask(&self, args: &[&str]) -> Ran {
        run(Path::new(GANTRY), args, &[("RS_ENDPOINT", &self.endpoint)])
    }

    /// Ends it with SIGKILL.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Durable {
    fn drop(&mut self) {
        // It has ended already when the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A pack whose every object says of which generation it is.
fn generation(folder: &TempDir, number: usize) -> String {
    let profiles: serde_json::Map<String, Value> = (0..1500)
        .map(|at| {
            let name = format!("prof-{number}-{at}");
            (
                name.clone(),
                json!({"Name": name, "Description": number.to_string(), "Documentation": "x".repeat(200)}),
            )
        })
        .collect();
    let pack = json!({"meta": {"Name": "grown", "Version": format!("v1.0.{number}")}, "sections": {"profiles": profiles}});
    let path = folder.path().join(format!("{number}.json"));
    fs::write(&path, pack.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The generations of the objects that are there, and how many objects.
fn seen(server: &Durable) -> (BTreeSet<String>, usize) {
    let ran = server.ask(&["profiles", "list", "Bundle=grown", "--slim", "Params"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let list: Value = serde_json::from_str(&ran.out).unwrap();
    let list = list.as_array().unwrap();
    (list.iter().map(|p| p["Description"].as_str().unwrap().to_owned()).collect(), list.len())
}

#[test]
fn a_server_killed_during_an_upload_has_the_old_pack_or_the_new_one() {
    let (base, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut server = Durable::start(base.path());
    assert_eq!(server.ask(&["content", "upload", &generation(&files, 0)]).status, 0);
    let mut present = 0;
    for round in 1..=5 {
        let file = generation(&files, round);
        let mut upload = server
            .command(&["content", "upload", &file])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Any moment will do; they are spread over the time that an upload takes.
        std::thread::sleep(Duration::from_millis(60 * round as u64));
        server.kill();
        let acknowledged = upload.wait().unwrap().success();
        server = Durable::start(base.path());
        let (generations, count) = seen(&server);
        let (old, new) = (present.to_string(), round.to_string());
        assert_eq!((generations.len(), count), (1, 1500), "half a pack: {generations:?}");
        assert!(
            generations.contains(&new) || (generations.contains(&old) && !acknowledged),
            "{generations:?}"
        );
        present = if generations.contains(&new) { round } else { present };
    }
    assert_eq!(server.ask(&["contents", "destroy", "grown"]).status, 0);
    assert_eq!(seen(&server).1, 0);
}

pub(crate) fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[test]
fn packs_are_bundled_converted_documented_and_checked_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    write(
        &folder.path().join("p"),
        &[
            ("._Name.meta", "mine"),
            ("params/word.yaml", "Name: word\nSchema: {type: string}\n"),
            (
                "tasks/say.yaml",
                "Name: say\nRequiredParams: [word]\nTemplates:\n  - Name: say.sh\n    Contents: |\n      echo {{.Param \"word\"}}\n",
            ),
        ],
    );
    let gantry = |args: &[&str]| run(Path::new(GANTRY), args, &[]);
    let ok = |args: &[&str]| {
        let ran = gantry(args);
        assert_eq!(ran.status, 0, "{args:?}: {}{}", ran.out, ran.err);
        ran.out
    };
    ok(&["content", "bundle", &at("p"), &at("b.yaml"), "Version=v1.2.3"]);
    ok(&["content", "convert", &at("b.yaml"), &at("b.json")]);
    ok(&["content", "unbundle", &at("b.json"), &at("u")]);
    assert_eq!(fs::read_to_string(at("u/._Version.meta")).unwrap(), "v1.2.3");
    assert!(ok(&["content", "document", &at("u")]).contains("### say"));
    assert_eq!(ok(&["content", "check", &at("p")]).trim(), "1 pack, 1 template rendered, 0 problems");
    write(
        folder.path(),
        &[(
            "p/tasks/bad.yaml",
            "Name: bad\nTemplates:\n  - Name: x\n    Contents: |\n      fine\n      {{ nofunction }}\n",
        )],
    );
    let ran = gantry(&["content", "check", &at("p")]);
    assert_eq!(ran.status, 1);
    assert!(ran.out.contains("mine/tasks/bad.yaml:6: tasks/bad: Templates/0/Contents: "), "{}", ran.out);
    let text = "Name: bad\nTemplates:\n  - Name: x\n    Contents: |\n      fine\n      {{ range .Param \"word\" }}{{ end }}\n";
    write(folder.path(), &[("p/tasks/bad.yaml", text)]);
    let ran = gantry(&["content", "check", &at("p")]);
    assert_eq!(ran.status, 1);
    assert!(ran.out.contains("mine: tasks/bad: x:2:"), "{}", ran.out);
    assert!(ran.out.contains("range can't iterate over sample [parameter word (machine)]"), "{}", ran.out);
}

/// A pack as the guide has it, with objects that use what core brings.
const ON_CORE: [(&str, &str); 4] = [
    ("p/._Name.meta", "mypack"),
    ("p/._Prerequisites.meta", "BasicStore: >=4.6.0, core"),
    (
        "p/tasks/greet.yaml",
        "Name: greet\nTemplates:\n  - Name: greet.sh\n    Contents: |\n      #!/bin/bash\n      {{ template \"setup.tmpl\" . }}\n",
    ),
    ("p/stages/greet.yaml", "Name: greet\nBootEnv: sledgehammer\nTasks: [greet]\n"),
];

#[test]
fn a_pack_is_checked_over_core_for_samples_and_for_machines() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    write(folder.path(), &ON_CORE);
    let check = |args: &[&str]| run(Path::new(GANTRY), &[&["content", "check"], args].concat(), &[]);
    let ran = check(&[&at("p")]);
    assert_eq!((ran.status, ran.out.contains(" 0 problems")), (0, true), "{}{}", ran.out, ran.err);
    // The machine boots what asks for a token that only its own address gets.
    let machine = json!([{
        "Name": "m1", "Uuid": "00000000-0000-4000-8000-00000000000a", "BootEnv": "sledgehammer", "Stage": "greet",
        "Tasks": ["greet"], "Arch": "amd64", "Address": "192.0.2.7", "HardwareAddrs": ["52:54:00:00:00:0a"],
    }]);
    fs::write(at("m.json"), machine.to_string()).unwrap();
    let ran = check(&[&at("p"), "--machines", &at("m.json")]);
    assert_eq!((ran.status, ran.out.contains(" 0 problems")), (0, true), "{}{}", ran.out, ran.err);
    // What is wrong elsewhere is told, and does not count.
    write(
        folder.path(),
        &[
            ("w/._Name.meta", "other"),
            ("w/tasks/bad.yaml", "Name: bad\nTemplates:\n  - Name: x\n    Contents: '{{ nofunction }}'\n"),
        ],
    );
    let ran = check(&[&at("p"), "--with", &at("w")]);
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("note: other/tasks/bad.yaml"), "{}", ran.out);
    assert_eq!(check(&[&at("w")]).status, 1);
    let core = concat!(env!("CARGO_MANIFEST_DIR"), "/../../content/core");
    let ran = check(&[core]);
    assert_eq!(
        (ran.status, ran.out.contains(" 0 problems")),
        (0, true),
        "core itself: {}{}",
        ran.out,
        ran.err
    );
}

#[test]
fn a_preview_for_a_machine_in_the_discovery_system_renders_and_fails_with_what_fails() {
    let (server, folder) = (Serving::start(), tempfile::tempdir().unwrap());
    write(folder.path(), &ON_CORE);
    let pack = folder.path().join("p");
    let pack = pack.to_str().unwrap();
    let env = r#"{"Name": "disco", "OS": {"Name": "x"}, "Templates": [{"Name": "t", "Path": "{{.Machine.Path}}/t", "Contents": "{{.GenerateBootToken}}"}]}"#;
    server.tell(&["bootenvs", "create", env]);
    server.tell(&["machines", "create", r#"{"Name": "m1", "BootEnv": "disco", "Address": "192.0.2.7"}"#]);
    let ran = server.ask(&["content", "preview", pack, "--tasks"]);
    assert_eq!((ran.status, ran.out.contains(" 0 failed")), (0, true), "{}{}", ran.out, ran.err);
    write(folder.path(), &[("p/bootenvs/d.yaml", &env.replace("{{.GenerateBootToken}}", "{{ fail `no` }}"))]);
    let ran = server.ask(&["content", "preview", pack, "--replace-writable"]);
    assert_eq!((ran.status, ran.out.contains(" 1 failed")), (1, true), "{}{}", ran.out, ran.err);
}

/// What a server stores, and nobody can use.
const BROKEN: [(&str, &str); 9] = [
    ("._Name.meta", "bad"),
    (
        "stages/s.yaml",
        "Name: ss\nBootEnv: nosuch\nTasks:\n  - nosuchtask\n  - renamed\nProfiles: [noprofile]\nTaskz: 3\n",
    ),
    ("tasks/t.yaml", "Name: renamed2\nTemplates:\n  - {Name: x, Contents: y, Contentz: y}\n"),
    ("params/p.yaml", "Name: pp\nSchema: {type: strin}\n"),
    ("workflows/w.yaml", "Name: ww\nStages: [ss, nostage]\n"),
    ("task/lost.yaml", "Name: lost\n"),
    ("tools/helper.sh", "true\n"),
    ("._Prerequisits.meta", "core"),
    ("bootenvs/discovery.yaml", "Name: discovery\nOS: {Name: x}\nOnlyUnknown: true\n"),
];

#[test]
fn what_is_stored_and_cannot_be_used_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().to_str().unwrap();
    write(folder.path(), &BROKEN);
    let ran = run(Path::new(GANTRY), &["content", "check", at], &[]);
    for line in [
        "bad/stages/s.yaml:2: stages/ss: BootEnv: bootenvs nosuch does not exist",
        "bad/stages/s.yaml:4: stages/ss: Tasks/0: tasks nosuchtask does not exist",
        "bad/stages/s.yaml:5: stages/ss: Tasks/1: tasks renamed does not exist; did you mean `renamed2`?",
        "stages/ss: Profiles/0: profiles noprofile does not exist",
        "bad/stages/s.yaml:7: stages/ss: Taskz: Stage has no such field, it is ignored; did you mean `Tasks`?",
        "tasks/renamed2: Templates/0/Contentz: TemplateInfo has no such field, it is ignored; did you mean `Contents`?",
        "bad/params/p.yaml:2: params/pp: Schema: has a primitive type that is NOT VALID -- given: /strin/",
        "bad/workflows/w.yaml:2: workflows/ww: Stages/1: stages nostage does not exist",
        "bad/task/: names no kind of object, it is passed over; did you mean `tasks`?",
        "meta: Prerequisits: ContentMeta has no such field, it is ignored; did you mean `Prerequisites`?",
        "note: bad takes the place of core's bootenvs/discovery",
    ] {
        assert!(ran.out.contains(line), "{line}\nis not in\n{}", ran.out);
    }
    assert_eq!((ran.status, ran.out.contains(" 10 problems")), (1, true), "{}", ran.out);
}

#[test]
fn an_upload_takes_it_and_warns_of_the_packs_own_objects() {
    let (server, folder, clean) =
        (Serving::start(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(folder.path(), &BROKEN);
    write(clean.path(), &[("._Name.meta", "clean"), ("tasks/t.yaml", "Name: tidy\n")]);
    let preview = server.ask(&["content", "preview", folder.path().to_str().unwrap()]);
    assert!(preview.out.contains("note: takes the place of core's bootenvs/discovery"), "{}", preview.out);
    let warnings = |folder: &TempDir| {
        let answer = server.tell(&["content", "upload", folder.path().to_str().unwrap()]);
        serde_json::from_str::<Value>(&answer).unwrap()["Warnings"].to_string()
    };
    let told = warnings(&folder);
    for warning in [
        "takes the place of core's bootenvs/discovery",
        "stages/ss: Task nosuchtask (at 0) does not exist",
        "workflows/ww: Stage nostage does not exist",
        "params/pp: has a primitive type",
    ] {
        assert!(told.contains(warning), "{warning}: {told}");
    }
    assert_eq!(warnings(&clean), "[]");
}

#[test]
fn the_server_tells_what_is_wrong_with_the_lines_of_our_files() {
    let (base, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Durable::start(base.path());
    write(
        folder.path(),
        &[
            ("._Name.meta", "mine"),
            ("stages/s.yaml", "Name: stagey\nTemplates:\n  - Name: x\n    Path: a/b\n    ID: nowhere\n"),
            ("tasks/t.yaml", "Name: tt\nPrerequisites: [gone]\n"),
        ],
    );
    let ran = server.ask(&["content", "upload", folder.path().to_str().unwrap()]);
    assert_eq!(ran.status, 1);
    for expected in [
        "mine/stages/s.yaml:3: stages/stagey: Templates/0: Templates[0]: No common template for nowhere",
        "mine/tasks/t.yaml: tasks/tt: Task tt missing prerequisite gone",
    ] {
        assert!(ran.err.contains(expected), "{}", ran.err);
    }
}

#[test]
fn objects_become_a_pack_and_a_pack_becomes_objects() {
    let (server, folder) = (Serving::start(), tempfile::tempdir().unwrap());
    let file = folder.path().join("north.yaml");
    let file = file.to_str().unwrap();
    for (kind, object) in [
        ("params", r#"{"Name": "north/size", "Schema": {"type": "integer"}}"#),
        ("profiles", r#"{"Name": "north", "Params": {"north/size": 3}}"#),
        ("profiles", r#"{"Name": "south"}"#),
        ("tasks", r#"{"Name": "t1"}"#),
        ("stages", r#"{"Name": "s1", "Tasks": ["t1"], "Profiles": ["north"]}"#),
    ] {
        server.tell(&[kind, "create", object]);
    }
    let words = ["contents", "bundlize", file, "Name=north", "Version=v1.2.3"];
    let objects = ["profiles:north", "params:north/size", "stages:Name=s1", "tasks:t1"];
    let all: Vec<&str> = words.into_iter().chain(objects).collect();
    server.tell(&all);
    let text = fs::read_to_string(file).unwrap();
    assert!(
        text.contains("Version: v1.2.3") && !text.contains("ReadOnly") && !text.contains("south"),
        "{text}"
    );
    let field = |kind: &str, key: &str, name: &str| {
        serde_json::from_str::<Value>(&server.tell(&[kind, "show", key])).unwrap()[name].clone()
    };
    assert_eq!(field("profiles", "north", "Bundle"), "", "nothing has changed yet");
    // In their place: the objects are the pack's now.
    server.tell(&all.iter().copied().chain(["--delete", "--reload"]).collect::<Vec<_>>());
    assert_eq!(
        (field("profiles", "north", "Bundle"), field("profiles", "north", "ReadOnly")),
        (json!("north"), json!(true))
    );
    assert_eq!(field("stages", "s1", "Bundle"), "north");
    // And back.
    let made = server.tell(&["contents", "convert", file]);
    assert_eq!(
        serde_json::from_str::<Value>(&made).unwrap(),
        json!({"params": 1, "profiles": 1, "stages": 1, "tasks": 1})
    );
    assert_ne!(server.ask(&["contents", "exists", "north"]).status, 0);
    assert_eq!(
        (field("profiles", "north", "Bundle"), field("profiles", "north", "Params")),
        (json!(""), json!({"north/size": 3}))
    );
    // What cannot be made leaves everything as it was.
    server.tell(&["contents", "bundlize", file, "Name=other", "profiles:south", "--delete"]);
    assert_ne!(server.ask(&["profiles", "exists", "south"]).status, 0);
    let broken = json!({"meta": {"Name": "other"}, "sections": {"profiles": {"first": {"Name": "first"}, "north": {"Name": "north"}}}});
    fs::write(file, broken.to_string()).unwrap();
    let refused = server.ask(&["contents", "convert", file]);
    assert!(refused.status != 0 && refused.err.contains("north"), "{}", refused.err);
    assert_ne!(server.ask(&["profiles", "exists", "first"]).status, 0, "made and taken back");
    let nameless = server.ask(&["contents", "bundlize", file, "profiles:north"]);
    assert!(nameless.err.contains("Name=<name>"), "{}", nameless.err);
}
