//! Two servers on one store, both writing. (The store here is in memory; what counts is that its commits are compared.)

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use gantry_model::{Error, Kind};
use gantry_state::{Clash, Lost, Over, Present, State};
use gantry_store::{Bounds, Memory, Revision};

use crate::common::{
    Hold, audit, block_on, delete_profile, dump, memory, open, pack, profile, put_pack, put_profile,
    set_profile, write,
};

/// Waits until a state shows a revision.
fn catch_up(state: &State, revision: u64) {
    let mut events = state.subscribe(None);
    block_on(async {
        while state.view().revision() < revision {
            drop(events.next().await);
        }
    });
}

#[test]
fn what_one_writes_the_other_sees() {
    let store = memory();
    let (one, two) = (open(&store), open(&store));
    put_profile(&one, "aa", "1");
    let revision = put_profile(&two, "bb", "2");
    catch_up(&one, revision);
    catch_up(&two, revision);
    assert_eq!(dump(&one.view()), dump(&two.view()));
    assert_eq!(profile(&one.view(), "bb").unwrap(), "2");
    let revision = delete_profile(&one, "bb").unwrap();
    catch_up(&two, revision);
    assert_eq!(profile(&two.view(), "bb"), None);
    block_on(put_pack(&two, pack("p", &[("xx", "packed")]))).unwrap();
    catch_up(&one, two.view().revision());
    assert_eq!(dump(&one.view()), dump(&two.view()));
    assert_eq!(profile(&one.view(), "xx").unwrap(), "packed");
    block_on(one.remove_pack(audit(), "p")).unwrap();
    catch_up(&two, one.view().revision());
    assert_eq!(dump(&one.view()), dump(&two.view()));
}

#[test]
fn a_closure_that_was_overtaken_runs_again_with_the_same_ids_and_time() {
    let store = memory();
    let (one, two) = (open(&store), open(&store));
    put_profile(&one, "aa", "1");
    let (hold, mut wait) = Hold::new();
    let (runs, mut ids) = (Arc::new(AtomicU32::new(0)), Vec::new());
    let counted = Arc::clone(&runs);
    let (done, ()) = block_on(async {
        let overtaken = one.write(audit(), move |tx| {
            counted.fetch_add(1, Ordering::Relaxed);
            ids.push((tx.now().uuid(), tx.now().time()));
            let seen = profile(tx.view(), "aa").unwrap();
            set_profile(tx, "bb", &format!("made from {seen}"))?;
            wait();
            Ok::<_, Error>(ids.clone())
        });
        let overtake = async {
            hold.until_entered();
            two.write(audit(), |tx| set_profile(tx, "aa", "2")).await.unwrap();
            hold.let_go();
        };
        tokio::join!(overtaken, overtake)
    });
    let ids = done.unwrap().value;
    assert_eq!((runs.load(Ordering::Relaxed), ids.len()), (2, 2));
    assert_eq!(ids[0], ids[1]);
    assert_eq!(profile(&one.view(), "bb").unwrap(), "made from 2");
}

#[test]
fn there_is_no_write_skew_through_a_deletion() {
    let store = memory();
    let (one, two) = (open(&store), open(&store));
    put_profile(&one, "needed", "");
    catch_up(&two, 1);
    let (hold, mut wait) = Hold::new();
    let (done, ()) = block_on(async {
        // It only reads what the other deletes.
        let reader = one.write(audit(), move |tx| {
            let needed = tx.get(Kind::Profile, "needed").map(drop);
            wait();
            needed?;
            set_profile(tx, "dependent", "")
        });
        let deleter = async {
            hold.until_entered();
            two.write(audit(), |tx| tx.delete(Kind::Profile, "needed").map(drop)).await.unwrap();
            hold.let_go();
        };
        tokio::join!(reader, deleter)
    });
    assert!(done.is_err(), "it was built on what is gone");
    assert_eq!(profile(&one.view(), "dependent"), None);
}

/// What becomes of a pack of `one` that was judged before it learnt that `two` has put one of the same name.
fn overtaken(one: &State, two: &State, present: Present) -> String {
    let (hold, mut wait) = Hold::new();
    let held = move |tx: &mut gantry_model::Tx| {
        wait();
        set_profile(tx, "held", "")
    };
    let over = Over { present, clash: Clash::Refuse };
    let late = one.put_pack(audit(), pack("p", &[("xx", "late")]), over);
    let overtake = async {
        hold.until_entered();
        put_pack(two, pack("p", &[("xx", "first")])).await.unwrap();
        hold.let_go();
    };
    let (_, late, ()) = block_on(async { tokio::join!(one.write(audit(), held), late, overtake) });
    late.unwrap_err().to_string()
}

#[test]
fn a_pack_that_was_overtaken_is_judged_again() {
    let store = memory();
    let (one, two) = (open(&store), open(&store));
    assert_eq!(overtaken(&one, &two, Present::No), "contents/p: already exists");
    let known = one.view().layers().iter().find(|layer| layer.name() == "p").cloned().unwrap();
    catch_up(&two, one.view().revision());
    assert_eq!(overtaken(&one, &two, Present::This(known)), "contents/p: it was replaced meanwhile");
    assert_eq!(profile(&one.view(), "xx").unwrap(), "first");
}

#[test]
fn two_servers_that_count_at_once_lose_nothing() {
    let store = memory();
    let states = [open(&store), open(&store)];
    put_profile(&states[0], "counter", "0");
    std::thread::scope(|scope| {
        for state in &states {
            for _ in 0..2 {
                scope.spawn(move || {
                    for _ in 0..25 {
                        write(state, count).unwrap();
                    }
                });
            }
        }
    });
    for state in &states {
        catch_up(state, 101);
        assert_eq!(profile(&state.view(), "counter").unwrap(), "100");
    }
    assert_eq!(dump(&states[0].view()), dump(&states[1].view()));
}

fn count(tx: &mut gantry_model::Tx) -> Result<(), Error> {
    // The second server may not have seen the counter yet; then it begins, and is told to run again.
    let count = profile(tx.view(), "counter").map_or(0, |count| count.parse::<u64>().unwrap());
    set_profile(tx, "counter", &(count + 1).to_string())
}

#[test]
fn a_server_that_missed_history_reads_again_and_tells_its_subscribers() {
    let store = Arc::new(Memory::new(Bounds { weight: 1, bytes: 1 << 20 }));
    let (one, two) = (open(&store), open(&store));
    put_profile(&one, "aa", "0");
    catch_up(&two, 1);
    let mut stalled = one.subscribe(None);
    let (hold, mut wait) = Hold::new();
    let (done, ()) = block_on(async {
        let held = one.write(audit(), move |tx| {
            wait();
            let seen = profile(tx.view(), "aa").unwrap();
            set_profile(tx, "bb", &format!("made from {seen}"))
        });
        let others = async {
            hold.until_entered();
            for text in ["1", "2", "3"] {
                two.write(audit(), move |tx| set_profile(tx, "aa", text)).await.unwrap();
            }
            hold.let_go();
        };
        tokio::join!(held, others)
    });
    done.unwrap();
    assert_eq!(profile(&one.view(), "bb").unwrap(), "made from 3");
    let gap = stalled.ready().unwrap_err();
    assert_eq!(gap, Lost::Gap { after: Revision(1), oldest: Revision(4), newest: Revision(5) });
    let mut resumed = one.subscribe(Some(4));
    assert_eq!(resumed.ready().unwrap()[0].revision, 5);
    catch_up(&two, 5);
    assert_eq!(dump(&one.view()), dump(&two.view()));
}
