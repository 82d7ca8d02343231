//! [`Value`]: what templates compute with. The variants are the Go types that template data and the
//! functions of Sprig can produce; which of them a number is decides how it prints and compares, so
//! `int`, `int64` and `float64` are different things here. Cloning a value is cheap.

mod json;
mod list;
mod map;
mod release;
mod str;
mod types;

pub use list::List;
pub(crate) use list::{INTERFACE_SIZE, appended_capacity, grown_capacity};
pub use map::{Entries, Map};
pub use str::Str;
pub use types::{Elem, Kind, Type};

use crate::object::{Func, Object};
use std::sync::Arc;

/// A value of the template language.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// Untyped nil: an absent value. Prints as `<no value>`, inside containers as `<nil>`.
    #[default]
    Nil,
    /// `bool`
    Bool(bool),
    /// `int`: integer constants, `len`, `int`.
    Int(i64),
    /// `int64`: the results of Sprig's arithmetic.
    Int64(i64),
    /// An unsigned integer.
    Uint(Uint, u64),
    /// `float64`: every number that was decoded from JSON.
    Float(f64),
    /// `complex128`: imaginary constants.
    Complex(f64, f64),
    /// `string`
    Str(Str),
    /// A slice.
    List(List),
    /// A map with string keys.
    Map(Map),
    /// A struct, a pointer to one, or a named type: anything with fields and methods.
    Object(Arc<dyn Object>),
    /// A nil pointer of the named type (`*models.Machine`): false, prints `<nil>`, has no fields.
    NilPtr(&'static str),
    /// A function value, for `call`.
    Func(Arc<Func>),
}

/// Width of an unsigned integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uint {
    /// `uint8`: a byte of a string, from `index`.
    U8,
    /// `uint32`
    U32,
    /// `uint64`: the parts of a semantic version.
    U64,
}

impl Value {
    /// A `[]interface {}`.
    pub fn list(items: Vec<Value>) -> Self {
        Value::List(List::new(items))
    }

    /// A `[]string`.
    pub fn strings<S: Into<Str>>(items: impl IntoIterator<Item = S>) -> Self {
        Value::List(List::of_strings(items))
    }

    /// A `map[string]interface {}` that templates may change in place.
    pub fn map<K: Into<Str>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        Value::Map(Map::new(entries.into_iter().map(|(k, v)| (k.into(), v)).collect()))
    }

    /// Wraps an object.
    pub fn object(object: impl Object + 'static) -> Self {
        Value::Object(Arc::new(object))
    }

    /// The zero value of a type.
    pub fn zero(ty: Type) -> Self {
        match ty {
            Type::Any | Type::Value | Type::Func => Value::Nil,
            Type::Bool => Value::Bool(false),
            Type::Int => Value::Int(0),
            Type::Int64 => Value::Int64(0),
            Type::Uint8 => Value::Uint(Uint::U8, 0),
            Type::Uint32 => Value::Uint(Uint::U32, 0),
            Type::Uint64 => Value::Uint(Uint::U64, 0),
            Type::Float64 => Value::Float(0.0),
            Type::Complex128 => Value::Complex(0.0, 0.0),
            Type::String => Value::Str(Str::default()),
            Type::List(elem) => Value::List(List::nil(elem)),
            Type::Map(elem) => Value::Map(Map::nil(elem)),
            Type::Named(name) => Value::NilPtr(name),
        }
    }

    /// Whether this is untyped nil.
    pub fn is_nil(&self) -> bool {
        matches!(self, Value::Nil)
    }

    /// The truth of the value: false, 0, "", nil and empty lists and maps are false.
    pub fn truth(&self) -> bool {
        match self {
            Value::Nil | Value::NilPtr(_) => false,
            Value::Bool(b) => *b,
            Value::Int(n) | Value::Int64(n) => *n != 0,
            Value::Uint(_, n) => *n != 0,
            Value::Float(x) => *x != 0.0,
            Value::Complex(re, im) => *re != 0.0 || *im != 0.0,
            Value::Str(s) => !s.is_empty(),
            Value::List(list) => !list.is_empty(),
            Value::Map(map) => !map.is_empty(),
            Value::Object(object) => object.basic().map_or_else(|| object.truth(), |basic| basic.truth()),
            Value::Func(_) => true,
        }
    }

    /// The dynamic type; `None` for untyped nil, and `Named` only by way of [`Value::type_name`].
    pub fn type_of(&self) -> Option<Type> {
        Some(match self {
            Value::Nil => return None,
            Value::Bool(_) => Type::Bool,
            Value::Int(_) => Type::Int,
            Value::Int64(_) => Type::Int64,
            Value::Uint(Uint::U8, _) => Type::Uint8,
            Value::Uint(Uint::U32, _) => Type::Uint32,
            Value::Uint(Uint::U64, _) => Type::Uint64,
            Value::Float(_) => Type::Float64,
            Value::Complex(..) => Type::Complex128,
            Value::Str(_) => Type::String,
            Value::List(list) => Type::List(list.elem()),
            Value::Map(map) => Type::Map(map.elem()),
            Value::Object(object) => Type::Named(object.type_name()),
            Value::NilPtr(name) => Type::Named(name),
            Value::Func(_) => Type::Func,
        })
    }

    /// The name of the dynamic type as `%T` prints it, `<nil>` for untyped nil.
    pub fn type_name(&self) -> String {
        match self {
            Value::Func(func) => func.type_name(),
            _ => self.type_of().map_or_else(|| "<nil>".to_owned(), |ty| ty.to_string()),
        }
    }

    /// The basic value behind a named basic type (`type Month int`); every other value as it is.
    pub(crate) fn unnamed(&self) -> Value {
        match self {
            Value::Object(object) => object.basic().unwrap_or_else(|| self.clone()),
            _ => self.clone(),
        }
    }

    /// The reflected kind.
    pub fn kind(&self) -> Kind {
        match self {
            Value::Object(object) => match object.basic() {
                Some(basic) => basic.kind(),
                None => Type::Named(object.type_name()).kind(),
            },
            _ => self.type_of().map_or(Kind::Invalid, Type::kind),
        }
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Value::Bool(b)
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Value::Int(n)
    }
}

impl From<i32> for Value {
    fn from(n: i32) -> Self {
        Value::Int(n.into())
    }
}

impl From<f64> for Value {
    fn from(x: f64) -> Self {
        Value::Float(x)
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Value::Str(s.into())
    }
}

impl From<String> for Value {
    fn from(s: String) -> Self {
        Value::Str(s.into())
    }
}

impl From<Str> for Value {
    fn from(s: Str) -> Self {
        Value::Str(s)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Value::Str(bytes.into())
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Value::list(items)
    }
}

impl From<List> for Value {
    fn from(list: List) -> Self {
        Value::List(list)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Value::Map(map)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(option: Option<T>) -> Self {
        option.map_or(Value::Nil, Into::into)
    }
}
