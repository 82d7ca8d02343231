//! Lists. A list never changes; every function gives a new one, with the capacity that Go's `append`
//! would have left it with, because `slice` can reach there.

use super::args::{ANY, INT, NIL_DEREFERENCE, STR, int, list, str, texts, to_i64};
use super::deep::deep_equal;
use super::{Result, Row, row};
use crate::error::Fail;
use crate::exec::Scope;
use crate::object::Signature;
use crate::rune;
use crate::value::{Elem, Entries, INTERFACE_SIZE, List, Map, Str, Value, appended_capacity, grown_capacity};

const LIST: Signature = Signature::exact(&[ANY]);
const LIST_ITEM: Signature = Signature::exact(&[ANY, ANY]);
const LIST_ITEMS: Signature = Signature::variadic(&[ANY, ANY]);
const ITEMS: Signature = Signature::variadic(&[ANY]);

pub(super) static ROWS: &[Row] = &[
    row("list", ITEMS, make, "list VALUE...", "A list of the values."),
    row("tuple", ITEMS, make, "tuple VALUE...", "Old name of list."),
    row("append", LIST_ITEM, append, "append LIST VALUE", "The list with the value at its end."),
    row("push", LIST_ITEM, append, "push LIST VALUE", "Another name of append."),
    row("mustAppend", LIST_ITEM, append, "mustAppend LIST VALUE", "Another name of append."),
    row("mustPush", LIST_ITEM, append, "mustPush LIST VALUE", "Another name of append."),
    row("prepend", LIST_ITEM, prepend, "prepend LIST VALUE", "The list with the value at its start."),
    row("mustPrepend", LIST_ITEM, prepend, "mustPrepend LIST VALUE", "Another name of prepend."),
    row("first", LIST, first, "first LIST", "The first element; nil when there is none."),
    row("mustFirst", LIST, first, "mustFirst LIST", "Another name of first."),
    row("last", LIST, last, "last LIST", "The last element; nil when there is none."),
    row("mustLast", LIST, last, "mustLast LIST", "Another name of last."),
    row("rest", LIST, rest, "rest LIST", "All but the first element."),
    row("mustRest", LIST, rest, "mustRest LIST", "Another name of rest."),
    row("initial", LIST, initial, "initial LIST", "All but the last element."),
    row("mustInitial", LIST, initial, "mustInitial LIST", "Another name of initial."),
    row("reverse", LIST, reverse, "reverse LIST", "The elements from the last to the first."),
    row("mustReverse", LIST, reverse, "mustReverse LIST", "Another name of reverse."),
    row("compact", LIST, compact, "compact LIST", "The elements that are not empty."),
    row("mustCompact", LIST, compact, "mustCompact LIST", "Another name of compact."),
    row("uniq", LIST, uniq, "uniq LIST", "The elements without repetitions."),
    row("mustUniq", LIST, uniq, "mustUniq LIST", "Another name of uniq."),
    row(
        "without",
        LIST_ITEMS,
        without,
        "without LIST VALUE...",
        "The elements that equal none of the values.",
    ),
    row("mustWithout", LIST_ITEMS, without, "mustWithout LIST VALUE...", "Another name of without."),
    row("has", LIST_ITEM, has, "has VALUE LIST", "Whether the value is in the list."),
    row("mustHas", LIST_ITEM, has, "mustHas VALUE LIST", "Another name of has."),
    row(
        "slice",
        LIST_ITEMS,
        slice,
        "slice LIST [FROM [TO]]",
        "The elements from FROM to before TO; nil for an empty list.",
    ),
    row("mustSlice", LIST_ITEMS, slice, "mustSlice LIST [FROM [TO]]", "Another name of slice."),
    row("concat", ITEMS, concat, "concat LIST...", "The elements of all lists in one."),
    row("sortAlpha", LIST, sort_alpha, "sortAlpha LIST", "The elements as text, sorted."),
    row("toStrings", LIST, to_strings, "toStrings LIST", "The elements as text."),
    row(
        "join",
        Signature::exact(&[STR, ANY]),
        join,
        "join SEPARATOR LIST",
        "The elements as text with the separator between.",
    ),
    row(
        "split",
        Signature::exact(&[STR, STR]),
        split,
        "split SEPARATOR STRING",
        "The parts as a map with the keys _0, _1 and so on.",
    ),
    row(
        "splitn",
        Signature::exact(&[STR, INT, STR]),
        splitn,
        "splitn SEPARATOR COUNT STRING",
        "As split, with at most COUNT parts.",
    ),
    row(
        "splitList",
        Signature::exact(&[STR, STR]),
        split_list,
        "splitList SEPARATOR STRING",
        "The parts as a list.",
    ),
];

fn grown(items: Vec<Value>) -> Value {
    let cap = grown_capacity(items.len(), INTERFACE_SIZE);
    List::with_capacity(Elem::Any, items, cap).into()
}

fn charged(scope: &mut Scope<'_>, items: usize) -> std::result::Result<(), Fail> {
    scope.reserve(items.saturating_mul(size_of::<Value>()))
}

fn make(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    charged(scope, args.len())?;
    Ok(Value::list(args.to_vec()))
}

fn append(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let old = list(&args[0], "push")?;
    charged(scope, old.len() + 1)?;
    let mut items = old.to_vec();
    items.push(args[1].clone());
    Ok(List::with_capacity(Elem::Any, items, appended_capacity(old.len(), 1, INTERFACE_SIZE)).into())
}

fn prepend(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let old = list(&args[0], "prepend")?;
    charged(scope, old.len() + 1)?;
    let items: Vec<Value> = std::iter::once(&args[1]).chain(old.iter()).cloned().collect();
    Ok(List::with_capacity(Elem::Any, items, appended_capacity(1, old.len(), INTERFACE_SIZE)).into())
}

fn first(_: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(list(&args[0], "find first")?.first().cloned().unwrap_or_default())
}

fn last(_: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(list(&args[0], "find last")?.last().cloned().unwrap_or_default())
}

fn rest(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    part(scope, list(&args[0], "find rest")?, 1, 0)
}

fn initial(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    part(scope, list(&args[0], "find initial")?, 0, 1)
}

/// The list without some elements on its sides; the nil list of an empty one.
fn part(scope: &mut Scope<'_>, list: &List, front: usize, back: usize) -> Result {
    if list.is_empty() {
        return Ok(List::nil(Elem::Any).into());
    }
    charged(scope, list.len())?;
    Ok(Value::list(list[front..list.len() - back].to_vec()))
}

fn reverse(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let list = list(&args[0], "find reverse")?;
    charged(scope, list.len())?;
    Ok(Value::list(list.iter().rev().cloned().collect()))
}

fn compact(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let list = list(&args[0], "compact")?;
    charged(scope, list.len())?;
    Ok(grown(list.iter().filter(|item| item.truth()).cloned().collect()))
}

fn contains(scope: &mut Scope<'_>, items: &[Value], needle: &Value) -> std::result::Result<bool, Fail> {
    for item in items {
        if deep_equal(scope, needle, item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn uniq(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let list = list(&args[0], "find uniq")?;
    charged(scope, list.len())?;
    let mut items: Vec<Value> = Vec::new();
    for item in list.iter() {
        if !contains(scope, &items, item)? {
            items.push(item.clone());
        }
    }
    Ok(grown(items))
}

fn without(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let list = list(&args[0], "find without")?;
    charged(scope, list.len())?;
    let mut items = Vec::new();
    for item in list.iter() {
        if !contains(scope, &args[1..], item)? {
            items.push(item.clone());
        }
    }
    Ok(grown(items))
}

fn has(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    if args[1].is_nil() {
        return Ok(Value::Bool(false));
    }
    let list = list(&args[1], "find has")?;
    Ok(Value::Bool(contains(scope, list, &args[0])?))
}

fn slice(_: &mut Scope<'_>, args: &[Value]) -> Result {
    let list = match &args[0] {
        Value::List(list) => list,
        Value::Nil => return Err(Fail::text(NIL_DEREFERENCE)),
        other => {
            return Err(Fail::text(format!("list should be type of slice or array but {}", other.kind())));
        }
    };
    if list.is_empty() {
        return Ok(Value::Nil);
    }
    let from = args.get(1).map_or(0, to_i64);
    let to = args.get(2).map_or(list.len() as i64, to_i64);
    usize::try_from(from)
        .ok()
        .zip(usize::try_from(to).ok())
        .and_then(|(from, to)| list.slice(from, to))
        .map(Value::List)
        .ok_or_else(|| Fail::text("reflect.Value.Slice: slice index out of bounds"))
}

fn concat(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let mut items = Vec::new();
    for arg in args {
        let list = match arg {
            Value::List(list) => list,
            Value::Nil => return Err(Fail::text(NIL_DEREFERENCE)),
            other => return Err(Fail::text(format!("Cannot concat type {} as list", other.kind()))),
        };
        charged(scope, list.len())?;
        items.extend(list.iter().cloned());
    }
    Ok(if items.is_empty() { List::nil(Elem::Any).into() } else { grown(items) })
}

/// A list of strings is given as it is, nil included.
fn to_strings(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    match &args[0] {
        Value::List(list) if list.elem() == Elem::String => Ok(args[0].clone()),
        value => Ok(Value::strings(texts(scope, value)?)),
    }
}

fn sort_alpha(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    if !matches!(args[0], Value::List(_)) {
        return Ok(Value::strings([super::args::text(scope, &args[0])?]));
    }
    if matches!(&args[0], Value::List(list) if list.is_nil() && list.elem() == Elem::String) {
        return Ok(args[0].clone());
    }
    let mut texts = texts(scope, &args[0])?;
    texts.sort();
    Ok(Value::strings(texts))
}

fn join(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let separator = str(&args[0]);
    let texts = texts(scope, &args[1])?;
    let len = texts.iter().map(|text| text.len() + separator.len()).sum();
    scope.reserve(len)?;
    let mut out = Vec::with_capacity(len);
    for (i, text) in texts.iter().enumerate() {
        if i > 0 {
            out.extend_from_slice(separator);
        }
        out.extend_from_slice(text);
    }
    Ok(out.into())
}

/// Go's `strings.SplitN`; a negative count means all parts.
fn parts<'s>(s: &'s [u8], separator: &[u8], count: i64) -> Vec<&'s [u8]> {
    let limit = usize::try_from(count).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    if limit == 0 {
        return parts;
    }
    let mut rest = s;
    while parts.len() + 1 < limit {
        let (end, skip) = if separator.is_empty() {
            if rest.is_empty() {
                return parts;
            }
            let width = rune::decode(rest).1;
            if width == rest.len() {
                break;
            }
            (width, 0)
        } else {
            match super::strings::find(rest, separator) {
                Some(at) => (at, separator.len()),
                None => break,
            }
        };
        parts.push(&rest[..end]);
        rest = &rest[end + skip..];
    }
    if !separator.is_empty() || !rest.is_empty() {
        parts.push(rest);
    }
    parts
}

fn numbered(scope: &mut Scope<'_>, parts: &[&[u8]]) -> Result {
    charged(scope, parts.len() * 4)?;
    let entries: Entries = parts
        .iter()
        .enumerate()
        .map(|(i, part)| (Str::from(format!("_{i}")), Value::Str(Str::from(*part))))
        .collect();
    Ok(Map::of(Elem::String, entries).into())
}

fn split(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    numbered(scope, &parts(str(&args[1]), str(&args[0]), -1))
}

fn splitn(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    numbered(scope, &parts(str(&args[2]), str(&args[0]), int(&args[1])))
}

fn split_list(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let parts = parts(str(&args[1]), str(&args[0]), -1);
    charged(scope, parts.len() * 2)?;
    Ok(Value::strings(parts))
}
