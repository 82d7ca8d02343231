//! The parser: a recursive descent over the tokens that mirrors Go's, so that the same texts are
//! refused with the same words. Each definition has its own token buffer, as in Go: that decides
//! which line an error names.

use super::lex::{Item, Lexer, Tok, Words};
use super::node::{Block, Branch, Command, Expr, ExprKind, Pipe, Pos, Stmt, StmtKind, VarName};
use super::number::Number;
use super::unquote;
use super::{Functions, is_blank};
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
        self.finish_definition(name, context)?;
        self.frame = outer;
        Ok(())
    }

    fn finish_definition(&mut self, name: Str, context: &str) -> Parsed<()> {
        let (root, end) = self.list()?;
        if !matches!(end, Next::End) {
            return self.error(format!("unexpected {} in {context}", end.show()));
        }
        self.add(name, root)
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

    // Statements.

    fn list(&mut self) -> Parsed<(Block, Next)> {
        self.guard()?;
        let mut block = Block::new();
        while self.peek_non_space().tok != Tok::Eof {
            match self.text_or_action()? {
                Next::Stmt(stmt) => block.push(stmt),
                closing => return Ok((block, closing)),
            }
        }
        self.error("unexpected EOF")
    }

    fn text_or_action(&mut self) -> Parsed<Next> {
        let item = self.next_non_space();
        match item.tok {
            Tok::Text => {
                let text = Str::from(self.text_of(&item));
                Ok(Next::Stmt(stmt(item.pos, StmtKind::Text(text))))
            }
            Tok::LeftDelim => {
                self.frame.action_line = item.line;
                let next = self.action();
                self.frame.action_line = 0;
                next
            }
            _ => self.unexpected(&item, "input"),
        }
    }

    fn action(&mut self) -> Parsed<Next> {
        let item = self.next_non_space();
        let made = match item.tok {
            Tok::Block => self.block()?,
            Tok::Break => self.jump(&item, "{{break}}", StmtKind::Break)?,
            Tok::Continue => self.jump(&item, "{{continue}}", StmtKind::Continue)?,
            Tok::Else => return self.else_control(),
            Tok::End => {
                self.expect(Tok::RightDelim, "end")?;
                return Ok(Next::End);
            }
            Tok::If => self.control("if")?,
            Tok::Range => self.control("range")?,
            Tok::Template => self.template()?,
            Tok::With => self.control("with")?,
            _ => {
                self.backup();
                let pos = self.peek().pos;
                let pipe = self.pipeline("command", Tok::RightDelim)?;
                stmt(pos, StmtKind::Action(pipe))
            }
        };
        Ok(Next::Stmt(made))
    }

    fn jump(&mut self, item: &Item, word: &str, kind: StmtKind) -> Parsed<Stmt> {
        let end = self.next_non_space();
        if end.tok != Tok::RightDelim {
            return self.unexpected(&end, word);
        }
        if self.frame.range_depth == 0 {
            return self.error(format!("{word} outside {{{{range}}}}"));
        }
        Ok(stmt(item.pos, kind))
    }

    fn else_control(&mut self) -> Parsed<Next> {
        // `else if` and `else with` leave the second word for `control`.
        if !matches!(self.peek_non_space().tok, Tok::If | Tok::With) {
            self.expect(Tok::RightDelim, "else")?;
        }
        Ok(Next::Else)
    }

    fn control(&mut self, context: &'static str) -> Parsed<Stmt> {
        let scope = self.frame.vars.len();
        let pipe = self.pipeline(context, Tok::RightDelim)?;
        let is_range = context == "range";
        self.frame.range_depth += usize::from(is_range);
        let (body, closing) = self.list()?;
        self.frame.range_depth -= usize::from(is_range);
        let other = match closing {
            Next::Else => Some(self.else_list(context)?),
            _ => None,
        };
        self.frame.vars.truncate(scope);
        let pos = pipe.pos as usize;
        let branch = Branch { pipe, body, other };
        Ok(stmt(
            pos,
            match context {
                "if" => StmtKind::If(branch),
                "with" => StmtKind::With(branch),
                _ => StmtKind::Range(branch),
            },
        ))
    }

    fn else_list(&mut self, context: &'static str) -> Parsed<Block> {
        let chained = match self.peek_tok() {
            Tok::If => "if",
            Tok::With => "with",
            _ => "",
        };
        if chained == context {
            self.next();
            return Ok(vec![self.control(context)?]);
        }
        let (other, end) = self.list()?;
        if !matches!(end, Next::End) {
            return self.error(format!("expected end; found {}", end.show()));
        }
        Ok(other)
    }

    fn block(&mut self) -> Parsed<Stmt> {
        let context = "block clause";
        let item = self.next_non_space();
        let name = self.template_name(&item, context)?;
        let pipe = self.pipeline(context, Tok::RightDelim)?;
        let outer = std::mem::replace(&mut self.frame, Frame::new());
        self.finish_definition(name.clone(), context)?;
        self.frame = outer;
        Ok(stmt(item.pos, StmtKind::Template { name, pipe: Some(pipe) }))
    }

    fn template(&mut self) -> Parsed<Stmt> {
        let context = "template clause";
        let item = self.next_non_space();
        let name = self.template_name(&item, context)?;
        let mut pipe = None;
        if self.next_non_space().tok != Tok::RightDelim {
            self.backup();
            pipe = Some(self.pipeline(context, Tok::RightDelim)?);
        }
        Ok(stmt(item.pos, StmtKind::Template { name, pipe }))
    }

    // Pipelines.

    fn pipeline(&mut self, context: &str, end: Tok) -> Parsed<Pipe> {
        self.guard()?;
        let pos = self.peek_non_space().pos as Pos;
        let mut pipe = Pipe { pos, assign: false, decl: Vec::new(), commands: Vec::new() };
        while self.declaration(&mut pipe, context)? {}
        loop {
            let item = self.next_non_space();
            match item.tok {
                tok if tok == end => {
                    self.check_pipeline(&pipe, context)?;
                    return Ok(pipe);
                }
                Tok::Bool
                | Tok::CharConstant
                | Tok::Complex
                | Tok::Dot
                | Tok::Field
                | Tok::Identifier
                | Tok::Number
                | Tok::Nil
                | Tok::RawString
                | Tok::String
                | Tok::Variable
                | Tok::LeftParen => {
                    self.backup();
                    let command = self.command()?;
                    pipe.commands.push(command);
                }
                _ => return self.unexpected(&item, context),
            }
        }
    }

    /// One variable before `:=`, `=` or `,`; true when another may follow.
    fn declaration(&mut self, pipe: &mut Pipe, context: &str) -> Parsed<bool> {
        let var = self.peek_non_space();
        if var.tok != Tok::Variable {
            return Ok(false);
        }
        self.next();
        let after = self.peek();
        let next = self.peek_non_space();
        match next.tok {
            Tok::Assign | Tok::Declare => {
                pipe.assign = next.tok == Tok::Assign;
                self.next_non_space();
                self.declare(pipe, &var);
                Ok(false)
            }
            Tok::Char if self.text_of(&next) == "," => {
                self.next_non_space();
                self.declare(pipe, &var);
                if context != "range" || pipe.decl.len() >= 2 {
                    return self.error(format!("too many declarations in {context}"));
                }
                match self.peek_non_space().tok {
                    Tok::Variable | Tok::RightDelim | Tok::RightParen => Ok(true),
                    _ => self.error("range can only initialize variables"),
                }
            }
            _ if after.tok == Tok::Space => {
                self.backup3(var, after);
                Ok(false)
            }
            _ => {
                self.backup2(var);
                Ok(false)
            }
        }
    }

    fn declare(&mut self, pipe: &mut Pipe, var: &Item) {
        let name = self.text_of(var);
        let id = self.intern(name);
        pipe.decl.push(VarName { id, name: name.into() });
        self.frame.vars.push(id);
    }

    fn intern(&mut self, name: &'t str) -> u32 {
        let next = self.names.len() as u32;
        *self.names.entry(name).or_insert(next)
    }

    fn check_pipeline(&self, pipe: &Pipe, context: &str) -> Parsed<()> {
        if pipe.commands.is_empty() {
            return self.error(format!("missing value for {context}"));
        }
        for (i, command) in pipe.commands.iter().enumerate().skip(1) {
            if matches!(
                command.args[0].kind,
                ExprKind::Bool(_)
                    | ExprKind::Dot
                    | ExprKind::Nil
                    | ExprKind::Number(_)
                    | ExprKind::String { .. }
            ) {
                return self.error(format!("non executable command in pipeline stage {}", i + 1));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Parsed<Command> {
        let mut command = Command { pos: self.peek_non_space().pos as Pos, args: Vec::new() };
        loop {
            self.peek_non_space();
            if let Some(operand) = self.operand()? {
                command.args.push(operand);
            }
            let item = self.next();
            match item.tok {
                Tok::Space => continue,
                Tok::RightDelim | Tok::RightParen => self.backup(),
                Tok::Pipe => {}
                _ => return self.unexpected(&item, "operand"),
            }
            break;
        }
        if command.args.is_empty() {
            return self.error("empty command");
        }
        Ok(command)
    }

    fn operand(&mut self) -> Parsed<Option<Expr>> {
        let Some(mut term) = self.term()? else { return Ok(None) };
        if self.peek_tok() != Tok::Field {
            return Ok(Some(term));
        }
        // Go gives the whole chain the position of its second link.
        let pos = self.peek().pos as Pos;
        let mut more = Vec::new();
        while self.peek_tok() == Tok::Field {
            let item = self.next();
            more.push(self.text_of(&item)[1..].into());
        }
        match &mut term.kind {
            ExprKind::Field(fields) | ExprKind::Variable { fields, .. } => {
                fields.append(&mut more);
                term.pos = pos;
                Ok(Some(term))
            }
            ExprKind::Bool(_)
            | ExprKind::String { .. }
            | ExprKind::Number(_)
            | ExprKind::Nil
            | ExprKind::Dot => {
                let shown = term.to_string();
                self.error(format!("unexpected . after term {}", quote::text(shown.as_bytes())))
            }
            _ => Ok(Some(Expr { pos, kind: ExprKind::Chain { base: Box::new(term), fields: more } })),
        }
    }

    fn term(&mut self) -> Parsed<Option<Expr>> {
        let item = self.next_non_space();
        let text = self.text_of(&item);
        let kind = match item.tok {
            Tok::Identifier => match self.functions.get(text) {
                Some(callee) => ExprKind::Ident { name: text.into(), callee },
                None => return self.error(format!("function {} not defined", quote::text(text.as_bytes()))),
            },
            Tok::Dot => ExprKind::Dot,
            Tok::Nil => ExprKind::Nil,
            Tok::Variable => self.variable(text)?,
            Tok::Field => ExprKind::Field(vec![text[1..].into()]),
            Tok::Bool => ExprKind::Bool(text == "true"),
            Tok::CharConstant | Tok::Complex | Tok::Number => self.number(text, item.tok)?,
            Tok::LeftParen => {
                let pipe = self.pipeline("parenthesized pipeline", Tok::RightParen)?;
                return Ok(Some(Expr { pos: pipe.pos, kind: ExprKind::Pipe(Box::new(pipe)) }));
            }
            Tok::String | Tok::RawString => match unquote::string(text) {
                Some(value) => ExprKind::String { quoted: text.into(), value },
                None => return self.error("invalid syntax"),
            },
            _ => {
                self.backup();
                return Ok(None);
            }
        };
        Ok(Some(Expr { pos: item.pos as Pos, kind }))
    }

    fn variable(&mut self, name: &'t str) -> Parsed<ExprKind> {
        match self.names.get(name) {
            Some(id) if self.frame.vars.contains(id) => {
                Ok(ExprKind::Variable { id: *id, name: name.into(), fields: Vec::new() })
            }
            _ => self.error(format!("undefined variable {}", quote::text(name.as_bytes()))),
        }
    }

    fn number(&mut self, text: &str, tok: Tok) -> Parsed<ExprKind> {
        let number = match tok {
            Tok::CharConstant => unquote::character(text).map(|code| Number::from_char(text, code)),
            Tok::Complex => Number::parse_complex(text),
            _ => Number::parse(text),
        };
        match number {
            Ok(number) => Ok(ExprKind::Number(Box::new(number))),
            Err(message) => self.error(message),
        }
    }
}

fn stmt(pos: usize, kind: StmtKind) -> Stmt {
    Stmt { pos: pos as Pos, kind }
}
