//! What people get wrong, and what must not come out of it: secrets in errors, writes by typing errors, empty passwords.

use serde_json::{Value, json};

use crate::program::Serving;

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

#[test]
fn secure_values_are_sealed_here_and_are_in_no_error() {
    let server = Serving::start();
    server.tell(&[
        "params",
        "create",
        r#"{"Name": "my/secret", "Secure": true, "Schema": {"type": "string"}}"#,
    ]);
    server.tell(&["machines", "create", "node1"]);
    server.tell(&["profiles", "create", "prof1"]);
    for (noun, id) in [("machines", "Name:node1"), ("profiles", "prof1")] {
        let decoded = || value(&server.tell(&[noun, "get", id, "param", "my/secret", "--decode"]));
        let shown = server.tell(&[noun, "add", id, "param", "my/secret", "to", "hunter1"]);
        assert!(value(&shown)["Payload"].is_string() && !shown.contains("hunter1"), "{shown}");
        assert_eq!(decoded(), "hunter1");
        server.tell(&[noun, "set", id, "param", "my/secret", "to", "hunter2"]);
        assert_eq!(decoded(), "hunter2");
        server.tell(&[noun, "params", id, r#"{"my/secret": "hunter3", "plain": 1}"#]);
        assert_eq!(decoded(), "hunter3");
        server.tell(&[noun, "update", id, r#"{"Params": {"my/secret": "hunter4"}}"#]);
        assert_eq!(decoded(), "hunter4");
        let sealed = value(&server.tell(&[noun, "params", id]));
        assert!(!sealed.to_string().contains("hunter") && sealed["plain"] == 1, "{sealed}");
        server.tell(&[noun, "params", id, &sealed.to_string()]);
        assert_eq!(decoded(), "hunter4", "what is sealed already stays so");
        for word in ["{hunter5", "[hunter5]"] {
            let refused = server.ask(&[noun, "set", id, "param", "my/secret", "to", word]);
            assert!(refused.status == 1 && !refused.err.contains("hunter5"), "{}", refused.err);
        }
    }
    let plain = r#"{"Name": "prof2", "Params": {"my/secret": "hunter6"}}"#;
    let refused = server.ask(&["profiles", "create", plain]);
    assert_eq!(refused.status, 1);
    assert!(
        !refused.err.contains("hunter6") && refused.err.contains("gantry profiles set ID"),
        "{}",
        refused.err
    );
    let refused = server.ask(&["api", "call", "POST", "/profiles/prof1/params/my/secret", "\"hunter7\""]);
    assert!(refused.status == 1 && !refused.err.contains("hunter7"), "{}", refused.err);
}

#[test]
fn an_empty_password_is_refused() {
    let server = Serving::start();
    let refused = server.ask(&["users", "password", "rocketskates", ""]);
    assert_eq!(refused.status, 1);
    assert!(refused.err.contains("the password is empty"), "{}", refused.err);
    assert_eq!(server.ask(&["-P", "r0cketsk8ts", "info", "get"]).status, 0, "the old one stays");
}

#[test]
fn a_mistyped_option_writes_nothing() {
    let server = Serving::start();
    server.tell(&["machines", "create", "node1"]);
    server.tell(&["machines", "set", "Name:node1", "param", "offset", "to", "-5"]);
    let refused = server.ask(&["machines", "params", "Name:node1", "--orign"]);
    assert_eq!(refused.status, 2);
    assert!(refused.err.contains("no option `--orign` here; did you mean `--origin`?"), "{}", refused.err);
    assert_eq!(value(&server.tell(&["machines", "params", "Name:node1"])), json!({"offset": -5}));
}

#[test]
fn machines_move_by_filters_alone() {
    let server = Serving::start();
    server.tell(&["machines", "create", "node1"]);
    server.tell(&["machines", "create", "node2"]);
    let nowhere = server.ask(&["pools", "manage", "remove", "lab", "Name=node1"]);
    assert!(nowhere.err.contains("there is no pool lab; "), "{}", nowhere.err);
    server.tell(&["pools", "create", "lab"]);
    let nothing = server.ask(&["pools", "manage", "add", "lab"]);
    assert!(nothing.err.contains("--machine-list, --count or --all-machines"), "{}", nothing.err);
    let none = server.ask(&["pools", "manage", "add", "lab", "Name=node7"]);
    assert!(none.status == 1 && none.err.contains("0 machines of pool default can be added"), "{}", none.err);
    server.tell(&["pools", "manage", "add", "lab", "Name=node1"]);
    assert_eq!(
        server.tell(&["machines", "list", "Pool=lab", "-F", "text", "-J", "Name", "-H"]).trim(),
        "node1"
    );
}

#[test]
fn whoever_is_not_let_in_is_told_how_whatever_was_asked() {
    let server = Serving::start();
    for words in [&["machines", "list"][..], &["machines", "count"], &["machines", "exists", "x"]] {
        let refused = server.ask(&[&["-T", "garbage"], words].concat());
        assert_eq!(refused.status, 1);
        assert!(refused.err.contains("hint: say who you are with -U name"), "{words:?}: {}", refused.err);
    }
}

#[test]
fn what_is_nearly_right_is_told_with_what_would_be() {
    let server = Serving::start();
    server.tell(&["machines", "create", "node1"]);
    server.tell(&["params", "create", r#"{"Name": "my/port", "Schema": {"type": "integer"}}"#]);
    for (words, status, want) in [
        (&["machines", "set", "Name:node1", "param", "my/prot", "to", "3"][..], 0, "did you mean `my/port`?"),
        (
            &["machines", "set", "Name:node1", "param", "my/port", "to", "{{ .X }}"],
            1,
            "is quoted: '\"{{ … }}\"'",
        ),
        (&["prefs", "set", "unknownBotEnv", "discovery"], 1, "did you mean `unknownBootEnv`?"),
        (&["prefs", "set", "knownTokenTimeout", "abc"], 1, "must be a whole number"),
        (&["machines", "list", "limit=abc"], 1, "must be a whole number"),
        (
            &["stages", "update", "discover", "Description: x"],
            1,
            "read-only, because it comes from a content pack",
        ),
        (&["machines", "create", "node1"], 1, "has the Name node1 already"),
        (&["contents", "upload", "/"], 1, "`gantry content upload /` takes folders"),
        (&["serve", "--log-level", "loud"], 1, "--log-level is `loud`; it must be trace, debug"),
    ] {
        let told = server.ask(words);
        assert_eq!(told.status, status, "{words:?}: {}", told.err);
        assert!(told.err.contains(want), "{words:?}: {}", told.err);
    }
    let packs = server.tell(&["contents", "list", "-F", "text"]);
    let head: Vec<&str> = packs.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(head, ["Name", "Version", "Type", "Warnings"]);
}

#[test]
fn a_name_that_yaml_takes_for_something_else_is_read_from_where_it_stands() {
    let (server, folder) = (Serving::start(), tempfile::tempdir().unwrap());
    let file = folder.path().join("name");
    std::fs::write(&file, "true\n").unwrap();
    server.tell(&["profiles", "create", file.to_str().unwrap()]);
    assert!(server.tell(&["profiles", "show", "true"]).contains("\"Name\": \"true\""));
}
