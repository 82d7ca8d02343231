//! Evaluation of pipelines, operands and field chains.

use super::{At, Done, Exec, Rv, Var};
use crate::parse::node::{Command, Expr, ExprKind, Pipe};
use crate::parse::number::Number;
use crate::set::MissingKey;
use crate::value::{Kind, Type, Value};

impl<'a> Exec<'a, '_> {
    /// The value of a pipeline, out of its interface; declares or assigns its variables.
    pub(super) fn pipeline(&mut self, dot: &Rv, pipe: &'a Pipe) -> Done<Rv> {
        self.guard()?;
        self.at = At::Pipe(pipe);
        let mut value = None;
        for command in &pipe.commands {
            let mut result = self.command(dot, command, value)?;
            result.iface = false;
            value = Some(result);
        }
        let value = value.unwrap_or(Rv::NONE);
        for decl in &pipe.decl {
            if pipe.assign {
                self.set_var(decl.id, &decl.name, value.clone())?;
            } else {
                self.vars.push(Var { id: decl.id, value: value.clone() });
            }
        }
        Ok(value)
    }

    /// One stage; `last` is the value of the stage before, its last argument.
    fn command(&mut self, dot: &Rv, command: &'a Command, last: Option<Rv>) -> Done<Rv> {
        let first = &command.args[0];
        let args = &command.args[1..];
        match &first.kind {
            ExprKind::Field(idents) => {
                self.at = At::Expr(first);
                self.chain(dot, dot, first, idents, args, last)
            }
            ExprKind::Chain { base, fields } => self.chain_node(dot, first, base, fields, args, last),
            ExprKind::Ident { name, callee } => {
                self.at = At::Expr(first);
                self.function(dot, At::Command(command), name, callee, args, last)
            }
            ExprKind::Pipe(pipe) => {
                self.not_a_function(first, args, last.as_ref())?;
                self.pipeline(dot, pipe)
            }
            ExprKind::Variable { id, name, fields } => {
                self.variable(dot, first, *id, name, fields, args, last)
            }
            constant => {
                self.at = At::Expr(first);
                self.not_a_function(first, args, last.as_ref())?;
                match constant {
                    ExprKind::Bool(b) => Ok(Rv::of(Value::Bool(*b))),
                    ExprKind::Dot => Ok(dot.clone()),
                    ExprKind::Number(number) => self.ideal(first, number),
                    ExprKind::String { value, .. } => Ok(Rv::of(Value::Str(value.clone()))),
                    _ => self.error("nil is not a command"),
                }
            }
        }
    }

    fn not_a_function(&self, first: &Expr, args: &[Expr], last: Option<&Rv>) -> Done<()> {
        if args.is_empty() && last.is_none() {
            return Ok(());
        }
        self.error(format!("can't give argument to non-function {first}"))
    }

    /// The value of a constant where its type is open.
    fn ideal(&mut self, node: &'a Expr, number: &Number) -> Done<Rv> {
        self.at = At::Expr(node);
        if let Some((re, im)) = number.complex {
            return Ok(Rv::of(Value::Complex(re, im)));
        }
        let text = &*number.text;
        let bytes = text.as_bytes();
        let hex = bytes.len() > 2 && bytes[0] == b'0' && bytes[1] | 32 == b'x' && !text.contains(['p', 'P']);
        if let Some(x) = number.float
            && !hex
            && bytes.first() != Some(&b'\'')
            && text.contains(['.', 'e', 'E', 'p', 'P'])
        {
            return Ok(Rv::of(Value::Float(x)));
        }
        match number.int {
            Some(n) => Ok(Rv::of(Value::Int(n))),
            None => self.error(format!("{text} overflows int")),
        }
    }

    fn chain_node(
        &mut self,
        dot: &Rv,
        node: &'a Expr,
        base: &'a Expr,
        fields: &'a [Box<str>],
        args: &'a [Expr],
        last: Option<Rv>,
    ) -> Done<Rv> {
        self.at = At::Expr(node);
        if matches!(base.kind, ExprKind::Nil) {
            return self.error(format!("indirection through explicit nil in {node}"));
        }
        let receiver = match self.operand(dot, base)? {
            Some(value) => value,
            None => self.constant(base, Type::Any)?,
        };
        self.chain(dot, &receiver, node, fields, args, last)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one node, taken apart by the caller")]
    fn variable(
        &mut self,
        dot: &Rv,
        node: &'a Expr,
        id: u32,
        name: &str,
        fields: &'a [Box<str>],
        args: &'a [Expr],
        last: Option<Rv>,
    ) -> Done<Rv> {
        self.at = At::Expr(node);
        let value = self.var(id, name)?;
        if fields.is_empty() {
            self.not_a_function(node, args, last.as_ref())?;
            return Ok(value);
        }
        self.chain(dot, &value, node, fields, args, last)
    }

    /// `.A.B.C arg…`: only the last link gets the arguments.
    fn chain(
        &mut self,
        dot: &Rv,
        receiver: &Rv,
        node: &'a Expr,
        idents: &'a [Box<str>],
        args: &'a [Expr],
        last: Option<Rv>,
    ) -> Done<Rv> {
        let Some((name, before)) = idents.split_last() else { return Ok(receiver.clone()) };
        let Some((first, middle)) = before.split_first() else {
            return self.field(dot, receiver, node, name, args, last);
        };
        let mut value = self.field(dot, receiver, node, first, &[], None)?;
        for ident in middle {
            value = self.field(dot, &value, node, ident, &[], None)?;
        }
        self.field(dot, &value, node, name, args, last)
    }

    fn field(
        &mut self,
        dot: &Rv,
        receiver: &Rv,
        node: &'a Expr,
        name: &str,
        args: &'a [Expr],
        last: Option<Rv>,
    ) -> Done<Rv> {
        if !receiver.is_valid() {
            if self.scope.set.missing_key() == MissingKey::Error {
                return self.error(format!("nil data; no entry for key {}", quoted(name)));
            }
            return Ok(Rv::NONE);
        }
        let has_args = !args.is_empty() || last.is_some();
        match &receiver.value {
            Value::Nil => self.error(format!("nil pointer evaluating interface {{}}.{name}")),
            Value::NilPtr(ty) => self.error(format!(
                "nil pointer evaluating {}.{name}",
                if receiver.iface { "interface {}" } else { ty }
            )),
            Value::Object(object) => {
                if let Some(signature) = object.method(name) {
                    let args = self.arguments(dot, name, signature, args, last)?;
                    self.step()?;
                    let called = object.call(name, &args, &mut self.scope);
                    return self.called(At::Expr(node), name, called);
                }
                match object.field(name) {
                    Some(_) if has_args => {
                        self.error(format!("{name} has arguments but cannot be invoked as function"))
                    }
                    Some(value) => Ok(Rv::result(value)),
                    None => self.no_field(receiver, name),
                }
            }
            Value::Map(_) if has_args => self.error(format!("{name} is not a method but has arguments")),
            Value::Map(map) => match map.get(name.as_bytes()) {
                Some(value) => Ok(Rv::element(value, map.elem())),
                None => match self.scope.set.missing_key() {
                    MissingKey::Default => Ok(Rv::NONE),
                    MissingKey::Zero => Ok(Rv::element(Value::zero(map.elem().to_type()), map.elem())),
                    MissingKey::Error => self.error(format!("map has no entry for key {}", quoted(name))),
                },
            },
            _ => self.no_field(receiver, name),
        }
    }

    fn no_field(&self, receiver: &Rv, name: &str) -> Done<Rv> {
        self.error(format!("can't evaluate field {name} in type {}", receiver.type_name()))
    }

    /// An argument for a parameter of type `ty`.
    pub(super) fn argument(&mut self, dot: &Rv, ty: Type, node: &'a Expr) -> Done<Value> {
        if matches!(node.kind, ExprKind::Nil) {
            self.at = At::Expr(node);
            if ty.accepts_nil() {
                return Ok(Value::zero(ty));
            }
            return self.error(format!("cannot assign nil to {ty}"));
        }
        match self.operand(dot, node)? {
            Some(value) => self.validate(value, ty),
            None => Ok(self.constant(node, ty)?.value),
        }
    }

    /// The value of an operand that is no constant.
    pub(super) fn operand(&mut self, dot: &Rv, node: &'a Expr) -> Done<Option<Rv>> {
        self.at = At::Expr(node);
        Ok(Some(match &node.kind {
            ExprKind::Dot => dot.clone(),
            ExprKind::Field(idents) => self.chain(dot, dot, node, idents, &[], None)?,
            ExprKind::Variable { id, name, fields } => {
                self.variable(dot, node, *id, name, fields, &[], None)?
            }
            ExprKind::Pipe(pipe) => self.pipeline(dot, pipe)?,
            ExprKind::Ident { name, callee } => {
                let mut value = self.function(dot, At::Expr(node), name, callee, &[], None)?;
                // Of the functions that need no argument, these give an interface.
                value.iface |= matches!(&**name, "concat" | "coalesce");
                value
            }
            ExprKind::Chain { base, fields } => self.chain_node(dot, node, base, fields, &[], None)?,
            _ => return Ok(None),
        }))
    }

    /// A constant as a value of type `ty`.
    pub(super) fn constant(&mut self, node: &'a Expr, ty: Type) -> Done<Rv> {
        self.at = At::Expr(node);
        let value = match (ty.kind(), &node.kind) {
            (Kind::Bool, ExprKind::Bool(b)) => Value::Bool(*b),
            (Kind::Bool, _) => return self.error(format!("expected bool; found {node}")),
            (Kind::String, ExprKind::String { value, .. }) => Value::Str(value.clone()),
            (Kind::String, _) => return self.error(format!("expected string; found {node}")),
            (Kind::Int | Kind::Int64, kind) => match number(kind).and_then(|n| n.int) {
                Some(n) if ty == Type::Int64 => Value::Int64(n),
                Some(n) => Value::Int(n),
                None => return self.error(format!("expected integer; found {node}")),
            },
            (Kind::Uint8 | Kind::Uint32 | Kind::Uint64, kind) => match number(kind).and_then(|n| n.uint) {
                Some(n) => unsigned(ty, n),
                None => return self.error(format!("expected unsigned integer; found {node}")),
            },
            (Kind::Float64, kind) => match number(kind).and_then(|n| n.float) {
                Some(x) => Value::Float(x),
                None => return self.error(format!("expected float; found {node}")),
            },
            (Kind::Complex128, kind) => match number(kind).and_then(|n| n.complex) {
                Some((re, im)) => Value::Complex(re, im),
                None => return self.error(format!("expected complex; found {node}")),
            },
            (_, kind) if matches!(ty, Type::Any | Type::Value) => match kind {
                ExprKind::Bool(b) => Value::Bool(*b),
                ExprKind::Number(number) => return self.ideal(node, number),
                ExprKind::String { value, .. } => Value::Str(value.clone()),
                _ => {
                    return self
                        .error(format!("can't handle assignment of {node} to empty interface argument"));
                }
            },
            _ => return self.error(format!("can't handle {node} for arg of type {ty}")),
        };
        Ok(Rv::of(value))
    }

    /// Makes sure that a value fits a parameter.
    pub(super) fn validate(&self, value: Rv, ty: Type) -> Done<Value> {
        if matches!(ty, Type::Any | Type::Value) {
            return Ok(value.value);
        }
        if !value.is_valid() {
            if ty.accepts_nil() {
                return Ok(Value::zero(ty));
            }
            return self.error(format!("invalid value; expected {ty}"));
        }
        let Some(actual) = value.value.type_of() else {
            return self.error(format!("wrong type for value; expected {ty}; got interface {{}}"));
        };
        if actual == ty {
            return Ok(value.value);
        }
        if let (Type::Named(have), Type::Named(want)) = (actual, ty)
            && have.strip_prefix('*') == Some(want)
        {
            if matches!(value.value, Value::NilPtr(_)) {
                return self.error(format!("dereference of nil pointer of type {ty}"));
            }
            return Ok(value.value);
        }
        self.error(format!("wrong type for value; expected {ty}; got {}", value.value.type_name()))
    }
}

fn number(kind: &ExprKind) -> Option<&Number> {
    match kind {
        ExprKind::Number(number) => Some(number),
        _ => None,
    }
}

fn unsigned(ty: Type, n: u64) -> Value {
    use crate::value::Uint;
    match ty {
        Type::Uint8 => Value::Uint(Uint::U8, n & 0xff),
        Type::Uint32 => Value::Uint(Uint::U32, n & 0xffff_ffff),
        _ => Value::Uint(Uint::U64, n),
    }
}

fn quoted(name: &str) -> String {
    crate::fmt::quote::text(name.as_bytes())
}
