//! Execution: a walk over the tree that writes output as it goes.
//!
//! [`Exec`] is one render. It keeps Go's notion of the *current node*, which error messages name, in
//! `at`; it is set at the same places where Go sets it, because that is what users see. Variables are
//! a stack searched from the top, and not resolved beforehand: Go's parser lets a variable of an `if`
//! branch be named in the `else` branch, where it then is undefined, or an outer one.

mod call;
mod eval;
mod scope;

pub use scope::Scope;

use crate::error::{Error, ErrorKind, Fail};
use crate::fmt;
use crate::parse::Template;
use crate::parse::node::{Branch, Command, Expr, Pipe, Stmt, StmtKind};
use crate::value::{Elem, Value};

type Done<T> = Result<T, Box<Error>>;

/// A value as Go's reflection sees it: `iface` when it sits in an `interface {}`. An interface value
/// without content differs from no value at all.
#[derive(Clone, Debug)]
pub(crate) struct Rv {
    value: Value,
    iface: bool,
}

impl Rv {
    /// No value.
    const NONE: Rv = Rv { value: Value::Nil, iface: false };

    /// A value of its own type.
    fn of(value: Value) -> Self {
        Self { iface: false, value }
    }

    /// An element of a container.
    fn element(value: Value, elem: Elem) -> Self {
        Self { value, iface: elem == Elem::Any }
    }

    /// What a function or a field gives: nil comes in an interface.
    fn result(value: Value) -> Self {
        Self { iface: value.is_nil(), value }
    }

    fn is_valid(&self) -> bool {
        self.iface || !self.value.is_nil()
    }

    fn type_name(&self) -> String {
        if self.iface { "interface {}".to_owned() } else { self.value.type_name() }
    }
}

/// The node that an error would name.
#[derive(Clone, Copy)]
enum At<'a> {
    Start,
    Stmt(&'a Stmt),
    Pipe(&'a Pipe),
    Command(&'a Command),
    Expr(&'a Expr),
}

/// How a list of statements ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

struct Var {
    id: u32,
    value: Rv,
}

/// One render in progress.
pub(crate) struct Exec<'a, 'o> {
    scope: Scope<'a>,
    out: &'o mut Vec<u8>,
    out_end: usize,
    template: &'a Template,
    at: At<'a>,
    vars: Vec<Var>,
    /// Where the variables of the current template begin.
    base: usize,
}

/// Renders `template` with `data` as dot, appending to `out`.
pub(crate) fn run<'a>(
    template: &'a Template,
    data: &Value,
    scope: Scope<'a>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let out_end = out.len().saturating_add(scope.budget.limits.output);
    let mut exec = Exec { scope, out, out_end, template, at: At::Start, vars: Vec::new(), base: 0 };
    let dot = Rv::of(data.clone());
    exec.vars.push(Var { id: 0, value: dot.clone() });
    exec.list(&dot, &template.root).map(|_| ()).map_err(|error| *error)
}

impl<'a> Exec<'a, '_> {
    fn error<T>(&self, message: impl AsRef<str>) -> Done<T> {
        Err(self.make_error(ErrorKind::Exec, message.as_ref()))
    }

    fn fail<T>(&self, fail: &Fail) -> Done<T> {
        let kind = if fail.limit { ErrorKind::Limit } else { ErrorKind::Exec };
        Err(self.make_error(kind, &fail.message))
    }

    #[cold]
    fn make_error(&self, kind: ErrorKind, message: &str) -> Box<Error> {
        let name = self.template.name.to_string();
        let (pos, context) = match self.at {
            At::Start => {
                let message = format!("template: {name}: {message}");
                return Box::new(Error { kind, template: name, line: 0, column: 0, message });
            }
            At::Stmt(node) => (node.pos, node.to_string()),
            At::Pipe(node) => (node.pos, node.to_string()),
            At::Command(node) => (node.pos, node.to_string()),
            At::Expr(node) => (node.pos, node.to_string()),
        };
        let (line, column) = self.template.line_and_column(pos as usize);
        let file = &self.template.parse_name;
        let quoted = fmt::quote::text(name.as_bytes());
        let message =
            format!("template: {file}:{line}:{column}: executing {quoted} at <{context}>: {message}");
        Box::new(Error { kind, template: file.to_string(), line, column, message })
    }

    fn step(&mut self) -> Done<()> {
        match self.scope.budget.step(1, self.scope.host) {
            Ok(()) => Ok(()),
            Err(fail) => self.fail(&fail),
        }
    }

    fn guard(&self) -> Done<()> {
        match self.scope.budget.stack.check() {
            Ok(()) => Ok(()),
            Err(fail) => self.fail(&fail),
        }
    }

    fn check_output(&self) -> Done<()> {
        if self.out.len() > self.out_end {
            let limit = self.scope.budget.limits.output;
            return self.fail(&Fail::limit(format!("exceeded the limit of {limit} bytes of output")));
        }
        Ok(())
    }

    fn list(&mut self, dot: &Rv, list: &'a [Stmt]) -> Done<Flow> {
        self.guard()?;
        for stmt in list {
            let flow = self.stmt(dot, stmt)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn stmt(&mut self, dot: &Rv, stmt: &'a Stmt) -> Done<Flow> {
        self.at = At::Stmt(stmt);
        self.step()?;
        match &stmt.kind {
            StmtKind::Text(text) => {
                self.out.extend_from_slice(text);
                self.check_output()?;
            }
            StmtKind::Action(pipe) => self.action(dot, stmt, pipe)?,
            StmtKind::If(branch) => return self.branch(dot, branch, false),
            StmtKind::With(branch) => return self.branch(dot, branch, true),
            StmtKind::Range(branch) => return self.range(dot, branch),
            StmtKind::Template { name, pipe } => self.call_template(dot, stmt, name, pipe.as_ref())?,
            StmtKind::Break => return Ok(Flow::Break),
            StmtKind::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn action(&mut self, dot: &Rv, stmt: &'a Stmt, pipe: &'a Pipe) -> Done<()> {
        let value = self.pipeline(dot, pipe)?;
        if !pipe.decl.is_empty() {
            return Ok(());
        }
        self.at = At::Stmt(stmt);
        if let Value::Func(func) = &value.value {
            return self.error(format!("can't print {stmt} of type {}", func.type_name()));
        }
        let room = self.out_end.saturating_sub(self.out.len());
        let bounds = fmt::Bounds { room, stack: self.scope.budget.stack };
        if let Err(fail) = fmt::action(self.out, &value.value, bounds) {
            return self.fail(&fail);
        }
        self.check_output()
    }

    fn branch(&mut self, dot: &Rv, branch: &'a Branch, with: bool) -> Done<Flow> {
        let mark = self.vars.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let flow = if value.value.truth() {
            self.list(if with { &value } else { dot }, &branch.body)
        } else {
            self.list(dot, branch.other.as_deref().unwrap_or_default())
        };
        self.vars.truncate(mark);
        flow
    }

    fn call_template(&mut self, dot: &Rv, stmt: &'a Stmt, name: &[u8], pipe: Option<&'a Pipe>) -> Done<()> {
        self.scope.host.looks_up(name);
        let Some(template) = self.scope.set.find(name) else {
            return self.error(format!("template {} not defined", fmt::quote::text(name)));
        };
        let limit = self.scope.budget.limits.depth;
        if self.scope.budget.depth >= limit {
            return self.fail(&Fail::limit(format!("exceeded maximum template depth ({limit})")));
        }
        let dot = match pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Rv::NONE,
        };
        let outer = (self.template, self.base, self.vars.len());
        self.template = template;
        self.base = self.vars.len();
        self.vars.push(Var { id: 0, value: dot.clone() });
        self.scope.budget.depth += 1;
        self.list(&dot, &template.root)?;
        self.scope.budget.depth -= 1;
        (self.template, self.base) = (outer.0, outer.1);
        self.vars.truncate(outer.2);
        self.at = At::Stmt(stmt);
        Ok(())
    }

    fn range(&mut self, dot: &Rv, branch: &'a Branch) -> Done<Flow> {
        let mark = self.vars.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let ran = self.iterate(&value.value, branch)?;
        let mut flow = Flow::Next;
        if !ran && let Some(other) = &branch.other {
            // As in Go, a break in here belongs to this loop, a continue to the one around it.
            flow = match self.list(dot, other)? {
                Flow::Continue => Flow::Continue,
                Flow::Next | Flow::Break => Flow::Next,
            };
        }
        self.vars.truncate(mark);
        Ok(flow)
    }

    /// Runs the body for each element; false when there is none.
    fn iterate(&mut self, value: &Value, branch: &'a Branch) -> Done<bool> {
        match value {
            Value::Nil => Ok(false),
            Value::Int(n) | Value::Int64(n) => {
                let wide = matches!(value, Value::Int64(_));
                self.count(value, *n, branch, |i| if wide { Value::Int64(i) } else { Value::Int(i) })
            }
            Value::Uint(width, n) => {
                let end = i64::try_from(*n).unwrap_or(i64::MAX);
                self.count(value, end, branch, |i| Value::Uint(*width, i as u64))
            }
            Value::List(list) => {
                for (i, item) in list.iter().enumerate() {
                    let item = Rv::element(item.clone(), list.elem());
                    if self.turn(Rv::of(Value::Int(i as i64)), item, branch)? == Flow::Break {
                        break;
                    }
                }
                Ok(!list.is_empty())
            }
            Value::Map(map) => {
                let entries = map.entries();
                for (key, item) in entries.iter() {
                    let item = Rv::element(item.clone(), map.elem());
                    if self.turn(Rv::of(Value::Str(key.clone())), item, branch)? == Flow::Break {
                        break;
                    }
                }
                Ok(!entries.is_empty())
            }
            Value::Object(object) => match object.basic() {
                Some(basic) => self.iterate(&basic, branch),
                None => self.cannot_iterate(value),
            },
            _ => self.cannot_iterate(value),
        }
    }

    fn cannot_iterate(&self, value: &Value) -> Done<bool> {
        self.error(format!("range can't iterate over {}", fmt::pointee_for_message(value)))
    }

    fn count(
        &mut self,
        value: &Value,
        end: i64,
        branch: &'a Branch,
        make: impl Fn(i64) -> Value,
    ) -> Done<bool> {
        if branch.pipe.decl.len() > 1 {
            let shown = fmt::for_message(value, 'v');
            return self.error(format!("can't use {shown} to iterate over more than one variable"));
        }
        for i in 0..end {
            if self.turn(Rv::NONE, Rv::of(make(i)), branch)? == Flow::Break {
                break;
            }
        }
        Ok(end > 0)
    }

    /// One iteration.
    #[expect(clippy::needless_pass_by_value, reason = "the callers have no further use for the pair")]
    fn turn(&mut self, index: Rv, item: Rv, branch: &'a Branch) -> Done<Flow> {
        self.step()?;
        let pipe = &branch.pipe;
        let mark = self.vars.len();
        match (pipe.assign, pipe.decl.as_slice()) {
            (_, []) => {}
            (true, [one]) => self.set_var(one.id, &one.name, item.clone())?,
            (true, [one, two, ..]) => {
                self.set_var(one.id, &one.name, index)?;
                self.set_var(two.id, &two.name, item.clone())?;
            }
            (false, [_]) => self.vars[mark - 1].value = item.clone(),
            (false, _) => {
                self.vars[mark - 1].value = item.clone();
                self.vars[mark - 2].value = index;
            }
        }
        let flow = self.list(&item, &branch.body)?;
        self.vars.truncate(mark);
        Ok(flow)
    }

    fn set_var(&mut self, id: u32, name: &str, value: Rv) -> Done<()> {
        match self.vars[self.base..].iter_mut().rev().find(|var| var.id == id) {
            Some(var) => {
                var.value = value;
                Ok(())
            }
            None => self.error(format!("undefined variable: {name}")),
        }
    }

    fn var(&self, id: u32, name: &str) -> Done<Rv> {
        match self.vars[self.base..].iter().rev().find(|var| var.id == id) {
            Some(var) => Ok(var.value.clone()),
            None => self.error(format!("undefined variable: {name}")),
        }
    }
}
