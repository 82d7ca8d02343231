//! Write closures: on the head, one after another, durable and visible when they return.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use gantry_model::{Error, Kind, View};
use gantry_state::{Error as StateError, Failure, Setup, State};
use gantry_store::{Commit, Entry, Follow, Key, Memory, Revision, Store, Ticket};
use serde_json::json;

use crate::common::{Hold, audit, block_on, memory, open, profile, put_profile, set_profile, setup, write};

#[test]
fn who_writes_sees_the_write_at_once() {
    let state = open(&memory());
    for (revision, text) in [(1, "one"), (2, "two"), (3, "three")] {
        assert_eq!(put_profile(&state, "aa", text), revision);
        let view = state.view();
        assert_eq!((profile(&view, "aa").as_deref(), view.revision()), (Some(text), revision));
        assert_eq!(view.record(Kind::Profile, "aa").unwrap().revision(), revision);
    }
}

#[test]
fn an_old_view_stays_what_it_was() {
    let state = open(&memory());
    put_profile(&state, "aa", "old");
    let old = state.view();
    put_profile(&state, "aa", "new");
    assert_eq!(
        (profile(&old, "aa").unwrap(), profile(&state.view(), "aa").unwrap()),
        ("old".into(), "new".into())
    );
}

#[test]
fn a_closure_that_fails_writes_nothing() {
    let store = memory();
    let state = open(&store);
    put_profile(&state, "aa", "1");
    let failed = write(&state, |tx| {
        set_profile(tx, "aa", "2")?;
        set_profile(tx, "bb", "2")?;
        tx.delete(Kind::Profile, "missing").map(drop)
    });
    assert!(matches!(failed, Err(Failure::Refused(Error::NotFound { .. }))), "{failed:?}");
    assert_eq!((profile(&state.view(), "aa").unwrap(), profile(&state.view(), "bb")), ("1".into(), None));
    assert_eq!(store.revision(), Revision(1));
}

#[test]
fn a_closure_without_edits_commits_nothing_and_says_what_it_saw() {
    let store = memory();
    let state = open(&store);
    put_profile(&state, "aa", "1");
    let read = write(&state, |tx| Ok(profile(tx.view(), "aa"))).unwrap();
    assert_eq!((read.value.as_deref(), read.revision, store.revision()), (Some("1"), 1, Revision(1)));
}

#[test]
fn a_hundred_edits_of_one_object_see_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let options = gantry_store::Options::default();
    let store = Arc::new(gantry_store::Embedded::open(&folder.path().join("store"), options).unwrap());
    let state = Arc::new(open(&store));
    put_profile(&state, "counter", "0");
    block_on(async {
        let mut writers = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let state = Arc::clone(&state);
            writers.spawn(async move { state.write(audit(), count).await.unwrap().value });
        }
        let mut counts = writers.join_all().await;
        counts.sort_unstable();
        assert_eq!(counts, (1..=100).collect::<Vec<u64>>());
    });
    assert_eq!(profile(&state.view(), "counter").unwrap(), "100");
    assert_eq!(store.revision(), Revision(101), "each is a commit of its own");
}

fn count(tx: &mut gantry_model::Tx) -> Result<u64, Error> {
    let count = profile(tx.view(), "counter").unwrap().parse::<u64>().unwrap() + 1;
    set_profile(tx, "counter", &count.to_string())?;
    Ok(count)
}

#[test]
fn closures_run_on_the_head_while_readers_see_durable_views_only() {
    let state = Arc::new(open(&memory()));
    put_profile(&state, "counter", "0");
    let (hold, mut wait) = Hold::new();
    let shown = Arc::new(Mutex::new(Vec::new()));
    let watched = |state: &Arc<State>, shown: &Arc<Mutex<Vec<String>>>| {
        let (state, shown) = (Arc::clone(state), Arc::clone(shown));
        move |tx: &mut gantry_model::Tx| {
            shown.lock().unwrap().push(profile(&state.view(), "counter").unwrap());
            count(tx)
        }
    };
    block_on(async {
        let blocker = state.write(audit(), move |_| {
            wait();
            Ok::<_, Error>(())
        });
        let writes: Vec<_> = (0..5).map(|_| state.write(audit(), watched(&state, &shown))).collect();
        let release = async {
            hold.until_entered();
            hold.let_go();
        };
        let (_, counts, ()) = tokio::join!(blocker, join_in_order(writes), release);
        assert_eq!(counts, [1, 2, 3, 4, 5]);
    });
    assert_eq!(*shown.lock().unwrap(), ["0"; 5], "while they ran, none of them was visible");
}

/// Starts all, in order, and waits for all.
async fn join_in_order<F>(writes: Vec<F>) -> Vec<u64>
where
    F: Future<Output = Result<gantry_state::Committed<u64>, Failure<Error>>>,
{
    let mut writes: Vec<_> = writes.into_iter().map(Box::pin).collect();
    let mut counts = vec![None; writes.len()];
    std::future::poll_fn(|context| {
        for (write, count) in writes.iter_mut().zip(&mut counts) {
            if count.is_none()
                && let std::task::Poll::Ready(done) = write.as_mut().poll(context)
            {
                *count = Some(done.unwrap().value);
            }
        }
        if counts.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    counts.into_iter().flatten().collect()
}

#[test]
fn a_write_goes_on_when_its_caller_stops_waiting() {
    let state = open(&memory());
    block_on(async {
        let abandoned = state.write(audit(), |tx| set_profile(tx, "aa", "abandoned"));
        tokio::select! {
            biased;
            _ = abandoned => {}
            () = std::future::ready(()) => {}
        }
        // The queue is in order, so the one before is done when this one is.
        state.write(audit(), |tx| set_profile(tx, "bb", "")).await.unwrap();
    });
    assert_eq!(profile(&state.view(), "aa").unwrap(), "abandoned");
}

#[test]
fn a_panic_fails_its_own_write_only() {
    let state = open(&memory());
    let failed = write(&state, |tx| {
        set_profile(tx, "aa", "half")?;
        assert!(tx.view().revision() > 99, "this panic is part of the test");
        Ok(())
    });
    assert!(matches!(failed, Err(Failure::Failed(StateError::Panicked))), "{failed:?}");
    put_profile(&state, "bb", "whole");
    assert_eq!(profile(&state.view(), "aa"), None);
}

/// Not in a closure but in the thread itself: the server has to learn of it, for nothing can be written any more.
#[test]
fn a_panic_of_the_thread_is_told_to_everybody() {
    let clock = Box::new(|| panic!("this panic is part of the test"));
    let state = State::open(memory(), Setup { clock, ..setup() }).unwrap();
    let mut events = state.subscribe(None);
    let failed = write(&state, |tx| set_profile(tx, "aa", ""));
    assert!(matches!(failed, Err(Failure::Failed(_))), "{failed:?}");
    assert!(matches!(block_on(state.ended()), StateError::Broken));
    assert!(block_on(events.next()).is_err());
    let later = write(&state, |tx| set_profile(tx, "bb", ""));
    assert!(matches!(later, Err(Failure::Failed(StateError::Broken))), "{later:?}");
}

#[test]
fn what_is_too_large_is_refused_and_harms_no_other() {
    let state = open(&memory());
    let large = json!({"Name": "large", "Description": "-".repeat(gantry_store::MAX_VALUE)});
    let failed =
        write(&state, move |tx| tx.create(Kind::Profile, large.clone()).map(drop)).unwrap_err().to_string();
    assert!(failed.ends_with("bytes as JSON, at most 4194240 are possible"), "{failed}");
    put_profile(&state, "bb", "fits");
    assert_eq!(state.view().record(Kind::Profile, "large"), None);
}

#[test]
fn several_edits_of_a_write_are_one_revision() {
    let state = open(&memory());
    let done = write(&state, |tx| {
        set_profile(tx, "aa", "1")?;
        set_profile(tx, "bb", "1")?;
        set_profile(tx, "aa", "2")?;
        set_profile(tx, "gone", "")?;
        tx.delete(Kind::Profile, "gone").map(drop)
    });
    assert_eq!(done.unwrap().revision, 1);
    let view = state.view();
    let revisions = ["aa", "bb"].map(|name| view.record(Kind::Profile, name).unwrap().revision());
    assert_eq!(
        (revisions, profile(&view, "aa").unwrap(), profile(&view, "gone")),
        ([1, 1], "2".into(), None)
    );
    assert_eq!(put_profile(&state, "aa", "3"), 2);
}

#[test]
fn dropping_the_state_finishes_what_was_begun() {
    let store = memory();
    let state = open(&store);
    block_on(async {
        let write = std::pin::pin!(state.write(audit(), |tx| set_profile(tx, "aa", "begun")));
        tokio::select! {
            biased;
            _ = write => {}
            () = std::future::ready(()) => {}
        }
    });
    drop(state);
    assert_eq!(profile(&open(&store).view(), "aa").unwrap(), "begun");
}

/// A store that breaks when it is told to.
#[derive(Default)]
struct Fragile {
    inner: Memory,
    broken: AtomicBool,
}

impl Store for Fragile {
    fn revision(&self) -> Revision {
        self.inner.revision()
    }

    fn load(&self, each: &mut dyn FnMut(Entry)) -> Result<Revision, gantry_store::Error> {
        self.inner.load(each)
    }

    fn get(&self, key: &Key) -> Result<Option<Entry>, gantry_store::Error> {
        self.inner.get(key)
    }

    fn submit(&self, group: Vec<Commit>) -> Ticket {
        if self.broken.load(Ordering::Relaxed) {
            let source = Arc::new(std::io::Error::other("disk full"));
            return Ticket::ready(Err(gantry_store::Error::Storage { doing: "writing", source }));
        }
        self.inner.submit(group)
    }

    fn follow(&self, after: Revision) -> Follow {
        self.inner.follow(after)
    }
}

#[test]
fn when_the_store_fails_everybody_is_told_and_reading_goes_on() {
    let store = Arc::new(Fragile::default());
    let state = State::open(Arc::clone(&store) as Arc<dyn Store>, setup()).unwrap();
    put_profile(&state, "aa", "durable");
    let mut events = state.subscribe(None);
    store.broken.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        let failed = write(&state, |tx| set_profile(tx, "aa", "lost")).unwrap_err();
        assert_eq!(failed.to_string(), "writing failed");
    }
    assert_eq!(block_on(state.ended()).to_string(), "writing failed");
    assert!(block_on(events.next()).is_err());
    assert_eq!(profile(&state.view(), "aa").unwrap(), "durable");
}

#[test]
fn the_catalogue_is_visible_to_readers_and_closures_and_stays() {
    let state = open(&memory());
    let mut catalogue = gantry_model::Catalogue::default();
    catalogue.files.insert("isos/a.iso".into(), 7);
    block_on(state.set_catalogue(Arc::new(catalogue))).unwrap();
    let has = |view: &View| view.catalogue().has_file("isos/a.iso");
    assert!(has(&state.view()));
    assert!(write(&state, move |tx| set_profile(tx, "aa", "").map(|()| has(tx.view()))).unwrap().value);
    assert!(has(&state.view()));
}
