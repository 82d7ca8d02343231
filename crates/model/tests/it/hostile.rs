//! Patches and objects that are meant to do harm: they are refused, and cost no more than others.

use gantry_model::patch::Patch;
use gantry_model::{Error, Kind, check};
use serde_json::{Value, json};

use crate::support::{create, draft, messages};

/// The reason for which a patch of `document` is refused.
fn refusal(document: &Value, operations: Vec<Value>) -> String {
    let patch = Patch::parse(operations.into()).unwrap();
    patch.apply(document).unwrap_err().reason
}

#[test]
fn copies_do_not_double_the_document_without_end() {
    let double = |n: usize| json!({ "op": "copy", "from": "", "path": format!("/Params/p{n}") });
    let reason = refusal(&json!({ "Params": {}, "Text": "x".repeat(100) }), (0..64).map(double).collect());
    assert!(reason.starts_with("the patch copies and moves too much"), "{reason}");
}

#[test]
fn a_long_list_is_not_shifted_ten_thousand_times() {
    let first = json!({ "op": "add", "path": "/Tasks/0", "value": "t" });
    let long = json!({ "Tasks": vec![Value::Null; 1 << 20] });
    let reason = refusal(&long, vec![first.clone(); 9_999]);
    assert!(reason.starts_with("the patch copies and moves too much"), "{reason}");
    let last = json!({ "op": "remove", "path": "/Tasks/0" });
    let patch = [vec![first; 100], vec![last; 100]].concat();
    assert_eq!(
        Patch::parse(patch.into()).unwrap().apply(&json!({ "Tasks": [] })),
        Ok(json!({ "Tasks": [] }))
    );
}

#[test]
fn too_many_operations_are_refused() {
    let set = json!({ "op": "replace", "path": "", "value": null });
    let error = Patch::parse(vec![set.clone(); 10_001].into()).unwrap_err();
    assert_eq!(error, "the patch has 10001 operations, at most 10000 are possible");
    // Clients test what they are about to change.
    let look = json!({ "op": "test", "path": "", "value": null });
    let tested: Vec<Value> = (0..10_000).flat_map(|_| [look.clone(), set.clone()]).collect();
    assert_eq!(Patch::parse(tested.into()).unwrap().apply(&Value::Null), Ok(Value::Null));
}

#[test]
fn moves_do_not_nest_deeper_than_anybody_can_read() {
    let deeper = [
        json!({ "op": "move", "from": "/a", "path": "/b" }),
        json!({ "op": "add", "path": "/a", "value": {} }),
        json!({ "op": "move", "from": "/b", "path": "/a/x" }),
    ];
    let reason = refusal(&json!({ "a": {} }), std::iter::repeat_n(deeper, 3_000).flatten().collect());
    assert_eq!(reason, "the value would be nested 101 deep, at most 100 are possible");
    let long = json!({ "op": "add", "path": "/x".repeat(101), "value": 1 });
    assert_eq!(
        refusal(&json!({}), vec![long]),
        "the value would be nested 101 deep, at most 100 are possible"
    );
}

#[test]
fn a_refusal_does_not_repeat_what_is_too_long() {
    let wrong = json!({ "op": "test", "path": "/a", "value": vec![0; 200_000] });
    let patch = Patch::parse(json!([wrong])).unwrap();
    let failure = patch.apply(&json!({ "a": 1 })).unwrap_err();
    assert_eq!(
        patch.object_messages(&failure),
        ["Patch error at line 0: Test op failed.", "Patch: 1 operations, too long to repeat"]
    );
    let missing = Patch::parse(json!([{ "op": "test", "path": "/b", "value": 1 }])).unwrap();
    let failure = missing.apply(&json!({ "a": "é".repeat(1 << 20) })).unwrap_err();
    assert!(failure.reason.len() <= 256 << 10, "{}", failure.reason.len());
}

/// An object that no store takes, or that no reader of JSON could ever read again.
#[test]
fn objects_have_bounds() {
    let mut tx = draft();
    create(&mut tx, Kind::Profile, json!({ "Name": "p1" }));
    let deep = (0..125).fold(json!(1), |inner, _| json!([inner]));
    let mut refused = |value| messages(tx.set_param(Kind::Profile, "p1", "big", value).unwrap_err());
    assert_eq!(refused(deep), ["the object is nested 127 deep, at most 100 are possible"]);
    let text = refused(json!("x".repeat(check::LONGEST))).join("\n");
    assert!(text.ends_with("bytes as JSON, at most 4194240 are possible"), "{text}");
    let name = "n".repeat(256);
    let error = tx.create(Kind::Profile, json!({ "Name": name })).unwrap_err();
    assert!(matches!(&error, Error::Invalid { .. }), "{error}");
    assert_eq!(messages(error).last().unwrap(), "it has 256 bytes; a name has at most 255");
    create(&mut tx, Kind::Profile, json!({ "Name": "n".repeat(255) }));
}

/// What is hidden can be written, and is neither shown by refusals nor found out by tests.
#[test]
fn patches_do_not_tell_what_is_hidden() {
    let mut tx = draft();
    let hash = tx.get(Kind::User, "rocketskates").unwrap().value()["PasswordHash"].clone();
    let mut patch = |operations| tx.patch(Kind::User, "rocketskates", &Patch::parse(operations).unwrap());
    let told =
        messages(patch(json!([{ "op": "test", "path": "/nosuch", "value": 1 }])).unwrap_err()).join("\n");
    assert!(told.contains("Selector nosuch") && !told.contains(hash.as_str().unwrap()), "{told}");
    assert!(patch(json!([{ "op": "test", "path": "/PasswordHash", "value": hash }])).is_err());
    patch(json!([{ "op": "copy", "from": "/PasswordHash", "path": "/Description" }])).unwrap();
    let record = tx.get(Kind::User, "rocketskates").unwrap();
    assert_eq!((&record.value()["Description"], &record.value()["PasswordHash"]), (&json!(""), &hash));
}

#[test]
fn a_patch_that_only_looks_leaves_no_edit() {
    let mut tx = draft();
    let look = json!([{ "op": "test", "path": "/Name", "value": "global" }]);
    let looked = tx.patch(Kind::Profile, "global", &Patch::parse(look).unwrap()).unwrap();
    assert_eq!(looked.key().as_str(), "global");
    tx.patch_map(Kind::Profile, "global", "Params", &Patch::parse(json!([])).unwrap()).unwrap();
    assert_eq!(tx.edits().len(), 0);
}

/// Each of these would take minutes if every entry were compared with every other.
#[test]
fn long_lists_cost_what_they_are_long() {
    let mut tx = draft();
    let macs = |from: u32| {
        (from..from + 60_000).map(|n| {
            format!("02:00:{:02x}:{:02x}:{:02x}:{:02x}", n >> 24, n >> 16 & 255, n >> 8 & 255, n & 255)
        })
    };
    let machine =
        create(&mut tx, Kind::Machine, json!({ "Name": "m1", "HardwareAddrs": macs(0).collect::<Vec<_>>() }));
    let key = machine["Uuid"].as_str().unwrap();
    let others: Vec<String> = macs(1 << 20).collect();
    let change = json!([{ "op": "replace", "path": "/HardwareAddrs", "value": others }]);
    tx.patch(Kind::Machine, key, &Patch::parse(change).unwrap()).unwrap();
    assert_eq!(tx.view().find(Kind::Machine, "HardwareAddrs", &others[7]).count(), 1);
    let twice = vec!["p"; 60_000];
    let error = tx.create(Kind::Machine, json!({ "Name": "m2", "Profiles": twice })).unwrap_err();
    assert!(messages(error)[0].ends_with("Duplicate profile p: at 0 and 1"));
}
