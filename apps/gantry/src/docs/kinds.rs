//! `kinds.md`: every kind of object with its fields, their types and defaults, and its indexes.

use std::collections::BTreeMap;

use gantry_model::Kind;
use gantry_model::kind::{Home, Index, Shown, Spec};
use gantry_model::shape::{Field, Role, Shape, Type};
use serde_json::Value;

use super::{code, table};

/// The page.
pub(crate) fn page() -> String {
    let names = Kind::ALL.iter().map(|kind| format!("[{0}](#{0})", kind.prefix()));
    let names = names.collect::<Vec<_>>().join(" · ");
    let kinds: String = Kind::ALL.iter().map(|kind| section(*kind)).collect();
    let parts: String = parts().into_iter().map(part).collect();
    format!(
        "# Kinds of objects\n\n{INTRODUCTION}\n{names}\n\n## What every object has\n\n{}{GENERIC}\n{}{kinds}\
         # Parts of objects\n\n{parts}",
        fields(&envelope(), None),
        indexes(Kind::Profile.spec().all_indexes().skip(Kind::Profile.spec().indexes.len())),
    )
}

const INTRODUCTION: &str = "\
Names are those of the wire. On input they match regardless of case, unknown ones are ignored, and what is not given has the default.
Computed fields are shown and never stored.
";

const GENERIC: &str = "These filters work for every kind whose objects have those fields:\n";

/// The fields that all objects share: those of a plain kind up to its own first one.
fn envelope() -> Vec<&'static Field> {
    let shared = |field: &&Field| Kind::Task.spec().shape.fields.contains(field);
    Kind::Profile.spec().shape.fields.iter().take_while(|field| field.name != "Name").filter(shared).collect()
}

fn section(kind: Kind) -> String {
    let spec = kind.spec();
    let envelope = envelope();
    let own: Vec<_> = spec.shape.fields.iter().filter(|field| !envelope.contains(field)).collect();
    format!(
        "## {}\n\n{}\n\n{}\n\n{}{}",
        spec.prefix,
        spec.shape.doc.trim(),
        facts(spec),
        fields(&own, Some(&defaults(spec))),
        indexes(spec.indexes.iter().filter(|index| index.listed)),
    )
}

/// Defaults by field, as the page shows them.
fn defaults(spec: &Spec) -> BTreeMap<&'static str, String> {
    let known = spec.kind.defaults();
    let shown = spec.shape.fields.iter().map(|field| {
        let text = match (field.role, known.get(field.name)) {
            (Role::Derived | Role::Omitted | Role::Hidden, None) => String::new(),
            (_, None) => "made by the server".to_owned(),
            (_, Some(Value::String(text))) if text.is_empty() && field.name == spec.key_field => {
                "must be given".to_owned()
            }
            (_, Some(Value::Object(map))) if !map.is_empty() => "those of its fields".to_owned(),
            (_, Some(value)) => code(&value.to_string()),
        };
        (field.name, text)
    });
    shown.collect()
}

fn facts(spec: &Spec) -> String {
    let home = match spec.home {
        Home::Stored => "kept in the store",
        Home::Layered => "kept in the store and in content packs",
        Home::Computed => "not kept: computed when asked for",
        Home::ReadMostly => "kept in the store, written by the server",
    };
    let verbs = spec.verbs;
    let verbs =
        [(verbs.read, "read"), (verbs.create, "create"), (verbs.update, "update"), (verbs.delete, "delete")];
    let verbs: Vec<_> = verbs.iter().filter(|(has, _)| *has).map(|(_, verb)| *verb).collect();
    let verbs = if verbs.is_empty() { "no generic verbs".to_owned() } else { verbs.join(", ") };
    let params = if spec.params { "; carries parameters" } else { "" };
    let bare = if spec.shown == Shown::Bare { "; without the fields that every object has" } else { "" };
    let order = match spec.order {
        "" => String::new(),
        order => format!(" Lists are in the order of `{order}`, oldest first; `reverse` turns them round."),
    };
    format!("Key `{}`; {home}; {verbs}{params}{bare}.{order}", spec.key_field)
}

fn fields(fields: &[&Field], defaults: Option<&BTreeMap<&str, String>>) -> String {
    let rows = fields.iter().map(|field| {
        let mut row = vec![code(field.name), field_type(field)];
        row.extend(defaults.map(|defaults| defaults.get(field.name).cloned().unwrap_or_default()));
        row.push(format!("{}{}", field.doc.trim(), note(field.role)));
        row
    });
    match defaults {
        Some(_) => table(&["Field", "Type", "Default", "Meaning"], rows),
        None => table(&["Field", "Type", "Meaning"], rows),
    }
}

fn note(role: Role) -> &'static str {
    match role {
        Role::Hidden => " Never shown.",
        Role::Omitted => " Left out when empty.",
        Role::Stored | Role::Derived => "",
    }
}

fn field_type(field: &Field) -> String {
    match field.width.range() {
        Some(range) => format!("{}, {} to {}", type_name(field.ty), range.start(), range.end()),
        None => type_name(field.ty),
    }
}

fn type_name(ty: &Type) -> String {
    match ty {
        Type::Bool => "true or false".into(),
        Type::Int => "whole number".into(),
        Type::Text => "text".into(),
        Type::Time => "time (RFC 3339)".into(),
        Type::Uuid => "UUID".into(),
        Type::Address => "IP address".into(),
        Type::Bytes => "bytes (base64)".into(),
        Type::Any => "any JSON".into(),
        Type::List(item) => format!("list of {}", type_name(item)),
        Type::Map(value) => format!("map of name to {}", type_name(value)),
        Type::Struct(shape) => format!("[{0}](#{1})", shape.name, shape.name.to_lowercase()),
    }
}

fn indexes<'a>(indexes: impl Iterator<Item = &'a Index>) -> String {
    let yes = |is: bool| if is { "yes".to_owned() } else { String::new() };
    let rows = indexes.map(|index| {
        vec![
            code(index.name),
            index.type_word().to_owned(),
            yes(index.unique),
            yes(!index.unordered),
            yes(index.regex),
            index.refers.map(|kind| format!("[{0}](#{0})", kind.prefix())).unwrap_or_default(),
        ]
    });
    table(&["Filter", "Type", "Unique", "Sorts", "`Re()`", "Names"], rows)
}

fn part(shape: &Shape) -> String {
    let own: Vec<_> = shape.fields.iter().collect();
    format!("## {}\n\n{}\n\n{}", shape.name, shape.doc.trim(), fields(&own, None))
}

/// Every shape that occurs inside an object, by name.
fn parts() -> Vec<&'static Shape> {
    let mut found = Vec::new();
    let all = Kind::ALL.iter().flat_map(|kind| kind.spec().shape.fields);
    all.for_each(|field| collect(field.ty, &mut found));
    found.sort_unstable_by_key(|shape| shape.name);
    found
}

fn collect(ty: &'static Type, found: &mut Vec<&'static Shape>) {
    match ty {
        Type::List(inner) | Type::Map(inner) => collect(inner, found),
        Type::Struct(shape) if found.iter().all(|known| known.name != shape.name) => {
            found.push(shape);
            shape.fields.iter().for_each(|field| collect(field.ty, found));
        }
        _ => {}
    }
}
