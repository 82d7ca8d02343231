//! Objects of the model as objects of the template language: Go structs with their fields, addresses and UUIDs that print
//! themselves.

use std::sync::Arc;

use gantry_model::shape::{Field, Role, Shape, Type};
use gantry_model::{Bytes, Kind};
use gantry_template::{Elem, Fail, List, Map, Object, Uint, Value};
use serde_json::Value as Json;

use crate::scene::Scene;

/// A Go struct: the fields of a shape with the values of a JSON object.
#[derive(Debug)]
pub(crate) struct Struct {
    shape: &'static Shape,
    type_name: &'static str,
    json: Arc<Json>,
}

impl Struct {
    pub(crate) fn value(shape: &'static Shape, json: Json) -> Value {
        Self::pointer(shape, shape.go_name, json)
    }

    /// A pointer to one, of this type.
    pub(crate) fn pointer(shape: &'static Shape, type_name: &'static str, json: Json) -> Value {
        Value::object(Self { shape, type_name, json: Arc::new(json) })
    }
}

impl Object for Struct {
    fn type_name(&self) -> &'static str {
        self.type_name
    }

    fn field(&self, name: &str) -> Option<Value> {
        field(self.shape, &self.json, name)
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        fields(self.shape, &self.json)
    }
}

/// Stage or task of a scene.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) scene: Arc<Scene>,
    pub(crate) kind: Kind,
    pub(crate) type_name: &'static str,
}

impl Object for Part {
    fn type_name(&self) -> &'static str {
        self.type_name
    }

    fn field(&self, name: &str) -> Option<Value> {
        match (self.kind, name) {
            (Kind::Task, "TargetOS") if self.scene.target_os.is_empty() => Some(Value::from("linux")),
            (Kind::Task, "TargetOS") => Some(Value::from(self.scene.target_os.as_str())),
            (kind, name) => field_of(&self.scene, kind, name),
        }
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        fields_of(&self.scene, self.kind)
    }
}

/// A field of an object of the scene.
pub(crate) fn field_of(scene: &Scene, kind: Kind, name: &str) -> Option<Value> {
    let field = find(kind.spec().shape, name)?;
    Some(convert(field.ty, scene.field_of(kind, field.name)))
}

/// All fields of an object of the scene.
pub(crate) fn fields_of(scene: &Scene, kind: Kind) -> Vec<(&'static str, Value)> {
    fields(kind.spec().shape, scene.whole(kind))
}

pub(crate) fn field(shape: &'static Shape, json: &Json, name: &str) -> Option<Value> {
    let field = find(shape, name)?;
    Some(convert(field.ty, json.get(field.name).unwrap_or(&Json::Null)))
}

/// Go templates use the names of Go fields; for the few wire names in lower case they differ by case and underscores.
fn find(shape: &'static Shape, name: &str) -> Option<&'static Field> {
    shape.field(name).or_else(|| {
        let plain = name.to_ascii_lowercase();
        shape.fields.iter().find(|field| field.name.replace('_', "").eq_ignore_ascii_case(&plain))
    })
}

/// All fields, but for those that are left out when they are zero.
pub(crate) fn fields(shape: &'static Shape, json: &Json) -> Vec<(&'static str, Value)> {
    let value = |field: &Field| json.get(field.name).unwrap_or(&Json::Null);
    let shown = shape.fields.iter().filter(|field| field.role != Role::Omitted || !is_zero(value(field)));
    shown.map(|field| (field.name, convert(field.ty, value(field)))).collect()
}

fn is_zero(json: &Json) -> bool {
    match json {
        Json::Null => true,
        Json::Bool(on) => !on,
        Json::Number(number) => number.as_f64() == Some(0.0),
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(fields) => fields.is_empty(),
    }
}

/// A JSON value as the Go type that the shape says.
fn convert(ty: &'static Type, json: &Json) -> Value {
    match (ty, json) {
        (Type::Int, Json::Number(number)) => Value::Int(number.as_i64().unwrap_or_default()),
        (Type::Address, json) => printed("net.IP", json.as_str().unwrap_or_default(), "<nil>"),
        (Type::Uuid, json) => printed("uuid.UUID", json.as_str().unwrap_or_default(), ""),
        (Type::Time, json) => printed("time.Time", json.as_str().unwrap_or_default(), ""),
        (Type::Bytes, json) => {
            let bytes = Bytes::parse(json.as_str().unwrap_or_default()).unwrap_or_default();
            Value::List(List::of(
                Elem::Uint8,
                bytes.0.into_iter().map(|byte| Value::Uint(Uint::U8, byte.into())).collect(),
            ))
        }
        (Type::List(Type::Text), Json::Array(items)) => Value::strings(items.iter().filter_map(Json::as_str)),
        (Type::List(item), Json::Array(items)) => {
            let elem = match item {
                Type::Struct(shape) => Elem::Named(shape.go_name),
                _ => Elem::Any,
            };
            Value::List(List::of(elem, items.iter().map(|value| convert(item, value)).collect()))
        }
        (Type::Map(item), Json::Object(entries)) => {
            let elem = match item {
                Type::Text => Elem::String,
                Type::Struct(shape) => Elem::Named(shape.go_name),
                _ => Elem::Any,
            };
            let entries =
                entries.iter().map(|(key, value)| (key.as_str().into(), convert(item, value))).collect();
            Value::Map(Map::of(elem, entries))
        }
        (Type::Struct(shape), json) => Struct::value(shape, json.clone()),
        (_, json) => Value::from(json),
    }
}

/// A named type that prints itself; empty prints as `unset` and is false.
#[derive(Debug)]
struct Printed {
    type_name: &'static str,
    text: String,
    unset: &'static str,
}

pub(crate) fn printed(type_name: &'static str, text: &str, unset: &'static str) -> Value {
    Value::object(Printed { type_name, text: text.to_owned(), unset })
}

impl Object for Printed {
    fn type_name(&self) -> &'static str {
        self.type_name
    }

    fn text(&self) -> Option<String> {
        Some(if self.text.is_empty() { self.unset.to_owned() } else { self.text.clone() })
    }

    fn json(&self) -> Option<Result<String, Fail>> {
        Some(Ok(Json::from(self.text.as_str()).to_string()))
    }

    fn truth(&self) -> bool {
        !self.text.is_empty()
    }

    fn equals(&self, other: &dyn Object) -> Option<bool> {
        Some(self.text() == other.text())
    }
}

/// The text of an argument that the signature says is a string.
pub(crate) fn text_arg(args: &[Value], at: usize) -> String {
    match args.get(at) {
        Some(Value::Str(text)) => text.to_text().into_owned(),
        _ => String::new(),
    }
}

/// A failure with this text, for `?`-less returns.
pub(crate) fn fail<T>(message: impl Into<String>) -> Result<T, Fail> {
    Err(Fail::text(message))
}
