//! Go's `strconv.Quote` and its relatives.

use crate::rune;
use std::fmt::Write;

/// A double-quoted Go string.
pub(crate) fn text(bytes: &[u8]) -> String {
    quoted(bytes, '"', false)
}

/// A double-quoted Go string of ASCII only.
pub(crate) fn ascii(bytes: &[u8]) -> String {
    quoted(bytes, '"', true)
}

/// A single-quoted Go character.
pub(crate) fn character(c: char, ascii_only: bool) -> String {
    let mut buffer = [0; 4];
    quoted(c.encode_utf8(&mut buffer).as_bytes(), '\'', ascii_only)
}

/// `%#U`: the code point, and the character if it is printable.
pub(crate) fn unicode(c: char) -> String {
    let code = c as u32;
    if rune::is_print(c) { format!("U+{code:04X} '{c}'") } else { format!("U+{code:04X}") }
}

/// Whether a raw string literal can hold the text (Go's `strconv.CanBackquote`).
pub(crate) fn can_backquote(bytes: &[u8]) -> bool {
    rune::runes(bytes).all(|(_, c, width)| match c {
        rune::ERROR => width > 1,
        '\u{feff}' | '`' | '\x7f' => false,
        c => c >= ' ' || c == '\t',
    })
}

fn quoted(bytes: &[u8], quote: char, ascii_only: bool) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push(quote);
    for (at, c, width) in rune::runes(bytes) {
        if c == rune::ERROR && width == 1 {
            escape(&mut out, format_args!("\\x{:02x}", bytes[at]));
        } else {
            push(&mut out, c, quote, ascii_only);
        }
    }
    out.push(quote);
    out
}

fn push(out: &mut String, c: char, quote: char, ascii_only: bool) {
    if c == quote || c == '\\' {
        out.push('\\');
        out.push(c);
        return;
    }
    if rune::is_print(c) && (!ascii_only || c.is_ascii()) {
        out.push(c);
        return;
    }
    let code = c as u32;
    match c {
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        _ if code < 0x20 || code == 0x7f => escape(out, format_args!("\\x{code:02x}")),
        _ if code < 0x10000 => escape(out, format_args!("\\u{code:04x}")),
        _ => escape(out, format_args!("\\U{code:08x}")),
    }
}

fn escape(out: &mut String, args: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _ = out.write_fmt(args);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_like_go() {
        assert_eq!(text("a\"\\\n\t\x01é\u{200b}😀".as_bytes()), "\"a\\\"\\\\\\n\\t\\x01é\\u200b😀\"");
        assert_eq!(text(b"\xff\xc3"), "\"\\xff\\xc3\"");
        assert_eq!(ascii("é😀".as_bytes()), "\"\\u00e9\\U0001f600\"");
        assert_eq!(character('\'', false), "'\\''");
        assert_eq!(unicode('€'), "U+20AC '€'");
        assert_eq!(unicode('\x01'), "U+0001");
    }
}
