//! Events: complete, in order, with what was before and after, and who did it.

use gantry_model::{Kind, Time};
use gantry_state::{Audit, Event, Lost, Revision, State};

use crate::common::{
    audit, block_on, delete_profile, memory, open, pack, put_pack, put_profile, set_profile,
};

/// `revision: kind/key before -> after`, by description.
fn show(event: &Event) -> Vec<String> {
    let text = |record: &Option<std::sync::Arc<gantry_model::Record>>| match record {
        Some(record) => record.value()["Description"].as_str().unwrap_or("?").to_owned(),
        None => "-".to_owned(),
    };
    let change = |c: &gantry_model::Change| {
        format!("{}: {}/{} {} -> {}", event.revision, c.kind, c.key, text(&c.before), text(&c.after))
    };
    event.changes.iter().map(change).collect()
}

fn shown(state: &State, after: u64) -> Vec<String> {
    let events = state.subscribe(Some(after)).ready().unwrap();
    events.iter().flat_map(|event| show(event)).collect()
}

#[test]
fn each_change_has_before_and_after() {
    let state = open(&memory());
    put_profile(&state, "aa", "one");
    put_profile(&state, "aa", "two");
    delete_profile(&state, "aa").unwrap();
    let expected = ["1: profiles/aa - -> one", "2: profiles/aa one -> two", "3: profiles/aa two -> -"];
    assert_eq!(shown(&state, 0), expected);
    assert_eq!(shown(&state, 2), expected[2..]);
}

#[test]
fn an_event_says_who_did_what_and_when() {
    let state = open(&memory());
    let audit = Audit { reason: "asked to".into(), ..Audit::new("user:jane", "profiles.create") };
    block_on(state.write(audit.clone(), |tx| set_profile(tx, "aa", ""))).unwrap();
    let events = state.subscribe(Some(0)).ready().unwrap();
    assert_eq!((&events[0].audit, events[0].time), (&audit, Time::from_unix(1_700_000_000)));
}

#[test]
fn several_edits_of_an_object_are_one_change() {
    let state = open(&memory());
    put_profile(&state, "aa", "before");
    let edits = |tx: &mut gantry_model::Tx| {
        set_profile(tx, "aa", "between")?;
        set_profile(tx, "bb", "new")?;
        set_profile(tx, "aa", "after")?;
        set_profile(tx, "cc", "short lived")?;
        tx.delete(Kind::Profile, "cc").map(drop)
    };
    block_on(state.write(audit(), edits)).unwrap();
    assert_eq!(shown(&state, 1), ["2: profiles/aa before -> after", "2: profiles/bb - -> new"]);
}

#[test]
fn the_view_of_an_event_is_there_when_the_event_is() {
    let state = std::sync::Arc::new(open(&memory()));
    let mut events = state.subscribe(None);
    std::thread::scope(|scope| {
        scope.spawn(|| ["1", "2", "3", "4"].map(|text| put_profile(&state, "aa", text)));
        block_on(async {
            while events.seen() < Revision(4) {
                for event in events.next().await.unwrap() {
                    assert!(state.view().revision() >= event.revision);
                }
            }
        });
    });
}

#[test]
fn whoever_subscribes_from_a_view_gets_what_follows_it() {
    let state = open(&memory());
    let write_all = async {
        for _ in 0..4000 {
            state.write(audit(), |tx| set_profile(tx, "aa", "")).await.unwrap();
        }
    };
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| block_on(write_all));
        // Never waits, so that it comes at every moment of a write.
        while !writer.is_finished() {
            let seen = state.view().revision();
            let events = state.subscribe(Some(seen)).ready().unwrap();
            assert!(events.first().is_none_or(|event| event.revision == seen + 1));
        }
    });
}

#[test]
fn packs_make_events_too() {
    let state = open(&memory());
    block_on(put_pack(&state, pack("p", &[("xx", "one"), ("yy", "same")]))).unwrap();
    let put = state.view().revision();
    block_on(put_pack(&state, pack("p", &[("xx", "two"), ("zz", "new")]))).unwrap();
    let replaced = state.view().revision();
    block_on(state.remove_pack(audit(), "p")).unwrap();
    let removed = state.view().revision();
    let expected = [
        format!("{put}: profiles/xx - -> one"),
        format!("{put}: profiles/yy - -> same"),
        format!("{replaced}: profiles/xx one -> two"),
        format!("{replaced}: profiles/yy same -> -"),
        format!("{replaced}: profiles/zz - -> new"),
        format!("{removed}: profiles/xx two -> -"),
        format!("{removed}: profiles/zz new -> -"),
    ];
    assert_eq!(shown(&state, 0), expected);
}

#[test]
fn events_from_before_the_start_are_a_gap() {
    let store = memory();
    let state = open(&store);
    put_profile(&state, "aa", "");
    drop(state);
    let state = open(&store);
    let gap = Lost::Gap { after: Revision(0), oldest: Revision(1), newest: Revision(1) };
    assert_eq!(state.subscribe(Some(0)).ready(), Err(gap));
    let mut from_view = state.subscribe(Some(state.view().revision()));
    put_profile(&state, "bb", "");
    assert_eq!(from_view.ready().unwrap().len(), 1);
    drop(state);
    assert_eq!(from_view.ready(), Err(Lost::Closed));
}
