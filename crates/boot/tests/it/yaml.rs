//! Values as YAML: what go-yaml 2.2.8 wrote, recorded.

use gantry_boot::yaml::to_yaml;
use serde_json::{Value, json};

#[test]
fn documents_are_those_of_go() {
    for line in include_str!("yaml.jsonl").lines() {
        let (value, expected): (Value, String) = serde_json::from_str(line).unwrap();
        assert_eq!(to_yaml(&value), expected, "{value}");
    }
}

#[test]
fn a_key_that_would_merge_is_quoted() {
    // go-yaml writes `<<: x` here, which nobody can read back.
    assert_eq!(to_yaml(&json!({"<<": "x"})), "\"<<\": x\n");
}
