//! Go's `fmt` for the values of this language: `Print`, `Println` and `Printf` with every verb.

mod flags;
mod float;
mod printf;
pub(crate) mod quote;
mod values;

use crate::error::Fail;
use crate::limits::Stack;
use crate::value::{Kind, Value};
use flags::Flags;
pub(crate) use float::append as append_float;

/// How far printing may go.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// Bytes that may be written.
    pub(crate) room: usize,
    /// How deep values may nest. A map can contain itself; Go would overflow its stack.
    pub(crate) stack: Stack,
}

/// A formatter writing to a buffer. Going past its bounds is noted and reported at the end.
pub(crate) struct Printer<'b> {
    out: &'b mut Vec<u8>,
    flags: Flags,
    /// Inside a bad verb, where methods are not called.
    erroring: bool,
    reordered: bool,
    good_index: bool,
    /// The length that the buffer must not pass.
    end: usize,
    stack: Stack,
    failed: Option<Fail>,
}

impl<'b> Printer<'b> {
    fn new(out: &'b mut Vec<u8>, bounds: Bounds) -> Self {
        let end = out.len().saturating_add(bounds.room);
        Self {
            out,
            flags: Flags::default(),
            erroring: false,
            reordered: false,
            good_index: true,
            end,
            stack: bounds.stack,
            failed: None,
        }
    }

    fn finish(self) -> Result<(), Fail> {
        match self.failed {
            Some(fail) => Err(fail),
            None if self.out.len() > self.end => Err(Fail::limit(TOO_LONG)),
            None => Ok(()),
        }
    }
}

const TOO_LONG: &str = "exceeded the size limit while printing";

/// Writes a value as an action does: pointers are followed, no value is `<no value>`.
#[inline]
pub(crate) fn action(out: &mut Vec<u8>, value: &Value, bounds: Bounds) -> Result<(), Fail> {
    match value {
        Value::Str(s) => out.extend_from_slice(s),
        Value::Int(n) | Value::Int64(n) => append_int(out, *n),
        Value::Bool(b) => out.extend_from_slice(if *b { b"true" } else { b"false" }),
        Value::Float(x) => append_float(out, *x, b'g', None),
        Value::Nil => out.extend_from_slice(b"<no value>"),
        _ => return action_slow(out, value, bounds),
    }
    Ok(())
}

fn action_slow(out: &mut Vec<u8>, value: &Value, bounds: Bounds) -> Result<(), Fail> {
    let mut printer = Printer::new(out, bounds);
    printer.top(value, 'v', true);
    printer.finish()
}

/// `fmt.Sprint`: spaces only between operands that are both no strings. With `follow`, pointers print
/// as what they point to, as the escaping functions do.
pub(crate) fn print(out: &mut Vec<u8>, args: &[Value], bounds: Bounds, follow: bool) -> Result<(), Fail> {
    let mut printer = Printer::new(out, bounds);
    let mut after_string = true;
    for (i, arg) in args.iter().enumerate() {
        // "<no value>" is a string by the time Go prints it.
        let is_string = arg.kind() == Kind::String || follow && arg.is_nil();
        if i > 0 && !is_string && !after_string {
            printer.out.push(b' ');
        }
        if follow && arg.is_nil() {
            printer.out.extend_from_slice(b"<no value>");
        } else {
            printer.top(arg, 'v', follow);
        }
        after_string = is_string;
    }
    printer.finish()
}

/// `fmt.Sprintln`: always spaces, and a line feed at the end.
pub(crate) fn println(out: &mut Vec<u8>, args: &[Value], bounds: Bounds) -> Result<(), Fail> {
    let mut printer = Printer::new(out, bounds);
    for (i, arg) in args.iter().enumerate() {
        if i > 0 {
            printer.out.push(b' ');
        }
        printer.top(arg, 'v', false);
    }
    printer.out.push(b'\n');
    printer.finish()
}

/// `fmt.Sprintf`
pub(crate) fn printf(out: &mut Vec<u8>, format: &[u8], args: &[Value], bounds: Bounds) -> Result<(), Fail> {
    let mut printer = Printer::new(out, bounds);
    printer.format(format, args);
    printer.finish()
}

/// `fmt.Sprintf("%v", value)`
pub(crate) fn value(value: &Value, bounds: Bounds) -> Result<Vec<u8>, Fail> {
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, bounds);
    printer.top(value, 'v', false);
    printer.finish()?;
    Ok(out)
}

/// A value for an error message, under the given verb; long ones are cut.
pub(crate) fn for_message(value: &Value, verb: char) -> String {
    message(value, verb, false)
}

/// A value for an error message, a pointer as what it points to; long ones are cut.
pub(crate) fn pointee_for_message(value: &Value) -> String {
    message(value, 'v', true)
}

fn message(value: &Value, verb: char, follow: bool) -> String {
    const ROOM: usize = 4096;
    let bounds = Bounds { room: ROOM, stack: Stack::here(256 << 10) };
    let mut out = Vec::new();
    Printer::new(&mut out, bounds).top(value, verb, follow);
    out.truncate(ROOM);
    crate::rune::lossy(&out).into_owned()
}

/// A `float64` in the shortest form that reads back as it, as Go prints it: `1e+06`, `0.25`.
pub fn float_text(x: f64) -> String {
    let mut out = Vec::new();
    append_float(&mut out, x, b'g', None);
    crate::rune::lossy(&out).into_owned()
}

/// Appends a decimal integer.
#[inline]
pub(crate) fn append_int(out: &mut Vec<u8>, n: i64) {
    if n < 0 {
        out.push(b'-');
    }
    append_uint(out, n.unsigned_abs());
}

/// Appends an unsigned decimal integer.
pub(crate) fn append_uint(out: &mut Vec<u8>, mut n: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}
