//! Which form a text gets: plain, in quotes, or as a block.

use super::scalar;

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    Single,
    Double,
    Literal,
}

impl Form {
    /// The form of a text; blocks only where there is room for lines.
    pub(super) fn of(text: &str, lines: bool) -> Self {
        let special = text.chars().any(|c| !is_printable(c)) || text.contains(" \n");
        if text.contains('\n') {
            let block = lines && !special && !text.ends_with(' ');
            return if block { Self::Literal } else { Self::Double };
        }
        // As a key, it would merge maps.
        let merges = !lines && text == "<<";
        if merges || !scalar::is_text(text) || special || Self::has_breaks(text) {
            return Self::Double;
        }
        let outside = text.starts_with(' ') || text.ends_with(' ');
        if outside || has_indicators(text) { Self::Single } else { Self::Plain }
    }

    /// True for texts of more than one line.
    pub(super) fn has_breaks(text: &str) -> bool {
        text.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
    }

    pub(super) fn quote(self) -> &'static str {
        match self {
            Self::Single => "'",
            Self::Double => "\"",
            Self::Plain | Self::Literal => "",
        }
    }

    /// A character in this form.
    pub(super) fn written(self, c: char) -> String {
        match (self, c) {
            (Self::Single, '\'') => "''".to_owned(),
            (Self::Double, c) => escaped(c),
            (_, c) => c.to_string(),
        }
    }
}

/// Characters and places that would make a plain text something else.
fn has_indicators(text: &str) -> bool {
    if text.starts_with("---") || text.starts_with("...") {
        return true;
    }
    let bytes = text.as_bytes();
    let blank = |at: usize| bytes.get(at).is_none_or(|byte| matches!(byte, b' ' | b'\t'));
    let first = bytes.first().is_some_and(|byte| match byte {
        b'#' | b',' | b'[' | b']' | b'{' | b'}' | b'&' | b'*' | b'!' | b'|' | b'>' | b'\'' | b'"' | b'%'
        | b'@' | b'`' => true,
        b'?' | b':' | b'-' => blank(1),
        _ => false,
    });
    let later = (1..bytes.len()).any(|at| match bytes[at] {
        b':' => blank(at + 1),
        b'#' => blank(at - 1),
        _ => false,
    });
    first || later
}

/// What go-yaml prints as it is: no control characters, no tabs, nothing beyond the basic plane.
fn is_printable(c: char) -> bool {
    match c {
        '\n' | ' '..='~' => true,
        '\u{feff}' | '\u{fffe}' | '\u{ffff}' => false,
        c => ('\u{a0}'..='\u{ffff}').contains(&c),
    }
}

/// A character between double quotes.
fn escaped(c: char) -> String {
    let short = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' | '\\' => c,
        '\u{85}' => 'N',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        c if is_printable(c) => return c.to_string(),
        c => {
            let code = u32::from(c);
            return match code {
                0..=0xff => format!("\\x{code:02X}"),
                0x100..=0xffff => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{short}")
}
