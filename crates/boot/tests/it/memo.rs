//! What is remembered of renders: the same as a render would give, and nothing rendered twice for nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_boot::Renderer;
use gantry_boot::memo::Memo;
use gantry_boot::survey::{Scripts, World};
use gantry_model::{Catalogue, Kind, Machine, View};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{furnished, host, id, machine, server, view, with};

/// Bytes, more than any of these tests needs.
const ROOM: usize = 1 << 20;

fn world() -> World {
    World { server: server(), host: host() }
}

/// Every question that a template can ask of the View, and a few that only combine others.
const SNIPPETS: [&str; 44] = [
    r#"{{.Param "a"}}"#,
    r#"{{.Param "b"}}"#,
    r#"{{.ParamExists "a"}}"#,
    r#"{{.ComposeParam "m" | toJson}}"#,
    r#"{{.ParamExpand "t"}}"#,
    r#"{{.ParamComposeExpand "m" | toJson}}"#,
    r#"{{.ParamAsJSON "m"}}{{.ParamAsYAML "m"}}"#,
    "{{.Machine.Name}} {{.Machine.ShortName}}",
    "{{.Machine.Address}} {{.Machine.HexAddress}}",
    r#"{{.Machine.Url}} {{.Machine.UUID}} {{.Machine.MacAddr "ipxe"}}"#,
    "{{.Machine.Params.a}}",
    "{{.Machine.Meta | toJson}} {{.Machine.Profiles}} {{.Machine.Tasks}}",
    "{{.Machine | toJson}}",
    "{{.Machine.Arch}} {{.Machine.OS}} {{.Machine.Stage}} {{.Machine.BootEnv}}",
    "{{.Env.Name}} {{.Env.OS.Name}} {{.Env.OS.FamilyType}} {{.Env.OS.SupportedArchitectures}}",
    r#"{{.Env.PathFor "http" .Env.Kernel}} {{.Env.Initrds}}"#,
    r#"{{.Env.JoinInitrds "tftp"}} {{.Env.KernelFor "arm64"}} {{.Env.InitrdsFor "arm64"}}"#,
    "{{.BootParams}}",
    r#"{{.Env.BootParams}} {{.BootParamsFor "arm64"}}"#,
    "{{.Env.InstallUrl}}",
    "{{range .InstallRepos}}{{.Install}}{{end}}",
    "{{range .MachineRepos}}{{.Lines}}{{end}}",
    r#"{{range .Repos "main"}}{{.URL}}{{.UrlFor "x"}}{{end}}"#,
    r#"{{template "A" .}}"#,
    r#"{{template "B" .}}"#,
    r#"{{.CallTemplate (.Param "call") .}}"#,
    r#"{{template "one" .Machine}}"#,
    r#"{{.GenerateToken}} {{.GenerateInfiniteToken}}"#,
    r#"{{.GenerateProfileToken "p1" 60}} {{.GenerateProfileToken "p2" 60}}"#,
    "{{if .Stage}}{{.Stage.Name}} {{.Stage.Params | toJson}}{{end}}",
    "{{if .Task}}{{.Task.Name}} {{.Task.TargetOS}} {{.Task.Meta | toJson}}{{end}}",
    "{{if .Stage}}{{.Stage | toJson}}{{end}}{{if .Machine}}known{{end}}",
    "{{.Env | toJson}}",
    "{{.Env.Templates}} {{.Env.Loaders}} {{.Env.Meta}}",
    r#"{{.StringExpand "{{.Param \"b\"}}"}}"#,
    r#"{{.ObjectExpand (list "{{.Machine.Name}}" (.Param "t")) | toJson}}"#,
    r#"{{.Info.Id}} {{.ApiURL}} {{.ProvisionerURL}}"#,
    r#"{{.Param "pass"}}"#,
    r#"{{.ParamExists "call"}}{{if .ParamExists "b"}}{{.Param "b"}}{{end}}"#,
    r#"{{.Env.LineFrom "boot.cfg" "kernel="}}"#,
    "\n\n{{.Nothing}}",
    r#"{{range $k, $v := .Param "m"}}{{$k}}{{$v}}{{end}}"#,
    r#"{{define "nested"}}"#,
    "plain",
];

const KNOBS: usize = 96;

/// Numbers that pick one of a few forms of each part of a house.
struct Knobs<'a>(std::slice::Iter<'a, u8>);

impl Knobs<'_> {
    fn turn(&mut self, of: usize) -> usize {
        usize::from(*self.0.next().unwrap()) % of
    }

    fn one_of(&mut self, forms: &[&str]) -> Value {
        forms[self.turn(forms.len())].into()
    }

    fn first_of(&mut self, all: &[&str]) -> Value {
        all[..self.turn(all.len() + 1)].into()
    }

    fn params(&mut self) -> Value {
        let values =
            [json!(null), json!("x"), json!("y"), json!(1), json!({"k": "v"}), json!(["{{.Machine.Arch}}"])];
        let mut params = serde_json::Map::new();
        for name in ["a", "b", "m"] {
            if let Some(value) = values.get(self.turn(9)) {
                params.insert(name.to_owned(), value.clone());
            }
        }
        params.into()
    }

    fn snippet(&mut self) -> &'static str {
        SNIPPETS[self.turn(SNIPPETS.len())]
    }

    fn template(&mut self, name: &str, path: &str) -> Value {
        json!({"Name": name, "Path": path, "Contents": format!("{} {}", self.snippet(), self.snippet())})
    }

    fn machine(&mut self) -> Value {
        let mut params = self.params();
        params["call"] = self.one_of(&["A", "B", "gone"]);
        params["pass"] = json!({"Key": "k", "Nonce": "n", "Payload": self.one_of(&["1", "2"])});
        let customised = json!({"e1": {"OS": {"Codename": "c"}, "Templates": [self.template("one", "{{.Machine.Path}}/1")]}});
        if self.turn(3) == 0 {
            params["bootenv-customize"] = customised;
        }
        json!({
            "Name": self.one_of(&["m1.example.org", "other"]), "Uuid": id(1), "Params": params,
            "BootEnv": self.one_of(&["e1", "e1", "e2", "gone"]), "Stage": self.one_of(&["s1", "s1", "none", "gone"]),
            "Address": self.one_of(&["", "10.0.0.5", "10.0.0.6"]), "Arch": self.one_of(&["amd64", "arm64"]),
            "HardwareAddrs": self.first_of(&["52:54:00:00:00:01", "52:54:00:00:00:02"]),
            "Profiles": self.first_of(&["p1", "p2"]), "Tasks": ["t1", "stage:s1", "t2"], "OS": self.one_of(&["", "debian-12"]),
        })
    }

    fn boot_env(&mut self, name: &str, os: &str) -> Value {
        let arches = json!({"aarch64": {"Kernel": "armk", "BootParams": "arm {{.Machine.Name}}"}});
        let second = self.one_of(&["{{.Machine.Path}}/2", "{{.Machine.Path}}/{{.Param \"a\"}}"]);
        json!({
            "Name": name, "OS": {"Name": os, "SupportedArchitectures": arches}, "Kernel": self.one_of(&["k1", "k2"]),
            "Initrds": self.first_of(&["i"]), "Meta": {"x": self.one_of(&["1", "2"])},
            "BootParams": self.one_of(&["quiet", "a={{.Param \"a\"}}", "{{.Machine.Nope}}"]),
            "Templates": [
                self.template("one", "{{.Machine.MacAddr \"ipxe\"}}.ipxe"), self.template("two", second.as_str().unwrap()),
                {"Name": "common", "Path": "{{.Machine.Path}}/common", "ID": "A"},
                {"Name": "alias", "Path": "{{.Machine.Path}}/alias", "Link": "{{.Env.PathFor \"tftp\" \"x\"}}"},
            ],
        })
    }

    fn task(&mut self, name: &str) -> Value {
        json!({"Name": name, "Meta": {"x": self.one_of(&["1", "2"])}, "Templates": [self.template("run", ""), self.template("file", "/etc/x")]})
    }

    fn common(&mut self, id: &str, rest: &str) -> Value {
        // Those that call no other: the common templates would call each other for ever.
        json!({"ID": id, "Contents": format!("{}{rest}", SNIPPETS[self.turn(23)])})
    }
}

/// A house as its knobs are set.
fn house(knobs: &[u8; KNOBS]) -> View {
    let mut knobs = Knobs(knobs.iter());
    let mut global = knobs.params();
    global["t"] = "{{.Param \"a\"}} {{.Machine.Name}}".into();
    global["package-repositories"] = json!([{
        "tag": "main", "os": ["debian-12"], "arch": "amd64", "url": knobs.one_of(&["http://a/x", "http://b"]), "installSource": true,
    }]);
    let unknown = json!({
        "Name": "u", "OnlyUnknown": true, "OS": {"Name": "u"}, "BootParams": "{{.Param \"b\"}}", "Templates": [knobs.template("x", "x.ipxe")],
    });
    let stage = json!({
        "Name": "s1", "Params": knobs.params(), "Profiles": knobs.first_of(&["p2"]), "Templates": [knobs.template("s", "{{.Machine.Path}}/s")],
    });
    let mut objects = vec![
        (Kind::Profile, json!({"Name": "global", "Params": global})),
        (Kind::Profile, json!({"Name": "p1", "Profiles": knobs.first_of(&["p2"]), "Params": knobs.params()})),
        (Kind::Profile, json!({"Name": "p2", "Params": knobs.params()})),
        (Kind::Template, knobs.common("A", "{{template \"B\" .}}")),
        (Kind::Template, knobs.common("B", "")),
        (Kind::Param, json!({"Name": "b", "Schema": {"default": knobs.one_of(&["d", "e"])}})),
        (Kind::BootEnv, knobs.boot_env("e1", "debian-12")),
        (Kind::BootEnv, knobs.boot_env("e2", "centos-7")),
        (Kind::BootEnv, unknown),
        (Kind::Stage, stage),
        (Kind::Task, knobs.task("t1")),
        (Kind::Task, knobs.task("t2")),
        (Kind::Preference, json!({"Name": "unknownBootEnv", "Val": knobs.one_of(&["u", "ignore"])})),
        (Kind::Preference, json!({"Name": "knownTokenTimeout", "Val": knobs.one_of(&["60", "70"])})),
        (Kind::Machine, knobs.machine()),
    ];
    // Now and then something that others refer to is not there.
    if let Some(gone) = [2, 4, 5].get(knobs.turn(8)) {
        objects.remove(*gone);
    }
    let mut catalogue = Catalogue::default();
    for (directory, form) in [("debian-12", knobs.turn(3)), ("centos-7", knobs.turn(2))] {
        if form > 0 {
            catalogue.files.extend(["k1", "i"].map(|file| (format!("{directory}/{file}"), 1)));
        }
        if form > 1 {
            catalogue.files.insert(format!("{directory}/dists/stable/Release"), 1);
        }
    }
    view(&objects).with_catalogue(Arc::new(catalogue))
}

/// What every target says, by the memo.
fn looked_up(view: &View, memo: &Memo) -> BTreeMap<String, String> {
    let renderer = Renderer::new();
    let mut all = BTreeMap::new();
    memo.begin();
    let machine = view.object::<Machine>(&id(1));
    for (key, machine) in [("", None), ("one", machine.as_ref())] {
        let mut known = memo.take(key);
        for (at, target) in renderer.targets(view, machine, Scripts::Listed).iter().enumerate() {
            let outcome = known.outcome(target, view, memo);
            all.insert(format!("{key} {at} {target:?}"), format!("{} {:?}", outcome.digest, outcome.failure));
        }
        memo.keep(key, known);
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_remembered_is_what_a_render_gives(
        first in proptest::array::uniform::<_, KNOBS>(any::<u8>()),
        turns in proptest::collection::vec((0..KNOBS, any::<u8>()), 1..12),
    ) {
        let memo = Memo::new(world(), ROOM);
        let mut knobs = first;
        for (at, to) in turns {
            let view = house(&knobs);
            let fresh = looked_up(&view, &Memo::new(world(), 0));
            prop_assert_eq!(&looked_up(&view, &memo), &fresh);
            let before = memo.rendered();
            prop_assert_eq!(&looked_up(&house(&knobs), &memo), &fresh);
            prop_assert_eq!(memo.rendered(), before, "nothing changed, so nothing is rendered");
            knobs[at] = to;
        }
    }
}

/// How many of the targets of the furnished house are rendered after the change.
fn rendered_after(changes: &[(Kind, Value)]) -> usize {
    let memo = Memo::new(world(), ROOM);
    let before = furnished();
    looked_up(&before, &memo);
    let count = memo.rendered();
    looked_up(&with(&before, changes), &memo);
    memo.rendered() - count
}

#[test]
fn only_what_read_a_changed_input_is_rendered() {
    let mut renamed = machine();
    renamed["Description"] = "nobody reads it".into();
    renamed["Params"]["unread"] = 1.into();
    assert_eq!(rendered_after(&[(Kind::Machine, renamed)]), 0);
    assert_eq!(rendered_after(&[(Kind::Param, json!({"Name": "unread", "Schema": {"default": 1}}))]), 0);
    assert_eq!(rendered_after(&[(Kind::Template, json!({"ID": "unread.tmpl", "Contents": "x"}))]), 0);
    let comments = json!({"ID": "common.tmpl", "Contents": "common for {{/* the first part of */}}{{.Machine.ShortName}}"});
    assert_eq!(rendered_after(&[(Kind::Template, comments)]), 0, "it says the same");
    let common = json!({"ID": "common.tmpl", "Contents": "for {{.Machine.ShortName}}"});
    assert_eq!(rendered_after(&[(Kind::Template, common)]), 1, "compute.ks");
    let global = json!({"Name": "global", "Params": {"site": "south", "deep": {"a": 2}, "nowhere": "here"}});
    assert_eq!(rendered_after(&[(Kind::Profile, global)]), 1, "the file that failed for want of it");
    let mut moved = machine();
    moved["Address"] = "10.0.0.78".into();
    assert_eq!(
        rendered_after(&[(Kind::Machine, moved)]),
        2,
        "one named after the address, one that shows it"
    );
}

#[test]
fn a_token_for_a_profile_depends_on_the_profile() {
    let env = json!({"Name": "e", "OS": {"Name": "o"}, "Templates": [
        {"Name": "x", "Path": "{{.Machine.Path}}/x", "Contents": "{{.GenerateProfileToken \"p9\" 60}}"}]});
    let mut machine = machine();
    (machine["BootEnv"], machine["Stage"], machine["Profiles"]) = ("e".into(), "none".into(), json!(["p9"]));
    let before = with(&furnished(), &[(Kind::BootEnv, env), (Kind::Machine, machine)]);
    let after = with(&before, &[(Kind::Profile, json!({"Name": "p9"}))]);
    let memo = Memo::new(world(), ROOM);
    assert_ne!(looked_up(&before, &memo), looked_up(&after, &memo));
}

#[test]
fn two_sides_of_a_change_are_remembered() {
    let (memo, before) = (Memo::new(world(), ROOM), furnished());
    let after = with(&before, &[(Kind::Template, json!({"ID": "common.tmpl", "Contents": "other"}))]);
    looked_up(&before, &memo);
    looked_up(&after, &memo);
    let count = memo.rendered();
    for view in [&before, &after, &before, &after] {
        looked_up(view, &memo);
    }
    assert_eq!(memo.rendered(), count);
}

#[test]
fn what_is_remembered_is_bounded() {
    for most in [0, 1, 300, 1_000, 5_000] {
        let memo = Memo::new(world(), most);
        let fresh = looked_up(&furnished(), &Memo::new(world(), ROOM));
        for _ in 0..3 {
            assert_eq!(looked_up(&furnished(), &memo), fresh);
            assert!(memo.size() <= most, "{} of {most}", memo.size());
        }
    }
}

#[test]
fn machines_that_are_gone_make_room() {
    let memo = Memo::new(world(), 20_000);
    let view = furnished();
    for n in 0..100 {
        memo.begin();
        let mut known = memo.take(&n.to_string());
        let machine = view.object::<Machine>(&id(1));
        for target in Renderer::new().targets(&view, machine.as_ref(), Scripts::Skip) {
            let _ = known.outcome(&target, &view, &memo);
        }
        memo.keep(&n.to_string(), known);
    }
    let count = memo.rendered();
    memo.begin();
    let mut known = memo.take("99");
    for target in Renderer::new().targets(&view, view.object::<Machine>(&id(1)).as_ref(), Scripts::Skip) {
        let _ = known.outcome(&target, &view, &memo);
    }
    assert_eq!(memo.rendered(), count, "the last one is known");
}

/// A house whose machine has one file, which fails with a message of about this many bytes.
fn failing(name: &str, bytes: usize) -> View {
    let env = json!({"Name": "e", "OS": {"Name": "o"}, "Templates": [
        {"Name": name, "Path": "{{.Machine.Path}}/x", "Contents": format!("{{{{template {:?} .}}}}", "z".repeat(bytes))}]});
    let mut machine = machine();
    (machine["BootEnv"], machine["Stage"], machine["Tasks"]) = ("e".into(), "none".into(), json!([]));
    with(&furnished(), &[(Kind::BootEnv, env), (Kind::Machine, machine)])
}

#[test]
fn messages_and_names_count_by_their_bytes() {
    let size = |bytes| {
        let memo = Memo::new(world(), ROOM);
        looked_up(&failing("x", bytes), &memo);
        memo.size()
    };
    let (short, long) = (size(10), size(900));
    assert!(
        long >= short + 2 * 890,
        "{short} {long}: it is in the message, and in the name that was asked for"
    );
}

#[test]
fn what_nothing_is_known_of_takes_no_room() {
    let memo = Memo::new(world(), ROOM);
    memo.begin();
    for n in 0..100 {
        let known = memo.take(&n.to_string());
        memo.keep(&n.to_string(), known);
    }
    assert_eq!(memo.size(), 0);
    // Too long to be remembered, so its target is none.
    let memo = Memo::new(world(), ROOM);
    looked_up(&failing("x", 10), &memo);
    let known = memo.size();
    let other = Memo::new(world(), ROOM);
    looked_up(&failing("x", 5_000), &other);
    assert!(other.size() < known, "{} {known}", other.size());
}

/// A fleet whose templates are renamed again and again: the memo goes on learning, for it forgets targets that are gone.
#[test]
fn targets_that_are_gone_make_room() {
    let memo = Memo::new(world(), 12_000);
    for n in 0..200 {
        looked_up(&failing(&format!("template {n}"), 500), &memo);
        assert!(memo.size() <= 12_000);
    }
    let count = memo.rendered();
    looked_up(&failing("template 199", 500), &memo);
    assert_eq!(memo.rendered(), count, "the last one is known");
}
