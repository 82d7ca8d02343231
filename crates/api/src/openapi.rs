//! The OpenAPI 3.1 document, assembled from the list of operations and the shapes of the kinds.
//!
//! Generic rows are written out per kind, so that code generators see `/machines` and `/machines/{key}`. Texts are the doc
//! comments of rows, types and fields; nothing is described twice.

use std::collections::HashSet;

use gantry_model::{Kind, shape};
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use crate::operation::{BASE, Body, Kinds, Need, OPERATIONS, Op, Operation};
use crate::{Error, Event, types};

/// The whole document.
pub fn document(version: &str) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Gantry", "version": version, "license": { "name": "Apache-2.0" } },
        "servers": [{ "url": BASE }],
        "security": [{ "basic": [] }, { "bearer": [] }],
        "paths": paths(),
        "components": { "schemas": schemas(), "securitySchemes": {
            "basic": { "type": "http", "scheme": "basic" },
            "bearer": { "type": "http", "scheme": "bearer" },
        } },
    })
}

fn paths() -> Map<String, Value> {
    let mut paths = Map::new();
    let mut ids = HashSet::new();
    for operation in OPERATIONS {
        for (path, kind) in spelled_out(operation) {
            let item = paths.entry(path).or_insert_with(|| json!({}));
            let method = operation.method.as_str().to_ascii_lowercase();
            // A special row stands before the generic one that has the same place.
            if item.get(&method).is_none() {
                let mut row = one(operation, kind.as_deref());
                // An operation in several places is told apart by its path: generators make a function of each id.
                if !ids.insert(row["operationId"].to_string()) {
                    let words = operation.path.split(['/', '{', '}', '*']).filter(|word| !word.is_empty());
                    let words = words.collect::<Vec<_>>().join("_");
                    row["operationId"] = format!("{}_{words}", operation.op.name()).into();
                }
                item[method] = row;
            }
        }
    }
    paths
}

/// The row's path, once per word that `{kind}` may stand for.
fn spelled_out(operation: &Operation) -> Vec<(String, Option<String>)> {
    let plain = |path: &str| path.replace("{*", "{");
    if !operation.path.contains("{kind}") {
        return vec![(plain(operation.path), None)];
    }
    let words: Vec<String> = match operation.kinds {
        Kinds::Words(words) => words.iter().map(|word| (*word).to_owned()).collect(),
        _ => Kind::ALL.iter().map(|kind| kind.prefix().to_owned()).collect(),
    };
    words
        .into_iter()
        .filter(|word| operation.kinds.include(word))
        .map(|word| (plain(operation.path).replace("{kind}", &word), Some(word)))
        .collect()
}

fn one(operation: &Operation, kind: Option<&str>) -> Value {
    let name = operation.op.name();
    let id = kind.map_or_else(|| name.to_owned(), |kind| format!("{name}_{kind}"));
    let of_path =
        operation.path.split(['{', '}']).skip(1).step_by(2).filter(|name| *name != "kind").map(|name| {
            let name = name.trim_start_matches('*');
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
        });
    let parameters: Vec<Value> = of_path.chain(query(operation, kind)).collect();
    let mut row = json!({
        "operationId": id,
        "summary": operation.doc,
        "tags": [kind.unwrap_or("server")],
        "parameters": parameters,
        "responses": {
            "2XX": { "description": "Success", "content": content(operation.answer, kind) },
            "default": { "description": "Refused", "content": content(Body::Type("Error"), kind) },
        },
    });
    if operation.request != Body::Nothing {
        row["requestBody"] = json!({ "content": content(operation.request, kind) });
    }
    if let Need::Claim { scope, action, .. } = operation.need {
        row["x-claim"] = json!(format!("{} {action}", scope.replace("{kind}", kind.unwrap_or(scope))));
    }
    row
}

/// The query parameters of an operation; those of a list include its filters.
fn query(operation: &Operation, kind: Option<&str>) -> impl Iterator<Item = Value> {
    let one = |name: &str, doc: String| json!({ "name": name, "in": "query", "description": doc, "schema": { "type": "string" } });
    let named = operation
        .op
        .parameters()
        .iter()
        .copied()
        .flatten()
        .map(move |(name, doc)| one(name, (*doc).to_owned()));
    let kind = kind.and_then(Kind::from_prefix).filter(|_| operation.op == Op::List);
    let indexes = kind.into_iter().flat_map(|kind| kind.spec().all_indexes()).filter(|index| index.listed);
    let filters = indexes.map(move |index| {
        one(index.name, format!("Filter ({}): a value, or a test such as `Ne(value)`.", index.type_word()))
    });
    named.chain(filters)
}

fn content(body: Body, kind: Option<&str>) -> Value {
    let of_kind = || {
        kind.and_then(Kind::from_prefix).map_or_else(|| json!({}), |kind| reference(kind.spec().shape.name))
    };
    let schema = match body {
        Body::Nothing => return json!({}),
        Body::Bytes => return json!({ "application/octet-stream": {} }),
        Body::Form => {
            let file = json!({ "type": "string", "format": "binary" });
            let form = json!({ "type": "object", "required": ["file"], "properties": { "file": file } });
            return json!({ "multipart/form-data": { "schema": form } });
        }
        Body::Object => of_kind(),
        Body::Objects => json!({ "type": "array", "items": of_kind() }),
        Body::Patch => {
            json!({ "type": "array", "items": { "type": "object", "description": "RFC 6902 operation" } })
        }
        Body::Map => json!({ "type": "object" }),
        Body::Json(what) => json!({ "description": what }),
        Body::Type(name) => reference(name),
    };
    json!({ "application/json": { "schema": schema } })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn schemas() -> Map<String, Value> {
    let mut found: Map<String, Value> = Kind::ALL
        .iter()
        .map(|kind| (kind.spec().shape.name.to_owned(), of_shape(kind.spec().shape)))
        .collect();
    let mut generator = SchemaGenerator::new(schemars::generate::SchemaSettings::openapi3());
    generator.subschema_for::<Error>();
    generator.subschema_for::<Event>();
    generator.subschema_for::<types::TokenAnswer>();
    generator.subschema_for::<types::NewPassword>();
    generator.subschema_for::<types::BlobInfo>();
    generator.subschema_for::<types::Whoami>();
    found.extend(generator.take_definitions(true));
    found
}

fn of_shape(shape: &shape::Shape) -> Value {
    let fields: Map<String, Value> =
        shape.fields.iter().map(|field| (field.name.to_owned(), of_field(field))).collect();
    json!({ "type": "object", "description": shape.doc.trim(), "properties": fields })
}

fn of_field(field: &shape::Field) -> Value {
    let mut schema = of_type(field.ty);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".into(), field.doc.trim().into());
        if let Some(range) = field.width.range() {
            schema.insert("minimum".into(), (*range.start()).into());
            schema.insert("maximum".into(), (*range.end()).into());
        }
        if field.role == shape::Role::Derived {
            schema.insert("readOnly".into(), true.into());
        }
        if field.role == shape::Role::Hidden {
            schema.insert("writeOnly".into(), true.into());
        }
    }
    schema
}

fn of_type(ty: &shape::Type) -> Value {
    use shape::Type;
    match ty {
        Type::Bool => json!({ "type": "boolean" }),
        Type::Int => json!({ "type": "integer" }),
        Type::Text => json!({ "type": "string" }),
        Type::Time => json!({ "type": "string", "format": "date-time" }),
        Type::Uuid => json!({ "type": "string", "format": "uuid" }),
        Type::Address => json!({ "type": "string", "format": "ip" }),
        Type::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
        Type::Any => json!({}),
        Type::List(item) => json!({ "type": "array", "items": of_type(item) }),
        Type::Map(value) => json!({ "type": "object", "additionalProperties": of_type(value) }),
        Type::Struct(shape) => of_shape(shape),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_and_every_kind_is_in_the_document() {
        let text = document("4.8.0").to_string();
        for op in Op::ALL {
            assert!(text.contains(&format!("\"operationId\":\"{}", op.name())), "{}", op.name());
        }
        for kind in Kind::ALL.iter().filter(|kind| kind.spec().verbs.read) {
            assert!(text.contains(&format!("\"/{}\"", kind.prefix())), "{kind}");
        }
    }

    #[test]
    fn no_two_operations_share_an_id() {
        let document = document("4.8.0");
        let mut seen = HashSet::new();
        let items = document["paths"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|item| item.as_object().unwrap().values());
        for row in items {
            assert!(seen.insert(row["operationId"].as_str().unwrap()), "{}", row["operationId"]);
        }
    }

    #[test]
    fn lists_name_their_filters_and_no_parameter_twice() {
        let document = document("4.8.0");
        let names = |path: &str| -> Vec<String> {
            let rows = document["paths"][path]["get"]["parameters"].as_array().unwrap();
            rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
        };
        let machines = names("/machines");
        assert!(
            ["sort", "slim", "Name", "Available"]
                .iter()
                .all(|name| machines.iter().any(|found| found == name))
        );
        for kind in Kind::ALL.iter().filter(|kind| kind.spec().verbs.read) {
            let names = names(&format!("/{kind}"));
            let unique: HashSet<&String> = names.iter().collect();
            assert_eq!(unique.len(), names.len(), "{kind}: {names:?}");
        }
        assert_eq!(names("/machines/{key}/trace"), ["key", "boot", "since", "wait"]);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document("4.8.0");
        let text = document.to_string();
        for name in text.split("#/components/schemas/").skip(1) {
            let name = name.split('"').next().unwrap();
            assert!(!document["components"]["schemas"][name].is_null(), "{name}");
        }
    }
}
