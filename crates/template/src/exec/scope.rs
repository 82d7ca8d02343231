//! [`Scope`]: what a function or method may see of the render that calls it.

use crate::error::Fail;
use crate::fmt::Bounds;
use crate::funcs::{self, Run};
use crate::host::Host;
use crate::limits::Budget;
use crate::set::{MissingKey, Set};
use crate::value::{Str, Value};

/// The render that is calling: its templates, its host and what is left of its limits.
pub struct Scope<'a> {
    pub(crate) set: &'a Set,
    /// The templates that methods call: those of the whole render, also inside a text of its own.
    pub(crate) callable: &'a Set,
    pub(crate) host: &'a dyn Host,
    pub(crate) budget: &'a mut Budget,
}

impl Scope<'_> {
    /// The world.
    pub fn host(&self) -> &dyn Host {
        self.host
    }

    /// True when there is a template of that name to [`Scope::render`].
    pub fn has(&self, name: &str) -> bool {
        self.host.looks_up(name.as_bytes());
        self.callable.find(name.as_bytes()).is_some()
    }

    /// Renders the template `name` with `data` as dot: one of the set whose render this is, also when the call comes out of a
    /// text of its own ([`Scope::render_text`]). Depth, steps and bytes count towards the limits of that render.
    ///
    /// # Errors
    /// When there is no such template, or rendering fails.
    pub fn render(&mut self, name: &str, data: &Value) -> Result<Str, Fail> {
        let set = self.callable;
        self.host.looks_up(name.as_bytes());
        self.nested(set, name, data)
    }

    /// Parses `text` on its own, with the functions of the set but without its templates, and renders
    /// it with `data` as dot.
    ///
    /// # Errors
    /// When the text does not parse, or rendering fails.
    pub fn render_text(
        &mut self,
        name: &str,
        text: &str,
        missing: MissingKey,
        data: &Value,
    ) -> Result<Str, Fail> {
        let mut alone = self.set.without_templates();
        alone.set_missing_key(missing);
        alone.parse(name, text)?;
        self.nested(&alone, name, data)
    }

    /// Calls a function of the language, such as `toJson`, with arguments that fit its signature. `and`, `or`, `len` and
    /// `call` are part of the language itself and not to be had here.
    ///
    /// # Errors
    /// What the function reports, or that there is none of that name.
    pub fn function(&mut self, name: &str, args: &[Value]) -> Result<Value, Fail> {
        match funcs::lookup(name, false).map(|row| row.run) {
            Some(Run::Plain(run)) => run(self, args),
            _ => {
                Err(Fail::text(format!("function {} not defined", crate::fmt::quote::text(name.as_bytes()))))
            }
        }
    }

    /// Makes sure that bytes may be made now; when they are in what the function gives, they are accounted for.
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<(), Fail> {
        self.budget.reserve(bytes)
    }

    /// Accounts for bytes that are about to be produced and held to the end of the render.
    ///
    /// # Errors
    /// When that passes the limit of the render.
    pub fn produce(&mut self, bytes: usize) -> Result<(), Fail> {
        self.budget.produce(bytes)
    }

    /// Accounts for work worth `steps` of walking the tree.
    ///
    /// # Errors
    /// When that passes the limit of the render, or its time is over.
    pub fn work(&mut self, steps: u64) -> Result<(), Fail> {
        self.budget.step(steps, self.host)
    }

    /// How many more bytes may be produced.
    pub(crate) fn room(&self) -> usize {
        self.budget.room()
    }

    /// Checked at every recursion into values, which nest as deep as templates make them.
    pub(crate) fn check_stack(&self) -> Result<(), Fail> {
        self.budget.stack.check()
    }

    /// How far printing may go.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { room: self.room(), stack: self.budget.stack }
    }

    fn nested(&mut self, set: &Set, name: &str, data: &Value) -> Result<Str, Fail> {
        let limit = self.budget.limits.depth;
        if self.budget.depth >= limit {
            return Err(Fail::limit(format!("exceeded maximum template depth ({limit})")));
        }
        self.budget.stack.check()?;
        self.budget.depth += 1;
        let mut out = Vec::new();
        let template = set.lookup(name)?;
        let scope = Scope { set, callable: self.callable, host: self.host, budget: self.budget };
        super::run(template, data, scope, &mut out)?;
        self.budget.depth -= 1;
        self.budget.reserve(out.len())?;
        Ok(out.into())
    }
}
