//! Packs with sealed values between the two command lines: each opens what the other sealed.

use serde_json::json;

use super::foreign::Drpcli;

#[test]
#[cfg_attr(not(drpcli), ignore = "skipped: DRPCLI is not set")]
fn drpcli_opens_what_we_sealed_and_we_what_it_did() {
    let drpcli = Drpcli::start();
    drpcli.tell(&[
        "params",
        "create",
        r#"{"Name": "north/secret", "Secure": true, "Schema": {"type": "string"}}"#,
    ]);
    let file = |name: &str| drpcli.home.path().join(name).to_str().unwrap().to_owned();
    let (ours, theirs, key, other) = (file("ours.yaml"), file("theirs.yaml"), file("key"), file("other"));
    let make = || {
        drpcli.tell(&["profiles", "create", "north"]);
        drpcli.tell(&["profiles", "set", "north", "param", "north/secret", "to", "hunter2"]);
    };
    let value = || drpcli.json(&["profiles", "get", "north", "param", "north/secret", "--decode"]);
    let sealed = |file: &str| {
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.contains("Payload") && !text.contains("hunter2"), "{text}");
    };
    make();
    drpcli.server.tell(&[
        "contents",
        "bundlize",
        &ours,
        "Name=pp",
        "profiles:north",
        "--delete",
        "--key",
        &key,
    ]);
    sealed(&ours);
    drpcli.tell(&["contents", "upload", &ours, "--key", &key]);
    assert_eq!(value(), json!("hunter2"));
    drpcli.tell(&["contents", "destroy", "pp"]);
    make();
    drpcli.tell(&["contents", "bundlize", &theirs, "Name=pp", "profiles:north", "--delete", "--key", &other]);
    sealed(&theirs);
    drpcli.server.tell(&["contents", "upload", &theirs, "--key", &other]);
    assert_eq!(value(), json!("hunter2"));
}
