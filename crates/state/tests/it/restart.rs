//! Opening again: the same View as before, or a clear word about what is wrong.

use std::sync::Arc;

use gantry_model::Kind;
use gantry_state::State;
use gantry_store::{Commit, Embedded, Key, Memory, Options, Store, Value};
use serde_json::json;

use crate::common::{block_on, dump, memory, open, pack, put_profile, setup, write};

#[test]
fn a_restart_shows_the_same_view() {
    let folder = tempfile::tempdir().unwrap();
    let store = || Arc::new(Embedded::open(&folder.path().join("store"), Options::default()).unwrap());
    let state = open(&store());
    put_profile(&state, "aa", "1");
    put_profile(&state, "bb", "2");
    block_on(state.put_pack(crate::common::audit(), pack("p", &[("xx", "packed")]))).unwrap();
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
        "profiles/other at revision 1: it says that its key is \"good\"",
    ];
    assert_eq!(error, faults.join("; "));
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
