//! Statements: text, actions and the blocks that control words open.

use super::{Frame, Next, Parsed, Parser};
use crate::parse::lex::{Item, Tok};
use crate::parse::node::{Block, Branch, Pos, Stmt, StmtKind};
use crate::value::Str;

impl<'t> Parser<'t> {
    pub(super) fn list(&mut self) -> Parsed<(Block, Next)> {
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

    pub(super) fn text_or_action(&mut self) -> Parsed<Next> {
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
        let (root, closing) = self.list()?;
        let inner = std::mem::replace(&mut self.frame, outer);
        if !matches!(closing, Next::End) {
            // Go notices this in the template around the block, so that one's line is named.
            return self.error(format!("unexpected {} in {context}", closing.show()));
        }
        let outer = std::mem::replace(&mut self.frame, inner);
        self.add(name.clone(), root)?;
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
}

fn stmt(pos: usize, kind: StmtKind) -> Stmt {
    Stmt { pos: pos as Pos, kind }
}
