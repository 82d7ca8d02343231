//! Secure values in the files of content packs: sealed with a key that lies in another file.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use crate::program::{Ran, Serving};

/// A server with profile `north` that has a secret, and a folder.
fn north() -> (Serving, TempDir) {
    let (server, folder) = (Serving::start(), tempfile::tempdir().unwrap());
    server.tell(&[
        "params",
        "create",
        r#"{"Name": "north/secret", "Secure": true, "Schema": {"type": "string"}}"#,
    ]);
    server.tell(&["profiles", "create", r#"{"Name": "north", "Params": {"north/size": 3}}"#]);
    server.tell(&["profiles", "set", "north", "param", "north/secret", "to", "hunter2"]);
    (server, folder)
}

fn at(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

fn bundlize(server: &Serving, file: &str, more: &[&str]) -> Ran {
    server.ask(&[&["contents", "bundlize", file, "Name=pp", "profiles:north"], more].concat())
}

fn secret(server: &Serving) -> String {
    server.tell(&["profiles", "get", "north", "param", "north/secret", "--decode"])
}

#[test]
fn secure_values_lie_sealed_in_the_file_of_a_pack() {
    let (server, folder) = north();
    let at = |name: &str| at(&folder, name);
    let without = bundlize(&server, &at("plain.yaml"), &[]);
    assert!(without.status != 0 && without.err.contains("`--key FILE` seals them"), "{}", without.err);
    assert!(!folder.path().join("plain.yaml").exists(), "no secret in plain text");
    let with = bundlize(&server, &at("pp.yaml"), &["--key", &at("key")]);
    assert_eq!(with.status, 0, "{}", with.err);
    let bundle = fs::read_to_string(at("pp.yaml")).unwrap();
    assert!(bundle.contains("Payload: ") && !bundle.contains("hunter2"), "{bundle}");
    assert!(bundle.contains("north/size: 3"), "what is no secret stays readable: {bundle}");
    assert_eq!(fs::metadata(at("key")).unwrap().permissions().mode() & 0o777, 0o600);
    // Whoever has the key can load it, by every verb that does.
    server.tell(&["profiles", "destroy", "north"]);
    for verb in [["contents", "upload"], ["contents", "create"], ["content", "upload"]] {
        server.tell(&[verb[0], verb[1], &at("pp.yaml"), "--key", &at("key")]);
        assert_eq!(secret(&server).trim(), "\"hunter2\"", "{verb:?}");
        if verb[1] == "upload" && verb[0] == "contents" {
            let shown = server.tell(&["contents", "show", "pp", "--key", &at("key2")]);
            assert!(shown.contains("Payload") && !shown.contains("hunter2"), "{shown}");
            let other = server.ask(&["contents", "update", "pp", &at("pp.yaml"), "--key", &at("key2")]);
            assert!(
                other.err.contains("profiles/north: north/secret was not sealed for the key in"),
                "{}",
                other.err
            );
        }
        server.tell(&["contents", "destroy", "pp"]);
    }
    fs::write(at("none"), "{}").unwrap();
    let none = server.ask(&["content", "upload", &at("pp.yaml"), "--key", &at("none")]);
    assert!(none.err.contains("is no key: 32 bytes in base64, as a JSON string"), "{}", none.err);
}

/// Whoever sealed for a key and then for another in the same file had lost the first: a write that failed left the old bundle without one.
#[test]
fn a_key_is_never_overwritten() {
    let (server, folder) = north();
    let (file, key) = (at(&folder, "north.yaml"), at(&folder, "north.key"));
    assert_eq!(bundlize(&server, &file, &["--key", &key]).status, 0);
    let first = fs::read(&key).unwrap();
    let failed = bundlize(&server, &at(&folder, "none/north.yaml"), &["--key", &key]);
    assert!(failed.status != 0 && failed.err.contains("none/north.yaml"), "{}", failed.err);
    assert_eq!(fs::read(&key).unwrap(), first);
    // One key for several packs, also where others could have read it.
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let again = bundlize(&server, &at(&folder, "again.json"), &["--key", &key]);
    assert_eq!(again.status, 0, "{}", again.err);
    assert_eq!(fs::read(&key).unwrap(), first);
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    server.tell(&["profiles", "destroy", "north"]);
    for file in [file, at(&folder, "again.json")] {
        server.tell(&["contents", "upload", &file, "--key", &key]);
        assert_eq!(secret(&server).trim(), "\"hunter2\"", "{file}");
    }
    // Nor is anything else; an empty file is somebody's place for a key.
    let (notes, empty) = (at(&folder, "notes"), at(&folder, "empty"));
    fs::write(&notes, "mine").unwrap();
    fs::write(&empty, "").unwrap();
    let refused = server.ask(&["contents", "show", "pp", "--key", &notes]);
    assert!(refused.err.contains("is no key: 32 bytes in base64, as a JSON string"), "{}", refused.err);
    assert_eq!(fs::read(&notes).unwrap(), b"mine");
    server.tell(&["contents", "show", "pp", "--key", &empty]);
    assert_eq!(fs::metadata(&empty).unwrap().len(), 46);
}

/// Whoever may read a secret need not be shown the parameter that makes it one.
#[test]
fn secrets_are_sealed_for_those_who_may_not_see_the_parameter() {
    let (server, folder) = north();
    let claims = r#"{"Name": "packer", "Claims": [
        {"Scope": "profiles", "Action": "list,get,getSecure", "Specific": "*"},
        {"Scope": "contents", "Action": "list,get", "Specific": "*"}]}"#;
    server.tell(&["roles", "create", claims]);
    server.tell(&["users", "create", r#"{"Name": "ann", "Roles": ["packer"]}"#]);
    server.tell(&["users", "password", "ann", "pw"]);
    let ann = ["-U", "ann", "-P", "pw"];
    let file = at(&folder, "north.yaml");
    let without = bundlize(&server, &file, &ann);
    assert!(without.err.contains("`--key FILE` seals them"), "{}", without.err);
    assert!(!folder.path().join("north.yaml").exists(), "no secret in plain text");
    let key = at(&folder, "key");
    let with = bundlize(&server, &file, &[&ann[..], &["--key", &key]].concat());
    assert_eq!(with.status, 0, "{}", with.err);
    let bundle = fs::read_to_string(&file).unwrap();
    assert!(bundle.contains("Payload") && bundle.contains("north/size: 3"), "{bundle}");
    assert!(!bundle.contains("hunter2"), "{bundle}");
    server.tell(&["profiles", "destroy", "north"]);
    server.tell(&["contents", "upload", &file, "--key", &key]);
    let shown = server.tell(&[&["contents", "show", "pp", "--key", &key], &ann[..]].concat());
    assert!(shown.contains("Payload") && !shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("\"north/size\": 3"), "{shown}");
}

/// `convert` deleted the pack before it was refused, value by value.
#[test]
fn sealed_packs_are_checked_previewed_and_converted_with_their_key() {
    let (server, folder) = north();
    let (file, key, whole) = (at(&folder, "north.yaml"), at(&folder, "key"), at(&folder, "whole.yaml"));
    assert_eq!(bundlize(&server, &file, &["--key", &key]).status, 0);
    assert_eq!(bundlize(&server, &whole, &["params:north/secret", "--key", &key]).status, 0);
    server.tell(&["profiles", "destroy", "north"]);
    server.tell(&["contents", "upload", &file, "--key", &key]);
    for words in [["content", "preview"], ["contents", "convert"]] {
        let (verb, with) = ([words[0], words[1], &file], [words[0], words[1], &file, "--key", &key]);
        let refused = server.ask(&verb);
        let hint = "profiles/north: the value of north/secret is sealed\nhint: `--key FILE` opens it";
        assert!(refused.status != 0 && refused.err.contains(hint), "{words:?}: {}", refused.err);
        assert_eq!(server.ask(&["contents", "exists", "pp"]).status, 0, "{words:?}: nothing has happened");
        server.tell(&with);
    }
    assert_ne!(server.ask(&["contents", "exists", "pp"]).status, 0);
    let shown = server.tell(&["profiles", "show", "north"]);
    assert!(shown.contains("Payload") && shown.contains("\"ReadOnly\": false"), "{shown}");
    assert_eq!(secret(&server).trim(), "\"hunter2\"");
    // What the value is can be checked with the key alone.
    let text = fs::read_to_string(&whole).unwrap();
    fs::write(&whole, text.replace("type: string", "type: integer")).unwrap();
    server.tell(&["content", "check", &whole]);
    let checked = server.ask(&["content", "check", &whole, "--key", &key]);
    assert!(checked.status != 0 && checked.out.contains("does not suit its parameter"), "{}", checked.out);
}
