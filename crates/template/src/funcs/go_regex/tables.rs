//! The tables of characters that Go knows by name, `L` or `Greek`, in the words of the crate; and what classes cost.
//!
//! A few letters name a table of hundreds of ranges, and the crate has all the classes of a pattern in memory before it looks
//! at the size that it may grow to. So they are counted while a pattern is translated.

use regex_syntax::hir::{Class, HirKind};
use std::collections::HashMap;

/// What it takes to compile the classes of a pattern.
#[derive(Debug, Default)]
pub(super) struct Cost {
    /// Whether upper and lower case are the same somewhere: each character of a class is looked up then.
    pub(super) folds: bool,
    ranges: u64,
    chars: u64,
}

impl Cost {
    /// Larger ones are refused. Of tables the crate refuses a tenth of that for the size of what it has compiled.
    pub(super) const MOST: u64 = 1 << 18;

    /// A class, or part of one, has so many ranges more, with so many characters in them.
    pub(super) fn add(&mut self, ranges: u64, chars: u64) {
        self.ranges += ranges;
        self.chars += chars;
    }

    /// In ranges; one is about the work of a step.
    pub(super) fn total(&self) -> u64 {
        self.ranges + if self.folds { self.chars / 64 } else { 0 }
    }
}

/// The tables that a pattern has named so far: it may do so again and again.
#[derive(Debug, Default)]
pub(super) struct Tables(HashMap<String, Option<Table>>);

/// A category or a script.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// Its name in the crate, with its kind. Empty where there are no such characters in text.
    name: String,
    pub(super) ranges: u64,
    pub(super) chars: u64,
}

impl Tables {
    /// The table that Go finds under a name. The crate takes many more names. Neither minds upper and lower case, spaces,
    /// hyphens and underscores.
    pub(super) fn find(&mut self, name: &str) -> Option<&Table> {
        let name: String = name.chars().filter(|c| !matches!(c, ' ' | '-' | '_')).collect();
        let name = name.to_ascii_lowercase();
        self.0.entry(name).or_insert_with_key(|name| table(name)).as_ref()
    }
}

impl Table {
    /// As the inside of a class.
    pub(super) fn class(&self, negative: bool) -> String {
        match (self.name.as_str(), negative) {
            ("", false) => r"[^\x{0}-\x{10ffff}]".to_owned(),
            ("", true) => r"\x{0}-\x{10ffff}".to_owned(),
            (name, false) => format!(r"\p{{{name}}}"),
            (name, true) => format!(r"\P{{{name}}}"),
        }
    }
}

/// Scripts of four letters; others of that length are codes (`Grek`), which Go does not know.
const SHORT_SCRIPTS: [&str; 9] = ["ahom", "cham", "kawi", "lisu", "miao", "modi", "newa", "thai", "toto"];

fn table(name: &str) -> Option<Table> {
    if !name.bytes().all(|b| b.is_ascii_alphabetic()) || name.starts_with("is") {
        return None;
    }
    if matches!(name, "cs" | "surrogate") {
        return Some(Table { name: String::new(), ranges: 1, chars: char::MAX.into() });
    }
    let script = name.len() != 4 || SHORT_SCRIPTS.contains(&name);
    ["gc", "sc"].into_iter().filter(|&kind| kind == "gc" || script).find_map(|kind| {
        let name = format!("{kind}={name}");
        let class = regex_syntax::parse(&format!(r"\p{{{name}}}")).ok()?;
        let (ranges, chars) = match class.kind() {
            HirKind::Class(Class::Unicode(class)) => {
                (class.ranges().len() as u64, class.ranges().iter().map(|range| range.len() as u64).sum())
            }
            // A single character.
            _ => (1, 1),
        };
        Some(Table { name, ranges, chars })
    })
}
