//! One suite for every engine: the contract that `state` builds on.

use std::sync::Arc;
use std::time::Duration;

use gantry_store::{Bounds, Commit, Committed, Lost, Revision, Store};

use crate::engines::{Engine, delete, dump, if_key, if_range, key, put, submit, value};

/// Runs each test of the suite on an engine, as tests of their own.
macro_rules! suite {
    ($($test:ident)*) => {
        mod memory { $(#[test] fn $test() { super::$test(super::Engine::memory); })* }
        mod embedded { $(#[test] fn $test() { super::$test(super::Engine::embedded); })* }
    };
}

suite! {
    a_new_store_is_empty
    what_was_committed_is_loaded_got_and_followed
    every_commit_has_its_own_revision_and_record
    deleting_takes_away_and_deleting_nothing_is_no_error
    a_compare_of_a_key_refuses_the_whole_group
    compares_see_the_keys_before_the_group
    a_compare_of_a_range_notices_what_was_put_in_it
    followers_start_anywhere_and_miss_nothing
    a_follower_waits_for_the_next_commit
    a_follower_that_stopped_waiting_misses_nothing
    forgotten_history_is_a_gap
    the_newest_commit_stays_however_large
    a_follower_reads_to_the_end_of_a_closed_store
    concurrent_increments_lose_none
    load_and_follow_join_without_a_seam
    values_may_be_any_bytes
}

type Open = fn(Bounds) -> Engine;

fn open(engine: Open) -> Engine {
    engine(Bounds::default())
}

/// Followed commits as `revision: key=value key- ...`.
fn show(commits: &[Arc<Committed>]) -> Vec<String> {
    let change = |(key, value): (&gantry_store::Key, &Option<gantry_store::Value>)| match value {
        Some(value) => format!(" {key}={}", String::from_utf8_lossy(value)),
        None => format!(" {key}-"),
    };
    commits
        .iter()
        .map(|c| format!("{}:{}", c.revision, c.changes.iter().map(change).collect::<String>()))
        .collect()
}

fn followed(store: &dyn Store, after: u64) -> Vec<String> {
    show(&store.follow(Revision(after)).ready().unwrap())
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(30), work).await.unwrap() })
}

fn a_new_store_is_empty(engine: Open) {
    let engine = open(engine);
    assert_eq!(dump(&*engine.store), (vec![], 0));
    assert_eq!(engine.store.revision(), Revision::ZERO);
    assert_eq!(engine.store.get(&key("a")).unwrap(), None);
    assert_eq!(followed(&*engine.store, 0), [""; 0]);
}

fn what_was_committed_is_loaded_got_and_followed(engine: Open) {
    let engine = open(engine);
    let both = Commit {
        changes: [(key("b"), Some(value("2"))), (key("a"), Some(value("1")))].into(),
        ..Commit::default()
    };
    assert_eq!(submit(&*engine.store, [both]), Ok(vec![1]));
    assert_eq!(submit(&*engine.store, [put("b", "3")]), Ok(vec![2]));
    let engine = engine.reopen();
    assert_eq!(dump(&*engine.store), (vec!["a=1@1".into(), "b=3@2".into()], 2));
    assert_eq!(engine.store.revision(), Revision(2));
    let got = engine.store.get(&key("b")).unwrap().unwrap();
    assert_eq!((got.value, got.revision), (value("3"), Revision(2)));
    assert_eq!(followed(&*engine.store, 0), ["1: a=1 b=2", "2: b=3"]);
}

fn every_commit_has_its_own_revision_and_record(engine: Open) {
    let engine = open(engine);
    let record = |text: &str| Commit { record: text.into(), ..Commit::default() };
    let group = [record("first"), Commit { record: "second".into(), ..put("a", "1") }, record("third")];
    assert_eq!(submit(&*engine.store, group), Ok(vec![1, 2, 3]));
    assert_eq!(submit(&*engine.store, []), Ok(vec![]));
    assert_eq!(submit(&*engine.store, [record("fourth")]), Ok(vec![4]));
    let engine = engine.reopen();
    let commits = engine.store.follow(Revision::ZERO).ready().unwrap();
    let records: Vec<_> = commits.iter().map(|c| String::from_utf8_lossy(&c.record)).collect();
    assert_eq!(records, ["first", "second", "third", "fourth"]);
    assert_eq!(dump(&*engine.store), (vec!["a=1@2".into()], 4));
}

fn deleting_takes_away_and_deleting_nothing_is_no_error(engine: Open) {
    let engine = open(engine);
    submit(&*engine.store, [put("a", "1"), put("b", "2")]).unwrap();
    assert_eq!(submit(&*engine.store, [delete("a"), delete("never")]), Ok(vec![3, 4]));
    let engine = engine.reopen();
    assert_eq!(dump(&*engine.store), (vec!["b=2@2".into()], 4));
    assert_eq!(followed(&*engine.store, 2), ["3: a-", "4: never-"]);
}

fn a_compare_of_a_key_refuses_the_whole_group(engine: Open) {
    let engine = open(engine);
    let store = &*engine.store;
    let create = || if_key("a", 0, put("a", "new"));
    assert_eq!(submit(store, [create()]), Ok(vec![1]));
    let refused = submit(store, [put("b", "1"), create()]).unwrap_err();
    assert_eq!(refused, "commit 1 of the group was made from an older state: a has changed since");
    assert_eq!(dump(store), (vec!["a=new@1".into()], 1), "nothing of it was applied");
    assert!(submit(store, [if_key("a", 2, put("a", "x"))]).is_err());
    assert_eq!(submit(store, [if_key("a", 1, put("a", "next"))]), Ok(vec![2]));
    assert!(submit(store, [if_key("a", 1, put("a", "x"))]).is_err());
    assert_eq!(submit(store, [if_key("a", 2, delete("a"))]), Ok(vec![3]));
    assert!(submit(store, [if_key("a", 2, put("a", "x"))]).is_err());
    assert_eq!(submit(store, [create()]), Ok(vec![4]));
}

fn compares_see_the_keys_before_the_group(engine: Open) {
    let engine = open(engine);
    let store = &*engine.store;
    submit(store, [put("a", "1")]).unwrap();
    let group = [
        if_key("a", 1, put("a", "2")),
        if_key("a", 1, if_range("", 1, put("b", "3"))),
        if_key("b", 0, delete("b")),
    ];
    assert_eq!(submit(store, group), Ok(vec![2, 3, 4]));
    assert_eq!(dump(store), (vec!["a=2@2".into()], 4));
}

fn a_compare_of_a_range_notices_what_was_put_in_it(engine: Open) {
    let engine = open(engine);
    let store = &*engine.store;
    submit(store, [put("a/1", ""), put("a/2", ""), put("b/1", ""), delete("a/1")]).unwrap();
    assert_eq!(
        submit(store, [if_range("a/", 2, put("x", ""))]),
        Ok(vec![5]),
        "as of a/2, although b/1 came later"
    );
    let refused = submit(store, [if_range("a/", 1, put("x", ""))]).unwrap_err();
    assert_eq!(refused, "commit 0 of the group was made from an older state: a/2 has changed since");
    assert!(submit(store, [if_range("", 2, put("x", ""))]).is_err(), "b/1 was put at 3");
    assert_eq!(submit(store, [if_range("c/", 0, put("c/1", ""))]), Ok(vec![6]), "an empty range");
    assert!(submit(store, [if_range("c/", 5, put("c/2", ""))]).is_err());
}

fn followers_start_anywhere_and_miss_nothing(engine: Open) {
    let engine = open(engine);
    let mut live = engine.store.follow(Revision::ZERO);
    submit(&*engine.store, [put("a", "1"), put("a", "2")]).unwrap();
    assert_eq!(show(&live.ready().unwrap()), ["1: a=1", "2: a=2"]);
    assert_eq!(live.seen(), Revision(2));
    submit(&*engine.store, [put("a", "3")]).unwrap();
    assert_eq!(show(&live.ready().unwrap()), ["3: a=3"]);
    assert_eq!(show(&live.ready().unwrap()), [""; 0]);
    let engine = engine.reopen();
    assert_eq!(followed(&*engine.store, 0), ["1: a=1", "2: a=2", "3: a=3"]);
    assert_eq!(followed(&*engine.store, 2), ["3: a=3"]);
    assert_eq!(followed(&*engine.store, 3), [""; 0]);
}

fn a_follower_waits_for_the_next_commit(engine: Open) {
    let engine = open(engine);
    let mut follow = engine.store.follow(Revision::ZERO);
    let (commits, revisions) = block_on(async {
        let commit = async {
            tokio::task::yield_now().await;
            engine.store.submit(vec![put("a", "1")]).await
        };
        tokio::join!(follow.next(), commit)
    });
    assert_eq!(show(&commits.unwrap()), ["1: a=1"]);
    assert_eq!(revisions.unwrap(), [Revision(1)]);
}

fn a_follower_that_stopped_waiting_misses_nothing(engine: Open) {
    let engine = open(engine);
    let mut follow = engine.store.follow(Revision::ZERO);
    block_on(async {
        tokio::select! {
            biased;
            _ = follow.next() => panic!("there is no commit yet"),
            () = std::future::ready(()) => {}
        }
        engine.store.submit(vec![put("a", "1")]).await.unwrap();
        assert_eq!(show(&follow.next().await.unwrap()), ["1: a=1"]);
    });
}

fn forgotten_history_is_a_gap(engine: Open) {
    let engine = engine(Bounds { weight: 3, bytes: 1000 });
    for number in 1..=5 {
        submit(&*engine.store, [put("a", &number.to_string())]).unwrap();
    }
    let engine = engine.reopen();
    let lost = |after| engine.store.follow(Revision(after)).ready().unwrap_err();
    let gap = |after| Lost::Gap { after: Revision(after), oldest: Revision(2), newest: Revision(5) };
    assert_eq!((lost(0), lost(1)), (gap(0), gap(1)));
    assert_eq!(lost(6), gap(6), "a revision of another store, or of the future");
    assert_eq!(followed(&*engine.store, 2), ["3: a=3", "4: a=4", "5: a=5"]);
    assert_eq!(lost(1).to_string(), "history after revision 1 is gone: it reaches from 2 to 5");
    submit(&*engine.store, [put("b", &"x".repeat(997))]).unwrap();
    assert_eq!(engine.store.follow(Revision(4)).ready().unwrap().len(), 2, "2 and 998 bytes fit");
    assert!(engine.store.follow(Revision(3)).ready().is_err());
}

fn the_newest_commit_stays_however_large(engine: Open) {
    let engine = engine(Bounds { weight: 0, bytes: 10 });
    submit(&*engine.store, [put("a", "1"), put("a", &"x".repeat(100))]).unwrap();
    let engine = engine.reopen();
    assert_eq!(engine.store.follow(Revision(1)).ready().unwrap().len(), 1);
    assert!(engine.store.follow(Revision(0)).ready().is_err());
    submit(&*engine.store, [put("a", "3")]).unwrap();
    assert_eq!(followed(&*engine.store, 2), ["3: a=3"]);
}

fn a_follower_reads_to_the_end_of_a_closed_store(engine: Open) {
    let engine = open(engine);
    let mut follow = engine.store.follow(Revision::ZERO);
    // Nobody waits for this one: closing the store finishes it.
    drop(engine.store.submit(vec![put("a", "1")]));
    drop(engine);
    assert_eq!(show(&block_on(follow.next()).unwrap()), ["1: a=1"]);
    assert_eq!(block_on(follow.next()), Err(Lost::Closed));
}

fn concurrent_increments_lose_none(engine: Open) {
    const THREADS: u64 = 8;
    const EACH: u64 = 25;
    let engine = open(engine);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..EACH).for_each(|_| increment(&*engine.store)));
        }
    });
    let total = THREADS * EACH;
    let engine = engine.reopen();
    assert_eq!(dump(&*engine.store), (vec![format!("counter={total}@{total}")], total));
}

fn increment(store: &dyn Store) {
    loop {
        let old = store.get(&key("counter")).unwrap();
        let count: u64 = old.as_ref().map_or(0, |old| String::from_utf8_lossy(&old.value).parse().unwrap());
        let revision = old.map_or(0, |old| old.revision.0);
        if submit(store, [if_key("counter", revision, put("counter", &(count + 1).to_string()))]).is_ok() {
            return;
        }
    }
}

fn load_and_follow_join_without_a_seam(engine: Open) {
    let engine = open(engine);
    let store = &*engine.store;
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..200 {
                let name = format!("k{}", number % 7);
                drop(store.submit(vec![put(&name, &number.to_string()), delete("k3")]));
            }
        });
        for _ in 0..20 {
            let (rows, revision) = dump(store);
            let newest = rows.iter().map(|row| row.rsplit('@').next().unwrap().parse().unwrap()).max();
            assert!(newest.unwrap_or(0) <= revision);
            let follow = followed(store, revision);
            let first = follow.first().map(|row| row.split(':').next().unwrap().to_owned());
            assert!(first.is_none_or(|first| first == (revision + 1).to_string()));
        }
        writer.join().unwrap();
    });
}

fn values_may_be_any_bytes(engine: Open) {
    let engine = open(engine);
    let key = gantry_store::Key::new([0, 255, b'/', 10]).unwrap();
    let bytes: Vec<u8> = (0..=255).collect();
    let value = gantry_store::Value::new(bytes.clone()).unwrap();
    let empty = gantry_store::Value::new([]).unwrap();
    let largest = gantry_store::Value::new(vec![7; gantry_store::MAX_VALUE]).unwrap();
    let changes = [
        (key.clone(), Some(value)),
        (crate::engines::key("e"), Some(empty)),
        (crate::engines::key("l"), Some(largest)),
    ];
    let commit = Commit { changes: changes.into(), record: bytes.clone(), ..Commit::default() };
    engine.store.submit(vec![commit]).wait().unwrap();
    let engine = engine.reopen();
    assert_eq!(&*engine.store.get(&key).unwrap().unwrap().value, bytes);
    assert_eq!(engine.store.get(&crate::engines::key("e")).unwrap().unwrap().value.len(), 0);
    assert_eq!(
        engine.store.get(&crate::engines::key("l")).unwrap().unwrap().value.len(),
        gantry_store::MAX_VALUE
    );
    assert_eq!(engine.store.follow(Revision::ZERO).ready().unwrap()[0].record, bytes);
}
