//! Go's regular expressions. The matching is done by the crate `regex`, whose semantics are the same
//! (RE2, leftmost-first); the syntax is not quite: Go's classes `\d \w \s \b` are ASCII, it knows `\Q…\E`
//! and refuses much that the crate takes. So the pattern is parsed as Go parses it, with Go's errors,
//! and written anew.

use crate::rune;
use std::fmt::Write;

/// A pattern in the syntax of the crate, and the names of its groups from 1.
#[derive(Debug)]
pub(super) struct Translated {
    pub(super) pattern: String,
    pub(super) names: Vec<String>,
}

/// Translates a pattern, or says what Go would say of it.
pub(super) fn translate(pattern: &str) -> Result<Translated, String> {
    let mut parser =
        Parser { whole: pattern, rest: pattern, out: String::new(), names: Vec::new(), open: 0, atom: false };
    parser.run().map_err(|(code, at)| format!("error parsing regexp: {code}: `{at}`"))?;
    Ok(Translated { pattern: parser.out, names: parser.names })
}

type Fault<'p> = (&'static str, &'p str);

const BAD_ESCAPE: &str = "invalid escape sequence";
const BAD_RANGE: &str = "invalid character class range";
const NO_BRACKET: &str = "missing closing ]";
/// How deep groups may nest.
const DEPTH: usize = 250;

struct Parser<'p> {
    whole: &'p str,
    rest: &'p str,
    out: String,
    names: Vec<String>,
    open: usize,
    /// Whether there is something that a repetition could repeat.
    atom: bool,
}

impl<'p> Parser<'p> {
    fn run(&mut self) -> Result<(), Fault<'p>> {
        let mut last_repeat: Option<&'p str> = None;
        while let Some(c) = self.rest.chars().next() {
            let before = self.rest;
            let mut repeat = None;
            match c {
                '(' => self.group()?,
                '|' => self.token("|", false),
                ')' => {
                    if self.open == 0 {
                        return Err(("unexpected )", self.whole));
                    }
                    self.open -= 1;
                    self.token(")", true);
                }
                '^' => self.token("^", true),
                '$' => self.token("$", true),
                '.' => self.token(".", true),
                '[' => self.class()?,
                '*' | '+' | '?' => {
                    self.rest = &self.rest[1..];
                    self.repetition(before, &before[..1], last_repeat)?;
                    repeat = Some(before);
                }
                '{' => match parse_repeat(self.rest) {
                    Some((min, max, after)) => {
                        self.rest = after;
                        let text = &before[..before.len() - after.len()];
                        if min > 1000 || max.is_some_and(|max| max > 1000 || min > max) {
                            return Err(("invalid repeat count", text));
                        }
                        self.repetition(before, text, last_repeat)?;
                        repeat = Some(before);
                    }
                    None => self.literal(c),
                },
                '\\' => self.escape()?,
                _ => self.literal(c),
            }
            last_repeat = repeat;
        }
        if self.open > 0 {
            return Err(("missing closing )", self.whole));
        }
        Ok(())
    }

    /// One-byte syntax that is the same in both.
    fn token(&mut self, text: &str, atom: bool) {
        self.out.push_str(text);
        self.rest = &self.rest[1..];
        self.atom = atom;
    }

    fn literal(&mut self, c: char) {
        self.rest = &self.rest[c.len_utf8()..];
        push_char(&mut self.out, c);
        self.atom = true;
    }

    fn repetition(&mut self, before: &'p str, op: &str, last: Option<&'p str>) -> Result<(), Fault<'p>> {
        let lazy = self.rest.starts_with('?');
        if lazy {
            self.rest = &self.rest[1..];
        }
        if let Some(last) = last {
            return Err(("invalid nested repetition operator", &last[..last.len() - self.rest.len()]));
        }
        if !self.atom {
            return Err((
                "missing argument to repetition operator",
                &before[..before.len() - self.rest.len()],
            ));
        }
        self.out.push_str(op);
        if lazy {
            self.out.push('?');
        }
        Ok(())
    }

    fn group(&mut self) -> Result<(), Fault<'p>> {
        let start = self.rest;
        if self.open >= DEPTH {
            return Err(("expression nests too deeply", self.whole));
        }
        if !start.starts_with("(?") {
            self.names.push(String::new());
            self.open += 1;
            self.token("(", false);
            return Ok(());
        }
        let named = start.strip_prefix("(?P<").or_else(|| start.strip_prefix("(?<"));
        if let Some(body) = named.filter(|_| start.len() > 3) {
            let Some(end) = body.find('>') else { return Err(("invalid named capture", start)) };
            let name = &body[..end];
            if name.is_empty() || !name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()) {
                let capture = &start[..start.len() - body.len() + end + 1];
                return Err(("invalid named capture", capture));
            }
            self.names.push(name.to_owned());
            self.open += 1;
            self.out.push('(');
            self.rest = &body[end + 1..];
            self.atom = false;
            return Ok(());
        }
        self.flags(start)
    }

    fn flags(&mut self, start: &'p str) -> Result<(), Fault<'p>> {
        let mut negative = false;
        let mut saw_flag = false;
        let body = &start[2..];
        for (at, c) in body.char_indices() {
            let after = &body[at + c.len_utf8()..];
            match c {
                'i' | 'm' | 's' | 'U' => saw_flag = true,
                '-' if !negative => {
                    negative = true;
                    saw_flag = false;
                }
                ':' | ')' if !negative || saw_flag => {
                    if c == ':' {
                        self.open += 1;
                        self.atom = false;
                    }
                    if at > 0 || c == ':' {
                        self.out.push_str(&start[..2 + at + 1]);
                    }
                    self.rest = after;
                    return Ok(());
                }
                _ => return Err(("invalid or unsupported Perl syntax", &start[..start.len() - after.len()])),
            }
        }
        Err(("invalid or unsupported Perl syntax", start))
    }

    fn escape(&mut self) -> Result<(), Fault<'p>> {
        let start = self.rest;
        match start[1..].chars().next() {
            Some('A') => {
                self.replace(2, r"\A");
                return Ok(());
            }
            Some('b') => {
                self.replace(2, r"(?-u:\b)");
                return Ok(());
            }
            Some('B') => {
                self.replace(2, r"(?-u:\B)");
                return Ok(());
            }
            Some('z') => {
                self.replace(2, r"\z");
                return Ok(());
            }
            Some('C') => return Err((BAD_ESCAPE, &start[..2])),
            Some('Q') => {
                let body = &start[2..];
                let (text, after) = body.split_once("\\E").unwrap_or((body, ""));
                text.chars().for_each(|c| self.literal_in_place(c));
                self.rest = after;
                return Ok(());
            }
            _ => {}
        }
        if let Some((class, after)) = self.class_escape(start)? {
            self.out.push('[');
            self.out.push_str(&class);
            self.out.push(']');
            self.rest = after;
            self.atom = true;
            return Ok(());
        }
        let (c, after) = parse_escape(start)?;
        self.literal_in_place(c);
        self.rest = after;
        Ok(())
    }

    fn literal_in_place(&mut self, c: char) {
        push_char(&mut self.out, c);
        self.atom = true;
    }

    fn replace(&mut self, len: usize, text: &str) {
        self.out.push_str(text);
        self.rest = &self.rest[len..];
        self.atom = true;
    }

    /// `\d`, `\pL` and the like as the inside of a class.
    fn class_escape(&self, start: &'p str) -> Result<Option<(String, &'p str)>, Fault<'p>> {
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
            'p' | 'P' => return unicode_class(start, kind).map(Some),
            _ => return Ok(None),
        };
        Ok(Some((text.to_owned(), after)))
    }

    fn class(&mut self) -> Result<(), Fault<'p>> {
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
                out.push('-');
                push_char(&mut out, high);
            }
        }
        out.push(']');
        self.out.push_str(&out);
        self.rest = &rest[1..];
        self.atom = true;
        Ok(())
    }
}

const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

fn class_char<'p>(rest: &'p str, class: &'p str) -> Result<(char, &'p str), Fault<'p>> {
    match rest.chars().next() {
        None => Err((NO_BRACKET, class)),
        Some('\\') => parse_escape(rest),
        Some(c) => Ok((c, &rest[c.len_utf8()..])),
    }
}

/// `\pL`, `\p{Greek}`, `\p{^Greek}`, `\P{Greek}`
fn unicode_class<'p>(start: &'p str, kind: char) -> Result<(String, &'p str), Fault<'p>> {
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
    let name = name.trim_start_matches('^');
    let class = format!(r"\{}{{{name}}}", if negative { 'P' } else { 'p' });
    if !name.starts_with(|c: char| c.is_ascii_uppercase()) || regex::Regex::new(&class).is_err() {
        return Err((BAD_RANGE, shown));
    }
    Ok((class, after))
}

/// An escape that stands for one character.
fn parse_escape(start: &str) -> Result<(char, &str), Fault<'_>> {
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

fn hex_escape<'p>(start: &'p str, after: &'p str) -> Result<(char, &'p str), Fault<'p>> {
    let bad = |after: &str| Err((BAD_ESCAPE, &start[..start.len() - after.len()]));
    let Some(c) = after.chars().next() else { return bad(after) };
    if c == '{' {
        let body = &after[1..];
        let digits = body.chars().take_while(char::is_ascii_hexdigit).count();
        let rest = &body[digits..];
        let code = u32::from_str_radix(&body[..digits], 16).ok().filter(|&code| code <= 0x10FFFF);
        return match (rest.strip_prefix('}'), code.and_then(char::from_u32)) {
            (Some(rest), Some(c)) => Ok((c, rest)),
            _ => {
                let used = rest.chars().next().map_or(0, char::len_utf8);
                bad(&rest[used..])
            }
        };
    }
    let mut rest = &after[c.len_utf8()..];
    let Some(second) = rest.chars().next() else { return bad(rest) };
    rest = &rest[second.len_utf8()..];
    match (c.to_digit(16), second.to_digit(16)) {
        (Some(high), Some(low)) => Ok((char::from(high as u8 * 16 + low as u8), rest)),
        _ => bad(rest),
    }
}

/// `{n}`, `{n,}`, `{n,m}`: the bounds and what follows; `None` when the brace is an ordinary character.
fn parse_repeat(text: &str) -> Option<(u32, Option<u32>, &str)> {
    let (min, rest) = parse_count(&text[1..])?;
    let (max, rest) = match rest.strip_prefix(',') {
        None => (Some(min), rest),
        Some(rest) if rest.starts_with('}') => (None, rest),
        Some(rest) => {
            let (max, rest) = parse_count(rest)?;
            (Some(max), rest)
        }
    };
    Some((min, max, rest.strip_prefix('}')?))
}

fn parse_count(text: &str) -> Option<(u32, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 || digits > 1 && text.starts_with('0') {
        return None;
    }
    Some((text[..digits].parse().unwrap_or(u32::MAX), &text[digits..]))
}

fn push_char(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() || !c.is_ascii() {
        out.push(c);
    } else {
        // Writing to a String does not fail.
        let _ = write!(out, "\\x{:02x}", c as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn fault(pattern: &str) -> String {
        translate(pattern).unwrap_err().trim_start_matches("error parsing regexp: ").to_owned()
    }

    #[test]
    fn ascii_classes_stay_ascii() {
        assert_eq!(translate(r"\d+\w").unwrap().pattern, "[0-9]+[0-9A-Za-z_]");
        assert_eq!(translate(r"[^\s-]").unwrap().pattern, r"[^\t\n\x0c\r \x2d]");
        assert_eq!(translate(r"\Qa.b\E*").unwrap().pattern, r"a\x2eb*");
        assert_eq!(translate("(?P<x>a)(b)").unwrap().names, ["x", ""]);
    }

    #[test]
    fn faults_read_as_in_go() {
        assert_eq!(fault("["), "missing closing ]: `[`");
        assert_eq!(fault("a("), "missing closing ): `a(`");
        assert_eq!(fault("a)"), "unexpected ): `a)`");
        assert_eq!(fault("*"), "missing argument to repetition operator: `*`");
        assert_eq!(fault("a**"), "invalid nested repetition operator: `**`");
        assert_eq!(fault("a{1001}"), "invalid repeat count: `{1001}`");
        assert_eq!(fault("[z-a]"), "invalid character class range: `z-a`");
        assert_eq!(fault(r"\8"), r"invalid escape sequence: `\8`");
        assert_eq!(fault("(?z)"), "invalid or unsupported Perl syntax: `(?z`");
        assert_eq!(fault("\\"), "trailing backslash at end of expression: ``");
        assert_eq!(fault("(?P<a-b>x)"), "invalid named capture: `(?P<a-b>`");
    }
}
