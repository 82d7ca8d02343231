//! What the embedding program plugs in: objects with fields and methods ([`Object`]) and functions
//! ([`Func`]). Both say with a [`Signature`] which arguments they take, so that wrong calls fail with
//! Go's own words before any of their code runs.

use crate::error::Fail;
use crate::exec::Scope;
use crate::value::{Type, Value};
use std::fmt;
use std::sync::Arc;

/// Parameters of a function or method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The type of each parameter; of a variadic function the last one may repeat, or be absent.
    pub params: &'static [Type],
    /// Whether the last parameter repeats.
    pub variadic: bool,
}

impl Signature {
    /// A signature with exactly these parameters.
    pub const fn exact(params: &'static [Type]) -> Self {
        Self { params, variadic: false }
    }

    /// A signature whose last parameter may repeat.
    pub const fn variadic(params: &'static [Type]) -> Self {
        Self { params, variadic: true }
    }

    /// The type of the argument at `index`, which exists.
    pub(crate) fn param(&self, index: usize) -> Type {
        self.params[index.min(self.params.len() - 1)]
    }
}

/// A value with fields and methods: a Go struct, a pointer to one, or a named type.
///
/// Fields and methods are computed when a template asks for them. A name is looked up as a method
/// first, as in Go. What is not implemented keeps its default.
pub trait Object: fmt::Debug + Send + Sync {
    /// The Go name of the type, as error messages print it: `*models.Machine`.
    fn type_name(&self) -> &'static str;

    /// The parameters of the method `name`, if there is such a method.
    fn method(&self, name: &str) -> Option<Signature> {
        let _ = name;
        None
    }

    /// Calls the method `name`, for which [`Object::method`] gave a signature; the arguments fit it.
    ///
    /// # Errors
    /// Whatever the method reports; the render ends with `error calling NAME: …`.
    fn call(&self, name: &str, args: &[Value], scope: &mut Scope<'_>) -> Result<Value, Fail> {
        let (_, _) = (args, scope);
        Err(Fail::text(format!("no method {name}")))
    }

    /// The field `name`, if there is one.
    fn field(&self, name: &str) -> Option<Value> {
        let _ = name;
        None
    }

    /// All exported fields in the order of declaration: what `%v` and `toJson` show of a struct.
    fn fields(&self) -> Vec<(&'static str, Value)> {
        Vec::new()
    }

    /// The text of types that print themselves (Go's `Stringer` and `error`).
    fn text(&self) -> Option<String> {
        None
    }

    /// The JSON form of types that marshal themselves, or why a value has none; `None` marshals [`Object::fields`].
    fn json(&self) -> Option<Result<String, Fail>> {
        None
    }

    /// The basic value behind a named basic type (`type Month int`).
    fn basic(&self) -> Option<Value> {
        None
    }

    /// Whether the object counts as true; structs always do.
    fn truth(&self) -> bool {
        true
    }

    /// Equality for `eq`, called only with an object of the same type name; `None` means that values
    /// of this type cannot be compared.
    fn equals(&self, other: &dyn Object) -> Option<bool> {
        let _ = other;
        None
    }

    /// The concrete object, for functions that take one of a certain type.
    fn as_any(&self) -> Option<&dyn std::any::Any> {
        None
    }
}

/// The code of a function.
pub type Body = dyn Fn(&mut Scope<'_>, &[Value]) -> Result<Value, Fail> + Send + Sync;

/// A function of the embedding program, or a function value.
pub struct Func {
    /// Its parameters.
    pub signature: Signature,
    /// Its code; called with arguments that fit the signature.
    pub body: Box<Body>,
}

impl Func {
    /// A function with the given parameters.
    pub fn new(
        signature: Signature,
        body: impl Fn(&mut Scope<'_>, &[Value]) -> Result<Value, Fail> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { signature, body: Box::new(body) })
    }

    pub(crate) fn type_name(&self) -> String {
        let last = self.signature.params.len().saturating_sub(1);
        let params: Vec<String> = self
            .signature
            .params
            .iter()
            .enumerate()
            .map(
                |(i, ty)| {
                    if self.signature.variadic && i == last { format!("...{ty}") } else { ty.to_string() }
                },
            )
            .collect();
        format!("func({}) interface {{}}", params.join(", "))
    }
}

impl fmt::Debug for Func {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.type_name())
    }
}
