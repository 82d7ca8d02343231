//! The parse tree. It keeps what execution needs and what error messages print: every node knows its
//! byte position and can write itself in Go's canonical form.

use super::number::Number;
use crate::funcs::Callee;
use crate::value::Str;
use std::fmt::{self, Display};

/// Byte offset into the text of the tree.
pub(crate) type Pos = u32;

/// A sequence of statements.
pub(crate) type Block = Vec<Stmt>;

/// A node that makes output or steers it.
#[derive(Debug)]
pub(crate) struct Stmt {
    pub(crate) pos: Pos,
    pub(crate) kind: StmtKind,
}

/// The kinds of statement.
#[derive(Debug)]
pub(crate) enum StmtKind {
    Text(Str),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template { name: Str, pipe: Option<Pipe> },
    Break,
    Continue,
}

/// `if`, `with` or `range`.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) pipe: Pipe,
    pub(crate) body: Block,
    pub(crate) other: Option<Block>,
}

/// `$x := a | b | c`
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) pos: Pos,
    pub(crate) assign: bool,
    pub(crate) decl: Vec<VarName>,
    pub(crate) commands: Vec<Command>,
}

/// A variable being declared or assigned.
#[derive(Debug)]
pub(crate) struct VarName {
    pub(crate) id: u32,
    pub(crate) name: Box<str>,
}

/// One stage of a pipeline: an operand and its arguments.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) pos: Pos,
    /// The operand followed by its arguments; never empty.
    pub(crate) args: Vec<Expr>,
}

/// An operand.
#[derive(Debug)]
pub(crate) struct Expr {
    pub(crate) pos: Pos,
    pub(crate) kind: ExprKind,
}

/// The kinds of operand.
#[derive(Debug)]
pub(crate) enum ExprKind {
    Dot,
    Nil,
    Bool(bool),
    Number(Box<Number>),
    String { quoted: Box<str>, value: Str },
    Field(Vec<Box<str>>),
    Variable { id: u32, name: Box<str>, fields: Vec<Box<str>> },
    Ident { name: Box<str>, callee: Callee },
    Chain { base: Box<Expr>, fields: Vec<Box<str>> },
    Pipe(Box<Pipe>),
}

impl StmtKind {
    /// Whether the node is white space, so that a template of such nodes counts as empty.
    pub(crate) fn is_blank(&self) -> bool {
        matches!(self, StmtKind::Text(text) if crate::rune::trim_matches(text, crate::rune::is_space).is_empty())
    }
}

impl Display for Stmt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            StmtKind::Text(text) => write!(f, "{text}"),
            StmtKind::Action(pipe) => write!(f, "{{{{{pipe}}}}}"),
            StmtKind::If(branch) => branch.write(f, "if"),
            StmtKind::With(branch) => branch.write(f, "with"),
            StmtKind::Range(branch) => branch.write(f, "range"),
            StmtKind::Template { name, pipe } => {
                write!(f, "{{{{template {}", crate::fmt::quote::text(name))?;
                if let Some(pipe) = pipe {
                    write!(f, " {pipe}")?;
                }
                f.write_str("}}")
            }
            StmtKind::Break => f.write_str("{{break}}"),
            StmtKind::Continue => f.write_str("{{continue}}"),
        }
    }
}

impl Branch {
    fn write(&self, f: &mut fmt::Formatter<'_>, word: &str) -> fmt::Result {
        write!(f, "{{{{{word} {}}}}}", self.pipe)?;
        self.body.iter().try_for_each(|stmt| stmt.fmt(f))?;
        if let Some(other) = &self.other {
            f.write_str("{{else}}")?;
            other.iter().try_for_each(|stmt| stmt.fmt(f))?;
        }
        f.write_str("{{end}}")
    }
}

impl Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, var) in self.decl.iter().enumerate() {
            f.write_str(if i > 0 { ", " } else { "" })?;
            f.write_str(&var.name)?;
        }
        if !self.decl.is_empty() {
            f.write_str(if self.assign { " = " } else { " := " })?;
        }
        for (i, command) in self.commands.iter().enumerate() {
            f.write_str(if i > 0 { " | " } else { "" })?;
            command.fmt(f)?;
        }
        Ok(())
    }
}

impl Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, arg) in self.args.iter().enumerate() {
            f.write_str(if i > 0 { " " } else { "" })?;
            arg.write_grouped(f)?;
        }
        Ok(())
    }
}

impl Expr {
    fn write_grouped(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Pipe(pipe) => write!(f, "({pipe})"),
            _ => self.fmt(f),
        }
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Dot => f.write_str("."),
            ExprKind::Nil => f.write_str("nil"),
            ExprKind::Bool(b) => b.fmt(f),
            ExprKind::Number(number) => f.write_str(&number.text),
            ExprKind::String { quoted, .. } => f.write_str(quoted),
            ExprKind::Field(idents) => write_fields(f, idents),
            ExprKind::Variable { name, fields, .. } => {
                f.write_str(name)?;
                write_fields(f, fields)
            }
            ExprKind::Ident { name, .. } => f.write_str(name),
            ExprKind::Chain { base, fields } => {
                base.write_grouped(f)?;
                write_fields(f, fields)
            }
            ExprKind::Pipe(pipe) => pipe.fmt(f),
        }
    }
}

fn write_fields(f: &mut fmt::Formatter<'_>, fields: &[Box<str>]) -> fmt::Result {
    fields.iter().try_for_each(|field| write!(f, ".{field}"))
}
