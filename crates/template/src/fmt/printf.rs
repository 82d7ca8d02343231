//! The format string of `printf`: flags, widths, precisions, argument indexes, and what Go says about
//! the wrong ones.

use super::Printer;
use super::flags::Flags;
use crate::rune;
use crate::value::Value;

/// Widths and precisions beyond this are refused.
const MAX: i64 = 1_000_000;

struct Cursor<'f> {
    format: &'f [u8],
    at: usize,
    arg: usize,
    after_index: bool,
}

impl Cursor<'_> {
    fn current(&self) -> Option<u8> {
        self.format.get(self.at).copied()
    }

    /// A decimal number at the cursor. A huge one swallows the rest of the format, as in Go.
    fn number(&mut self) -> Option<usize> {
        let (number, next) = parse_number(self.format, self.at, self.format.len());
        self.at = next;
        number
    }
}

fn parse_number(format: &[u8], start: usize, end: usize) -> (Option<usize>, usize) {
    let mut number = None;
    let mut at = start;
    while at < end && format[at].is_ascii_digit() {
        let so_far: i64 = number.unwrap_or(0);
        if so_far > MAX {
            return (None, end);
        }
        number = Some(so_far * 10 + i64::from(format[at] - b'0'));
        at += 1;
    }
    (number.map(|n| n as usize), at)
}

impl Printer<'_> {
    pub(super) fn format(&mut self, format: &[u8], args: &[Value]) {
        let mut cursor = Cursor { format, at: 0, arg: 0, after_index: false };
        self.reordered = false;
        while cursor.at < format.len() && self.failed.is_none() {
            self.good_index = true;
            let rest = &format[cursor.at..];
            let plain = rest.iter().position(|&b| b == b'%').unwrap_or(rest.len());
            self.out.extend_from_slice(&rest[..plain]);
            cursor.at += plain;
            if cursor.at >= format.len() {
                break;
            }
            cursor.at += 1;
            if !self.verb(&mut cursor, args) {
                break;
            }
        }
        if !self.reordered && cursor.arg < args.len() {
            self.extra(&args[cursor.arg..]);
        }
    }

    /// One verb behind its `%`; false when the format ends in the middle of it.
    fn verb(&mut self, cursor: &mut Cursor<'_>, args: &[Value]) -> bool {
        self.flags = Flags::default();
        while let Some(byte) = cursor.current() {
            match byte {
                b'#' => self.flags.sharp = true,
                b'0' => self.flags.zero = true,
                b'+' => self.flags.plus = true,
                b'-' => self.flags.minus = true,
                b' ' => self.flags.space = true,
                b'a'..=b'z' if cursor.arg < args.len() => {
                    // A simple verb: an index before it was consumed without effect on this one.
                    cursor.at += 1;
                    self.argument(byte as char, args, cursor);
                    return true;
                }
                _ => break,
            }
            cursor.at += 1;
        }
        self.index(cursor, args.len());
        self.width(cursor, args);
        self.precision(cursor, args);
        if !cursor.after_index {
            self.index(cursor, args.len());
        }
        if cursor.at >= cursor.format.len() {
            self.out.extend_from_slice(b"%!(NOVERB)");
            return false;
        }
        let (verb, width) = rune::decode(&cursor.format[cursor.at..]);
        cursor.at += width;
        if verb == '%' {
            self.out.push(b'%');
        } else if !self.good_index {
            self.complain(verb, b"(BADINDEX)");
        } else if cursor.arg >= args.len() {
            self.complain(verb, b"(MISSING)");
        } else {
            self.argument(verb, args, cursor);
        }
        true
    }

    fn argument(&mut self, verb: char, args: &[Value], cursor: &mut Cursor<'_>) {
        if matches!(verb, 'v' | 'w') {
            self.flags.sharp_v = std::mem::take(&mut self.flags.sharp);
            self.flags.plus_v = std::mem::take(&mut self.flags.plus);
        }
        let value = &args[cursor.arg];
        cursor.arg += 1;
        self.top(value, verb, false);
    }

    fn complain(&mut self, verb: char, what: &[u8]) {
        self.out.extend_from_slice(b"%!");
        rune::push(self.out, verb);
        self.out.extend_from_slice(what);
    }

    /// `[n]`
    fn index(&mut self, cursor: &mut Cursor<'_>, count: usize) {
        cursor.after_index = false;
        if cursor.current() != Some(b'[') {
            return;
        }
        self.reordered = true;
        let rest = &cursor.format[cursor.at..];
        let close = rest.iter().position(|&b| b == b']').filter(|_| rest.len() >= 3);
        let Some(close) = close else {
            self.good_index = false;
            cursor.at += 1;
            return;
        };
        let (number, end) = parse_number(rest, 1, close);
        cursor.at += close + 1;
        let Some(number) = number.filter(|_| end == close) else {
            self.good_index = false;
            return;
        };
        cursor.after_index = true;
        match number.checked_sub(1).filter(|&index| index < count) {
            Some(index) => cursor.arg = index,
            None => self.good_index = false,
        }
    }

    fn width(&mut self, cursor: &mut Cursor<'_>, args: &[Value]) {
        if cursor.current() != Some(b'*') {
            self.flags.width = cursor.number();
            if cursor.after_index && self.flags.width.is_some() {
                self.good_index = false;
            }
            return;
        }
        cursor.at += 1;
        match int_argument(cursor, args) {
            Some(width) => {
                self.flags.width = Some(width.unsigned_abs() as usize);
                if width < 0 {
                    self.flags.minus = true;
                    self.flags.zero = false;
                }
            }
            None => self.out.extend_from_slice(b"%!(BADWIDTH)"),
        }
        cursor.after_index = false;
    }

    fn precision(&mut self, cursor: &mut Cursor<'_>, args: &[Value]) {
        if cursor.at + 1 >= cursor.format.len() || cursor.current() != Some(b'.') {
            return;
        }
        cursor.at += 1;
        if cursor.after_index {
            self.good_index = false;
        }
        self.index(cursor, args.len());
        if cursor.current() != Some(b'*') {
            self.flags.precision = Some(cursor.number().unwrap_or(0));
            return;
        }
        cursor.at += 1;
        self.flags.precision = int_argument(cursor, args).and_then(|p| usize::try_from(p).ok());
        if self.flags.precision.is_none() {
            self.out.extend_from_slice(b"%!(BADPREC)");
        }
        cursor.after_index = false;
    }

    fn extra(&mut self, args: &[Value]) {
        self.flags = Flags::default();
        self.out.extend_from_slice(b"%!(EXTRA ");
        for (i, arg) in args.iter().enumerate() {
            if i > 0 {
                self.out.extend_from_slice(b", ");
            }
            if arg.is_nil() {
                self.out.extend_from_slice(b"<nil>");
            } else {
                self.out.extend_from_slice(arg.type_name().as_bytes());
                self.out.push(b'=');
                self.top(arg, 'v', false);
            }
        }
        self.out.push(b')');
    }
}

/// The integer that a `*` takes from the arguments.
fn int_argument(cursor: &mut Cursor<'_>, args: &[Value]) -> Option<i64> {
    let value = args.get(cursor.arg)?.unnamed();
    cursor.arg += 1;
    let n = match value {
        Value::Int(n) | Value::Int64(n) => n,
        Value::Uint(_, n) => i64::try_from(n).ok()?,
        _ => return None,
    };
    (-MAX..=MAX).contains(&n).then_some(n)
}
