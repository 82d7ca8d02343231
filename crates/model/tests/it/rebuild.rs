//! Whatever edits come in whatever order: indexes and computed state are as if built from scratch.

use gantry_model::{Edit, Key, Kind, Record, View};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::id;

/// One random edit: which object of which kind, and how it looks after.
#[derive(Debug, Clone)]
struct Step {
    kind: Kind,
    number: u32,
    /// None deletes.
    links: Option<(u32, u32, bool)>,
}

fn steps() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let kinds = [
        Kind::Machine,
        Kind::Profile,
        Kind::Stage,
        Kind::BootEnv,
        Kind::Task,
        Kind::Workflow,
        Kind::Param,
        Kind::Template,
    ];
    let step = (0..kinds.len(), 0..4u32, proptest::option::weighted(0.8, (0..4u32, 0..4u32, any::<bool>())))
        .prop_map(move |(kind, number, links)| Step { kind: kinds[kind], number, links });
    proptest::collection::vec(proptest::collection::vec(step, 1..4), 1..40)
}

fn name(kind: Kind, number: u32) -> String {
    if kind == Kind::Machine { id(number) } else { format!("{}{number}", &kind.prefix()[..3]) }
}

fn object(step: &Step, (a, b, flag): (u32, u32, bool)) -> Value {
    let key = name(step.kind, step.number);
    let of = |kind: Kind, n: u32| name(kind, n);
    match step.kind {
        Kind::Machine => json!({
            "Uuid": key, "Name": format!("machine{}", step.number), "Stage": of(Kind::Stage, a), "BootEnv": of(Kind::BootEnv, b),
            "Profiles": [of(Kind::Profile, a), of(Kind::Profile, b)], "Tasks": [of(Kind::Task, a), format!("stage:{}", of(Kind::Stage, b))],
            "Workflow": if flag { of(Kind::Workflow, a) } else { String::new() }, "Params": if flag { json!({"par0": 1}) } else { json!({}) },
        }),
        Kind::Profile => json!({
            "Name": key, "Params": if flag { json!({format!("par{a}"): 1}) } else { json!({}) },
            "Profiles": if step.number < b { json!([of(Kind::Profile, b)]) } else { json!([]) },
        }),
        Kind::Stage => json!({
            "Name": key, "BootEnv": if flag { of(Kind::BootEnv, a) } else { String::new() }, "Tasks": [of(Kind::Task, b)],
            "RequiredParams": [format!("par{a}")], "Profiles": [of(Kind::Profile, b)],
        }),
        Kind::BootEnv => json!({
            "Name": key, "Kernel": if flag { "k" } else { "" }, "OS": {"Name": "o"}, "RequiredParams": [format!("par{b}")],
            "Templates": [{"Name": if a > 1 { "ipxe" } else { "other" }, "Path": "p", "ID": of(Kind::Template, b)}],
        }),
        Kind::Workflow => json!({"Name": key, "Stages": [of(Kind::Stage, a), of(Kind::Stage, b)]}),
        Kind::Param => json!({"Name": key, "Schema": if flag { json!({"default": 1}) } else { json!({}) }}),
        Kind::Template => json!({"ID": key, "Contents": "x"}),
        _ => json!({"Name": key, "Templates": [{"Name": "x", "ID": of(Kind::Template, a)}]}),
    }
}

fn edit(step: &Step, revision: u64) -> Edit {
    match step.links {
        None => Edit::delete(step.kind, name(step.kind, step.number).into()),
        Some(links) => {
            Edit::put(Record::from_value(step.kind, object(step, links), revision).unwrap().into())
        }
    }
}

/// Everything that a View answers, as text.
fn describe(view: &View) -> Vec<String> {
    let mut lines = Vec::new();
    for kind in Kind::ALL {
        for record in view.records(*kind) {
            let mut json = String::new();
            record.write_json(&mut json);
            let referrers = view.referrers(*kind, record.key());
            lines.push(format!("{kind}/{} {json} {referrers:?}", record.key()));
        }
        for index in kind.spec().indexes.iter().filter(|index| index.kept) {
            for value in (0..4).flat_map(|n| Kind::ALL.iter().map(move |k| name(*k, n))) {
                let keys: Vec<&Key> = view.find(*kind, index.name, &value).collect();
                if !keys.is_empty() {
                    lines.push(format!("{kind} {}={value} {keys:?}", index.name));
                }
            }
        }
    }
    lines
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_view_changed_step_by_step_equals_one_built_at_once(batches in steps()) {
        let mut view = View::base();
        for (revision, batch) in (1..).zip(&batches) {
            let edits: Vec<Edit> = batch.iter().map(|step| edit(step, revision)).collect();
            let (next, changes) = view.apply(&edits, revision);
            for change in &changes {
                prop_assert_eq!(view.record(change.kind, &change.key), change.before.as_ref());
                prop_assert_eq!(next.record(change.kind, &change.key), change.after.as_ref());
            }
            let touched = |kind: Kind, key: &Key| changes.iter().any(|change| change.kind == kind && change.key == *key);
            for kind in Kind::ALL {
                for record in next.records(*kind).filter(|record| !touched(*kind, record.key())) {
                    prop_assert_eq!(view.record(*kind, record.key()), Some(record), "changed without being listed");
                }
            }
            view = next;
        }
        let stored: Vec<Edit> = Kind::ALL.iter().flat_map(|kind| view.records(*kind)).filter(|record| !record.read_only())
            .map(|record| Edit::put(Record::from_json(record.kind(), record.json().as_bytes(), record.revision()).unwrap().into())).collect();
        let (fresh, _) = View::base().apply(&stored, view.revision());
        prop_assert_eq!(describe(&view), describe(&fresh));
    }
}
