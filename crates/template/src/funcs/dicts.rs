//! Maps. `set`, `unset` and the merges change their first argument in place.

use super::args::{ANY, MAP, STR, map, str, text};
use super::deep::{deep_copy, deep_equal};
use super::{Result, Row, row};
use crate::error::Fail;
use crate::exec::Scope;
use crate::object::Signature;
use crate::value::{Elem, Entries, INTERFACE_SIZE, List, Map, Str, Value, grown_capacity};

const MERGE: Signature = Signature::variadic(&[MAP, MAP]);

pub(super) static ROWS: &[Row] = &[
    row(
        "dict",
        Signature::variadic(&[ANY]),
        dict,
        "dict KEY VALUE...",
        "A map of the pairs; a last key without value gets the empty string.",
    ),
    row(
        "get",
        Signature::exact(&[MAP, STR]),
        get,
        "get MAP KEY",
        "The value of the key, the empty string when it is not there.",
    ),
    row(
        "set",
        Signature::exact(&[MAP, STR, ANY]),
        set,
        "set MAP KEY VALUE",
        "Sets the key in the map itself, and gives the map.",
    ),
    row(
        "unset",
        Signature::exact(&[MAP, STR]),
        unset,
        "unset MAP KEY",
        "Removes the key from the map itself, and gives the map.",
    ),
    row("hasKey", Signature::exact(&[MAP, STR]), has_key, "hasKey MAP KEY", "Whether the key is in the map."),
    row(
        "pluck",
        Signature::variadic(&[STR, MAP]),
        pluck,
        "pluck KEY MAP...",
        "The values of the key in those maps that have it.",
    ),
    row(
        "keys",
        Signature::variadic(&[MAP]),
        keys,
        "keys MAP...",
        "All keys, sorted within each map. (Go gives them in random order.)",
    ),
    row(
        "values",
        Signature::exact(&[MAP]),
        values,
        "values MAP",
        "All values, in the order of their keys. (Go gives them in random order.)",
    ),
    row("pick", Signature::variadic(&[MAP, STR]), pick, "pick MAP KEY...", "A map of these keys only."),
    row("omit", Signature::variadic(&[MAP, STR]), omit, "omit MAP KEY...", "A map without these keys."),
    row(
        "merge",
        MERGE,
        merge,
        "merge MAP MAP...",
        "Fills what is empty in the first map from the others, in place and deeply.",
    ),
    row("mustMerge", MERGE, merge, "mustMerge MAP MAP...", "Another name of merge."),
    row(
        "mergeOverwrite",
        MERGE,
        merge_overwrite,
        "mergeOverwrite MAP MAP...",
        "Overwrites the first map with the others, in place and deeply.",
    ),
    row(
        "mustMergeOverwrite",
        MERGE,
        merge_overwrite,
        "mustMergeOverwrite MAP MAP...",
        "Another name of mergeOverwrite.",
    ),
    row(
        "deepCopy",
        Signature::exact(&[ANY]),
        copy,
        "deepCopy VALUE",
        "A copy that shares nothing with the original.",
    ),
    row("mustDeepCopy", Signature::exact(&[ANY]), copy, "mustDeepCopy VALUE", "Another name of deepCopy."),
    row(
        "deepEqual",
        Signature::exact(&[ANY, ANY]),
        |s, a| Ok(deep_equal(s, &a[0], &a[1])?.into()),
        "deepEqual A B",
        "Whether both have the same type and content.",
    ),
];

/// Accounts for the nodes of a map that is made or copied.
fn charged(scope: &mut Scope<'_>, entries: usize) -> std::result::Result<(), Fail> {
    scope.produce(entries.saturating_mul(3 * size_of::<Value>()))
}

fn dict(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    charged(scope, args.len() / 2 + 1)?;
    let mut entries = Entries::new();
    for pair in args.chunks(2) {
        let key = text(scope, &pair[0])?;
        entries.insert(key, pair.get(1).cloned().unwrap_or_else(|| Value::Str(Str::default())));
    }
    Ok(Map::new(entries).into())
}

fn get(_: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(map(&args[0])?.get(str(&args[1])).unwrap_or_else(|| Value::Str(Str::default())))
}

fn key(value: &Value) -> Str {
    match value {
        Value::Str(s) => s.clone(),
        _ => Str::default(),
    }
}

fn set(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let map = map(&args[0])?;
    if map.is_nil() {
        return Err(Fail::text("assignment to entry in nil map"));
    }
    charged(scope, if map.is_frozen() { map.len() + 1 } else { 1 })?;
    Ok(map.change(|entries| drop(entries.insert(key(&args[1]), args[2].clone()))).into())
}

fn unset(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let map = map(&args[0])?;
    if map.is_nil() {
        return Ok(args[0].clone());
    }
    charged(scope, if map.is_frozen() { map.len() } else { 0 })?;
    Ok(map.change(|entries| drop(entries.remove(str(&args[1])))).into())
}

fn has_key(_: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(map(&args[0])?.contains(str(&args[1])).into())
}

fn pluck(_: &mut Scope<'_>, args: &[Value]) -> Result {
    let key = str(&args[0]);
    let items: Vec<Value> = args[1..].iter().filter_map(|arg| map(arg).ok()?.get(key)).collect();
    let cap = grown_capacity(items.len(), INTERFACE_SIZE);
    Ok(List::with_capacity(Elem::Any, items, cap).into())
}

fn keys(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let mut keys = Vec::new();
    for arg in args {
        let entries = map(arg)?.entries();
        charged(scope, entries.len())?;
        keys.extend(entries.keys().cloned());
    }
    Ok(Value::strings(keys))
}

fn values(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let entries = map(&args[0])?.entries();
    charged(scope, entries.len())?;
    Ok(Value::list(entries.values().cloned().collect()))
}

fn pick(_: &mut Scope<'_>, args: &[Value]) -> Result {
    let map = map(&args[0])?;
    let picked = args[1..].iter().filter_map(|arg| Some((key(arg), map.get(str(arg))?)));
    Ok(Map::new(picked.collect()).into())
}

fn omit(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let mut entries = Entries::clone(&map(&args[0])?.entries());
    charged(scope, entries.len())?;
    for arg in &args[1..] {
        entries.remove(str(arg));
    }
    Ok(Map::new(entries).into())
}

fn copy(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    deep_copy(scope, &args[0])
}

fn merge(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    merge_all(scope, args, false)
}

fn merge_overwrite(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    merge_all(scope, args, true)
}

fn merge_all(scope: &mut Scope<'_>, args: &[Value], overwrite: bool) -> Result {
    let mut into = map(&args[0])?.clone();
    for from in &args[1..] {
        into = merged(scope, &into, map(from)?, overwrite)?;
    }
    Ok(into.into())
}

/// Merges `from` into `into` as the library mergo 0.3.8 does it, and gives the result: `into` itself,
/// or a copy when it is frozen.
fn merged(scope: &mut Scope<'_>, into: &Map, from: &Map, overwrite: bool) -> std::result::Result<Map, Fail> {
    scope.check_stack()?;
    let mut into = match into.is_nil() && !from.is_nil() {
        true => Map::of(into.elem(), Entries::new()),
        false => into.clone(),
    };
    for (key, new) in from.entries().iter() {
        charged(scope, 1)?;
        if new.is_nil() || is_nil_container(new, from.elem()) {
            continue;
        }
        let mut old = into.get(key);
        if let (Some(Value::Map(inner)), Value::Map(new)) = (&old, new) {
            let was_frozen = inner.is_frozen();
            let result = merged(scope, inner, new, overwrite)?;
            if was_frozen {
                into = into.change(|entries| drop(entries.insert(key.clone(), result.clone().into())));
            }
            old = Some(result.into());
        } else if let Value::List(_) = new
            && overwrite
        {
            into = into.change(|entries| drop(entries.insert(key.clone(), new.clone())));
        }
        let empty = old.as_ref().is_none_or(is_empty);
        if !empty && matches!(new, Value::Map(_) | Value::List(_)) {
            continue;
        }
        if overwrite || empty {
            into = into.change(|entries| drop(entries.insert(key.clone(), new.clone())));
        }
    }
    Ok(into)
}

/// A nil list or map counts as nil only where the element type is not `interface {}`.
fn is_nil_container(value: &Value, elem: Elem) -> bool {
    elem != Elem::Any
        && match value {
            Value::List(list) => list.is_nil(),
            Value::Map(map) => map.is_nil(),
            _ => false,
        }
}

/// What mergo counts as empty: as false, but structs are never.
fn is_empty(value: &Value) -> bool {
    !value.truth()
}
