//! [`Set`]: templates that share one name space, and may call each other.

use crate::error::{Error, ErrorKind};
use crate::exec::{self, Scope};
use crate::fmt::quote;
use crate::funcs::Patterns;
use crate::host::Host;
use crate::limits::{Budget, Limits};
use crate::object::Func;
use crate::parse::{Functions, Template, is_blank, parser};
use crate::value::{Str, Value};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

/// What a field of a map that has no such key is (Go's `missingkey` option).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingKey {
    /// No value; prints `<no value>`.
    #[default]
    Default,
    /// The zero value of the map's element type.
    Zero,
    /// An error.
    Error,
}

/// Stands for a template in comparisons, within one run of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// Of the template in Go's canonical form: templates that have it in common do the same with the same data.
    pub text: u64,
    /// Of the name and the text that it was parsed from: those that have it in common, too, name the same places in errors.
    pub place: u64,
}

type Names = HashMap<Str, Arc<Template>>;

/// A set of named templates.
///
/// Cloning is cheap, and a clone can get more templates, or other ones under the same names, without
/// any effect on the original: compile the common templates once, [freeze](Set::freeze) the set, and
/// clone it for each object that adds its own.
#[derive(Clone, Debug, Default)]
pub struct Set {
    base: Arc<Names>,
    own: Names,
    functions: Arc<Functions>,
    missing: MissingKey,
}

impl Set {
    /// An empty set with all functions of the language.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty set with Go's own functions only, without Sprig.
    pub fn without_sprig() -> Self {
        Self { functions: Arc::new(Functions { bare: true, ..Functions::default() }), ..Self::default() }
    }

    /// Adds a function, or replaces the one of that name. Only texts parsed later see it.
    pub fn add_function(&mut self, name: impl Into<String>, func: Arc<Func>) {
        Arc::make_mut(&mut self.functions).extra.insert(name.into(), func);
    }

    /// What missing keys are in renders of this set.
    pub fn missing_key(&self) -> MissingKey {
        self.missing
    }

    /// Sets what missing keys are in renders of this set; not of its clones.
    pub fn set_missing_key(&mut self, missing: MissingKey) {
        self.missing = missing;
    }

    /// Parses `text` as the template `name`, together with all the templates it defines. A template
    /// of nothing but white space does not replace one that exists.
    ///
    /// # Errors
    /// A parse error in Go's words; the set stays as it was.
    pub fn parse(&mut self, name: &str, text: &str) -> Result<(), Error> {
        let definitions = parser::parse(name, text, &self.functions).map_err(|error| *error)?;
        let parse_name: Arc<str> = name.into();
        let text: Arc<str> = text.into();
        for definition in definitions {
            if self.find(&definition.name).is_some() && is_blank(&definition.root) {
                continue;
            }
            let template = Template {
                name: definition.name.clone(),
                parse_name: Arc::clone(&parse_name),
                text: Arc::clone(&text),
                root: definition.root,
                fingerprint: OnceLock::new(),
            };
            self.own.insert(definition.name, Arc::new(template));
        }
        Ok(())
    }

    /// Moves everything into the part that clones share, so that cloning costs next to nothing.
    pub fn freeze(&mut self) {
        if !self.own.is_empty() {
            Arc::make_mut(&mut self.base).extend(self.own.drain());
        }
    }

    /// Whether there is a template of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.find(name.as_bytes()).is_some()
    }

    /// The names of all templates, sorted.
    pub fn names(&self) -> BTreeSet<String> {
        self.base.keys().chain(self.own.keys()).map(ToString::to_string).collect()
    }

    /// The names that the template `name` calls by `{{template "x"}}`, whether they exist or not;
    /// `None` when there is no such template.
    pub fn calls(&self, name: &str) -> Option<BTreeSet<String>> {
        self.find(name.as_bytes()).map(Template::calls)
    }

    /// What the template `name` itself does, without those that it calls, and where it stands, as hashes; `None` when there
    /// is no such template.
    pub fn fingerprint(&self, name: &str) -> Option<Fingerprint> {
        self.find(name.as_bytes()).map(Template::fingerprint)
    }

    /// Renders the template `name` with `data` as dot, and appends the output to `out`. What was
    /// written before an error stays there.
    ///
    /// # Errors
    /// An error in Go's words with the place in the template, or the limit that was reached.
    pub fn render(
        &self,
        name: &str,
        data: &Value,
        limits: &Limits,
        host: &dyn Host,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        host.looks_up(name.as_bytes());
        let template = self.lookup(name)?;
        let mut budget = Budget::new(*limits);
        exec::run(template, data, Scope { set: self, callable: self, host, budget: &mut budget }, out)
    }

    /// Renders to a string under default limits; bytes that are no UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// As [`Set::render`].
    pub fn render_to_string(&self, name: &str, data: &Value, host: &dyn Host) -> Result<String, Error> {
        let mut out = Vec::new();
        self.render(name, data, &Limits::default(), host, &mut out)?;
        Ok(String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<&Template> {
        self.own.get(name).or_else(|| self.base.get(name)).map(Arc::as_ref)
    }

    pub(crate) fn patterns(&self) -> &Patterns {
        &self.functions.patterns
    }

    pub(crate) fn lookup(&self, name: &str) -> Result<&Template, Error> {
        self.find(name.as_bytes()).ok_or_else(|| Error {
            kind: ErrorKind::Missing,
            template: name.to_owned(),
            line: 0,
            column: 0,
            message: format!(
                "template: no template {} associated with template \"\"",
                quote::text(name.as_bytes())
            ),
        })
    }

    /// The same functions and options, no templates.
    pub(crate) fn without_templates(&self) -> Set {
        Set { functions: Arc::clone(&self.functions), missing: self.missing, ..Set::default() }
    }
}
