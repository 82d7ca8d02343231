//! Values under a verb: the middle of Go's `fmt`, where a value meets the verb it may not suit.

use super::{Printer, TOO_LONG};
use crate::error::Fail;
use crate::object::Object;
use crate::value::{Elem, List, Map, Type, Value};

/// The address of everything that has one. Go prints where a value lies, which differs from run to run and is nobody's
/// business; a rendering is a function of its input.
const SOMEWHERE: u64 = 0xc0_0001_2000;

impl Printer<'_> {
    /// An argument of a print function (Go's `printArg`).
    pub(super) fn top(&mut self, value: &Value, verb: char, follow: bool) {
        match (verb, value) {
            ('T' | 'v', Value::Nil) => self.flags.pad(self.out, b"<nil>"),
            (_, Value::Nil) => self.bad_verb(verb, None),
            ('T', _) => {
                let name = value.type_name();
                self.flags.string(self.out, name.as_bytes());
            }
            ('p', _) => self.pointer(value, verb),
            _ => self.print(value, verb, if follow { 1 } else { 0 }, follow),
        }
    }

    /// A value at some depth (Go's `printValue`); `follow` prints a pointer as what it points to.
    fn print(&mut self, value: &Value, verb: char, depth: usize, follow: bool) {
        if self.failed.is_some() {
            return;
        }
        if let Err(fail) = self.stack.check() {
            self.failed = Some(fail);
            return;
        }
        if self.out.len() > self.end {
            self.failed = Some(Fail::limit(TOO_LONG));
            return;
        }
        if verb == 'w' && !self.erroring && matches!(value, Value::List(_) | Value::Map(_) | Value::Object(_))
        {
            return self.bad_verb(verb, Some(value));
        }
        match value {
            Value::Nil => self.nested_nil(),
            Value::List(list) => self.list(list, verb, depth),
            Value::Map(map) => self.map(map, verb, depth),
            Value::Object(object) => self.object(object.as_ref(), value, verb, depth, follow),
            Value::NilPtr(_) | Value::Func(_) => self.pointer(value, verb),
            _ => self.basic(value, value, verb),
        }
    }

    /// A value of a basic kind; `value` is of the type that complaints name.
    fn basic(&mut self, basic: &Value, value: &Value, verb: char) {
        match basic {
            Value::Bool(b) if matches!(verb, 't' | 'v') => self.flags.boolean(self.out, *b),
            Value::Int(n) | Value::Int64(n) => self.integer(value, n.unsigned_abs(), *n < 0, verb),
            Value::Uint(_, n) => self.unsigned(value, *n, verb),
            Value::Float(x) => self.float(value, *x, verb),
            Value::Complex(re, im) => self.complex(value, *re, *im, verb),
            Value::Str(s) => self.string(s, value, verb),
            _ => self.bad_verb(verb, Some(value)),
        }
    }

    fn nested_nil(&mut self) {
        let text: &[u8] = if self.flags.sharp_v { b"interface {}(nil)" } else { b"<nil>" };
        self.out.extend_from_slice(text);
    }

    /// `%!verb(type=value)`; with no value, `%!verb(<nil>)`.
    pub(super) fn bad_verb(&mut self, verb: char, value: Option<&Value>) {
        let outer = std::mem::replace(&mut self.erroring, true);
        self.out.extend_from_slice(b"%!");
        crate::rune::push(self.out, verb);
        self.out.push(b'(');
        match value {
            Some(value) => {
                self.out.extend_from_slice(value.type_name().as_bytes());
                self.out.push(b'=');
                self.print(value, 'v', 0, false);
            }
            None => self.out.extend_from_slice(b"<nil>"),
        }
        self.out.push(b')');
        self.erroring = outer;
    }

    fn string(&mut self, s: &[u8], value: &Value, verb: char) {
        match verb {
            'v' if self.flags.sharp_v => self.flags.quoted(self.out, s),
            'v' | 's' => self.flags.string(self.out, s),
            'x' => self.flags.hex_string(self.out, s, false),
            'X' => self.flags.hex_string(self.out, s, true),
            'q' => self.flags.quoted(self.out, s),
            _ => self.bad_verb(verb, Some(value)),
        }
    }

    fn integer(&mut self, value: &Value, u: u64, negative: bool, verb: char) {
        let raw = if negative { u.wrapping_neg() } else { u };
        match verb {
            'v' | 'd' => self.flags.integer(self.out, u, negative, 10, verb),
            'b' => self.flags.integer(self.out, u, negative, 2, verb),
            'o' | 'O' => self.flags.integer(self.out, u, negative, 8, verb),
            'x' | 'X' => self.flags.integer(self.out, u, negative, 16, verb),
            'c' => self.flags.character(self.out, raw),
            'q' => self.flags.quoted_character(self.out, raw),
            'U' => self.flags.unicode(self.out, raw),
            _ => self.bad_verb(verb, Some(value)),
        }
    }

    fn unsigned(&mut self, value: &Value, n: u64, verb: char) {
        if verb == 'v' && self.flags.sharp_v {
            let sharp = std::mem::replace(&mut self.flags.sharp, true);
            self.flags.integer(self.out, n, false, 16, verb);
            self.flags.sharp = sharp;
            return;
        }
        self.integer(value, n, false, verb);
    }

    fn float(&mut self, value: &Value, x: f64, verb: char) {
        match verb {
            'v' => self.flags.float(self.out, x, b'g', None),
            'b' | 'g' | 'G' | 'x' | 'X' => self.flags.float(self.out, x, verb as u8, None),
            'f' | 'e' | 'E' => self.flags.float(self.out, x, verb as u8, Some(6)),
            'F' => self.flags.float(self.out, x, b'f', Some(6)),
            _ => self.bad_verb(verb, Some(value)),
        }
    }

    fn complex(&mut self, value: &Value, re: f64, im: f64, verb: char) {
        if !"vbgGxXfFeE".contains(verb) {
            return self.bad_verb(verb, Some(value));
        }
        self.out.push(b'(');
        self.float(value, re, verb);
        let plus = std::mem::replace(&mut self.flags.plus, true);
        self.float(value, im, verb);
        self.out.extend_from_slice(b"i)");
        self.flags.plus = plus;
    }

    fn separator(&mut self, first: bool) {
        if !first {
            self.out.extend_from_slice(if self.flags.sharp_v { b", " } else { b" " });
        }
    }

    fn list(&mut self, list: &List, verb: char, depth: usize) {
        if list.elem() == Elem::Uint8 && self.bytes(list, verb) {
            return;
        }
        if self.flags.sharp_v {
            self.out.extend_from_slice(Type::List(list.elem()).to_string().as_bytes());
            if list.is_nil() {
                return self.out.extend_from_slice(b"(nil)");
            }
        }
        self.out.push(if self.flags.sharp_v { b'{' } else { b'[' });
        for (i, item) in list.iter().enumerate() {
            self.separator(i == 0);
            self.print(item, verb, depth + 1, false);
        }
        self.out.push(if self.flags.sharp_v { b'}' } else { b']' });
    }

    fn bytes(&mut self, list: &List, verb: char) -> bool {
        let bytes: Vec<u8> =
            list.iter().map(|v| if let Value::Uint(_, n) = v { *n as u8 } else { 0 }).collect();
        match verb {
            's' => self.flags.string(self.out, &bytes),
            'x' => self.flags.hex_string(self.out, &bytes, false),
            'X' => self.flags.hex_string(self.out, &bytes, true),
            'q' => self.flags.quoted(self.out, &bytes),
            _ => return false,
        }
        true
    }

    fn map(&mut self, map: &Map, verb: char, depth: usize) {
        if self.flags.sharp_v {
            self.out.extend_from_slice(Type::Map(map.elem()).to_string().as_bytes());
            if map.is_nil() {
                return self.out.extend_from_slice(b"(nil)");
            }
            self.out.push(b'{');
        } else {
            self.out.extend_from_slice(b"map[");
        }
        for (i, (key, value)) in map.entries().iter().enumerate() {
            self.separator(i == 0);
            self.print(&Value::Str(key.clone()), verb, depth + 1, false);
            self.out.push(b':');
            self.print(value, verb, depth + 1, false);
        }
        self.out.push(if self.flags.sharp_v { b'}' } else { b']' });
    }

    fn object(&mut self, object: &dyn Object, value: &Value, verb: char, depth: usize, follow: bool) {
        if !self.erroring
            && !self.flags.sharp_v
            && "vsxXq".contains(verb)
            && let Some(text) = object.text()
        {
            return self.string(text.as_bytes(), value, verb);
        }
        match object.basic() {
            Some(
                basic @ (Value::Bool(_) | Value::Int(_) | Value::Int64(_) | Value::Float(_) | Value::Str(_)),
            ) => return self.basic(&basic, value, verb),
            Some(basic) => return self.print(&basic, verb, depth, false),
            None => {}
        }
        let name = object.type_name();
        let Some(pointee) = name.strip_prefix('*') else { return self.fields(object, name, verb, depth) };
        if depth == 0 || follow {
            if !follow {
                self.out.push(b'&');
            }
            return self.fields(object, pointee, verb, depth);
        }
        self.pointer(value, verb);
    }

    fn fields(&mut self, object: &dyn Object, name: &str, verb: char, depth: usize) {
        if self.flags.sharp_v {
            self.out.extend_from_slice(name.as_bytes());
        }
        self.out.push(b'{');
        for (i, (name, value)) in object.fields().iter().enumerate() {
            self.separator(i == 0);
            if self.flags.plus_v || self.flags.sharp_v {
                self.out.extend_from_slice(name.as_bytes());
                self.out.push(b':');
            }
            self.print(value, verb, depth + 1, false);
        }
        self.out.push(b'}');
    }

    fn pointer(&mut self, value: &Value, verb: char) {
        let address = match value {
            Value::List(_) | Value::Map(_) | Value::Func(_) => SOMEWHERE,
            Value::Object(object) if object.type_name().starts_with('*') => SOMEWHERE,
            Value::NilPtr(_) => 0,
            _ => return self.bad_verb(verb, Some(value)),
        };
        match verb {
            'v' if address == 0 && !self.flags.sharp_v => self.flags.pad(self.out, b"<nil>"),
            'v' if self.flags.sharp_v => {
                let text = format!("({})(", value.type_name());
                self.out.extend_from_slice(text.as_bytes());
                if address == 0 {
                    self.out.extend_from_slice(b"nil");
                } else {
                    self.hex_pointer(address, true);
                }
                self.out.push(b')');
            }
            'v' | 'p' => self.hex_pointer(address, !self.flags.sharp),
            'b' | 'o' | 'd' | 'x' | 'X' => self.integer(value, address, false, verb),
            _ => self.bad_verb(verb, Some(value)),
        }
    }

    fn hex_pointer(&mut self, address: u64, prefix: bool) {
        let sharp = std::mem::replace(&mut self.flags.sharp, prefix);
        self.flags.integer(self.out, address, false, 16, 'v');
        self.flags.sharp = sharp;
    }
}
