//! JSON as Go's `encoding/json` writes it.

use super::args::ANY;
use super::{Result, Row, row};
use crate::error::Fail;
use crate::exec::Scope;
use crate::object::{Object, Signature};
use crate::value::{Elem, List, Map, Value};
use crate::{fmt, rune};
use std::collections::HashSet;

const ONE: Signature = Signature::exact(&[ANY]);

pub(super) static ROWS: &[Row] = &[
    row(
        "toJson",
        ONE,
        |s, a| lenient(encode(s, &a[0], true)),
        "toJson VALUE",
        "JSON with <, > and & escaped; the empty string for what has no JSON form.",
    ),
    row(
        "mustToJson",
        ONE,
        |s, a| Ok(encode(s, &a[0], true)?.into()),
        "mustToJson VALUE",
        "As toJson, but fails for what has no JSON form.",
    ),
    row(
        "toPrettyJson",
        ONE,
        |s, a| lenient(pretty(s, &a[0])),
        "toPrettyJson VALUE",
        "As toJson, indented by two spaces.",
    ),
    row(
        "mustToPrettyJson",
        ONE,
        |s, a| Ok(pretty(s, &a[0])?.into()),
        "mustToPrettyJson VALUE",
        "As toPrettyJson, but fails for what has no JSON form.",
    ),
    row(
        "toRawJson",
        ONE,
        |s, a| Ok(encode(s, &a[0], false)?.into()),
        "toRawJson VALUE",
        "JSON with <, > and & as they are.",
    ),
    row(
        "mustToRawJson",
        ONE,
        |s, a| Ok(encode(s, &a[0], false)?.into()),
        "mustToRawJson VALUE",
        "Another name of toRawJson.",
    ),
];

type Bytes = std::result::Result<Vec<u8>, Fail>;

fn lenient(encoded: Bytes) -> Result {
    match encoded {
        Ok(json) => Ok(json.into()),
        Err(fail) if fail.limit => Err(fail),
        Err(_) => Ok("".into()),
    }
}

/// The level from which on Go looks whether a value contains itself.
const CYCLES_AFTER: usize = 1000;

struct Encoder {
    out: Vec<u8>,
    html: bool,
    bounds: fmt::Bounds,
    /// The lists and maps that are open, below the level where that is noted: where they lie and how long they are.
    open: HashSet<(usize, usize)>,
}

fn encode(scope: &mut Scope<'_>, value: &Value, html: bool) -> Bytes {
    let mut encoder = Encoder { out: Vec::new(), html, bounds: scope.bounds(), open: HashSet::new() };
    encoder.value(value, 0)?;
    Ok(encoder.out)
}

fn pretty(scope: &mut Scope<'_>, value: &Value) -> Bytes {
    let json = encode(scope, value, true)?;
    indent(scope, &json)
}

impl Encoder {
    fn value(&mut self, value: &Value, depth: usize) -> std::result::Result<(), Fail> {
        self.bounds.stack.check()?;
        if self.out.len() > self.bounds.room {
            return Err(Fail::limit("exceeded the size limit while encoding JSON"));
        }
        match value {
            Value::Nil | Value::NilPtr(_) => self.out.extend_from_slice(b"null"),
            Value::Bool(b) => self.out.extend_from_slice(if *b { b"true" } else { b"false" }),
            Value::Int(n) | Value::Int64(n) => fmt::append_int(&mut self.out, *n),
            Value::Uint(_, n) => fmt::append_uint(&mut self.out, *n),
            Value::Float(x) => return self.float(*x),
            Value::Str(s) => self.string(s),
            Value::List(list) => return self.guarded(value, list.place(), depth, |it| it.list(list, depth)),
            Value::Map(map) => {
                return self.guarded(value, (map.address(), 0), depth, |it| it.map(map, depth));
            }
            Value::Object(object) => return self.object(object.as_ref(), depth),
            Value::Complex(..) | Value::Func(_) => {
                return Err(Fail::text(format!("json: unsupported type: {}", value.type_name())));
            }
        }
        Ok(())
    }

    /// Encodes a list or map in which it may be itself.
    fn guarded(
        &mut self,
        value: &Value,
        place: (usize, usize),
        depth: usize,
        encode: impl FnOnce(&mut Self) -> std::result::Result<(), Fail>,
    ) -> std::result::Result<(), Fail> {
        if depth < CYCLES_AFTER {
            return encode(self);
        }
        if !self.open.insert(place) {
            let name = value.type_name();
            return Err(Fail::text(format!("json: unsupported value: encountered a cycle via {name}")));
        }
        let encoded = encode(self);
        self.open.remove(&place);
        encoded
    }

    fn float(&mut self, x: f64) -> std::result::Result<(), Fail> {
        if !x.is_finite() {
            let mut text = Vec::new();
            fmt::append_float(&mut text, x, b'g', None);
            return Err(Fail::text(format!("json: unsupported value: {}", crate::rune::lossy(&text))));
        }
        let size = x.abs();
        if size == 0.0 || (1e-6..1e21).contains(&size) {
            fmt::append_float(&mut self.out, x, b'f', None);
            return Ok(());
        }
        fmt::append_float(&mut self.out, x, b'e', None);
        // e-09 becomes e-9.
        let len = self.out.len();
        if len >= 4 && &self.out[len - 4..len - 1] == b"e-0" {
            self.out.remove(len - 2);
        }
        Ok(())
    }

    fn string(&mut self, s: &[u8]) {
        self.out.push(b'"');
        for (at, c, width) in rune::runes(s) {
            match c {
                '"' | '\\' => self.out.extend_from_slice(&[b'\\', c as u8]),
                '\x08' => self.out.extend_from_slice(b"\\b"),
                '\x0c' => self.out.extend_from_slice(b"\\f"),
                '\n' => self.out.extend_from_slice(b"\\n"),
                '\r' => self.out.extend_from_slice(b"\\r"),
                '\t' => self.out.extend_from_slice(b"\\t"),
                '<' | '>' | '&' if self.html => self.escape(c),
                '\0'..='\x1f' | '\u{2028}' | '\u{2029}' => self.escape(c),
                rune::ERROR if width == 1 => self.out.extend_from_slice(b"\\ufffd"),
                _ => self.out.extend_from_slice(&s[at..at + width]),
            }
        }
        self.out.push(b'"');
    }

    fn escape(&mut self, c: char) {
        self.out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes());
    }

    fn list(&mut self, list: &List, depth: usize) -> std::result::Result<(), Fail> {
        if list.is_nil() {
            self.out.extend_from_slice(b"null");
            return Ok(());
        }
        if list.elem() == Elem::Uint8 {
            let bytes: Vec<u8> = list.iter().map(|v| super::args::int(v) as u8).collect();
            let text = super::encoding::base64(&bytes);
            self.string(&text);
            return Ok(());
        }
        self.out.push(b'[');
        for (i, item) in list.iter().enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            self.value(item, depth + 1)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn map(&mut self, map: &Map, depth: usize) -> std::result::Result<(), Fail> {
        if map.is_nil() {
            self.out.extend_from_slice(b"null");
            return Ok(());
        }
        self.out.push(b'{');
        for (i, (key, value)) in map.entries().iter().enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            self.string(key);
            self.out.push(b':');
            self.value(value, depth + 1)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn object(&mut self, object: &dyn Object, depth: usize) -> std::result::Result<(), Fail> {
        if let Some(json) = object.json() {
            let json = json.map_err(|fail| {
                let name = object.type_name();
                Fail::text(format!("json: error calling MarshalJSON for type {name}: {}", fail.message))
            })?;
            self.out.extend_from_slice(json.as_bytes());
            return Ok(());
        }
        if let Some(basic) = object.basic() {
            return self.value(&basic, depth + 1);
        }
        self.out.push(b'{');
        for (i, (name, value)) in object.fields().iter().enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            self.string(name.as_bytes());
            self.out.push(b':');
            self.value(value, depth + 1)?;
        }
        self.out.push(b'}');
        Ok(())
    }
}

/// Go's `json.Indent` with two spaces, on JSON that is well-formed and compact.
fn indent(scope: &mut Scope<'_>, json: &[u8]) -> Bytes {
    let room = scope.room();
    let mut out = Vec::with_capacity(json.len() * 2);
    let mut depth = 0;
    let mut in_string = false;
    let mut escaped = false;
    for (i, &byte) in json.iter().enumerate() {
        if out.len() > room {
            return Err(Fail::limit("exceeded the size limit while encoding JSON"));
        }
        if in_string {
            out.push(byte);
            in_string = byte != b'"' || escaped;
            escaped = byte == b'\\' && !escaped;
            continue;
        }
        match byte {
            b'"' => {
                in_string = true;
                out.push(byte);
            }
            b'{' | b'[' => {
                out.push(byte);
                if !matches!(json.get(i + 1), Some(b'}' | b']')) {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            b'}' | b']' => {
                if !matches!(json[i - 1], b'{' | b'[') {
                    depth -= 1;
                    line(&mut out, depth);
                }
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            _ => out.push(byte),
        }
    }
    Ok(out)
}

fn line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.resize(out.len() + 2 * depth, b' ');
}
