//! From JSON of a client to the canonical form, by the rules of Go's decoder (API §1.5).
//!
//! Field names match exactly or else regardless of case, unknown fields are dropped, null means "leave the zero value",
//! missing fields get their zero values, types must fit. Computed fields are dropped, so what comes out is what is stored.
//! Everything is driven by the [`Shape`]; no kind has code here.

use serde_json::{Map, Value};

use crate::go;
use crate::shape::{Field, Role, Shape, Type};
use crate::{Address, Bytes, Kind, Time, Uuid};

/// The canonical form of an object of `kind`.
///
/// # Errors
/// What Go's decoder would say, with the path of the field.
pub fn object(kind: Kind, value: Value) -> Result<Map<String, Value>, String> {
    let shape = kind.spec().shape;
    match value {
        Value::Object(map) => structure(shape, map, &mut Vec::new()),
        Value::Null => structure(shape, Map::new(), &mut Vec::new()),
        other => Err(format!(
            "json: cannot unmarshal {} into Go value of type models.{}",
            go::word(&other),
            shape.name
        )),
    }
}

/// Where the decoder is, for its messages.
type Path<'a> = Vec<&'a str>;

fn structure<'a>(
    shape: &'a Shape,
    mut given: Map<String, Value>,
    path: &mut Path<'a>,
) -> Result<Map<String, Value>, String> {
    let mut result = Map::new();
    for field in shape.fields {
        let value = take(&mut given, field);
        if field.role == Role::Derived {
            continue;
        }
        path.push(field.name);
        let value = convert(shape, field.ty, value, path)?;
        path.pop();
        if field.role == Role::Omitted && is_zero(&value) {
            continue;
        }
        result.insert(field.name.to_owned(), value);
    }
    Ok(result)
}

/// The given value of a field: an exact name wins over one in other case.
fn take(given: &mut Map<String, Value>, field: &Field) -> Option<Value> {
    if let Some(value) = given.remove(field.name) {
        return Some(value);
    }
    let other = given.keys().find(|name| name.eq_ignore_ascii_case(field.name))?.clone();
    given.remove(&other)
}

fn convert<'a>(
    shape: &'a Shape,
    ty: &'a Type,
    value: Option<Value>,
    path: &mut Path<'a>,
) -> Result<Value, String> {
    let Some(value) = value else { return zero(ty, path) };
    match (ty, value) {
        (Type::Any, value) => Ok(value),
        (_, Value::Null) => zero(ty, path),
        (Type::Bool, value @ Value::Bool(_)) | (Type::Text, value @ Value::String(_)) => Ok(value),
        (Type::Int, Value::Number(number)) => match number.as_i64() {
            Some(number) => Ok(number.into()),
            None => Err(mismatch(shape, path, &format!("number {number}"), "int")),
        },
        (Type::Time, Value::String(text)) => Time::parse(&text).map(|time| time.to_string().into()),
        (Type::Uuid, Value::String(text)) => Uuid::parse(&text).map(|id| id.to_string().into()),
        (Type::Address, Value::String(text)) => {
            Address::parse(&text).map(|address| address.to_string().into())
        }
        (Type::Bytes, Value::String(text)) => Bytes::parse(&text).map(|bytes| bytes.to_string().into()),
        (Type::List(item), Value::Array(items)) => {
            let items: Result<Vec<Value>, String> =
                items.into_iter().map(|value| convert(shape, item, Some(value), path)).collect();
            items.map(Value::Array)
        }
        (Type::Map(item), Value::Object(map)) => {
            let entries: Result<Map<String, Value>, String> = map
                .into_iter()
                .map(|(key, value)| Ok((key, convert(shape, item, Some(value), path)?)))
                .collect();
            entries.map(Value::Object)
        }
        (Type::Struct(inner), Value::Object(map)) => structure(inner, map, path).map(Value::Object),
        (ty, value) => Err(mismatch(shape, path, go::word(&value), &go_type(ty))),
    }
}

/// The zero value of a type. A struct in a struct is present with all its fields.
fn zero<'a>(ty: &'a Type, path: &mut Path<'a>) -> Result<Value, String> {
    Ok(match ty {
        Type::Bool => Value::Bool(false),
        Type::Int => 0.into(),
        Type::Text | Type::Uuid | Type::Address | Type::Bytes => "".into(),
        Type::Time => Time::ZERO.to_string().into(),
        Type::Any => Value::Null,
        Type::List(_) => Value::Array(Vec::new()),
        Type::Map(_) => Value::Object(Map::new()),
        Type::Struct(inner) => Value::Object(structure(inner, Map::new(), path)?),
    })
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

fn mismatch(shape: &Shape, path: &Path<'_>, given: &str, wanted: &str) -> String {
    format!(
        "json: cannot unmarshal {given} into Go struct field {}.{} of type {wanted}",
        shape.name,
        path.join(".")
    )
}

fn go_type(ty: &Type) -> String {
    match ty {
        Type::Bool => "bool".to_owned(),
        Type::Int => "int".to_owned(),
        Type::Text => "string".to_owned(),
        Type::Time => "time.Time".to_owned(),
        Type::Uuid => "uuid.UUID".to_owned(),
        Type::Address => "net.IP".to_owned(),
        Type::Bytes => "[]uint8".to_owned(),
        Type::Any => "interface {}".to_owned(),
        Type::List(item) => format!("[]{}", go_type(item)),
        Type::Map(item) => format!("map[string]{}", go_type(item)),
        Type::Struct(shape) => format!("models.{}", shape.name),
    }
}
