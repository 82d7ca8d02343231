//! Content packs: whole or not at all, read-only, and back after a restart.

use std::sync::Arc;

use gantry_model::{Error, Kind, Layer};
use gantry_state::{Clash, Failure, Over, Present, State};
use gantry_store::{Commit, Key, Memory, Store, Value};
use serde_json::json;

use crate::common::{
    Hold, audit, block_on, dump, memory, open, pack, profile, put_pack, put_profile, set_profile, write,
};

fn put(state: &State, layer: Arc<Layer>) -> Result<u64, String> {
    block_on(put_pack(state, layer)).map(|done| done.revision).map_err(|failure| failure.to_string())
}

fn remove(state: &State, name: &str) -> Result<u64, String> {
    block_on(state.remove_pack(audit(), name))
        .map(|done| done.revision)
        .map_err(|failure| failure.to_string())
}

/// The keys of the store that begin so.
fn keys(store: &Memory, prefix: &str) -> Vec<String> {
    let mut keys = Vec::new();
    store.load(&mut |entry| keys.push(entry.key.to_string())).unwrap();
    keys.retain(|key| key.starts_with(prefix));
    keys
}

#[test]
fn a_pack_appears_is_replaced_and_vanishes_with_its_chunks() {
    let store = memory();
    let state = open(&store);
    let empty = dump(&state.view());
    put(&state, pack("p", &[("xx", "one"), ("yy", "one")])).unwrap();
    let record = state.view().record(Kind::Profile, "xx").cloned().unwrap();
    assert_eq!((record.bundle(), record.read_only()), ("p", true));
    put(&state, pack("p", &[("xx", "two")])).unwrap();
    assert_eq!((profile(&state.view(), "xx").unwrap(), profile(&state.view(), "yy")), ("two".into(), None));
    assert_eq!((keys(&store, "_packs"), keys(&store, "_chunks").len()), (vec!["_packs/p".to_owned()], 1));
    remove(&state, "p").unwrap();
    assert_eq!(dump(&state.view()), empty);
    assert_eq!((keys(&store, "_packs").len(), keys(&store, "_chunks").len()), (0, 0));
}

#[test]
fn the_same_pack_again_is_fine() {
    let store = memory();
    let state = open(&store);
    put(&state, pack("p", &[("xx", "one")])).unwrap();
    put(&state, pack("p", &[("xx", "one")])).unwrap();
    assert_eq!(profile(&open(&store).view(), "xx").unwrap(), "one");
}

#[test]
fn a_large_pack_of_many_chunks_is_back_after_a_restart() {
    let store = memory();
    let state = open(&store);
    // Text that does not compress: 3 MB.
    let mut number = 1_u64;
    let noise: String = (0..3_000_000)
        .map(|_| {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'!' + (number >> 33) as u8 % 64)
        })
        .collect();
    let content = json!({"meta": {"Name": "large"}, "sections": {"profiles": {"xx": {"Name": "xx", "Description": noise}}}});
    put(&state, Arc::new(Layer::from_value(content).unwrap())).unwrap();
    assert!(keys(&store, "_chunks").len() >= 3);
    let before = dump(&state.view());
    drop(state);
    assert_eq!(dump(&open(&store).view()), before);
}

#[test]
fn objects_of_a_pack_cannot_be_changed_nor_hidden() {
    let state = open(&memory());
    put(&state, pack("p", &[("xx", "one")])).unwrap();
    let failed = write(&state, |tx| tx.delete(Kind::Profile, "xx").map(drop)).unwrap_err();
    assert!(matches!(failed, Failure::Refused(Error::ReadOnly { .. })), "{failed:?}");
    let clash = put(&state, pack("q", &[("xx", "other")])).unwrap_err();
    assert_eq!(clash, "q: profiles:xx in layer dynamic-q would override layer dynamic-p");
}

#[test]
fn a_broken_pack_leaves_nothing_behind() {
    let store = memory();
    let state = open(&store);
    put_profile(&state, "mine", "1");
    put_profile(&state, "also", "1");
    let before = (keys(&store, ""), store.revision());
    let faults = put(&state, pack("p", &[("also", "theirs"), ("fine", ""), ("mine", "theirs")])).unwrap_err();
    let expected = "p: profiles:also in layer dynamic-p would override layer writable-BackingStore; \
                    profiles:mine in layer dynamic-p would override layer writable-BackingStore";
    assert_eq!(faults, expected, "every fault is named");
    assert_eq!((keys(&store, ""), store.revision()), before);
}

#[test]
fn what_is_built_in_stays() {
    let state = open(&memory());
    for refused in [put(&state, pack("BasicStore", &[])), remove(&state, "BasicStore")] {
        assert_eq!(refused.unwrap_err(), "readonly: BasicStore");
    }
    assert_eq!(remove(&state, "none").unwrap_err(), "contents/none: Not Found");
}

#[test]
fn chunks_that_a_crash_left_are_removed_at_the_start() {
    let store = memory();
    let state = open(&store);
    put(&state, pack("p", &[("xx", "one")])).unwrap();
    drop(state);
    let chunk = (Key::new("_chunks/0000/000000").unwrap(), Some(Value::new(*b"half").unwrap()));
    let orphan = Commit { changes: [chunk].into(), record: record(), ..Commit::default() };
    store.submit(vec![orphan]).wait().unwrap();
    assert_eq!(keys(&store, "_chunks").len(), 2);
    let state = open(&store);
    put_profile(&state, "after", "the queue is in order");
    assert_eq!(keys(&store, "_chunks").len(), 1);
    drop(state);
    assert_eq!(profile(&open(&store).view(), "xx").unwrap(), "one");
}

#[test]
fn a_damaged_pack_is_set_aside_and_named() {
    let store = memory();
    let state = open(&store);
    put(&state, pack("p", &[("xx", "one")])).unwrap();
    drop(state);
    let chunk = Key::new(keys(&store, "_chunks")[0].as_str()).unwrap();
    let damage = |value: Option<Value>| {
        let commit =
            Commit { changes: [(chunk.clone(), value)].into(), record: record(), ..Commit::default() };
        store.submit(vec![commit]).wait().unwrap();
        let state = open(&store);
        assert_eq!(profile(&state.view(), "xx"), None);
        state.set_aside()[0].why.clone()
    };
    let begin = "content pack p: ";
    assert_eq!(
        damage(Some(Value::new(*b"xx").unwrap())),
        format!("{begin}its digest is not the one of its chunks")
    );
    assert_eq!(damage(None), format!("{begin}chunks are missing"));
}

fn over(present: Present) -> Over {
    Over { present, clash: Clash::Refuse }
}

#[test]
fn of_packs_of_one_name_that_come_at_the_same_moment_one_is_made() {
    let state = open(&memory());
    let (hold, mut wait) = Hold::new();
    let held = move |tx: &mut gantry_model::Tx| {
        wait();
        set_profile(tx, "held", "")
    };
    let put = |text| state.put_pack(audit(), pack("p", &[("xx", text)]), over(Present::No));
    let (one, two) = block_on(async {
        let go = async {
            // Polled last: both have been asked for while nothing can be written.
            hold.until_entered();
            hold.let_go();
        };
        let (_, one, two, ()) = tokio::join!(state.write(audit(), held), put("one"), put("two"), go);
        (one, two)
    });
    one.unwrap();
    assert_eq!(two.unwrap_err().to_string(), "contents/p: already exists");
    assert_eq!(profile(&state.view(), "xx").unwrap(), "one");
}

#[test]
fn what_was_made_from_a_pack_replaces_that_pack_alone() {
    let state = open(&memory());
    put(&state, pack("p", &[("xx", "one")])).unwrap();
    let first = || state.view().layers().iter().find(|layer| layer.name() == "p").cloned();
    let made_from = |known: &Arc<Layer>, text| {
        let over = over(Present::This(Arc::clone(known)));
        let done = block_on(state.put_pack(audit(), pack("p", &[("xx", text)]), over));
        done.map(drop).map_err(|failure| failure.to_string())
    };
    let known = first().unwrap();
    assert_eq!(made_from(&known, "two"), Ok(()));
    assert_eq!(made_from(&known, "late"), Err("contents/p: it was replaced meanwhile".to_owned()));
    assert_eq!(profile(&state.view(), "xx").unwrap(), "two");
    let known = first().unwrap();
    remove(&state, "p").unwrap();
    assert_eq!(made_from(&known, "late"), Err("contents/p: Not Found".to_owned()));
    assert_eq!(profile(&state.view(), "xx"), None);
}

/// A record as any server writes it.
fn record() -> Vec<u8> {
    br#"{"principal":"test","action":"damage","time":"2026-01-01T00:00:00Z","origin":0,"number":0}"#.to_vec()
}
