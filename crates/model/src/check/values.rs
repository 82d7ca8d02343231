//! Defaults and parameter values.

use serde_json::{Map, Value};

use crate::check::Cross;
pub(crate) use crate::check::given::text;
use crate::{Machine, Param, Problems, View, params, schema, secret};

/// Sets a text field that is empty.
pub(crate) fn default_text(object: &mut Map<String, Value>, field: &str, value: &str) {
    if text(object, field).is_empty() {
        object.insert(field.to_owned(), value.into());
    }
}

/// Sets a number that is zero.
pub(crate) fn default_int(object: &mut Map<String, Value>, field: &str, value: i64) {
    if object.get(field).and_then(Value::as_i64).unwrap_or_default() == 0 {
        object.insert(field.to_owned(), value.into());
    }
}

/// Adds a flag to the comma list `Meta.feature-flags`, unless it or its opposite is there.
pub(crate) fn default_flags(object: &mut Map<String, Value>, flag: &str, opposite: &str) {
    let Some(Value::Object(meta)) = object.get_mut("Meta") else { return };
    let flags = text(meta, "feature-flags").to_owned();
    if flags.split(',').map(str::trim).any(|has| has == flag || has == opposite) {
        return;
    }
    let flags = if flags.is_empty() { flag.to_owned() } else { format!("{flags},{flag}") };
    meta.insert("feature-flags".to_owned(), flags.into());
}

/// Every value of `Params` must suit the definition of its parameter, if there is one. Values that stay as they were are
/// not judged again: a definition may have become stricter since.
pub(crate) fn param_values(cross: &Cross<'_>, values: &Map<String, Value>, problems: &mut Problems) {
    let before = cross.before.and_then(|before| before.get("Params"));
    for (name, value) in values {
        let kept = before.and_then(|before| before.get(name)) == Some(value);
        if kept {
            continue;
        }
        if let Err(message) = param_value(cross.view, name, value) {
            problems.add(message);
        }
    }
}

/// Judges one value by the definition of its parameter.
///
/// # Errors
/// `Key '<name>': invalid val '<value>': <why>`; without the value where it is secret.
pub fn param_value(view: &View, name: &str, value: &Value) -> Result<(), String> {
    let Some(param) = view.object::<Param>(name) else { return Ok(()) };
    let bad = |why: String| format!("Key '{name}': invalid val '{}': {why}", crate::go::print(value));
    if param.secure {
        return secret::Sealed::parse(value)
            .map(|_| ())
            .map_err(|why| format!("Key '{name}': invalid val: {why}"));
    }
    schema::check_value(&param.schema, value).map_err(|why| bad(format!(": {why}")))
}

/// Reports parameters that have a value nowhere.
pub(crate) fn required_params(
    machine: &Machine,
    view: &View,
    (prefix, name): (&str, &str),
    required: &[String],
    errors: &mut Vec<String>,
) {
    if required.is_empty() {
        return;
    }
    let layers = params::layers(view, machine);
    for param in required {
        let set = layers.iter().any(|layer| layer.params().contains_key(param));
        let default = || view.object::<Param>(param).is_some_and(|object| object.default_value().is_some());
        if !set && !default() {
            errors.push(format!("Missing required parameter {param} for {prefix} {name}"));
        }
    }
}
