//! Random use of an engine beside a model that is too simple to be wrong: a list of the accepted commits.

use std::collections::BTreeMap;

use gantry_store::{Bounds, Commit, Compare, Key, KeyRange, Lost, Revision, Value};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use crate::engines::{Engine, key, value};

/// What a test does next. Compares are relative to the current revision, so that they hold now and then.
#[derive(Clone, Debug)]
enum Step {
    Submit(Vec<Draft>),
    Follow { back: u64 },
    Reopen,
}

#[derive(Clone, Debug)]
struct Draft {
    changes: BTreeMap<u8, Option<u8>>,
    compares: Vec<Guess>,
}

#[derive(Clone, Debug)]
enum Guess {
    /// The key's true revision, or one that is off by so many.
    Key {
        name: u8,
        off: u64,
    },
    Range {
        prefix: Option<u8>,
        back: u64,
    },
}

const BOUNDS: Bounds = Bounds { weight: 12, bytes: 120 };
/// Keys are `0/0` to `2/2`.
const NAMES: u8 = 9;

fn name(number: u8) -> String {
    format!("{}/{}", number / 3, number % 3)
}

fn step() -> impl Strategy<Value = Step> {
    let guess = prop_oneof![
        4 => (0..NAMES, prop_oneof![6 => Just(0), 1 => 1..3_u64]).prop_map(|(name, off)| Guess::Key { name, off }),
        1 => (proptest::option::of(0..3_u8), 0..4_u64).prop_map(|(prefix, back)| Guess::Range { prefix, back }),
    ];
    let draft = (btree_map(0..NAMES, proptest::option::of(any::<u8>()), 0..4), vec(guess, 0..3))
        .prop_map(|(changes, compares)| Draft { changes, compares });
    prop_oneof![
        8 => vec(draft, 0..4).prop_map(Step::Submit),
        3 => (0..20_u64).prop_map(|back| Step::Follow { back }),
        1 => Just(Step::Reopen),
    ]
}

/// What an engine must hold: the commits so far, in order.
#[derive(Default)]
struct Model {
    commits: Vec<Commit>,
}

impl Model {
    fn revision(&self) -> u64 {
        self.commits.len() as u64
    }

    fn keys(&self) -> BTreeMap<Key, (u64, Value)> {
        let mut keys = BTreeMap::new();
        for (commit, revision) in self.commits.iter().zip(1..) {
            for (key, value) in &commit.changes {
                match value {
                    Some(value) => drop(keys.insert(key.clone(), (revision, value.clone()))),
                    None => drop(keys.remove(key)),
                }
            }
        }
        keys
    }

    fn commit(&self, draft: &Draft, record: usize) -> Commit {
        let keys = self.keys();
        let compare = |guess: &Guess| match guess {
            Guess::Key { name: number, off } => {
                let key = key(&name(*number));
                let revision = keys.get(&key).map_or(0, |(revision, _)| *revision) + off;
                Compare::Key { key, revision: Revision(revision) }
            }
            Guess::Range { prefix, back } => {
                let range =
                    prefix.map_or_else(KeyRange::all, |p| KeyRange::prefix(format!("{p}/").as_bytes()));
                Compare::Range { range, not_after: Revision(self.revision().saturating_sub(*back)) }
            }
        };
        let change =
            |(number, byte): (&u8, &Option<u8>)| (key(&name(*number)), byte.map(|b| value(&b.to_string())));
        Commit {
            compares: draft.compares.iter().map(compare).collect(),
            changes: draft.changes.iter().map(change).collect(),
            record: record.to_string().into_bytes(),
        }
    }

    fn accepts(&self, group: &[Commit]) -> bool {
        let keys = self.keys();
        group.iter().flat_map(|commit| &commit.compares).all(|compare| match compare {
            Compare::Key { key, revision } => keys.get(key).map_or(0, |(put, _)| *put) == revision.0,
            Compare::Range { range, not_after } => {
                keys.iter().all(|(key, (put, _))| !range.contains(key) || *put <= not_after.0)
            }
        })
    }
}

fn check(mut engine: Engine, steps: Vec<Step>) {
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Submit(drafts) => {
                let group: Vec<_> = drafts.iter().zip(0..).map(|(draft, n)| model.commit(draft, n)).collect();
                let outcome = engine.store.submit(group.clone()).wait();
                assert_eq!(outcome.is_ok(), model.accepts(&group), "{outcome:?} for {group:?}");
                if let Ok(revisions) = outcome {
                    let expected: Vec<_> = (model.revision() + 1..).take(group.len()).map(Revision).collect();
                    assert_eq!(revisions, expected);
                    model.commits.extend(group);
                }
            }
            Step::Follow { back } => check_follow(&engine, &model, back),
            Step::Reopen => engine = engine.reopen(),
        }
        check_keys(&engine, &model);
    }
}

fn check_keys(engine: &Engine, model: &Model) {
    let mut loaded = BTreeMap::new();
    let mut each =
        |entry: gantry_store::Entry| drop(loaded.insert(entry.key, (entry.revision.0, entry.value)));
    let revision = engine.store.load(&mut each).unwrap();
    assert_eq!((revision, engine.store.revision()), (Revision(model.revision()), revision));
    assert_eq!(loaded, model.keys());
}

fn check_follow(engine: &Engine, model: &Model, back: u64) {
    let after = model.revision().saturating_sub(back);
    match engine.store.follow(Revision(after)).ready() {
        Ok(commits) => {
            let expected = &model.commits[after as usize..];
            assert_eq!(commits.len(), expected.len());
            for ((commit, expected), revision) in commits.iter().zip(expected).zip(after + 1..) {
                assert_eq!(commit.revision.0, revision);
                assert_eq!((&commit.changes, &commit.record), (&expected.changes, &expected.record));
            }
        }
        Err(Lost::Gap { oldest, newest, .. }) => {
            assert!(after < oldest.0 && newest.0 == model.revision());
            let kept = &model.commits[oldest.0 as usize - 1..];
            assert!(over(kept), "history was forgotten although it was within its bounds");
            assert!(!over(&kept[1..]) || kept.len() == 2, "history is beyond its bounds");
        }
        Err(Lost::Closed) => panic!("the store is open"),
    }
}

fn over(commits: &[Commit]) -> bool {
    let value = |value: &Option<Value>| value.as_ref().map_or(0, |v| v.len());
    let size = |c: &Commit| c.record.len() + c.changes.iter().map(|(k, v)| k.len() + value(v)).sum::<usize>();
    commits.len() > BOUNDS.weight || commits.iter().map(size).sum::<usize>() > BOUNDS.bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_does_as_the_model(steps in vec(step(), 1..60)) {
        check(Engine::memory(BOUNDS), steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn embedded_does_as_the_model(steps in vec(step(), 1..60)) {
        check(Engine::embedded(BOUNDS), steps);
    }
}
