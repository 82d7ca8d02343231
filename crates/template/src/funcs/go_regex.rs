//! Go's regular expressions. The matching is done by the crate `regex`, whose semantics are the same
//! (RE2, leftmost-first); the syntax is not quite: Go's classes `\d \w \s \b` are ASCII, it knows `\Q…\E`
//! and refuses much that the crate takes. So the pattern is parsed as Go parses it, with Go's errors,
//! and written anew.

mod classes;
mod tables;

use classes::parse_escape;
use std::fmt::Write;
use tables::{Cost, Tables};

/// A pattern in the syntax of the crate.
#[derive(Debug)]
pub(super) struct Translated {
    pub(super) pattern: String,
    /// The names of its groups from 1.
    pub(super) names: Vec<String>,
    /// What its classes cost to compile, in steps.
    pub(super) work: u64,
}

/// Translates a pattern, or says what Go would say of it.
pub(super) fn translate(pattern: &str) -> Result<Translated, String> {
    let mut parser = Parser {
        whole: pattern,
        rest: pattern,
        out: String::new(),
        names: Vec::new(),
        open: Vec::new(),
        atom: None,
        copies: 1,
        ungreedy: false,
        tables: Tables::default(),
        cost: Cost::default(),
    };
    parser.run().map_err(|(code, at)| format!("error parsing regexp: {code}: `{at}`"))?;
    Ok(Translated { work: parser.cost.total(), pattern: parser.out, names: parser.names })
}

type Fault<'p> = (&'static str, &'p str);

/// How deep groups may nest.
const DEPTH: usize = 250;

/// What a repetition would repeat.
#[derive(Clone, Copy, Debug)]
struct Atom {
    /// Where it begins and ends in what is written.
    start: usize,
    end: usize,
    /// How often repetitions in it repeat the same thing, one within the other.
    copies: u64,
    /// Whether the flag `U` held there.
    ungreedy: bool,
}

/// A group that is open.
struct Group {
    start: usize,
    /// The most copies of an atom that stands before it in the group around it.
    copies_before: u64,
    /// Whether the flag `U` holds around it.
    ungreedy: bool,
}

struct Parser<'p> {
    whole: &'p str,
    rest: &'p str,
    out: String,
    names: Vec<String>,
    open: Vec<Group>,
    atom: Option<Atom>,
    /// The most copies of an atom of the innermost group.
    copies: u64,
    /// Whether the flag `U` holds.
    ungreedy: bool,
    tables: Tables,
    cost: Cost,
}

/// Go refuses more copies of one thing by repetitions within each other.
const COPIES: u64 = 1000;

impl<'p> Parser<'p> {
    fn run(&mut self) -> Result<(), Fault<'p>> {
        let mut last_repeat: Option<&'p str> = None;
        while let Some(c) = self.rest.chars().next() {
            let before = self.rest;
            let mut repeat = None;
            match c {
                '(' => self.group()?,
                '|' => {
                    self.out.push('|');
                    self.rest = &self.rest[1..];
                    self.atom = None;
                }
                ')' => self.close_group()?,
                '^' => self.replace(1, "^"),
                '$' => self.replace(1, "$"),
                '.' => self.replace(1, "."),
                '[' => self.class()?,
                '*' | '+' | '?' => {
                    self.rest = &self.rest[1..];
                    self.repetition(before, &before[..1], 1, last_repeat)?;
                    repeat = Some(before);
                }
                '{' => match parse_repeat(self.rest) {
                    Some((min, max, after)) => {
                        self.rest = after;
                        let text = &before[..before.len() - after.len()];
                        if min > 1000 || max.is_some_and(|max| max > 1000 || min > max) {
                            return Err(("invalid repeat count", text));
                        }
                        self.repetition(before, text, max.unwrap_or(min).into(), last_repeat)?;
                        repeat = Some(before);
                    }
                    None => self.literal(c),
                },
                '\\' => self.escape()?,
                _ => self.literal(c),
            }
            last_repeat = repeat;
        }
        if !self.open.is_empty() {
            return Err(("missing closing )", self.whole));
        }
        if self.cost.total() > Cost::MOST {
            return Err(("expression too large", self.whole));
        }
        Ok(())
    }

    fn literal(&mut self, c: char) {
        self.rest = &self.rest[c.len_utf8()..];
        self.literal_in_place(c);
    }

    /// Notes that what is written from `start` on is an atom.
    fn finish(&mut self, start: usize, copies: u64) {
        self.atom = Some(Atom { start, end: self.out.len(), copies, ungreedy: self.ungreedy });
        self.copies = self.copies.max(copies);
    }

    fn repetition(
        &mut self,
        before: &'p str,
        op: &str,
        most: u64,
        last: Option<&'p str>,
    ) -> Result<(), Fault<'p>> {
        let lazy = self.rest.starts_with('?');
        if lazy {
            self.rest = &self.rest[1..];
        }
        if let Some(last) = last {
            return Err(("invalid nested repetition operator", &last[..last.len() - self.rest.len()]));
        }
        let shown = &before[..before.len() - self.rest.len()];
        let Some(atom) = self.atom else { return Err(("missing argument to repetition operator", shown)) };
        // What is repeated no time counts for nothing.
        let copies =
            if most == 0 && op.ends_with("0}") { 1 } else { atom.copies.saturating_mul(most.max(1)) };
        if most > 1 && copies > COPIES {
            return Err(("invalid repeat count", shown));
        }
        // The flag may have changed in between.
        let op = format!("{op}{}", if lazy != (atom.ungreedy != self.ungreedy) { "?" } else { "" });
        if atom.end < self.out.len() {
            // Flags stand between the two: the crate wants them apart.
            self.out.insert_str(atom.end, &format!("){op}"));
            self.out.insert_str(atom.start, "(?:");
        } else {
            self.out.push_str(&op);
        }
        self.finish(atom.start, copies);
        Ok(())
    }

    fn open_group(&mut self, written: &str) {
        let group = Group { start: self.out.len(), copies_before: self.copies, ungreedy: self.ungreedy };
        self.open.push(group);
        self.out.push_str(written);
        self.atom = None;
        self.copies = 1;
    }

    fn close_group(&mut self) -> Result<(), Fault<'p>> {
        let Some(group) = self.open.pop() else { return Err(("unexpected )", self.whole)) };
        self.out.push(')');
        self.rest = &self.rest[1..];
        let copies = std::mem::replace(&mut self.copies, group.copies_before);
        self.ungreedy = group.ungreedy;
        self.finish(group.start, copies);
        Ok(())
    }

    fn group(&mut self) -> Result<(), Fault<'p>> {
        let start = self.rest;
        if self.open.len() >= DEPTH {
            return Err(("expression nests too deeply", self.whole));
        }
        if !start.starts_with("(?") {
            self.names.push(String::new());
            self.open_group("(");
            self.rest = &self.rest[1..];
            return Ok(());
        }
        let named = start.strip_prefix("(?P<").or_else(|| start.strip_prefix("(?<"));
        // Where nothing follows, Go does not take it for a name.
        if let Some(body) = named.filter(|body| !body.is_empty()) {
            let Some(end) = body.find('>') else { return Err(("invalid named capture", start)) };
            let name = &body[..end];
            if name.is_empty() || !name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()) {
                let capture = &start[..start.len() - body.len() + end + 1];
                return Err(("invalid named capture", capture));
            }
            self.names.push(name.to_owned());
            self.open_group("(");
            self.rest = &body[end + 1..];
            return Ok(());
        }
        self.flags(start)
    }

    fn flags(&mut self, start: &'p str) -> Result<(), Fault<'p>> {
        let mut negative = false;
        let mut saw_flag = false;
        let mut ungreedy = self.ungreedy;
        let body = &start[2..];
        for (at, c) in body.char_indices() {
            let after = &body[at + c.len_utf8()..];
            match c {
                'i' | 'm' | 's' => {
                    saw_flag = true;
                    self.cost.folds |= c == 'i' && !negative;
                }
                'U' => {
                    saw_flag = true;
                    ungreedy = !negative;
                }
                '-' if !negative => {
                    negative = true;
                    saw_flag = false;
                }
                ':' | ')' if !negative || saw_flag => {
                    let written = &start[..2 + at + 1];
                    match c {
                        ':' => self.open_group(written),
                        _ if at > 0 => self.out.push_str(written),
                        _ => {}
                    }
                    self.ungreedy = ungreedy;
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
            let from = self.out.len();
            self.out.push('[');
            self.out.push_str(&class);
            self.out.push(']');
            self.rest = after;
            self.finish(from, 1);
            return Ok(());
        }
        let (c, after) = parse_escape(start)?;
        self.literal_in_place(c);
        self.rest = after;
        Ok(())
    }

    fn literal_in_place(&mut self, c: char) {
        let from = self.out.len();
        push_char(&mut self.out, c);
        self.finish(from, 1);
    }

    fn replace(&mut self, len: usize, text: &str) {
        let from = self.out.len();
        self.out.push_str(text);
        self.rest = &self.rest[len..];
        self.finish(from, 1);
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
        assert_eq!(translate("(a)(?i)+b").unwrap().pattern, "(?:(a))+(?i)b");
        assert_eq!(
            translate(r"\p{greek}\P{^ lower-case_letter}").unwrap().pattern,
            r"[\p{sc=greek}][\p{gc=lowercaseletter}]"
        );
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
        assert_eq!(fault("(?P<"), "invalid or unsupported Perl syntax: `(?P`");
        assert_eq!(fault(r"\p{Script=Greek}"), r"invalid character class range: `\p{Script=Greek}`");
        assert_eq!(fault(r"\x{1100000}"), r"invalid escape sequence: `\x{110000`");
        assert_eq!(fault("(?:a{100}b){11}"), "invalid repeat count: `{11}`");
    }
}
