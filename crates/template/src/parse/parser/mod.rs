//! The parser: a recursive descent over the tokens that mirrors Go's, so that the same texts are
//! refused with the same words. Each definition has its own token buffer, as in Go: that decides
//! which line an error names. Here are tokens, errors and definitions; `statements` has what stands between delimiters,
//! `pipelines` what is computed there.

mod pipelines;
mod statements;

use super::lex::{Item, Lexer, Tok, Words};
use super::node::{Block, Stmt};
use super::{Functions, is_blank, unquote};
use crate::error::{Error, ErrorKind};
use crate::fmt::quote;
use crate::limits::stack_pointer;
use crate::value::Str;
use std::collections::HashMap;

/// Machine stack that parsing may use, in bytes.
const STACK: usize = 1 << 20;

type Parsed<T> = Result<T, Box<Error>>;

/// A named block as it came out of one text.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) name: Str,
    pub(crate) root: Block,
}

/// What is known about the template being parsed; each definition inside a text has its own.
struct Frame {
    tokens: [Item; 3],
    peeked: usize,
    vars: Vec<u32>,
    action_line: usize,
    range_depth: usize,
}

impl Frame {
    fn new() -> Self {
        Self {
            tokens: [Item::NONE, Item::NONE, Item::NONE],
            peeked: 0,
            vars: vec![0],
            action_line: 0,
            range_depth: 0,
        }
    }
}

/// `{{end}}` and `{{else}}`, which close a list.
enum Next {
    Stmt(Stmt),
    End,
    Else,
}

impl Next {
    fn show(&self) -> &'static str {
        if matches!(self, Next::End) { "{{end}}" } else { "{{else}}" }
    }
}

struct Parser<'t> {
    name: &'t str,
    input: &'t str,
    lexer: Lexer<'t>,
    functions: &'t Functions,
    frame: Frame,
    /// Variable names of the whole text; an id is an index. `$` is 0.
    names: HashMap<&'t str, u32>,
    definitions: Vec<Definition>,
    stack_base: usize,
}

/// Parses `input`: all the definitions in it, the one of the text itself, called `name`, last.
pub(crate) fn parse(name: &str, input: &str, functions: &Functions) -> Parsed<Vec<Definition>> {
    let words = Words {
        break_ok: functions.get("break").is_none(),
        continue_ok: functions.get("continue").is_none(),
    };
    let mut parser = Parser {
        name,
        input,
        lexer: Lexer::new(input, words),
        functions,
        frame: Frame::new(),
        names: HashMap::from([("$", 0)]),
        definitions: Vec::new(),
        stack_base: stack_pointer(),
    };
    let root = parser.top()?;
    parser.add(name.into(), root)?;
    Ok(parser.definitions)
}

impl<'t> Parser<'t> {
    // Tokens.

    fn next(&mut self) -> Item {
        if self.frame.peeked > 0 {
            self.frame.peeked -= 1;
        } else {
            self.frame.tokens[0] = self.lexer.next_item();
        }
        self.frame.tokens[self.frame.peeked].clone()
    }

    fn backup(&mut self) {
        self.frame.peeked += 1;
    }

    fn backup2(&mut self, t1: Item) {
        self.frame.tokens[1] = t1;
        self.frame.peeked = 2;
    }

    fn backup3(&mut self, t2: Item, t1: Item) {
        self.frame.tokens[1] = t1;
        self.frame.tokens[2] = t2;
        self.frame.peeked = 3;
    }

    fn peek(&mut self) -> Item {
        if self.frame.peeked == 0 {
            self.frame.tokens[0] = self.lexer.next_item();
            self.frame.peeked = 1;
        }
        self.frame.tokens[self.frame.peeked - 1].clone()
    }

    fn peek_tok(&mut self) -> Tok {
        if self.frame.peeked == 0 {
            self.frame.tokens[0] = self.lexer.next_item();
            self.frame.peeked = 1;
        }
        self.frame.tokens[self.frame.peeked - 1].tok
    }

    fn next_non_space(&mut self) -> Item {
        loop {
            let item = self.next();
            if item.tok != Tok::Space {
                return item;
            }
        }
    }

    fn peek_non_space(&mut self) -> Item {
        let item = self.next_non_space();
        self.backup();
        item
    }

    fn text_of(&self, item: &Item) -> &'t str {
        item.text(self.input)
    }

    // Errors.

    fn error<T>(&self, message: impl AsRef<str>) -> Parsed<T> {
        let line = self.frame.tokens[0].line;
        Err(Box::new(Error {
            kind: ErrorKind::Parse,
            template: self.name.to_owned(),
            line,
            column: 0,
            message: format!("template: {}:{line}: {}", self.name, message.as_ref()),
        }))
    }

    fn unexpected<T>(&self, item: &Item, context: &str) -> Parsed<T> {
        let shown = item.show(self.input);
        if item.tok != Tok::Error {
            return self.error(format!("unexpected {shown} in {context}"));
        }
        let line = self.frame.action_line;
        if line == 0 || line == item.line {
            return self.error(shown);
        }
        let action = if shown.ends_with(" action") { "" } else { " in action" };
        self.error(format!("{shown}{action} started at {}:{line}", self.name))
    }

    fn expect(&mut self, tok: Tok, context: &str) -> Parsed<Item> {
        let item = self.next_non_space();
        if item.tok == tok { Ok(item) } else { self.unexpected(&item, context) }
    }

    fn guard(&self) -> Parsed<()> {
        if self.stack_base.abs_diff(stack_pointer()) > STACK {
            return self.error("max expression depth exceeded");
        }
        Ok(())
    }

    // Templates.

    fn add(&mut self, name: Str, root: Block) -> Parsed<()> {
        match self.definitions.iter().position(|def| def.name == name) {
            None => self.definitions.push(Definition { name, root }),
            Some(at) if is_blank(&self.definitions[at].root) => self.definitions[at].root = root,
            Some(_) if !is_blank(&root) => {
                return self
                    .error(format!("template: multiple definition of template {}", quote::text(&name)));
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn top(&mut self) -> Parsed<Block> {
        let mut root = Block::new();
        while self.peek_tok() != Tok::Eof {
            if self.peek_tok() == Tok::LeftDelim {
                let delim = self.next();
                if self.next_non_space().tok == Tok::Define {
                    self.definition()?;
                    continue;
                }
                self.backup2(delim);
            }
            match self.text_or_action()? {
                Next::Stmt(stmt) => root.push(stmt),
                closing => return self.error(format!("unexpected {}", closing.show())),
            }
        }
        Ok(root)
    }

    fn definition(&mut self) -> Parsed<()> {
        let outer = std::mem::replace(&mut self.frame, Frame::new());
        let context = "define clause";
        let item = self.next_non_space();
        let name = self.template_name(&item, context)?;
        self.expect(Tok::RightDelim, context)?;
        let root = self.body(context)?;
        self.add(name, root)?;
        self.frame = outer;
        Ok(())
    }

    /// The body of a definition up to its end.
    fn body(&mut self, context: &str) -> Parsed<Block> {
        match self.list()? {
            (root, Next::End) => Ok(root),
            (_, closing) => self.error(format!("unexpected {} in {context}", closing.show())),
        }
    }

    fn template_name(&mut self, item: &Item, context: &str) -> Parsed<Str> {
        if !matches!(item.tok, Tok::String | Tok::RawString) {
            return self.unexpected(item, context);
        }
        match unquote::string(self.text_of(item)) {
            Some(name) => Ok(name),
            None => self.error("invalid syntax"),
        }
    }
}
