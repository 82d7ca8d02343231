//! Characters and classes of Go's regular expressions: escapes, `[a-z]`, `[[:alpha:]]`, `\pL`.

use super::{Fault, Parser, push_char};
use crate::rune;

const BAD_ESCAPE: &str = "invalid escape sequence";
const BAD_RANGE: &str = "invalid character class range";
const NO_BRACKET: &str = "missing closing ]";

const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

impl<'p> Parser<'p> {
    /// `\d`, `\pL` and the like as the inside of a class.
    pub(super) fn class_escape(&mut self, start: &'p str) -> Result<Option<(String, &'p str)>, Fault<'p>> {
        let mut chars = start[1..].chars();
        let Some(kind) = chars.next() else { return Ok(None) };
        let after = chars.as_str();
        let text = match kind {
            'd' => "0-9",
            'D' => "[^0-9]",
            's' => r"\t\n\x0c\r ",
            'S' => r"[^\t\n\x0c\r ]",
            'w' => "0-9A-Za-z_",
            'W' => "[^0-9A-Za-z_]",
            'p' | 'P' => return self.unicode_class(start, kind).map(Some),
            _ => return Ok(None),
        };
        Ok(Some((text.to_owned(), after)))
    }

    pub(super) fn class(&mut self) -> Result<(), Fault<'p>> {
        let start = self.rest;
        let mut rest = &start[1..];
        let mut out = String::from("[");
        if let Some(after) = rest.strip_prefix('^') {
            out.push('^');
            rest = after;
        }
        let mut first = true;
        while first || !rest.starts_with(']') {
            first = false;
            if rest.is_empty() {
                return Err((NO_BRACKET, start));
            }
            if let Some(end) = rest.strip_prefix("[:").and_then(|body| body.find(":]")) {
                let name = &rest[..end + 4];
                if !POSIX
                    .contains(&name.trim_start_matches("[:").trim_start_matches('^').trim_end_matches(":]"))
                {
                    return Err((BAD_RANGE, name));
                }
                out.push_str(name);
                rest = &rest[end + 4..];
                continue;
            }
            if rest.starts_with('\\')
                && let Some((class, after)) = self.class_escape(rest)?
            {
                out.push_str(&class);
                rest = after;
                continue;
            }
            let range = rest;
            let (low, after) = class_char(rest, start)?;
            rest = after;
            push_char(&mut out, low);
            if rest.len() >= 2 && rest.starts_with('-') && !rest.starts_with("-]") {
                let (high, after) = class_char(&rest[1..], start)?;
                rest = after;
                if high < low {
                    return Err((BAD_RANGE, &range[..range.len() - rest.len()]));
                }
                self.cost.add(1, u64::from(u32::from(high) - u32::from(low)));
                out.push('-');
                push_char(&mut out, high);
            }
        }
        out.push(']');
        let from = self.out.len();
        self.out.push_str(&out);
        self.rest = &rest[1..];
        self.finish(from, 1);
        Ok(())
    }

    /// `\pL`, `\p{Greek}`, `\p{^Greek}`, `\P{Greek}`
    fn unicode_class(&mut self, start: &'p str, kind: char) -> Result<(String, &'p str), Fault<'p>> {
        let body = &start[2..];
        let Some(c) = body.chars().next() else { return Err((BAD_RANGE, start)) };
        let (name, after) = if c == '{' {
            let Some(end) = body.find('}') else { return Err((BAD_RANGE, start)) };
            (&body[1..end], &body[end + 1..])
        } else {
            body.split_at(c.len_utf8())
        };
        let shown = &start[..start.len() - after.len()];
        let negative = (kind == 'P') != name.starts_with('^');
        let table = self.tables.find(name.strip_prefix('^').unwrap_or(name)).ok_or((BAD_RANGE, shown))?;
        self.cost.add(table.ranges, table.chars);
        Ok((table.class(negative), after))
    }
}

fn class_char<'p>(rest: &'p str, class: &'p str) -> Result<(char, &'p str), Fault<'p>> {
    match rest.chars().next() {
        None => Err((NO_BRACKET, class)),
        Some('\\') => parse_escape(rest),
        Some(c) => Ok((c, &rest[c.len_utf8()..])),
    }
}

/// An escape that stands for one character.
pub(super) fn parse_escape(start: &str) -> Result<(char, &str), Fault<'_>> {
    let mut chars = start[1..].chars();
    let Some(c) = chars.next() else { return Err(("trailing backslash at end of expression", "")) };
    let after = chars.as_str();
    let bad = |after: &str| Err((BAD_ESCAPE, &start[..start.len() - after.len()]));
    let simple = match c {
        'a' => '\x07',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        '0'..='7' => {
            if c != '0' && !after.starts_with(|c| ('0'..='7').contains(&c)) {
                return bad(after);
            }
            let more = after.bytes().take(2).take_while(|b| (b'0'..=b'7').contains(b)).count();
            let code = u32::from_str_radix(&start[1..2 + more], 8).unwrap_or(0);
            return Ok((char::from_u32(code).unwrap_or(rune::ERROR), &after[more..]));
        }
        'x' => return hex_escape(start, after),
        _ if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
        _ => return bad(after),
    };
    Ok((simple, after))
}

/// The rest of `\x{…}`. A fault is shown up to the character that it is found at.
fn braced_hex<'p>(start: &'p str, body: &'p str) -> Result<(char, &'p str), Fault<'p>> {
    let mut code = 0;
    for (at, c) in body.char_indices() {
        let after = &body[at + c.len_utf8()..];
        match c.to_digit(16) {
            None if c == '}' && at > 0 => return Ok((char::from_u32(code).unwrap_or(rune::ERROR), after)),
            Some(digit) if code * 16 + digit <= char::MAX as u32 => code = code * 16 + digit,
            _ => return Err((BAD_ESCAPE, &start[..start.len() - after.len()])),
        }
    }
    Err((BAD_ESCAPE, start))
}

fn hex_escape<'p>(start: &'p str, after: &'p str) -> Result<(char, &'p str), Fault<'p>> {
    let bad = |after: &str| Err((BAD_ESCAPE, &start[..start.len() - after.len()]));
    let Some(c) = after.chars().next() else { return bad(after) };
    if c == '{' {
        return braced_hex(start, &after[1..]);
    }
    let mut rest = &after[c.len_utf8()..];
    let Some(second) = rest.chars().next() else { return bad(rest) };
    rest = &rest[second.len_utf8()..];
    match (c.to_digit(16), second.to_digit(16)) {
        (Some(high), Some(low)) => Ok((char::from(high as u8 * 16 + low as u8), rest)),
        _ => bad(rest),
    }
}
