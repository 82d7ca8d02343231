//! Opening again: the same View as before, or a clear word about what is wrong.

use std::sync::Arc;

use gantry_model::Kind;
use gantry_state::State;
use gantry_store::{Commit, Embedded, Key, Memory, Options, Store, Value};
use serde_json::json;

use crate::common::{block_on, dump, memory, open, pack, put_pack, put_profile, setup, write};

#[test]
fn a_restart_shows_the_same_view() {
    let folder = tempfile::tempdir().unwrap();
    let store = || Arc::new(Embedded::open(&folder.path().join("store"), Options::default()).unwrap());
    let state = open(&store());
    put_profile(&state, "aa", "1");
    put_profile(&state, "bb", "2");
    block_on(put_pack(&state, pack("p", &[("xx", "packed")]))).unwrap();
    // Machines refer to each of them, and to what is not there.
    let machine = json!({"Name": "m1", "Profiles": ["aa", "xx"], "BootEnv": "local", "Stage": "none"});
    write(&state, move |tx| tx.create(Kind::Machine, machine.clone()).map(drop)).unwrap();
    put_profile(&state, "aa", "3");
    let before = (dump(&state.view()), state.view().revision());
    drop(state);
    let state = open(&store());
    assert_eq!((dump(&state.view()), state.view().revision()), before);
    assert_eq!(put_profile(&state, "cc", ""), before.1 + 1);
}

fn store_with(rows: &[(&str, &str)]) -> Arc<Memory> {
    let store = memory();
    let row =
        |(key, value): &(&str, &str)| (Key::new(*key).unwrap(), Some(Value::new(value.as_bytes()).unwrap()));
    let commit = Commit { changes: rows.iter().map(row).collect(), ..Commit::default() };
    store.submit(vec![commit]).wait().unwrap();
    store
}

#[test]
fn everything_that_is_damaged_is_named_at_once() {
    let good = r#"1 {"Name":"good"}"#;
    let store = store_with(&[
        ("profiles/good", good),
        ("profiles/other", good),
        ("profiles/new", r#"2 {"Name":"new"}"#),
        ("gadgets/x", good),
        ("_other/x", ""),
    ]);
    let error = State::open(store as Arc<dyn Store>, setup()).err().unwrap().to_string();
    let faults = [
        "the stored state cannot be used: _other/x: no kind of object that this program knows; use a newer one",
        "gadgets/x: no kind of object that this program knows; use a newer one",
        "profiles/new at revision 1: it has shape 2, this program reads 1; use a newer one",
        "objects that cannot be read either and would only be set aside: 1",
    ];
    assert_eq!(error, faults.join("; "));
}

#[test]
fn what_is_damaged_is_set_aside_and_stays_until_it_is_replaced_and_objects_longer() {
    let folder = tempfile::tempdir().unwrap();
    let store = || Arc::new(Embedded::open(&folder.path().join("store"), Options::default()).unwrap());
    let file = store();
    let state = open(&file);
    put_profile(&state, "good", "1");
    for name in ["whole", "torn"] {
        block_on(put_pack(&state, pack(name, &[(name, "packed")]))).unwrap();
    }
    drop(state);
    let mut torn = Vec::new();
    file.load(&mut |entry| {
        if entry.key.starts_with(b"_packs/torn") {
            let manifest: serde_json::Value = serde_json::from_slice(&entry.value).unwrap();
            torn.push(format!("_chunks/{}/000000", manifest["digest"].as_str().unwrap()));
        }
    })
    .unwrap();
    let damage = [("profiles/bad", "1 {"), ("_packs/junk", "junk"), (torn[0].as_str(), "not what it was")];
    let changes =
        damage.map(|(key, value)| (Key::new(key).unwrap(), Some(Value::new(value.as_bytes()).unwrap())));
    file.submit(vec![Commit { changes: changes.into_iter().collect(), ..Commit::default() }]).wait().unwrap();
    drop(file);
    let aside = |state: &State| {
        state.set_aside().iter().map(|it| format!("{}/{}", it.kind, it.key)).collect::<Vec<_>>().join(" ")
    };

    // Twice, for a start changes nothing of it.
    for _ in 0..2 {
        let state = open(&store());
        assert_eq!(aside(&state), "contents/junk contents/torn profiles/bad");
        assert!(state.set_aside()[2].why.starts_with("profiles/bad at revision"), "{:?}", state.set_aside());
        let dump = dump(&state.view()).join("\n");
        assert!(dump.contains("profiles/good@") && dump.contains("profiles/whole@"), "{dump}");
        assert!(!dump.contains("profiles/bad@") && !dump.contains("profiles/torn@"), "{dump}");
    }

    let state = open(&store());
    put_profile(&state, "bad", "new");
    block_on(state.remove_pack(crate::common::audit(), "junk")).unwrap();
    block_on(put_pack(&state, pack("torn", &[("torn", "again")]))).unwrap();
    assert_eq!(aside(&state), "");
    drop(state);
    let file = store();
    let kept = file.get(&Key::new("_aside/profiles/bad").unwrap()).unwrap().unwrap();
    assert_eq!(&*kept.value, b"1 {");
    let state = open(&file);
    assert_eq!(aside(&state), "");
    assert!(dump(&state.view()).join("\n").contains("profiles/torn@"));
}

#[test]
fn who_may_do_what_is_never_guessed() {
    for key in ["users/rocketskates", "roles/r", "tenants/t", "preferences/baseTokenSecret"] {
        let store = store_with(&[(key, "1 {")]);
        let error = State::open(store as Arc<dyn Store>, setup()).err().unwrap().to_string();
        assert!(error.contains(&format!("{key} at revision 1")), "{error}");
    }
}

#[test]
fn what_ends_the_start_is_named_among_many_that_do_not() {
    let rows: Vec<(String, &str)> = (0..300).map(|n| (format!("profiles/p{n}"), "1 {")).collect();
    let mut rows: Vec<(&str, &str)> = rows.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    rows.push(("users/rocketskates", "1 {"));
    let store = store_with(&rows) as Arc<dyn Store>;
    let error = State::open(store, setup()).err().unwrap().to_string();
    assert!(
        error.contains("users/rocketskates at revision 1") && error.ends_with(" set aside: 300"),
        "{error}"
    );
}

#[test]
fn a_commit_that_makes_no_sense_ends_the_state_with_a_reason() {
    let store = memory();
    let state = open(&store);
    put_profile(&state, "aa", "1");
    let commit = Commit { record: b"not ours".to_vec(), ..Commit::default() };
    store.submit(vec![commit]).wait().unwrap();
    let why = block_on(state.ended()).to_string();
    assert!(why.starts_with("the stored state cannot be used: the record of a commit: "), "{why}");
    assert_eq!(dump(&state.view()).iter().filter(|row| row.starts_with("profiles/aa@1")).count(), 1);
}
