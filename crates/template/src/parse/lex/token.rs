//! Tokens, and how error messages show them.

use crate::fmt::quote;

/// The kinds of token, in the order in which the parser's error texts tell keywords from the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tok {
    Error,
    Bool,
    Char,
    CharConstant,
    Complex,
    Assign,
    Declare,
    Eof,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    Space,
    String,
    Text,
    Variable,
    Block,
    Break,
    Continue,
    Dot,
    Define,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
}

impl Tok {
    fn is_keyword(self) -> bool {
        self as u8 >= Tok::Block as u8
    }
}

/// One token.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) tok: Tok,
    pub(crate) pos: usize,
    pub(crate) end: usize,
    pub(crate) line: usize,
    /// The message of an error token.
    pub(crate) error: Option<Box<str>>,
}

impl Item {
    /// What a token buffer holds before anything was read: line 0, as in Go.
    pub(crate) const NONE: Item = Item { tok: Tok::Error, pos: 0, end: 0, line: 0, error: None };

    pub(crate) fn text<'t>(&self, input: &'t str) -> &'t str {
        &input[self.pos..self.end]
    }

    /// The token as error messages show it.
    pub(crate) fn show(&self, input: &str) -> String {
        let text = self.text(input);
        match self.tok {
            Tok::Eof => "EOF".to_owned(),
            Tok::Error => self.error.as_deref().unwrap_or_default().to_owned(),
            tok if tok.is_keyword() => format!("<{text}>"),
            _ if text.len() > 10 => {
                let head: String = text.chars().take(10).collect();
                format!("{}...", quote::text(head.as_bytes()))
            }
            _ => quote::text(text.as_bytes()),
        }
    }
}

/// Whether `break` and `continue` are keywords; a function of that name takes the word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    pub(crate) break_ok: bool,
    pub(crate) continue_ok: bool,
}
