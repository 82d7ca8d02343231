//! Deep equality and deep copies, as Go's reflection does them: types count, nil is not empty.

use super::semver;
use crate::error::Fail;
use crate::exec::Scope;
use crate::value::{List, Map, Value};
use std::sync::Arc;

/// `reflect.DeepEqual`
pub(super) fn deep_equal(scope: &mut Scope<'_>, a: &Value, b: &Value) -> Result<bool, Fail> {
    equal(scope, a, b)
}

fn equal(scope: &mut Scope<'_>, a: &Value, b: &Value) -> Result<bool, Fail> {
    scope.work(1)?;
    scope.check_stack()?;
    Ok(match (a, b) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) | (Value::Int64(a), Value::Int64(b)) => a == b,
        (Value::Uint(wa, a), Value::Uint(wb, b)) => wa == wb && a == b,
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Complex(a, b), Value::Complex(c, d)) => a == c && b == d,
        (Value::Str(a), Value::Str(b)) => a == b,
        (Value::NilPtr(a), Value::NilPtr(b)) => a == b,
        (Value::List(a), Value::List(b)) => equal_lists(scope, a, b)?,
        (Value::Map(a), Value::Map(b)) => equal_maps(scope, a, b)?,
        (Value::Object(a), Value::Object(b)) if Arc::ptr_eq(a, b) => true,
        (Value::Object(a), Value::Object(b)) if a.type_name() == b.type_name() => {
            if let Some(same) = a.equals(b.as_ref()) {
                return Ok(same);
            }
            let (a, b) = (a.fields(), b.fields());
            let mut same = a.len() == b.len();
            for ((_, a), (_, b)) in a.iter().zip(&b) {
                same = same && equal(scope, a, b)?;
            }
            same
        }
        _ => false,
    })
}

fn equal_lists(scope: &mut Scope<'_>, a: &List, b: &List) -> Result<bool, Fail> {
    if a.elem() != b.elem() || a.is_nil() != b.is_nil() || a.len() != b.len() {
        return Ok(false);
    }
    if a.same(b) {
        return Ok(true);
    }
    for (a, b) in a.iter().zip(b.iter()) {
        if !equal(scope, a, b)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn equal_maps(scope: &mut Scope<'_>, a: &Map, b: &Map) -> Result<bool, Fail> {
    if a.elem() != b.elem() || a.is_nil() != b.is_nil() {
        return Ok(false);
    }
    if a.same(b) {
        return Ok(true);
    }
    let (a, b) = (a.entries(), b.entries());
    if a.len() != b.len() {
        return Ok(false);
    }
    for ((ka, a), (kb, b)) in a.iter().zip(b.iter()) {
        if ka != kb || !equal(scope, a, b)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A copy that shares no map with the original.
pub(super) fn deep_copy(scope: &mut Scope<'_>, value: &Value) -> Result<Value, Fail> {
    if value.is_nil() {
        return Err(Fail::text("reflect: call of reflect.Value.Type on zero Value"));
    }
    copy(scope, value)
}

fn copy(scope: &mut Scope<'_>, value: &Value) -> Result<Value, Fail> {
    scope.work(1)?;
    scope.check_stack()?;
    Ok(match value {
        Value::List(list) if list.is_nil() => value.clone(),
        Value::List(list) => {
            scope.produce(list.len() * size_of::<Value>())?;
            let mut items = Vec::with_capacity(list.len());
            for item in list.iter() {
                items.push(copy(scope, item)?);
            }
            List::with_capacity(list.elem(), items, list.capacity()).into()
        }
        Value::Map(map) if map.is_nil() => value.clone(),
        Value::Map(map) => {
            let mut entries = crate::value::Entries::clone(&map.entries());
            scope.produce(entries.len() * 2 * size_of::<Value>())?;
            for item in entries.values_mut() {
                *item = copy(scope, item)?;
            }
            Map::of(map.elem(), entries).into()
        }
        // Go copies the exported fields of a struct, and a version has none.
        Value::Object(object) => semver::copied(object.as_ref()).unwrap_or_else(|| value.clone()),
        _ => value.clone(),
    })
}
