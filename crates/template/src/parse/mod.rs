//! Template text into trees.

pub(crate) mod lex;
pub(crate) mod node;
pub(crate) mod number;
pub(crate) mod parser;
pub(crate) mod unquote;

use crate::funcs::{self, Callee};
use crate::object::Func;
use crate::set::Fingerprint;
use crate::value::Str;
use node::Block;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, OnceLock};

/// One named template, parsed.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) name: Str,
    /// The name of the text that it was parsed from, which errors print.
    pub(crate) parse_name: Arc<str>,
    pub(crate) text: Arc<str>,
    pub(crate) root: Block,
    pub(crate) fingerprint: OnceLock<Fingerprint>,
}

impl Template {
    /// Line and column of a byte position, as Go counts them: from 1 and from 0.
    pub(crate) fn line_and_column(&self, pos: usize) -> (usize, usize) {
        let before = &self.text.as_bytes()[..pos.min(self.text.len())];
        let line = 1 + before.iter().filter(|&&b| b == b'\n').count();
        let start = before.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        (line, before.len() - start)
    }

    /// Computed when it is asked for, once.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        *self.fingerprint.get_or_init(|| {
            let canonical: String = self.root.iter().map(ToString::to_string).collect();
            let hash = |what: &dyn Fn(&mut DefaultHasher)| {
                let mut hasher = DefaultHasher::new();
                what(&mut hasher);
                hasher.finish()
            };
            Fingerprint {
                text: hash(&|hasher| canonical.hash(hasher)),
                place: hash(&|hasher| (&self.parse_name, &self.text).hash(hasher)),
            }
        })
    }

    /// The names of the templates that this one calls.
    pub(crate) fn calls(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        collect_calls(&self.root, &mut names);
        names
    }
}

fn collect_calls(block: &Block, names: &mut BTreeSet<String>) {
    use node::StmtKind;
    for stmt in block {
        match &stmt.kind {
            StmtKind::Template { name, .. } => {
                names.insert(name.to_string());
            }
            StmtKind::If(branch) | StmtKind::With(branch) | StmtKind::Range(branch) => {
                collect_calls(&branch.body, names);
                branch.other.iter().for_each(|other| collect_calls(other, names));
            }
            _ => {}
        }
    }
}

/// Whether nothing but white space is in it; Go does not let such a text replace a template.
pub(crate) fn is_blank(root: &Block) -> bool {
    root.iter().all(|stmt| stmt.kind.is_blank())
}

/// The functions that a set of templates may call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Functions {
    pub(crate) extra: BTreeMap<String, Arc<Func>>,
    pub(crate) bare: bool,
    /// Regular expressions that renders have met.
    pub(crate) patterns: funcs::Patterns,
}

impl Functions {
    pub(crate) fn get(&self, name: &str) -> Option<Callee> {
        if let Some(func) = self.extra.get(name) {
            return Some(Callee::Extra(Arc::clone(func)));
        }
        funcs::lookup(name, self.bare).map(Callee::Row)
    }
}
