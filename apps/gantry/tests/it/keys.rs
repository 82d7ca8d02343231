//! Secure values in the files of content packs: sealed with a key that lies in another file.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::program::Serving;

#[test]
fn secure_values_lie_sealed_in_the_file_of_a_pack() {
    let (server, folder) = (Serving::start(), tempfile::tempdir().unwrap());
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    server.tell(&[
        "params",
        "create",
        r#"{"Name": "north/secret", "Secure": true, "Schema": {"type": "string"}}"#,
    ]);
    server.tell(&["profiles", "create", r#"{"Name": "north"}"#]);
    server.tell(&["profiles", "set", "north", "param", "north/secret", "to", "hunter2"]);
    let words = |file: &str| {
        vec!["contents".to_owned(), "bundlize".into(), at(file), "Name=pp".into(), "profiles:north".into()]
    };
    let ask = |words: &[String]| server.ask(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let without = ask(&words("plain.yaml"));
    assert!(without.status != 0 && without.err.contains("`--key FILE` seals them"), "{}", without.err);
    assert!(!folder.path().join("plain.yaml").exists(), "no secret in plain text");
    let with = ask(&[words("pp.yaml"), vec!["--key".into(), at("key")]].concat());
    assert_eq!(with.status, 0, "{}", with.err);
    let bundle = fs::read_to_string(at("pp.yaml")).unwrap();
    assert!(bundle.contains("Payload: ") && !bundle.contains("hunter2"), "{bundle}");
    assert_eq!(fs::metadata(at("key")).unwrap().permissions().mode() & 0o777, 0o600);
    // Whoever has the key can load it, by every verb that does.
    server.tell(&["profiles", "destroy", "north"]);
    let value = || server.tell(&["profiles", "get", "north", "param", "north/secret", "--decode"]);
    for verb in [["contents", "upload"], ["contents", "create"], ["content", "upload"]] {
        server.tell(&[verb[0], verb[1], &at("pp.yaml"), "--key", &at("key")]);
        assert_eq!(value().trim(), "\"hunter2\"", "{verb:?}");
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
