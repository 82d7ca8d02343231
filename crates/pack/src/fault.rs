//! One thing that is wrong with a pack, and where.

use std::fmt;

/// One thing that is wrong. Empty parts are not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The pack.
    pub pack: String,
    /// The file, below the pack's folder.
    pub file: String,
    /// The line in the file, from 1; in the text of the field when there is no file; 0 when not known.
    pub line: usize,
    /// The object: `tasks/install`.
    pub object: String,
    /// The field, as a path: `Templates/0/Contents`.
    pub field: String,
    /// What is wrong, in the words of whoever found it.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pack, file, line, object, field, message } = self;
        match (pack.is_empty(), file.is_empty(), *line) {
            (_, false, 0) => write!(f, "{pack}/{file}: ")?,
            (_, false, line) => write!(f, "{pack}/{file}:{line}: ")?,
            (false, true, _) => write!(f, "{pack}: ")?,
            (true, true, _) => {}
        }
        for part in [object, field].into_iter().filter(|part| !part.is_empty()) {
            write!(f, "{part}: ")?;
        }
        f.write_str(message)
    }
}

/// `1 pack`, `2 packs`: for words whose plural has an `s`.
#[must_use]
pub fn counted(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// One line per fault, indented.
#[must_use]
pub fn listed(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("  {fault}")).collect::<Vec<_>>().join("\n")
}
