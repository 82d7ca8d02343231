//! Values of parameters and where each comes from (engine §3).
//!
//! The way is that of [`gantry_model::params`]: machine, profiles, stage, stage's profiles, profile `global`, default of the
//! schema. `find` takes the first value, `compose` merges all of them, `explain` lists all of them.

use std::collections::BTreeMap;

use gantry_model::params::{self, Layer, Origin};
use gantry_model::{Kind, Machine, Param, View};
use serde_json::Value;

/// A value and where it was set.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The value.
    pub value: Value,
    /// Where it was set.
    pub origin: Origin,
}

/// The layers of a machine, or those that hold without one.
#[must_use]
pub fn layers<'a>(view: &View, machine: Option<&'a Machine>) -> Vec<Layer<'a>> {
    machine.map_or_else(|| params::global_layers(view), |machine| params::layers(view, machine))
}

/// The value that counts.
#[must_use]
pub fn find(view: &View, machine: Option<&Machine>, name: &str) -> Option<Found> {
    params::lookup(view, &layers(view, machine), name).map(|(value, origin)| Found { value, origin })
}

/// Every value on the way, the one that counts first, the default last.
#[must_use]
pub fn all(view: &View, layers: &[Layer<'_>], name: &str) -> Vec<Found> {
    let set = layers.iter().filter_map(|layer| {
        Some(Found { value: layer.params().get(name)?.clone(), origin: layer.origin.clone() })
    });
    let default = params::default_value(view, name).map(|value| Found { value, origin: Origin::Default });
    set.chain(default).collect()
}

/// All values merged by the type of the first: objects key by key, the more specific winning; lists one after another, the
/// most specific first; anything else is the first value itself.
#[must_use]
pub fn compose(view: &View, layers: &[Layer<'_>], name: &str) -> Option<Value> {
    let values: Vec<Value> = all(view, layers, name).into_iter().map(|found| found.value).collect();
    merge_all(values)
}

/// [`compose`] of values that were found before, the one that counts first.
#[must_use]
pub fn merge_all(values: Vec<Value>) -> Option<Value> {
    let mut values = values.into_iter();
    let first = values.next()?;
    Some(values.fold(first, merge))
}

fn merge(specific: Value, general: Value) -> Value {
    match (specific, general) {
        (Value::Object(mut specific), Value::Object(general)) => {
            for (key, value) in general {
                let merged = match specific.remove(&key) {
                    Some(own @ Value::Object(_)) => merge(own, value),
                    Some(own) => own,
                    None => value,
                };
                specific.insert(key, merged);
            }
            Value::Object(specific)
        }
        (Value::Array(mut specific), Value::Array(general)) => {
            specific.extend(general);
            Value::Array(specific)
        }
        (specific, _) => specific,
    }
}

/// Every parameter that has a value for the machine: all its values, the one that counts first.
#[must_use]
pub fn explain(view: &View, machine: Option<&Machine>) -> BTreeMap<String, Vec<Found>> {
    let layers = layers(view, machine);
    let set = layers.iter().flat_map(|layer| layer.params().keys().cloned());
    let defined = view
        .objects::<Param>()
        .filter(|param| param.default_value().is_some())
        .map(|param| param.name.clone());
    set.chain(defined)
        .map(|name| {
            let found = all(view, &layers, &name);
            (name, found)
        })
        .collect()
}

/// Which object carries a value, for opening it when it is sealed.
#[must_use]
pub fn holder<'a>(
    origin: &'a Origin,
    machine: Option<&Machine>,
) -> Option<(Kind, std::borrow::Cow<'a, str>)> {
    match origin {
        Origin::Machine => Some((Kind::Machine, machine?.uuid.to_string().into())),
        Origin::Profile(path) | Origin::StageProfile(_, path) | Origin::Global(path) => {
            Some((Kind::Profile, path.last()?.into()))
        }
        Origin::Stage(stage) => Some((Kind::Stage, stage.into())),
        Origin::Default => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_specific_wins_and_the_general_fills_in() {
        let merged = merge_all(vec![
            json!({"a": 1, "deep": {"x": 1}, "list": [1]}),
            json!({"a": 2, "b": 2, "deep": {"x": 2, "y": 2}, "list": [2]}),
            json!({"c": 3}),
        ]);
        assert_eq!(merged, Some(json!({"a": 1, "b": 2, "c": 3, "deep": {"x": 1, "y": 2}, "list": [1]})));
        assert_eq!(merge_all(vec![json!([1]), json!([2, 3]), json!("x")]), Some(json!([1, 2, 3])));
        assert_eq!(merge_all(vec![json!("a"), json!(["b"])]), Some(json!("a")));
        assert_eq!(merge_all(vec![]), None);
    }
}
