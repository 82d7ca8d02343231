//! The manual of a pack, from its own words: Markdown.

use std::fmt::Write as _;

use gantry_model::Kind;
use serde_json::Value;

use crate::Pack;

/// The order of the chapters: what people use first.
const CHAPTERS: [Kind; 8] = [
    Kind::Workflow,
    Kind::Stage,
    Kind::Task,
    Kind::BootEnv,
    Kind::Profile,
    Kind::Param,
    Kind::Context,
    Kind::Template,
];

/// A Markdown manual: the pack's own documentation, then every object with its description, documentation, and what it needs.
#[must_use]
pub fn document(pack: &Pack) -> String {
    let mut out = String::new();
    let title = [pack.field("DisplayName"), pack.name()]
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or("Content pack");
    line(&mut out, &format!("# {title}\n"));
    paragraph(&mut out, pack.field("Description"));
    paragraph(&mut out, pack.field("Documentation"));
    facts(&mut out, pack);
    let others = Kind::ALL.iter().copied().filter(|kind| !CHAPTERS.contains(kind));
    for kind in CHAPTERS.into_iter().chain(others) {
        let Some(objects) = pack.sections.get(kind.prefix()).filter(|objects| !objects.is_empty()) else {
            continue;
        };
        line(&mut out, &format!("## {}\n", kind.prefix()));
        objects.iter().for_each(|(key, value)| object(&mut out, kind, key, value));
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn facts(out: &mut String, pack: &Pack) {
    let mut any = false;
    for field in ["Version", "Author", "License", "Prerequisites", "RequiredFeatures", "DocUrl"] {
        let value = pack.field(field);
        if !value.is_empty() {
            line(out, &format!("- {field}: {value}"));
            any = true;
        }
    }
    if any {
        out.push('\n');
    }
}

fn object(out: &mut String, kind: Kind, key: &str, value: &Value) {
    let text = |name: &str| field(value, name).and_then(Value::as_str).unwrap_or_default();
    line(out, &format!("### {key}\n"));
    paragraph(out, text("Description"));
    paragraph(out, text("Documentation"));
    if kind == Kind::Param {
        schema(out, value);
    }
    for list in ["RequiredParams", "OptionalParams", "Prerequisites", "Profiles", "Stages", "Tasks"] {
        let names: Vec<String> = field(value, list)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(|name| format!("`{name}`"))
            .collect();
        if !names.is_empty() {
            paragraph(out, &format!("{list}: {}", names.join(", ")));
        }
    }
}

/// A field of an object, whose name may be written in any case.
fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let map = value.as_object()?;
    map.get(name)
        .or_else(|| map.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

fn schema(out: &mut String, param: &Value) {
    let schema = field(param, "Schema").and_then(Value::as_object);
    let Some(schema) = schema else { return };
    if let Some(ty) = schema.get("type").and_then(Value::as_str) {
        paragraph(out, &format!("Type: {ty}"));
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
        paragraph(out, &format!("One of: {}", values.join(", ")));
    }
    if let Some(default) = schema.get("default") {
        paragraph(out, &format!("Default: `{default}`"));
    }
}

fn paragraph(out: &mut String, text: &str) {
    let text = text.trim();
    if !text.is_empty() {
        line(out, &format!("{text}\n"));
    }
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("a String takes everything");
}
