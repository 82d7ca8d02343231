//! JSON values as YAML, byte for byte as go-yaml version 2 writes them: `ParamAsYAML` and bundles of DRP come from it.
//!
//! Keys are sorted with numbers in them by value, lists stand under their key without indent, texts of several lines are
//! literal blocks, and long texts of one line are folded at 80 columns. Which form a text may have is decided in `form`, what it
//! would mean without quotes in `scalar`.

mod form;
mod scalar;

use std::cmp::Ordering;

use serde_json::{Map, Value};

pub use scalar::{float, number_text, resolve};

use form::Form;

/// The value as a YAML document with a newline at its end.
#[must_use]
pub fn to_yaml(value: &Value) -> String {
    let mut writer = Writer { out: String::new(), column: 0 };
    writer.node(value, Place { indent: 0, below: Below::Document });
    writer.out.push('\n');
    writer.out
}

/// Where a node stands.
#[derive(Clone, Copy)]
struct Place {
    /// The column of the keys or dashes of what it is in.
    indent: usize,
    below: Below,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Below {
    /// Nothing.
    Document,
    /// A key of one line: maps and lists begin on the next one.
    Key,
    /// A dash, or the mark of a key or value that does not fit on one line: maps and lists begin beside it.
    Mark,
}

/// A column beyond which texts are folded, and the longest key without a mark of its own, in bytes.
const WIDTH: usize = 80;
const KEY: usize = 128;

struct Writer {
    out: String,
    /// Characters since the last newline.
    column: usize,
}

impl Writer {
    fn put(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }

    fn line(&mut self, indent: usize) {
        self.out.push('\n');
        self.column = 0;
        self.pad(indent);
    }

    fn pad(&mut self, indent: usize) {
        while self.column < indent {
            self.put(" ");
        }
    }

    fn node(&mut self, value: &Value, place: Place) {
        match value {
            Value::Object(map) if !map.is_empty() => self.mapping(map, place),
            Value::Array(items) if !items.is_empty() => self.sequence(items, place),
            Value::String(text) => {
                self.space(place);
                self.text(text, Some(place.indent + 2));
            }
            other => {
                self.space(place);
                self.put(&plain(other));
            }
        }
    }

    /// What stands beside a key or a mark is one space away from it.
    fn space(&mut self, place: Place) {
        if place.below != Below::Document {
            self.put(" ");
        }
    }

    /// The column where the entries of a collection stand, the first of them begun.
    fn begin(&mut self, place: Place, under_key: usize) -> usize {
        match place.below {
            Below::Document => 0,
            Below::Key => {
                self.line(place.indent + under_key);
                place.indent + under_key
            }
            Below::Mark => {
                self.pad(place.indent + 2);
                place.indent + 2
            }
        }
    }

    fn mapping(&mut self, map: &Map<String, Value>, place: Place) {
        let indent = self.begin(place, 2);
        let mut entries: Vec<_> = map.iter().collect();
        entries.sort_by(|(a, _), (b, _)| natural(a, b));
        for (at, (key, value)) in entries.into_iter().enumerate() {
            if at > 0 {
                self.line(indent);
            }
            if key.len() > KEY || Form::has_breaks(key) {
                self.put("?");
                self.node(&Value::from(key.as_str()), Place { indent, below: Below::Mark });
                self.line(indent);
                self.put(":");
                self.node(value, Place { indent, below: Below::Mark });
            } else {
                self.text(key, None);
                self.put(":");
                self.node(value, Place { indent, below: Below::Key });
            }
        }
    }

    fn sequence(&mut self, items: &[Value], place: Place) {
        let indent = self.begin(place, 0);
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.line(indent);
            }
            self.put("-");
            self.node(item, Place { indent, below: Below::Mark });
        }
    }

    /// A text, whose further lines stand at `indent`; none for a key, which has no further lines.
    fn text(&mut self, text: &str, indent: Option<usize>) {
        match (Form::of(text, indent.is_some()), indent) {
            (Form::Literal, Some(indent)) => self.literal(text, indent),
            (form, indent) => {
                let quote = form.quote();
                self.put(quote);
                self.folded(text, form, indent);
                self.put(quote);
            }
        }
    }

    /// A text with a new line in the place of a space, wherever the present line is too long.
    fn folded(&mut self, text: &str, form: Form, indent: Option<usize>) {
        let (mut after_space, mut first) = (false, true);
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let before_space = chars.peek() == Some(&' ');
            let inside = form == Form::Plain || !first && chars.peek().is_some();
            // Double quotes can mark a space at the beginning of a line.
            let may = inside && (form == Form::Double || !before_space);
            match indent {
                Some(indent) if c == ' ' && !after_space && self.column > WIDTH && may => {
                    self.line(indent);
                    self.put(if before_space { "\\" } else { "" });
                }
                _ => self.put(&form.written(c)),
            }
            (after_space, first) = (c == ' ', false);
        }
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.put("|");
        self.put(if text.starts_with([' ', '\n']) { "2" } else { "" });
        let body = text.trim_end_matches('\n');
        let ends = text.len() - body.len();
        self.put(match ends {
            0 => "-",
            1 if !body.is_empty() => "",
            _ => "+",
        });
        for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
            self.out.push('\n');
            self.column = 0;
            if !line.is_empty() {
                self.pad(indent);
                self.put(line);
            }
        }
    }
}

/// What JSON has beside texts and full collections.
fn plain(value: &Value) -> String {
    match value {
        Value::Object(_) => "{}".to_owned(),
        Value::Number(number) => scalar::json_number(number),
        other => other.to_string(),
    }
}

/// The order of go-yaml's keys: letters after everything else, runs of digits by their value.
fn natural(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let Some(at) = (0..a.len().min(b.len())).find(|at| a[*at] != b[*at]) else {
        return a.len().cmp(&b.len());
    };
    let (x, y) = (a[at], b[at]);
    match (x.is_alphabetic(), y.is_alphabetic()) {
        (true, true) => return x.cmp(&y),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // Within a number that has begun, a zero counts as a digit; at its start it is nothing.
    let digits = a[..at].iter().rev().take_while(|c| c.is_ascii_digit());
    let within = (x == '0' || y == '0') && digits.into_iter().any(|c| *c != '0');
    let run = |of: &[char]| {
        let run: Vec<char> = of[at..].iter().copied().take_while(char::is_ascii_digit).collect();
        let value = run.iter().fold(i64::from(within), |sum, c| {
            sum.wrapping_mul(10).wrapping_add(i64::from(u32::from(*c) - u32::from('0')))
        });
        (value, run.len())
    };
    run(&a).cmp(&run(&b)).then(x.cmp(&y))
}
