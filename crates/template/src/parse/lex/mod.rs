//! The lexer: template text into tokens. Trim markers and comments end here; the parser never sees
//! them. Positions are byte offsets into the whole text, lines count from 1.

mod token;

pub(crate) use token::{Item, Tok, Words};

use crate::fmt::quote;
use crate::rune;

/// The lexer's state.
pub(crate) struct Lexer<'t> {
    input: &'t str,
    pos: usize,
    start: usize,
    at_eof: bool,
    paren_depth: i32,
    line: usize,
    start_line: usize,
    inside_action: bool,
    words: Words,
}

const LEFT: &str = "{{";
const RIGHT: &str = "}}";
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];
/// A trim marker: the minus and the space beside it.
const TRIM: usize = 2;

fn is_space(c: char) -> bool {
    SPACES.contains(&c)
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || rune::is_letter(c) || rune::is_digit(c)
}

fn has_left_trim(s: &str) -> bool {
    matches!(s.as_bytes(), [b'-', b' ' | b'\t' | b'\r' | b'\n', ..])
}

fn has_right_trim(s: &str) -> bool {
    matches!(s.as_bytes(), [b' ' | b'\t' | b'\r' | b'\n', b'-', ..])
}

fn newlines(s: &str) -> usize {
    s.bytes().filter(|&b| b == b'\n').count()
}

impl<'t> Lexer<'t> {
    pub(crate) fn new(input: &'t str, words: Words) -> Self {
        Self {
            input,
            pos: 0,
            start: 0,
            at_eof: false,
            paren_depth: 0,
            line: 1,
            start_line: 1,
            inside_action: false,
            words,
        }
    }

    /// The next token; `Eof` for ever at the end and after an error.
    pub(crate) fn next_item(&mut self) -> Item {
        if self.inside_action { self.inside_action() } else { self.text() }
    }

    fn next(&mut self) -> Option<char> {
        let Some(c) = self.input[self.pos..].chars().next() else {
            self.at_eof = true;
            return None;
        };
        self.pos += c.len_utf8();
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn backup(&mut self) {
        if self.at_eof || self.pos == 0 {
            return;
        }
        if let Some(c) = self.input[..self.pos].chars().next_back() {
            self.pos -= c.len_utf8();
            self.line -= usize::from(c == '\n');
        }
    }

    fn peek(&mut self) -> Option<char> {
        let c = self.next();
        self.backup();
        c
    }

    fn rest(&self) -> &'t str {
        &self.input[self.pos..]
    }

    fn emit(&mut self, tok: Tok) -> Item {
        let item = Item { tok, pos: self.start, end: self.pos, line: self.start_line, error: None };
        self.start = self.pos;
        self.start_line = self.line;
        item
    }

    fn ignore(&mut self) {
        self.line += newlines(&self.input[self.start..self.pos]);
        self.start = self.pos;
        self.start_line = self.line;
    }

    fn error(&mut self, message: impl Into<Box<str>>) -> Item {
        let pos = self.start;
        let item =
            Item { tok: Tok::Error, pos, end: pos, line: self.start_line, error: Some(message.into()) };
        self.input = "";
        self.start = 0;
        self.pos = 0;
        item
    }

    fn accept(&mut self, valid: &str) -> bool {
        if self.next().is_some_and(|c| valid.contains(c)) {
            return true;
        }
        self.backup();
        false
    }

    fn accept_run(&mut self, valid: &str) {
        while self.next().is_some_and(|c| valid.contains(c)) {}
        self.backup();
    }

    /// Outside of actions. Loops over comments, which leave no token.
    fn text(&mut self) -> Item {
        loop {
            let Some(found) = self.rest().find(LEFT) else {
                self.pos = self.input.len();
                if self.pos > self.start {
                    self.line += newlines(&self.input[self.start..self.pos]);
                    return self.emit(Tok::Text);
                }
                return self.emit(Tok::Eof);
            };
            if found > 0
                && let Some(item) = self.text_before(found)
            {
                return item;
            }
            if let Some(item) = self.left_delim() {
                return item;
            }
        }
    }

    fn text_before(&mut self, found: usize) -> Option<Item> {
        self.pos += found;
        let before = &self.input[self.start..self.pos];
        let trim = if has_left_trim(&self.input[self.pos + LEFT.len()..]) {
            before.len() - before.trim_end_matches(SPACES).len()
        } else {
            0
        };
        self.pos -= trim;
        self.line += newlines(&self.input[self.start..self.pos]);
        let item = self.emit(Tok::Text);
        self.pos += trim;
        self.ignore();
        (item.end > item.pos).then_some(item)
    }

    /// `None` after a comment.
    fn left_delim(&mut self) -> Option<Item> {
        self.pos += LEFT.len();
        let after_marker = if has_left_trim(self.rest()) { TRIM } else { 0 };
        if self.rest()[after_marker..].starts_with("/*") {
            self.pos += after_marker;
            self.ignore();
            return self.comment().err();
        }
        let item = self.emit(Tok::LeftDelim);
        self.inside_action = true;
        self.pos += after_marker;
        self.ignore();
        self.paren_depth = 0;
        Some(item)
    }

    fn comment(&mut self) -> Result<(), Item> {
        self.pos += 2;
        let Some(found) = self.rest().find("*/") else { return Err(self.error("unclosed comment")) };
        self.pos += found + 2;
        let Some(trim) = self.at_right_delim() else {
            return Err(self.error("comment ends before closing delimiter"));
        };
        self.line += newlines(&self.input[self.start..self.pos]);
        self.emit(Tok::Space);
        self.pos += RIGHT.len();
        if trim {
            self.pos += TRIM;
            self.skip_spaces();
        }
        self.ignore();
        Ok(())
    }

    fn skip_spaces(&mut self) {
        let rest = self.rest();
        self.pos += rest.len() - rest.trim_start_matches(SPACES).len();
    }

    /// Whether the action ends here, and whether with a trim marker.
    fn at_right_delim(&self) -> Option<bool> {
        let rest = self.rest();
        if has_right_trim(rest) && rest[TRIM..].starts_with(RIGHT) {
            return Some(true);
        }
        rest.starts_with(RIGHT).then_some(false)
    }

    fn right_delim(&mut self, trim: bool) -> Item {
        if trim {
            self.pos += TRIM;
            self.ignore();
        }
        self.pos += RIGHT.len();
        let item = self.emit(Tok::RightDelim);
        if trim {
            self.skip_spaces();
            self.ignore();
        }
        self.inside_action = false;
        item
    }

    fn inside_action(&mut self) -> Item {
        if let Some(trim) = self.at_right_delim() {
            if self.paren_depth == 0 {
                return self.right_delim(trim);
            }
            return self.error("unclosed left paren");
        }
        let Some(c) = self.next() else { return self.error("unclosed action") };
        match c {
            c if is_space(c) => {
                self.backup();
                self.space()
            }
            '=' => self.emit(Tok::Assign),
            ':' if self.next() == Some('=') => self.emit(Tok::Declare),
            ':' => self.error("expected :="),
            '|' => self.emit(Tok::Pipe),
            '"' => self.quoted('"', Tok::String, "unterminated quoted string"),
            '`' => self.raw_quoted(),
            '$' => self.variable(),
            '\'' => self.quoted('\'', Tok::CharConstant, "unterminated character constant"),
            '.' if self.rest().bytes().next().is_some_and(|b| !b.is_ascii_digit()) => {
                self.field_or_variable(Tok::Field)
            }
            '.' | '+' | '-' | '0'..='9' => {
                self.backup();
                self.number()
            }
            c if is_alphanumeric(c) => {
                self.backup();
                self.identifier()
            }
            '(' => {
                self.paren_depth += 1;
                self.emit(Tok::LeftParen)
            }
            ')' => {
                self.paren_depth -= 1;
                if self.paren_depth < 0 {
                    self.error("unexpected right paren")
                } else {
                    self.emit(Tok::RightParen)
                }
            }
            c if c.is_ascii() && rune::is_print(c) => self.emit(Tok::Char),
            c => self.error(format!("unrecognized character in action: {}", quote::unicode(c))),
        }
    }

    fn space(&mut self) -> Item {
        let mut count = 0;
        while self.peek().is_some_and(is_space) {
            self.next();
            count += 1;
        }
        // The last space may belong to a closing trim marker.
        let last = &self.input[self.pos - 1..];
        if has_right_trim(last) && last[TRIM..].starts_with(RIGHT) {
            self.backup();
            if count == 1 {
                return self.right_delim(true);
            }
        }
        self.emit(Tok::Space)
    }

    fn identifier(&mut self) -> Item {
        while self.next().is_some_and(is_alphanumeric) {}
        self.backup();
        let word = &self.input[self.start..self.pos];
        if !self.at_terminator() {
            return self.bad_character();
        }
        let tok = match word {
            "block" => Tok::Block,
            "break" if self.words.break_ok => Tok::Break,
            "continue" if self.words.continue_ok => Tok::Continue,
            "define" => Tok::Define,
            "else" => Tok::Else,
            "end" => Tok::End,
            "if" => Tok::If,
            "range" => Tok::Range,
            "nil" => Tok::Nil,
            "template" => Tok::Template,
            "with" => Tok::With,
            "true" | "false" => Tok::Bool,
            _ => Tok::Identifier,
        };
        self.emit(tok)
    }

    fn bad_character(&mut self) -> Item {
        let c = self.peek().unwrap_or(rune::ERROR);
        self.error(format!("bad character {}", quote::unicode(c)))
    }

    fn variable(&mut self) -> Item {
        if self.at_terminator() { self.emit(Tok::Variable) } else { self.field_or_variable(Tok::Variable) }
    }

    fn field_or_variable(&mut self, tok: Tok) -> Item {
        if self.at_terminator() {
            return self.emit(if tok == Tok::Variable { tok } else { Tok::Dot });
        }
        while self.next().is_some_and(is_alphanumeric) {}
        self.backup();
        if self.at_terminator() { self.emit(tok) } else { self.bad_character() }
    }

    fn at_terminator(&mut self) -> bool {
        match self.peek() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(c) => is_space(c) || self.rest().starts_with(RIGHT),
        }
    }

    fn number(&mut self) -> Item {
        if !self.scan_number() {
            return self.bad_number();
        }
        if !matches!(self.peek(), Some('+' | '-')) {
            return self.emit(Tok::Number);
        }
        if !self.scan_number() || !self.input[..self.pos].ends_with('i') {
            return self.bad_number();
        }
        self.emit(Tok::Complex)
    }

    fn bad_number(&mut self) -> Item {
        let text = &self.input[self.start..self.pos];
        self.error(format!("bad number syntax: {}", quote::text(text.as_bytes())))
    }

    fn scan_number(&mut self) -> bool {
        const DECIMAL: &str = "0123456789_";
        const HEX: &str = "0123456789abcdefABCDEF_";
        self.accept("+-");
        let mut digits = DECIMAL;
        if self.accept("0") {
            if self.accept("xX") {
                digits = HEX;
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        if digits == DECIMAL && self.accept("eE") || digits == HEX && self.accept("pP") {
            self.accept("+-");
            self.accept_run(DECIMAL);
        }
        self.accept("i");
        if self.peek().is_some_and(is_alphanumeric) {
            self.next();
            return false;
        }
        true
    }

    fn quoted(&mut self, end: char, tok: Tok, unterminated: &'static str) -> Item {
        loop {
            match self.next() {
                None | Some('\n') => return self.error(unterminated),
                Some('\\') if matches!(self.next(), None | Some('\n')) => return self.error(unterminated),
                Some(c) if c == end => return self.emit(tok),
                // An escaped quote was consumed with its backslash by the guard above.
                Some(_) => {}
            }
        }
    }

    fn raw_quoted(&mut self) -> Item {
        loop {
            match self.next() {
                None => return self.error("unterminated raw quoted string"),
                Some('`') => return self.emit(Tok::RawString),
                Some(_) => {}
            }
        }
    }
}
