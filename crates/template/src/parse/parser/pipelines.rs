//! Pipelines: variables, commands, operands and constants.

use super::{Parsed, Parser};
use crate::fmt::quote;
use crate::parse::lex::{Item, Tok};
use crate::parse::node::{Command, Expr, ExprKind, Pipe, Pos, VarName};
use crate::parse::number::Number;
use crate::parse::unquote;

impl<'t> Parser<'t> {
    pub(super) fn pipeline(&mut self, context: &str, end: Tok) -> Parsed<Pipe> {
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
