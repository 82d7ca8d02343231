//! What somebody should know although the command worked: fields that nobody knows, objects that cannot be used.
//!
//! It goes to standard error. The exit status stays what it is for `drpcli`, so that scripts go on.

use gantry_model::Kind;
use serde_json::Value;

use crate::output;

/// The server ignores fields that it does not know, as its clients expect; whoever mistyped one is told here.
pub(crate) fn of_unknown_fields(noun: &str, object: &Value) {
    let names = object.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    unknown(noun, names).iter().for_each(|line| output::say(line));
}

/// The same for the fields that a JSON Patch writes.
pub(crate) fn of_unknown_paths(noun: &str, patch: &Value) {
    let operations = patch.as_array().into_iter().flatten();
    let written =
        operations.filter(|operation| operation.get("op").is_some_and(|op| op == "add" || op == "replace"));
    let paths = written.filter_map(|operation| operation.get("path")?.as_str()?.strip_prefix('/'));
    let names = paths.map(|path| path.split('/').next().unwrap_or(path));
    unknown(noun, names).iter().for_each(|line| output::say(line));
}

fn unknown<'a>(noun: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let Some(kind) = Kind::from_prefix(noun) else { return Vec::new() };
    let fields = || kind.spec().shape.fields.iter().map(|field| field.name);
    let missing = names.filter(|name| !fields().any(|field| field.eq_ignore_ascii_case(name)));
    missing
        .map(|name| {
            let meant =
                gantry_pack::similar(name, fields()).map(|meant| format!("; did you mean `{meant}`?"));
            format!("warning: {noun} have no field `{name}`, it is ignored{}", meant.unwrap_or_default())
        })
        .collect()
}

/// An object that was stored and cannot be used as it is.
pub(crate) fn of_unavailable(noun: &str, stored: &Value) {
    if let Some(text) = unavailable(noun, stored) {
        output::say(&text);
    }
}

fn unavailable(noun: &str, stored: &Value) -> Option<String> {
    let kind = Kind::from_prefix(noun)?;
    let is_not = |field: &str| stored.get(field) == Some(&Value::Bool(false));
    if !is_not("Available") && !is_not("Validated") {
        return None;
    }
    let text = |field: &str| stored.get(field).and_then(Value::as_str);
    let name = text("Name").or_else(|| text(kind.spec().key_field)).unwrap_or_default();
    let errors: String = errors(stored).iter().map(|error| format!("\n  {error}")).collect();
    Some(format!("warning: {noun}/{name} was saved, but it cannot be used as it is:{errors}"))
}

/// What is wrong with an object by its own word.
pub(crate) fn errors(object: &Value) -> Vec<&str> {
    let errors = object.get("Errors").and_then(Value::as_array);
    errors.into_iter().flatten().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mistyped_field_is_recognised() {
        let check = |word: &str, want: Option<&str>| {
            assert_eq!(
                gantry_pack::similar(word, ["Name", "Description", "Stage"].into_iter()),
                want,
                "{word}"
            );
        };
        check("Descripton", Some("Description"));
        check("nmae", Some("Name"));
        check("Colour", None);
        let lines = unknown("profiles", ["name", "Parms", "Params"].into_iter());
        assert_eq!(lines, ["warning: profiles have no field `Parms`, it is ignored; did you mean `Params`?"]);
    }

    #[test]
    fn what_cannot_be_used_is_told_with_its_reasons() {
        let stored = json!({ "Name": "m1", "Uuid": "u", "Available": false, "Validated": true, "Errors": ["one", "two"] });
        let want = "warning: machines/m1 was saved, but it cannot be used as it is:\n  one\n  two";
        assert_eq!(unavailable("machines", &stored).unwrap(), want);
        assert_eq!(unavailable("machines", &json!({ "Available": true, "Validated": true })), None);
        assert_eq!(unavailable("prefs", &json!({ "Available": false })), None);
    }
}
