//! The functions. One row each: the row is used to look the function up, to check its arguments, to
//! run it, and to document it.

mod args;
mod builtin;
mod compare;
mod crypto;
mod deep;
mod dicts;
mod encoding;
mod go_regex;
mod json;
mod lists;
mod math;
mod paths;
mod regexes;
mod semver;
mod strings;
mod time;
mod urls;
mod values;
mod words;

use crate::error::Fail;
use crate::exec::Scope;
use crate::object::{Func, Signature};
use crate::value::Value;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// Result of a function.
pub(crate) type Result = std::result::Result<Value, Fail>;

/// A function of the language.
#[derive(Debug)]
pub struct Row {
    /// Its name in templates.
    pub name: &'static str,
    /// What it takes.
    pub signature: Signature,
    /// How it is called: `trimSuffix SUFFIX STRING`.
    pub usage: &'static str,
    /// What it does, in a sentence or two.
    pub doc: &'static str,
    pub(crate) run: Run,
}

/// How a function runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Run {
    /// On its evaluated arguments.
    Plain(fn(&mut Scope<'_>, &[Value]) -> Result),
    /// Short-circuit `and`.
    And,
    /// Short-circuit `or`.
    Or,
    /// `len`, which tells a nil interface from no value.
    Len,
    /// `call`, which names its callee.
    Call,
}

/// A function that a template names, found when the template was parsed.
#[derive(Clone, Debug)]
pub(crate) enum Callee {
    Row(&'static Row),
    Extra(Arc<Func>),
}

/// A row whose code runs on evaluated arguments.
pub(crate) const fn row(
    name: &'static str,
    signature: Signature,
    run: fn(&mut Scope<'_>, &[Value]) -> Result,
    usage: &'static str,
    doc: &'static str,
) -> Row {
    Row { name, signature, usage, doc, run: Run::Plain(run) }
}

/// Go's own functions.
static GO: &[&[Row]] = &[builtin::ROWS, compare::ROWS];

/// Sprig's functions; they win over Go's of the same name (`slice`).
static SPRIG: &[&[Row]] = &[
    crypto::ROWS,
    dicts::ROWS,
    encoding::ROWS,
    json::ROWS,
    lists::ROWS,
    math::ROWS,
    paths::ROWS,
    regexes::ROWS,
    semver::ROWS,
    strings::ROWS,
    time::ROWS,
    urls::ROWS,
    values::ROWS,
    words::ROWS,
];

type Index = HashMap<&'static str, &'static Row>;

static GO_INDEX: LazyLock<Index> = LazyLock::new(|| index(GO.iter().copied()));
static INDEX: LazyLock<Index> = LazyLock::new(|| index(GO.iter().chain(SPRIG).copied()));

fn index(tables: impl Iterator<Item = &'static [Row]>) -> Index {
    tables.flatten().map(|row| (row.name, row)).collect()
}

/// The function `name`; `bare` leaves Sprig out.
pub(crate) fn lookup(name: &str, bare: bool) -> Option<&'static Row> {
    (if bare { &GO_INDEX } else { &INDEX }).get(name).copied()
}

/// Every function, sorted by name.
pub fn functions() -> Vec<&'static Row> {
    let mut rows: Vec<_> = INDEX.values().copied().collect();
    rows.sort_by_key(|row| row.name);
    rows
}
