//! Whatever is written by whom in which order: the View that was followed is the View that is loaded.

use gantry_model::{Error, Kind, Tx, View};
use gantry_state::State;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use crate::common::{audit, block_on, dump, memory, open, pack, put_pack};

#[derive(Clone, Debug)]
enum Step {
    /// On one of two servers.
    Write(bool, Vec<Act>),
    Put(bool, u8, Vec<u8>),
    Remove(bool, u8),
    Restart(bool),
}

#[derive(Clone, Debug)]
enum Act {
    Profile(u8),
    Delete(u8),
    Machine(u8, Vec<u8>),
    Purge(u8),
}

const NAMES: [&str; 5] = ["p0", "p1", "p2", "p3", "p4"];
const PACKS: [&str; 2] = ["one", "two"];

fn step() -> impl Strategy<Value = Step> {
    let name = || 0..NAMES.len() as u8;
    let act = prop_oneof![
        3 => name().prop_map(Act::Profile),
        2 => name().prop_map(Act::Delete),
        3 => (0..3_u8, vec(name(), 0..3)).prop_map(|(machine, profiles)| Act::Machine(machine, profiles)),
        1 => (0..3_u8).prop_map(Act::Purge),
    ];
    prop_oneof![
        6 => (any::<bool>(), vec(act, 1..4)).prop_map(|(on, acts)| Step::Write(on, acts)),
        2 => (any::<bool>(), 0..2_u8, vec(name(), 0..3)).prop_map(|(on, pack, names)| Step::Put(on, pack, names)),
        1 => (any::<bool>(), 0..2_u8).prop_map(|(on, pack)| Step::Remove(on, pack)),
        1 => any::<bool>().prop_map(Step::Restart),
    ]
}

/// Each act may be refused; then it does nothing.
fn act(tx: &mut Tx, act: &Act) {
    let done: Result<(), Error> = match act {
        Act::Profile(name) => tx.create(Kind::Profile, json!({"Name": NAMES[*name as usize]})).map(drop),
        Act::Delete(name) => tx.delete(Kind::Profile, NAMES[*name as usize]).map(drop),
        Act::Machine(number, profiles) => {
            let profiles: Vec<_> = profiles.iter().map(|name| NAMES[*name as usize]).collect();
            let uuid = format!("00000000-0000-4000-8000-00000000000{number}");
            let value = json!({"Uuid": uuid, "Name": format!("m{number}"), "Profiles": profiles, "BootEnv": "local", "Stage": "none"});
            match tx.view().record(Kind::Machine, &uuid) {
                Some(_) => tx.put(Kind::Machine, &uuid, value).map(drop),
                None => tx.create(Kind::Machine, value).map(drop),
            }
        }
        Act::Purge(number) => {
            tx.purge(Kind::Machine, &format!("00000000-0000-4000-8000-00000000000{number}"));
            Ok(())
        }
    };
    drop(done);
}

fn take(state: &State, step: Step) {
    block_on(async {
        match step {
            Step::Write(_, acts) => {
                let write = state.write(audit(), move |tx| {
                    acts.iter().for_each(|one| act(tx, one));
                    Ok::<_, Error>(())
                });
                write.await.unwrap();
            }
            Step::Put(_, number, names) => {
                let profiles: Vec<_> = names.iter().map(|name| (NAMES[*name as usize], "packed")).collect();
                // Refused when it clashes.
                drop(put_pack(state, pack(PACKS[number as usize], &profiles)).await);
            }
            Step::Remove(_, number) => drop(state.remove_pack(audit(), PACKS[number as usize]).await),
            Step::Restart(_) => {}
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_followed_is_what_is_loaded(steps in vec(step(), 1..30)) {
        let store = memory();
        let mut states = [open(&store), open(&store)];
        for step in steps {
            let (Step::Write(on, _) | Step::Put(on, ..) | Step::Remove(on, _) | Step::Restart(on)) = &step;
            let on = usize::from(*on);
            if let Step::Restart(_) = step {
                states[on] = open(&store);
            }
            take(&states[on], step);
        }
        // One more write of each server: when the second returns, everything is visible to it.
        for (state, name) in states.iter().zip(["last-one", "last-two"]) {
            block_on(state.write(audit(), move |tx| tx.create(Kind::Profile, json!({"Name": name})).map(drop))).unwrap();
        }
        let loaded = open(&store);
        prop_assert_eq!(dump(&states[1].view()), dump(&loaded.view()));
        let warnings = |view: &View| view.layers().iter().map(|layer| view.warnings(layer)).collect::<Vec<_>>();
        prop_assert_eq!(warnings(&states[1].view()), warnings(&loaded.view()));
    }
}
