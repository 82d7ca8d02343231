//! Scalars brought to the type of their field, as DRP's bundler does it (engine §1.10).
//!
//! `Version: 8` in a YAML file becomes `"8"` where the field is text, `true` becomes `"true"`. Names of fields match
//! regardless of case. What fits no field is dropped later by the model; what cannot become the type of its field is a fault,
//! and all of them are found in one pass, where the model's decoder would stop at the first.

use gantry_model::Kind;
use gantry_model::shape::{Shape, Type};
use serde_json::Value;

use crate::yaml::escaped;
use gantry_boot::yaml::number_text;

/// A value that does not fit its field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// What was wanted and what is there.
    pub message: String,
}

/// Brings an object of `kind` into the types of its fields, in place.
pub fn object(kind: Kind, value: &mut Value) -> Vec<Misfit> {
    let mut misfits = Vec::new();
    structure(kind.spec().shape, value, &mut String::new(), &mut misfits);
    misfits
}

/// The same for the metadata of a pack.
pub fn meta(meta: &mut serde_json::Map<String, Value>) -> Vec<Misfit> {
    // Metadata in files is text, flags included.
    for flag in ["Writable", "Overwritable"] {
        if let Some(value) = meta.get_mut(flag)
            && let Some(parsed) = value.as_str().and_then(|text| text.trim().parse::<bool>().ok())
        {
            *value = parsed.into();
        }
    }
    let mut content =
        Value::Object([("meta".to_owned(), Value::Object(std::mem::take(meta)))].into_iter().collect());
    let misfits = object(Kind::Content, &mut content);
    if let Some(Value::Object(coerced)) = content.get_mut("meta").map(Value::take) {
        *meta = coerced;
    }
    misfits
}

fn structure(shape: &'static Shape, value: &mut Value, path: &mut String, misfits: &mut Vec<Misfit>) {
    let Value::Object(map) = value else {
        if !value.is_null() {
            misfits.push(misfit(path, &format!("must be a map of fields of {}", shape.name), value));
        }
        return;
    };
    for (name, value) in map {
        let exact = shape.field(name);
        let field = exact.or_else(|| shape.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)));
        if let Some(field) = field {
            below(path, name, |path| convert(field.ty, value, path, misfits));
        }
    }
}

fn below(path: &mut String, name: &str, work: impl FnOnce(&mut String)) {
    let length = path.len();
    path.push('/');
    path.push_str(&escaped(name));
    work(path);
    path.truncate(length);
}

fn convert(ty: &'static Type, value: &mut Value, path: &mut String, misfits: &mut Vec<Misfit>) {
    match (ty, &mut *value) {
        (_, Value::Null) | (Type::Any, _) | (Type::Bool, Value::Bool(_)) => {}
        (Type::Text | Type::Time | Type::Uuid | Type::Address | Type::Bytes, Value::String(_)) => {}
        (Type::Int, Value::Number(number)) if number.is_i64() || number.is_u64() => {}
        (Type::Text, Value::Number(number)) => *value = number_text(number).into(),
        (Type::Text, Value::Bool(flag)) => *value = flag.to_string().into(),
        (Type::List(item), Value::Array(items)) => {
            for (i, value) in items.iter_mut().enumerate() {
                below(path, &i.to_string(), |path| convert(item, value, path, misfits));
            }
        }
        (Type::Map(item), Value::Object(map)) => {
            for (key, value) in map {
                below(path, key, |path| convert(item, value, path, misfits));
            }
        }
        (Type::Struct(shape), Value::Object(_)) => structure(shape, value, path, misfits),
        (ty, value) => misfits.push(misfit(path, &format!("must be {}", word(ty)), value)),
    }
}

fn misfit(path: &str, wanted: &str, value: &Value) -> Misfit {
    Misfit { pointer: path.to_owned(), message: format!("{wanted}, not {}", given(value)) }
}

/// A value for people, long texts cut.
pub(crate) fn given(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => format!("the text `{}`", &text[..text.floor_char_boundary(40)]),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
    }
}

fn word(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "true or false",
        Type::Int => "a whole number",
        Type::Text => "text",
        Type::Time => "a time such as 2026-01-02T03:04:05Z",
        Type::Uuid => "a UUID",
        Type::Address => "an IP address",
        Type::Bytes => "bytes in base64",
        Type::Any => "anything",
        Type::List(_) => "a list",
        Type::Map(_) | Type::Struct(_) => "a map",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scalars_become_text_where_text_is_wanted() {
        let mut env = json!({
            "name": "e", "OS": {"Version": 8, "Name": 7.1}, "OnlyUnknown": false,
            "Initrds": [1, "b"], "Meta": {"x": true}, "Strange": 5, "Templates": [{"Name": 5, "Meta": null}],
        });
        assert_eq!(object(Kind::BootEnv, &mut env), []);
        assert_eq!(
            env,
            json!({
                "name": "e", "OS": {"Version": "8", "Name": "7.1"}, "OnlyUnknown": false,
                "Initrds": ["1", "b"], "Meta": {"x": "true"}, "Strange": 5, "Templates": [{"Name": "5", "Meta": null}],
            })
        );
        let mut profile = json!({"Name": "p", "Params": {"a": 5}});
        object(Kind::Profile, &mut profile);
        assert_eq!(profile["Params"]["a"], 5);
    }

    #[test]
    fn every_misfit_is_named_with_its_place() {
        let mut task = json!({"Name": "t", "Templates": [{"Name": ["x"]}, 5], "RequiredParams": "a", "Meta": {"a/b": {}}});
        let found: Vec<String> = object(Kind::Task, &mut task)
            .into_iter()
            .map(|m| format!("{} {}", m.pointer, m.message))
            .collect();
        assert_eq!(
            found,
            [
                "/Meta/a~1b must be text, not a map",
                "/RequiredParams must be a list, not the text `a`",
                "/Templates/0/Name must be text, not a list",
                "/Templates/1 must be a map, not 5",
            ]
        );
    }
}
