//! Pools of machines by the foreign command line.

use serde_json::{Value, json};

use super::foreign::{Drpcli, names};

#[test]
#[cfg_attr(not(drpcli), ignore = "skipped: DRPCLI is not set")]
fn drpcli_moves_machines_between_pools() {
    let drpcli = Drpcli::start();
    for name in ["m1", "m2", "m3"] {
        drpcli.json(&["machines", "create", name]);
    }
    let moved = |words: &[&str]| names(&drpcli.json(&[&["pools", "manage"], words].concat()), "Name");
    assert_eq!(moved(&["add", "lab", "--machine-list", "Name:m1,Name:m2"]), ["m1", "m2"]);
    assert_eq!(drpcli.json(&["pools", "active"]), json!(["default", "lab"]));
    let taken =
        moved(&["allocate", "lab", "Name=m2", "--count", "1", "--add-parameters", r#"{"owner": "ann"}"#]);
    assert_eq!(taken, ["m2"]);
    let m2 = drpcli.json(&["machines", "show", "Name:m2"]);
    assert_eq!(
        (&m2["PoolStatus"], &m2["PoolAllocated"], &m2["Params"]["owner"]),
        (&json!("InUse"), &json!(true), &json!("ann"))
    );
    let status = drpcli.json(&["pools", "status", "lab"]);
    assert_eq!(
        (names(&status["Free"], "Name"), names(&status["InUse"], "Name")),
        (vec!["m1".into()], vec!["m2".into()])
    );
    let refused = drpcli.refused(&["pools", "manage", "allocate", "lab", "--count", "2"]);
    assert!(refused.contains("1 machines of pool lab can be allocated, 2 are needed"), "{refused}");
    assert_eq!(moved(&["release", "lab", "--all-machines"]), ["m2"]);
    let m1 = drpcli.json(&["machines", "show", "Name:m1"])["Uuid"].as_str().unwrap().to_owned();
    moved(&["allocate", "lab", "--machine-list", &m1]);
    drpcli.tell(&["machines", "releaseToPool", &m1]);
    let mut left = moved(&["remove", "lab", "--all-machines"]);
    left.sort();
    assert_eq!(left, ["m1", "m2"]);
    assert_eq!(drpcli.json(&["pools", "active"]), json!(["default"]));
}

/// Ours takes the same words.
#[test]
fn our_command_line_moves_machines_between_pools() {
    let server = crate::program::Serving::start();
    for name in ["m1", "m2"] {
        server.tell(&["machines", "create", name]);
    }
    let moved = |words: &[&str]| -> Value { serde_json::from_str(&server.tell(words)).unwrap() };
    let added = moved(&["pools", "manage", "add", "lab", "--source-pool", "default", "--all-machines"]);
    assert_eq!(added.as_array().unwrap().len(), 2);
    let words = ["pools", "manage", "allocate", "lab", "Name=m1", "--count", "1", "--add-profiles", "global"];
    assert_eq!(moved(&words)[0]["Status"], "InUse");
    assert_eq!(moved(&["machines", "releaseToPool", "Name:m1"])[0]["Status"], "Free");
    assert!(server.ask(&["pools", "manage", "remove", "lab", "--count", "x"]).err.contains("--count is `x`"));
    assert_eq!(moved(&["pools", "active"]), json!(["lab"]));
}
