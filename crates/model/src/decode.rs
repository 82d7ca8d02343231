//! From JSON of a client to the canonical form, by the rules of Go's decoder (API §1.5).
//!
//! Field names match exactly or else regardless of case, unknown fields are dropped, null means "leave the zero value",
//! missing fields get their zero values, types must fit. Computed fields are dropped, so what comes out is what is stored.
//! Everything is driven by the [`Shape`]; no kind has code here.

use serde_json::{Map, Value};

use crate::go;
use crate::shape::{Field, Role, Shape, Type, Width};
use crate::{Address, Bytes, Kind, Object, Time, Uuid};

/// A value that does not fit its field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Where, such as `Templates/0/Contents`; empty for the object itself.
    pub field: String,
    /// What Go's decoder would say.
    pub message: String,
}

impl Misfit {
    /// The message with the field, which Go's decoder names for types and leaves out for texts that cannot be read.
    fn told(self) -> String {
        match self.message.starts_with("json: ") || self.field.is_empty() {
            true => self.message,
            false => format!("{}: {}", self.field, self.message),
        }
    }
}

/// The canonical form of an object of `kind`.
///
/// # Errors
/// What Go's decoder would say about the first value that does not fit, with the path of the field.
pub fn object(kind: Kind, value: Value) -> Result<Map<String, Value>, String> {
    let (object, misfits) = lenient(kind, value);
    misfits.into_iter().next().map_or(Ok(object), |misfit| Err(misfit.told()))
}

/// The canonical form of an object as the store or a stored pack holds it: numbers that an earlier version took and that are
/// wider than their field are cut to the nearest one that it holds.
///
/// # Errors
/// As [`object`], about anything else.
pub fn stored(kind: Kind, value: Value) -> Result<Map<String, Value>, String> {
    let (object, misfits) = run(Decoder { cuts: true, ..Decoder::default() }, kind, value);
    misfits.into_iter().next().map_or(Ok(object), |misfit| Err(misfit.told()))
}

/// The native key of an object of `kind` that is to be created from `value`; empty when it names none.
#[must_use]
pub fn key(kind: Kind, value: &Value) -> String {
    let field = kind.spec().key_field;
    let given =
        value.as_object().and_then(|map| Some(map.get(field_name(map, field)?)?.as_str()?.to_owned()));
    let given = given.unwrap_or_default();
    match Uuid::parse(&given) {
        Ok(id) if matches!(kind, Kind::Machine | Kind::Job) => id.to_string(),
        _ => crate::canonical_key(kind, &given),
    }
}

/// The canonical form with zero values in the place of those that do not fit, and all of these.
#[must_use]
pub fn lenient(kind: Kind, value: Value) -> (Map<String, Value>, Vec<Misfit>) {
    run(Decoder::default(), kind, value)
}

fn run(mut decoder: Decoder<'static>, kind: Kind, value: Value) -> (Map<String, Value>, Vec<Misfit>) {
    let shape = kind.spec().shape;
    let map = match value {
        Value::Object(map) => map,
        Value::Null => Map::new(),
        other => {
            let given = go::word(&other);
            decoder.misfit(format!(
                "json: cannot unmarshal {given} into Go value of type models.{}",
                shape.name
            ));
            Map::new()
        }
    };
    (decoder.structure(shape, map), decoder.misfits)
}

/// The canonical form of an object that this program made: what it serialises to, less what is not stored. Decoding would
/// change nothing in it.
///
/// # Errors
/// Why it cannot be serialised.
pub(crate) fn own<T: Object>(made: &T) -> Result<Map<String, Value>, String> {
    let mut map = match serde_json::to_value(made).map_err(|error| error.to_string())? {
        Value::Object(map) => map,
        other => return Err(format!("{} serialises to {}", T::KIND, go::word(&other))),
    };
    for field in T::KIND.spec().shape.fields {
        let left_out = match field.role {
            Role::Derived => true,
            Role::Omitted => map.get(field.name).is_some_and(is_zero),
            _ => false,
        };
        if left_out {
            map.remove(field.name);
        }
    }
    debug_assert_eq!(object(T::KIND, Value::Object(map.clone())).as_ref(), Ok(&map));
    Ok(map)
}

/// A decoder under way.
#[derive(Default)]
struct Decoder<'a> {
    path: Vec<Step<'a>>,
    misfits: Vec<Misfit>,
    /// Numbers too wide for their field are cut, and are no misfits.
    cuts: bool,
}

/// Where the decoder is. Go's messages name fields only.
enum Step<'a> {
    Field(&'a str),
    Item(usize),
    Key(String),
}

impl<'a> Decoder<'a> {
    fn structure(&mut self, shape: &'a Shape, mut given: Map<String, Value>) -> Map<String, Value> {
        let mut result = Map::new();
        for field in shape.fields {
            let value = take(&mut given, field);
            if field.role == Role::Derived {
                continue;
            }
            let value = self.at(Step::Field(field.name), |decoder| {
                let value = decoder.convert(shape, field.ty, value);
                decoder.bounded(shape, field.width, value)
            });
            if field.role == Role::Omitted && is_zero(&value) {
                continue;
            }
            result.insert(field.name.to_owned(), value);
        }
        result
    }

    fn at<T>(&mut self, step: Step<'a>, work: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        let done = work(self);
        self.path.pop();
        done
    }

    fn convert(&mut self, shape: &'a Shape, ty: &'a Type, value: Option<Value>) -> Value {
        let Some(value) = value else { return self.zero(ty) };
        let parsed = match (ty, value) {
            (Type::Any, value) => Ok(value),
            (_, Value::Null) => return self.zero(ty),
            (Type::Bool, value @ Value::Bool(_)) | (Type::Text, value @ Value::String(_)) => Ok(value),
            (Type::Int, Value::Number(number)) => match number.as_i64() {
                Some(number) => Ok(number.into()),
                None => Err(self.mismatch(shape, &format!("number {number}"), "int")),
            },
            (Type::Time, Value::String(text)) => Time::parse(&text).map(|time| time.to_string().into()),
            (Type::Uuid, Value::String(text)) => Uuid::parse(&text).map(|id| id.to_string().into()),
            (Type::Address, Value::String(text)) => {
                Address::parse(&text).map(|address| address.to_string().into())
            }
            (Type::Bytes, Value::String(text)) => Bytes::parse(&text).map(|bytes| bytes.to_string().into()),
            (Type::Map(Type::Any), map @ Value::Object(_)) => Ok(map),
            (Type::List(Type::Any), list @ Value::Array(_)) => Ok(list),
            (Type::List(item), Value::Array(items)) => {
                let items = items.into_iter().enumerate();
                let convert = |(at, value)| {
                    self.at(Step::Item(at), |decoder| decoder.convert(shape, item, Some(value)))
                };
                Ok(Value::Array(items.map(convert).collect()))
            }
            (Type::Map(item), Value::Object(map)) => {
                let convert = |(key, value): (String, Value)| {
                    let step = Step::Key(key.clone());
                    (key, self.at(step, |decoder| decoder.convert(shape, item, Some(value))))
                };
                Ok(Value::Object(map.into_iter().map(convert).collect()))
            }
            (Type::Struct(inner), Value::Object(map)) => Ok(Value::Object(self.structure(inner, map))),
            (ty, value) => Err(self.mismatch(shape, go::word(&value), &go_type(ty))),
        };
        parsed.unwrap_or_else(|message| {
            self.misfit(message);
            self.zero(ty)
        })
    }

    /// The number, if Go clients have room for it; else the nearest, or none.
    fn bounded(&mut self, shape: &'a Shape, width: Width, value: Value) -> Value {
        match (width.range(), value.as_i64()) {
            (Some(range), Some(number)) if self.cuts => number.clamp(*range.start(), *range.end()).into(),
            (Some(range), Some(number)) if !range.contains(&number) => {
                let message = self.mismatch(shape, &format!("number {number}"), width.go_type());
                self.misfit(message);
                0.into()
            }
            _ => value,
        }
    }

    /// The zero value of a type. A struct in a struct is present with all its fields.
    fn zero(&mut self, ty: &'a Type) -> Value {
        match ty {
            Type::Bool => Value::Bool(false),
            Type::Int => 0.into(),
            Type::Text | Type::Uuid | Type::Address | Type::Bytes => "".into(),
            Type::Time => Time::ZERO.to_string().into(),
            Type::Any => Value::Null,
            Type::List(_) => Value::Array(Vec::new()),
            Type::Map(_) => Value::Object(Map::new()),
            Type::Struct(inner) => Value::Object(self.structure(inner, Map::new())),
        }
    }

    fn misfit(&mut self, message: String) {
        let steps = self.path.iter().map(|step| match step {
            Step::Field(name) => (*name).to_owned(),
            Step::Item(at) => at.to_string(),
            Step::Key(key) => key.replace('~', "~0").replace('/', "~1"),
        });
        let field = steps.collect::<Vec<_>>().join("/");
        self.misfits.push(Misfit { field, message });
    }

    fn mismatch(&self, shape: &Shape, given: &str, wanted: &str) -> String {
        let fields = self.path.iter().filter_map(|step| match step {
            Step::Field(name) => Some(*name),
            Step::Item(_) | Step::Key(_) => None,
        });
        let path = fields.collect::<Vec<_>>().join(".");
        format!("json: cannot unmarshal {given} into Go struct field {}.{path} of type {wanted}", shape.name)
    }
}

/// The given value of a field: an exact name wins over one in other case.
fn take(given: &mut Map<String, Value>, field: &Field) -> Option<Value> {
    let name = field_name(given, field.name)?.to_owned();
    given.remove(&name)
}

fn field_name<'a>(given: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    if let Some((name, _)) = given.get_key_value(field) {
        return Some(name);
    }
    given.keys().map(String::as_str).find(|name| name.eq_ignore_ascii_case(field))
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
        Type::Struct(shape) => shape.go_name.to_owned(),
    }
}
