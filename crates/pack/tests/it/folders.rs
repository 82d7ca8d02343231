//! Folders and bundles: what is read, what is written, what is refused.

use std::fs;
use std::path::Path;

use gantry_model::{Kind, View};
use gantry_pack::{Error, Pack, document, in_order, yaml};
use serde_json::json;

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn sample(folder: &Path) {
    write(
        folder,
        &[
            ("._Name.meta", "sample\n"),
            ("._Prerequisites.meta", "BasicStore: >=4.6.0\n"),
            ("meta.yaml", "Name: other\nVersion: 1.2\nDescription: yes\n"),
            (
                "bootenvs/os.yml",
                "Name: os-8-install\nOS:\n  Name: os-8\n  Version: 8\nOnlyUnknown: no\nMeta:\n  x: on\n",
            ),
            ("params/a.b.yaml", "---\nname: a/b\nschema:\n  type: string\n  default: 'yes'\n"),
            (
                "tasks/t.json",
                "{\"Name\": \"tt\", \"Templates\": [{\"Name\": \"x\", \"Contents\": \"hi\\n\"}]}",
            ),
            ("templates/raw.sh.tmpl", "#!/bin/sh\n{{ .Machine.Name }}\n"),
            ("templates/typed.yaml", "ID: typed.tmpl\nDescription: d\nContents: |\n  one\n  two\n"),
            ("profiles/.hidden.yaml", "Name: ["),
            ("notakind/x.txt", "passed over"),
            (".git/config", "passed over"),
            ("tasks/deeper/y.yaml", "passed: over"),
            ("README.md", "passed over"),
            ("tasks/twin-a.yaml", "Name: twin\nDescription: first\n"),
            ("tasks/twin-b.yaml", "Name: twin\nDescription: second\n"),
            ("._Overwritable.meta", "false"),
        ],
    );
}

#[test]
fn a_folder_is_read_with_the_bundlers_rules() {
    let folder = tempfile::tempdir().unwrap();
    sample(&folder.path().join("p"));
    let packs = Pack::read_all(folder.path()).unwrap();
    let [pack] = packs.as_slice() else { panic!("{} packs", packs.len()) };
    assert_eq!((pack.name(), pack.field("Description"), pack.field("Type")), ("sample", "true", "dynamic"));
    assert_eq!(pack.meta["Version"], "1.2");
    let layer = pack.layer().unwrap();
    let counts = layer.counts();
    let counts: Vec<(&str, usize)> = counts.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
    assert_eq!(counts, [("bootenvs", 1), ("params", 1), ("tasks", 2), ("templates", 2)]);
    let env = layer.get(Kind::BootEnv, "os-8-install").unwrap().value();
    assert_eq!((&env["OS"]["Version"], &env["Meta"]["x"]), (&json!("8"), &json!("true")));
    assert!(layer.get(Kind::Param, "a/b").is_some());
    assert_eq!(layer.get(Kind::Task, "twin").unwrap().value()["Description"], "second");
    View::base().put_layer(layer, 1).unwrap();
}

#[test]
fn bundles_and_folders_turn_into_each_other() {
    let folder = tempfile::tempdir().unwrap();
    sample(&folder.path().join("p"));
    let pack = Pack::read(&folder.path().join("p")).unwrap();
    for (file, text) in [("b.yaml", pack.to_yaml()), ("b.json", pack.to_json())] {
        let path = folder.path().join(file);
        fs::write(&path, text).unwrap();
        assert_eq!(Pack::read(&path).unwrap().to_value(), pack.to_value(), "{file}");
    }
    let unbundled = folder.path().join("u");
    pack.unbundle(&unbundled).unwrap();
    assert!(unbundled.join("params/a.b.yaml").is_file() && unbundled.join("templates/raw.sh.tmpl").is_file());
    let again = Pack::read(&unbundled).unwrap();
    assert_eq!(again.sections, pack.sections);
    assert_eq!(again.layer().unwrap().objects().count(), 6);
}

#[test]
fn keys_that_make_one_file_name_make_several_files() {
    let sections = json!({"params": {
        "a/b": {"Name": "a/b"}, "a.b": {"Name": "a.b"}, "A.B": {"Name": "A.B"}, "a\\b": {"Name": "a\\b"},
    }});
    let pack = Pack::from_value(json!({"meta": {"Name": "p"}, "sections": sections})).unwrap();
    let folder = tempfile::tempdir().unwrap();
    pack.unbundle(folder.path()).unwrap();
    assert_eq!(Pack::read(folder.path()).unwrap().sections, pack.sections);
    assert!(folder.path().join("params/a.b-3.yaml").is_file());
}

#[test]
fn what_a_file_says_of_the_pack_wins() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[("._Name.meta", "p"), ("meta.yaml", "Version: v1.0.0\nName: q\n")]);
    let given = [("Version", "v2.0.0"), ("Name", "r"), ("Author", "somebody")];
    let given = given.map(|(field, value)| (field.to_owned(), json!(value))).into_iter().collect();
    let pack = Pack::read_with(folder.path(), &given).unwrap();
    assert_eq!((pack.name(), pack.field("Version"), pack.field("Author")), ("p", "v1.0.0", "somebody"));
}

#[test]
fn sections_that_are_no_maps_are_refused() {
    let refused =
        |sections| Pack::from_value(json!({"meta": {"Name": "p"}, "sections": sections})).unwrap_err();
    assert_eq!(refused(json!({"tasks": ["x"]})), "`sections/tasks` must be a map of objects, not a list");
    let fault = |sections| {
        let content = json!({"meta": {"Name": "p"}, "sections": sections});
        gantry_model::Layer::from_value(content).unwrap_err().to_string()
    };
    let message = fault(json!({"tasks": "x"}));
    assert!(message.contains("Store tasks failed to load from layer content-p"), "{message}");
    assert!(fault(json!([1])).contains("sections must be a map, not array"));
}

#[test]
fn every_fault_of_a_folder_is_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        &[
            ("._Name.meta", "broken"),
            ("params/a.txt", ""),
            ("params/b.yaml", "Description: no name\n"),
            ("profiles/c.yaml", "Name: c\nDescription: x\nParams:\n  - 1\nMeta: {a: [b]}\n"),
            ("tasks/d.yml", "Name: d\nTemplates: [\n"),
            ("tasks/e.json", "{\"Name\": \"e\"\n \"x\": 1}"),
        ],
    );
    let Err(Error::Wrong { faults, .. }) = Pack::read(folder.path()) else { panic!("it was read") };
    let shown: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let expected = [
        "broken/params/a.txt: must end in .yaml, .yml or .json",
        "broken/params/b.yaml: Name: is missing; it is the key of the object",
        "broken/profiles/c.yaml:5: profiles/c: Meta/a: must be text, not a list",
        "broken/profiles/c.yaml:3: profiles/c: Params: must be a map, not a list",
        "broken/tasks/d.yml:2: ",
        "broken/tasks/e.json:2: ",
    ];
    assert_eq!(shown.len(), expected.len(), "{shown:#?}");
    for (shown, expected) in shown.iter().zip(expected) {
        assert!(shown.starts_with(expected), "{shown}\n{expected}");
    }
}

#[test]
fn what_the_view_refuses_has_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        &[
            ("._Name.meta", "refused"),
            (
                "tasks/t.yaml",
                "Name: tt\nDescription: x\nTemplates:\n  - Name: a\n    Contents: x\n  - Name: b\n    ID: nowhere\n",
            ),
        ],
    );
    let pack = Pack::read(folder.path()).unwrap();
    let error = View::base().put_layer(pack.layer().unwrap(), 1).unwrap_err();
    assert_eq!(
        pack.wrong(error).to_string(),
        "content pack refused has 1 fault:\n  refused/tasks/t.yaml:6: tasks/tt: Templates/1: Templates[1]: No common template for nowhere"
    );
}

#[test]
fn prerequisites_come_first() {
    let layer = |name: &str, needs: &str| {
        Pack::from_value(json!({"meta": {"Name": name, "Prerequisites": needs}})).unwrap().layer().unwrap()
    };
    let order = in_order(vec![
        layer("a", "c: >=1.0.0"),
        layer("b", "a"),
        layer("c", "x"),
        layer("d", "e"),
        layer("e", "d"),
    ]);
    let names: Vec<&str> = order.iter().map(|layer| layer.name()).collect();
    assert_eq!(names, ["c", "a", "b", "d", "e"]);
}

#[test]
fn a_pack_documents_itself() {
    let folder = tempfile::tempdir().unwrap();
    sample(folder.path());
    let text = document(&Pack::read(folder.path()).unwrap());
    assert!(text.starts_with("# sample\n\ntrue\n\n- Version: 1.2\n"), "{text}");
    assert!(text.contains("## params\n\n### a/b\n\nType: string\n\nDefault: `\"yes\"`\n"), "{text}");
}

/// Files that shipped packs have, in our own words.
#[test]
fn the_document_after_the_first_does_not_count() {
    assert_eq!(yaml::parse("a: 1\n...\n---\nb: [").unwrap().value, json!({"a": 1}));
}
