//! Go's own functions but for the comparisons.

use super::{Result, Row, Run, row};
use crate::error::Fail;
use crate::exec::Scope;
use crate::object::Signature;
use crate::value::{Map, Str, Type, Uint, Value};
use crate::{fmt, rune};

const ANY: &[Type] = &[Type::Any];
const VALUE: &[Type] = &[Type::Value];
const VALUES: &[Type] = &[Type::Value, Type::Value];

pub(super) static ROWS: &[Row] = &[
    Row {
        name: "and",
        signature: Signature::variadic(VALUES),
        usage: "and VALUE...",
        doc: "The first argument that is false, else the last one. Later arguments are not evaluated.",
        run: Run::And,
    },
    Row {
        name: "or",
        signature: Signature::variadic(VALUES),
        usage: "or VALUE...",
        doc: "The first argument that is true, else the last one. Later arguments are not evaluated.",
        run: Run::Or,
    },
    row("not", Signature::exact(VALUE), not, "not VALUE", "Whether the value is false, zero, empty or nil."),
    Row {
        name: "len",
        signature: Signature::exact(VALUE),
        usage: "len VALUE",
        doc: "Length of a string in bytes, or of a list or map in elements.",
        run: Run::Len,
    },
    Row {
        name: "call",
        signature: Signature::variadic(VALUES),
        usage: "call FUNCTION ARGUMENT...",
        doc: "Calls a value that is a function.",
        run: Run::Call,
    },
    row(
        "index",
        Signature::variadic(VALUES),
        index,
        "index VALUE KEY...",
        "The element of a list, string or map; more keys reach deeper. A missing map key gives the zero value.",
    ),
    row(
        "slice",
        Signature::variadic(VALUES),
        slice,
        "slice VALUE [FROM [TO [CAP]]]",
        "Part of a string or list. Only without Sprig, whose function of that name wins.",
    ),
    row(
        "print",
        Signature::variadic(ANY),
        print,
        "print VALUE...",
        "The values as text, with spaces between those that are no strings.",
    ),
    row(
        "println",
        Signature::variadic(ANY),
        println,
        "println VALUE...",
        "The values as text, with spaces between and a line feed behind.",
    ),
    row(
        "printf",
        Signature::variadic(&[Type::String, Type::Any]),
        printf,
        "printf FORMAT VALUE...",
        "Text by a format, with the verbs of Go's fmt: %v %d %s %q %x %5.2f %T ...",
    ),
    row("html", Signature::variadic(ANY), html, "html VALUE...", "The values as text, escaped for HTML."),
    row(
        "js",
        Signature::variadic(ANY),
        js,
        "js VALUE...",
        "The values as text, escaped for a JavaScript string.",
    ),
    row(
        "urlquery",
        Signature::variadic(ANY),
        urlquery,
        "urlquery VALUE...",
        "The values as text, escaped for a URL query.",
    ),
];

fn not(_: &mut Scope<'_>, args: &[Value]) -> Result {
    Ok(Value::Bool(!args[0].truth()))
}

fn index(_: &mut Scope<'_>, args: &[Value]) -> Result {
    let mut item = args[0].clone();
    if item.is_nil() {
        return Err(Fail::text("index of untyped nil"));
    }
    for key in &args[1..] {
        item = match item.unnamed() {
            Value::Nil | Value::NilPtr(_) => return Err(Fail::text("index of nil pointer")),
            Value::Str(s) => match s.get(index_arg(key, s.len())?) {
                Some(&byte) => Value::Uint(Uint::U8, byte.into()),
                None => return Err(Fail::text("reflect: string index out of range")),
            },
            Value::List(list) => match list.get(index_arg(key, list.len())?) {
                Some(element) => element.clone(),
                None => return Err(Fail::text("reflect: slice index out of range")),
            },
            Value::Map(map) => index_map(&map, key)?,
            _ => {
                let name = item.type_name();
                return Err(Fail::text(format!("can't index item of type {}", name.trim_start_matches('*'))));
            }
        };
    }
    Ok(item)
}

fn index_map(map: &Map, key: &Value) -> Result {
    match key {
        Value::Str(key) => Ok(map.get(key).unwrap_or_else(|| Value::zero(map.elem().to_type()))),
        Value::Nil => Err(Fail::text("value is nil; should be of type string")),
        other => Err(Fail::text(format!("value has type {}; should be string", other.type_name()))),
    }
}

fn index_arg(key: &Value, cap: usize) -> std::result::Result<usize, Fail> {
    let at = match key.unnamed() {
        Value::Int(n) | Value::Int64(n) => n,
        Value::Uint(_, n) => n as i64,
        Value::Nil => return Err(Fail::text("cannot index slice/array with nil")),
        _ => {
            return Err(Fail::text(format!("cannot index slice/array with type {}", key.type_name())));
        }
    };
    usize::try_from(at)
        .ok()
        .filter(|&at| at <= cap)
        .ok_or_else(|| Fail::text(format!("index out of range: {at}")))
}

fn slice(_: &mut Scope<'_>, args: &[Value]) -> Result {
    let (item, keys) = (args[0].unnamed(), &args[1..]);
    match &item {
        Value::Nil => return Err(Fail::text("slice of untyped nil")),
        Value::NilPtr(_) => return Err(Fail::text("slice of nil pointer")),
        _ if keys.len() > 3 => return Err(Fail::text(format!("too many slice indexes: {}", keys.len()))),
        Value::Str(_) if keys.len() == 3 => return Err(Fail::text("cannot 3-index slice a string")),
        Value::Str(_) | Value::List(_) => {}
        _ => return Err(Fail::text(format!("can't slice item of type {}", args[0].type_name()))),
    }
    let (len, cap) = match &item {
        Value::Str(s) => (s.len(), s.len()),
        Value::List(list) => (list.len(), list.capacity()),
        _ => (0, 0),
    };
    let mut bounds = [0, len, cap];
    for (bound, key) in bounds.iter_mut().zip(keys) {
        *bound = index_arg(key, cap)?;
    }
    let [from, to, max] = bounds;
    if from > to {
        return Err(Fail::text(format!("invalid slice index: {from} > {to}")));
    }
    if to > max {
        return Err(Fail::text(format!("invalid slice index: {to} > {max}")));
    }
    Ok(match &item {
        Value::Str(s) => Value::Str(Str::from(&s[from..to])),
        Value::List(list) => list.slice(from, to).map(Value::List).unwrap_or_default(),
        _ => Value::Nil,
    })
}

fn print(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let mut out = Vec::new();
    fmt::print(&mut out, args, scope.bounds(), false)?;
    Ok(out.into())
}

fn println(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let mut out = Vec::new();
    fmt::println(&mut out, args, scope.bounds())?;
    Ok(out.into())
}

fn printf(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let Value::Str(format) = &args[0] else { return Ok(Value::Nil) };
    let mut out = Vec::with_capacity(format.len() + 16);
    fmt::printf(&mut out, format, &args[1..], scope.bounds())?;
    Ok(out.into())
}

/// The text that the escaping functions start from.
fn text(scope: &Scope<'_>, args: &[Value]) -> std::result::Result<Vec<u8>, Fail> {
    if let [Value::Str(s)] = args {
        return Ok(s.to_vec());
    }
    let mut out = Vec::new();
    fmt::print(&mut out, args, scope.bounds(), true)?;
    Ok(out)
}

fn html(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let text = text(scope, args)?;
    let mut out = Vec::with_capacity(text.len());
    for &byte in &text {
        match byte {
            0 => out.extend_from_slice("\u{FFFD}".as_bytes()),
            b'"' => out.extend_from_slice(b"&#34;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            _ => out.push(byte),
        }
    }
    Ok(out.into())
}

fn js(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let text = text(scope, args)?;
    let mut out = Vec::with_capacity(text.len());
    for (at, c, width) in rune::runes(&text) {
        match c {
            '\\' | '\'' | '"' => out.extend_from_slice(&[b'\\', c as u8]),
            '<' | '>' | '&' | '=' | '\0'..='\x1f' => {
                out.extend_from_slice(format!("\\u{:04X}", c as u32).as_bytes());
            }
            _ if c.is_ascii() || rune::is_print(c) => out.extend_from_slice(&text[at..at + width]),
            _ => out.extend_from_slice(format!("\\u{:04X}", c as u32).as_bytes()),
        }
    }
    Ok(out.into())
}

fn urlquery(scope: &mut Scope<'_>, args: &[Value]) -> Result {
    let text = text(scope, args)?;
    let mut out = Vec::with_capacity(text.len());
    for &byte in &text {
        match byte {
            b' ' => out.push(b'+'),
            b'-' | b'_' | b'.' | b'~' => out.push(byte),
            _ if byte.is_ascii_alphanumeric() => out.push(byte),
            _ => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    Ok(out.into())
}
