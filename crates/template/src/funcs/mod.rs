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

pub(crate) use regexes::Patterns;

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

/// Functions about one subject.
#[derive(Debug)]
pub struct Group {
    /// The subject.
    pub title: &'static str,
    /// The functions.
    pub rows: &'static [Row],
}

const fn group(title: &'static str, rows: &'static [Row]) -> Group {
    Group { title, rows }
}

/// Go's own functions.
static GO: &[Group] =
    &[group("Logic, printing, indexing (Go)", builtin::ROWS), group("Comparison (Go)", compare::ROWS)];

/// Sprig's functions; they win over Go's of the same name (`slice`).
static SPRIG: &[Group] = &[
    group("Strings", strings::ROWS),
    group("Words and lines", words::ROWS),
    group("Regular expressions", regexes::ROWS),
    group("Numbers", math::ROWS),
    group("Defaults, types, conversion", values::ROWS),
    group("Lists", lists::ROWS),
    group("Maps", dicts::ROWS),
    group("JSON", json::ROWS),
    group("Encoding and checksums", encoding::ROWS),
    group("Dates", time::ROWS),
    group("Paths", paths::ROWS),
    group("URLs", urls::ROWS),
    group("Versions", semver::ROWS),
    group("Keys, certificates, random", crypto::ROWS),
];

type Index = HashMap<&'static str, &'static Row>;

static GO_INDEX: LazyLock<Index> = LazyLock::new(|| index(GO.iter()));
static INDEX: LazyLock<Index> = LazyLock::new(|| index(GO.iter().chain(SPRIG)));

fn index(groups: impl Iterator<Item = &'static Group>) -> Index {
    groups.flat_map(|group| group.rows).map(|row| (row.name, row)).collect()
}

/// The function `name`; `bare` leaves Sprig out.
pub(crate) fn lookup(name: &str, bare: bool) -> Option<&'static Row> {
    (if bare { &GO_INDEX } else { &INDEX }).get(name).copied()
}

/// Every function by subject, Go's own first. Its own `slice` is in the list although Sprig's takes its place.
pub fn groups() -> impl Iterator<Item = &'static Group> {
    GO.iter().chain(SPRIG)
}

/// Every function, sorted by name.
pub fn functions() -> Vec<&'static Row> {
    let mut rows: Vec<_> = INDEX.values().copied().collect();
    rows.sort_by_key(|row| row.name);
    rows
}
