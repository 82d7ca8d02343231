//! `/indexes`: what lists can be filtered and sorted by (reference: api.md §5.6).

use gantry_api::Error;
use gantry_model::{Index, Kind, Param};
use serde_json::{Map, Value, json};

use super::Ask;
use super::answer::{self, Answer};

/// `GET /indexes`
pub(super) fn all() -> Answer {
    let kinds = Kind::ALL.iter().filter(|kind| kind.spec().verbs.read);
    let all: Map<String, Value> = kinds.map(|kind| (kind.prefix().to_owned(), table(*kind))).collect();
    answer::ok(&all)
}

/// `GET /indexes/<kind>`
pub(super) fn of_kind(ask: &Ask) -> Answer {
    answer::ok(&table(ask.kind()?))
}

/// `GET /indexes/<kind>/<name>`; the name may be that of a parameter.
pub(super) fn one(ask: &Ask) -> Answer {
    let (kind, name) = (ask.kind()?, &ask.route.rest);
    if let Some(index) = kind.spec().index(name).filter(|index| index.listed) {
        return answer::ok(&line(index));
    }
    if kind.spec().params && ask.view.object::<Param>(name).is_some() {
        return answer::ok(
            &json!({ "Type": "parameter", "Unique": false, "Unordered": false, "Regex": false }),
        );
    }
    Err(Error::new(404, ask.method, format!("index get: not found: {}/{name}", kind.prefix())))
}

fn table(kind: Kind) -> Value {
    let listed = kind.spec().all_indexes().filter(|index| index.listed);
    listed.map(|index| (index.name.to_owned(), line(index))).collect::<Map<_, _>>().into()
}

fn line(index: &Index) -> Value {
    json!({
        "Type": index.type_word(),
        "Unique": index.unique,
        "Unordered": index.unordered,
        "Regex": index.regex,
    })
}
