//! Arguments as functions want them, and the conversions that Sprig does on its own: text of any
//! value, numbers of any value, lists of any value.

use crate::error::Fail;
use crate::exec::Scope;
use crate::fmt;
use crate::parse::number::{float_to_i64, parse_float, parse_int};
use crate::value::{Elem, List, Map, Str, Type, Value};

pub(super) const STR: Type = Type::String;
pub(super) const INT: Type = Type::Int;
pub(super) const ANY: Type = Type::Any;
pub(super) const MAP: Type = Type::Map(Elem::Any);

/// What Go says when it follows a nil pointer.
pub(super) const NIL_DEREFERENCE: &str = "runtime error: invalid memory address or nil pointer dereference";

/// A string argument. The signature has made sure that it is one.
pub(super) fn str(value: &Value) -> &[u8] {
    match value {
        Value::Str(s) => s,
        _ => &[],
    }
}

/// An integer argument.
pub(super) fn int(value: &Value) -> i64 {
    match value {
        Value::Int(n) | Value::Int64(n) => *n,
        Value::Uint(_, n) => *n as i64,
        _ => 0,
    }
}

/// A map argument.
pub(super) fn map(value: &Value) -> Result<&Map, Fail> {
    match value {
        Value::Map(map) => Ok(map),
        _ => Err(Fail::text("not a map")),
    }
}

/// Sprig's `strval`: strings as they are, everything else as `%v`.
pub(super) fn text(scope: &Scope<'_>, value: &Value) -> Result<Str, Fail> {
    match value {
        Value::Str(s) => Ok(s.clone()),
        Value::List(list) if list.elem() == Elem::Uint8 => {
            Ok(list.iter().map(|v| int(v) as u8).collect::<Vec<u8>>().into())
        }
        _ => Ok(fmt::value(value, scope.bounds())?.into()),
    }
}

/// Sprig's `toInt64`: what cannot be converted is 0.
pub(super) fn to_i64(value: &Value) -> i64 {
    match value {
        Value::Int(n) | Value::Int64(n) => *n,
        Value::Uint(_, n) => *n as i64,
        Value::Float(x) => float_to_i64(*x),
        Value::Str(s) => s.as_text().and_then(parse_int).unwrap_or(0),
        Value::Bool(b) => i64::from(*b),
        _ => 0,
    }
}

/// Sprig's `toFloat64`: what cannot be converted is 0.
pub(super) fn to_f64(value: &Value) -> f64 {
    match value {
        Value::Int(n) | Value::Int64(n) => *n as f64,
        Value::Uint(_, n) => *n as f64,
        Value::Float(x) => *x,
        Value::Str(s) => s.as_text().and_then(parse_float).unwrap_or(0.0),
        Value::Bool(b) => f64::from(u8::from(*b)),
        _ => 0.0,
    }
}

/// Sprig's `strslice`: the elements of a list as text without the nil ones; a list of one for
/// anything else.
pub(super) fn texts(scope: &Scope<'_>, value: &Value) -> Result<Vec<Str>, Fail> {
    match value {
        Value::Nil => Ok(Vec::new()),
        Value::List(list) => {
            list.iter().filter(|item| !item.is_nil()).map(|item| text(scope, item)).collect()
        }
        _ => Ok(vec![text(scope, value)?]),
    }
}

/// The list behind an argument of any type, or Sprig's complaint.
pub(super) fn list<'v>(value: &'v Value, doing: &str) -> Result<&'v List, Fail> {
    match value {
        Value::List(list) => Ok(list),
        Value::Nil => Err(Fail::text(NIL_DEREFERENCE)),
        other => Err(Fail::text(format!("Cannot {doing} on type {}", other.kind()))),
    }
}
