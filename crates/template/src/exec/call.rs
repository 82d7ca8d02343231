//! Calls of functions and methods: arguments against signatures, and the builtins that are no
//! ordinary functions.

use super::{At, Done, Exec, Rv};
use crate::error::Fail;
use crate::funcs::{Callee, Run};
use crate::object::{Func, Signature};
use crate::parse::node::Expr;
use crate::value::{Type, Value};
use smallvec::SmallVec;

pub(super) type Args = SmallVec<[Value; 4]>;

impl<'a> Exec<'a, '_> {
    pub(super) fn function(
        &mut self,
        dot: &Rv,
        node: At<'a>,
        name: &str,
        callee: &'a Callee,
        args: &'a [Expr],
        last: Option<Rv>,
    ) -> Done<Rv> {
        self.step()?;
        match callee {
            Callee::Extra(func) => {
                let args = self.arguments(dot, name, func.signature, args, last)?;
                let called = (func.body)(&mut self.scope, &args);
                self.called(node, name, called)
            }
            Callee::Row(row) => match row.run {
                Run::Plain(run) => {
                    let args = self.arguments(dot, name, row.signature, args, last)?;
                    let called = run(&mut self.scope, &args);
                    self.called(node, name, called)
                }
                Run::And => self.and_or(dot, name, row.signature, false, args, last),
                Run::Or => self.and_or(dot, name, row.signature, true, args, last),
                Run::Len => self.len(dot, node, row.signature, args, last),
                Run::Call => self.call(dot, node, row.signature, args, last),
            },
        }
    }

    /// What a call gave, or its error at `node`.
    pub(super) fn called(&mut self, node: At<'a>, name: &str, called: Result<Value, Fail>) -> Done<Rv> {
        let called = called.and_then(|value| {
            self.scope.budget.enter(&value)?;
            Ok(value)
        });
        match called {
            Ok(value) => Ok(Rv::result(value)),
            Err(fail) => {
                self.at = node;
                self.fail(&Fail { message: format!("error calling {name}: {}", fail.message), ..fail })
            }
        }
    }

    fn check_count(&self, name: &str, signature: Signature, args: usize, last: bool) -> Done<()> {
        let count = args + usize::from(last);
        let params = signature.params.len();
        if signature.variadic {
            if count < params - 1 {
                return self.error(format!(
                    "wrong number of args for {name}: want at least {} got {args}",
                    params - 1
                ));
            }
        } else if count != params {
            return self.error(format!("wrong number of args for {name}: want {params} got {count}"));
        }
        Ok(())
    }

    /// Evaluates arguments as the parameters want them.
    pub(super) fn arguments(
        &mut self,
        dot: &Rv,
        name: &str,
        signature: Signature,
        args: &'a [Expr],
        last: Option<Rv>,
    ) -> Done<Args> {
        self.check_count(name, signature, args.len(), last.is_some())?;
        let mut values = Args::new();
        for (i, arg) in args.iter().enumerate() {
            values.push(self.argument(dot, signature.param(i), arg)?);
        }
        if let Some(last) = last {
            let ty = signature.param(args.len());
            values.push(self.validate(last, ty)?);
        }
        Ok(values)
    }

    fn and_or(
        &mut self,
        dot: &Rv,
        name: &str,
        signature: Signature,
        stop_at: bool,
        args: &'a [Expr],
        last: Option<Rv>,
    ) -> Done<Rv> {
        self.check_count(name, signature, args.len(), last.is_some())?;
        let mut value = Value::Nil;
        for arg in args {
            value = self.argument(dot, Type::Value, arg)?;
            if value.truth() == stop_at {
                return Ok(Rv::result(value));
            }
        }
        Ok(Rv::result(last.map_or(value, |last| last.value)))
    }

    fn len(
        &mut self,
        dot: &Rv,
        node: At<'a>,
        signature: Signature,
        args: &'a [Expr],
        last: Option<Rv>,
    ) -> Done<Rv> {
        self.check_count("len", signature, args.len(), last.is_some())?;
        let value = match (last, args) {
            (Some(last), _) => last,
            (None, [arg, ..]) => match self.operand(dot, arg)? {
                Some(value) => value,
                None if matches!(arg.kind, crate::parse::node::ExprKind::Nil) => Rv::NONE,
                None => self.constant(arg, Type::Value)?,
            },
            (None, []) => Rv::NONE,
        };
        let len = length(&value);
        self.called(node, "len", len)
    }

    fn call(
        &mut self,
        dot: &Rv,
        node: At<'a>,
        signature: Signature,
        args: &'a [Expr],
        last: Option<Rv>,
    ) -> Done<Rv> {
        let values = self.arguments(dot, "call", signature, args, last)?;
        let callee = args.first().map_or_else(|| reflected(&values[0]), ToString::to_string);
        let called = match &values[0] {
            Value::Nil => Err(Fail::text("call of nil")),
            Value::Func(func) => {
                fit(func, &callee, &values[1..]).and_then(|values| (func.body)(&mut self.scope, &values))
            }
            other => Err(Fail::text(format!("non-function {callee} of type {}", other.type_name()))),
        };
        self.called(node, "call", called)
    }
}

/// What Go's reflection says of a value as text: strings as they are, others by their type.
fn reflected(value: &Value) -> String {
    match value {
        Value::Str(s) => s.to_string(),
        _ => format!("<{} Value>", value.type_name()),
    }
}

fn length(value: &Rv) -> Result<Value, Fail> {
    let len = match value.value.unnamed() {
        Value::Nil if value.iface => return Err(Fail::text("len of nil pointer")),
        Value::Nil => return Err(Fail::text("reflect: call of reflect.Value.Type on zero Value")),
        Value::NilPtr(_) => return Err(Fail::text("len of nil pointer")),
        Value::Str(s) => s.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        _ => {
            let name = value.value.type_name();
            return Err(Fail::text(format!("len of type {}", name.trim_start_matches('*'))));
        }
    };
    Ok(Value::Int(len as i64))
}

/// Arguments of `call` against the parameters of a function value.
fn fit(func: &Func, callee: &str, values: &[Value]) -> Result<Args, Fail> {
    let Signature { params, variadic } = func.signature;
    if variadic && values.len() < params.len() - 1 {
        let (got, want) = (values.len(), params.len() - 1);
        return Err(Fail::text(format!("wrong number of args for {callee}: got {got} want at least {want}")));
    }
    if !variadic && values.len() != params.len() {
        let (got, want) = (values.len(), params.len());
        return Err(Fail::text(format!("wrong number of args for {callee}: got {got} want {want}")));
    }
    let fitted = values.iter().enumerate().map(|(i, value)| {
        fit_one(func.signature.param(i), value).map_err(|message| Fail::text(format!("arg {i}: {message}")))
    });
    fitted.collect()
}

fn fit_one(ty: Type, value: &Value) -> Result<Value, String> {
    if matches!(ty, Type::Any | Type::Value) || value.type_of() == Some(ty) {
        return Ok(value.clone());
    }
    match value {
        Value::Nil if ty.accepts_nil() => Ok(Value::zero(ty)),
        Value::Nil => Err(format!("value is nil; should be of type {ty}")),
        Value::Int(n) if ty == Type::Int64 => Ok(Value::Int64(*n)),
        Value::Int64(n) if ty == Type::Int => Ok(Value::Int(*n)),
        Value::Uint(_, n) if ty == Type::Int => Ok(Value::Int(*n as i64)),
        Value::Uint(_, n) if ty == Type::Int64 => Ok(Value::Int64(*n as i64)),
        _ => Err(format!("value has type {}; should be {ty}", value.type_name())),
    }
}
