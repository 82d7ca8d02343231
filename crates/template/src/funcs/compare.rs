//! Comparisons: `eq ne lt le gt ge`. Basic kinds only compare with their like; integers compare
//! whatever their width and sign.

use super::{Result, Row, row};
use crate::error::Fail;
use crate::exec::Scope;
use crate::fmt::for_message;
use crate::object::Signature;
use crate::value::{Kind, Type, Value};
use std::cmp::Ordering;
use std::sync::Arc;

const TWO: &[Type] = &[Type::Value, Type::Value];

pub(super) static ROWS: &[Row] = &[
    row("eq", Signature::variadic(TWO), eq, "eq A B...", "Whether A equals B, or any further argument."),
    row("ne", Signature::exact(TWO), ne, "ne A B", "Whether A differs from B."),
    row("lt", Signature::exact(TWO), lt, "lt A B", "Whether A is less than B."),
    row("le", Signature::exact(TWO), le, "le A B", "Whether A is less than B or equals it."),
    row("gt", Signature::exact(TWO), gt, "gt A B", "Whether A is greater than B."),
    row("ge", Signature::exact(TWO), ge, "ge A B", "Whether A is greater than B or equals it."),
];

/// A value by its basic kind.
enum Basic<'v> {
    None,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Complex(f64, f64),
    Str(&'v [u8]),
}

fn basic(value: &Value) -> Basic<'_> {
    match value {
        Value::Bool(b) => Basic::Bool(*b),
        Value::Int(n) | Value::Int64(n) => Basic::Int(*n),
        Value::Uint(_, n) => Basic::Uint(*n),
        Value::Float(x) => Basic::Float(*x),
        Value::Complex(re, im) => Basic::Complex(*re, *im),
        Value::Str(s) => Basic::Str(s),
        _ => Basic::None,
    }
}

fn eq(_: &mut Scope<'_>, args: &[Value]) -> Result {
    if args.len() < 2 {
        return Err(Fail::text("missing argument for comparison"));
    }
    for other in &args[1..] {
        if equal(&args[0], other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn equal(a: &Value, b: &Value) -> std::result::Result<bool, Fail> {
    let (left, right) = (a.unnamed(), b.unnamed());
    Ok(match (basic(&left), basic(&right)) {
        (Basic::Bool(a), Basic::Bool(b)) => a == b,
        (Basic::Int(a), Basic::Int(b)) => a == b,
        (Basic::Uint(a), Basic::Uint(b)) => a == b,
        (Basic::Int(a), Basic::Uint(b)) | (Basic::Uint(b), Basic::Int(a)) => u64::try_from(a) == Ok(b),
        (Basic::Float(a), Basic::Float(b)) => a == b,
        (Basic::Complex(a, b), Basic::Complex(c, d)) => a == c && b == d,
        (Basic::Str(a), Basic::Str(b)) => a == b,
        (Basic::None, Basic::None) => return equal_references(a, b),
        _ if a.is_nil() || b.is_nil() => false,
        _ => return incompatible(a, b),
    })
}

fn incompatible(a: &Value, b: &Value) -> std::result::Result<bool, Fail> {
    let (a, b) = (a.type_name(), b.type_name());
    Err(Fail::text(format!("incompatible types for comparison: {a} and {b}")))
}

fn is_nil(value: &Value) -> bool {
    match value {
        Value::Nil | Value::NilPtr(_) => true,
        Value::List(list) => list.is_nil(),
        Value::Map(map) => map.is_nil(),
        _ => false,
    }
}

/// Values of no basic kind: lists and maps only compare with nil, objects as they say.
fn equal_references(a: &Value, b: &Value) -> std::result::Result<bool, Fail> {
    let (ka, kb) = (a.kind(), b.kind());
    if ka != kb && ka != Kind::Invalid && kb != Kind::Invalid {
        return Err(Fail::text(format!(
            "non-comparable types {}: {}, {}: {}",
            for_message(a, 's'),
            a.type_name(),
            b.type_name(),
            for_message(b, 'v')
        )));
    }
    if is_nil(a) || is_nil(b) {
        return Ok(is_nil(a) == is_nil(b));
    }
    let same = match (a, b) {
        (Value::Object(a), Value::Object(b)) if a.type_name().starts_with('*') => Some(Arc::ptr_eq(a, b)),
        (Value::Object(a), Value::Object(b)) if a.type_name() == b.type_name() => a.equals(b.as_ref()),
        (Value::Object(_), Value::Object(_)) => Some(false),
        _ => None,
    };
    same.ok_or_else(|| Fail::text(format!("non-comparable type {}: {}", for_message(b, 's'), b.type_name())))
}

fn order(a: &Value, b: &Value) -> std::result::Result<Option<Ordering>, Fail> {
    const BAD: &str = "invalid type for comparison";
    let (left, right) = (a.unnamed(), b.unnamed());
    Ok(match (basic(&left), basic(&right)) {
        (Basic::None, _) | (_, Basic::None) => return Err(Fail::text(BAD)),
        (Basic::Bool(_), Basic::Bool(_)) | (Basic::Complex(..), Basic::Complex(..)) => {
            return Err(Fail::text(BAD));
        }
        (Basic::Int(a), Basic::Int(b)) => Some(a.cmp(&b)),
        (Basic::Uint(a), Basic::Uint(b)) => Some(a.cmp(&b)),
        (Basic::Int(a), Basic::Uint(b)) => Some(i128::from(a).cmp(&b.into())),
        (Basic::Uint(a), Basic::Int(b)) => Some(i128::from(a).cmp(&b.into())),
        (Basic::Float(a), Basic::Float(b)) => a.partial_cmp(&b),
        (Basic::Str(a), Basic::Str(b)) => Some(a.cmp(b)),
        _ => return incompatible(a, b).map(|_| None),
    })
}

fn ne(_: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(Value::Bool(!equal(&args[0], &args[1])?))
}

fn lt(_: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(Value::Bool(order(&args[0], &args[1])? == Some(Ordering::Less)))
}

fn le(_: &mut Scope<'_>, args: &[Value]) -> Result {
    let order = order(&args[0], &args[1])?;
    Ok(Value::Bool(matches!(order, Some(Ordering::Less | Ordering::Equal))))
}

/// Not `le`: true for a NaN, as in Go.
fn gt(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(Value::Bool(!le(scope, args)?.truth()))
}

/// Not `lt`: true for a NaN, as in Go.
fn ge(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(Value::Bool(!lt(scope, args)?.truth()))
}
