//! YAML as the Go libraries of DRP read it (engine §1.10): content was written for go-yaml version 2, which speaks YAML 1.1.
//!
//! `yes`, `no`, `on`, `off` are booleans, a leading zero is octal, `1_000` is a number, of two equal keys the last counts,
//! a timestamp stays text, and only the first document of a stream is read. The grammar itself is a library's
//! (`granit-parser`); what a scalar means is decided here. Beside the value comes the line of every part of it, so that
//! faults found later can be shown where they are.

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use granit_parser::{Event, Options, Parser, ScalarStyle, Span, Tag};
use serde_json::{Map, Number, Value};

/// A document and where its parts are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Document {
    /// What it says.
    pub value: Value,
    /// The line of each part, counted from 1, by JSON pointer (RFC 6901).
    pub lines: BTreeMap<String, usize>,
}

/// Why a text is no YAML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct Error {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
}

/// An alias that stands for more than this many values in total is a bomb, not a document.
const EXPANDED: usize = 1_000_000;

/// Reads the first document of a text; an empty text is null.
///
/// # Errors
/// [`Error`] with the first thing that is wrong.
pub fn parse(text: &str) -> Result<Document, Error> {
    let mut options = Options::default();
    options.emit_comments = false;
    let mut reader = Reader {
        parser: Parser::new_from_str_with_options(text.trim_start_matches('\u{feff}'), options),
        anchors: HashMap::new(),
        lines: BTreeMap::new(),
        budget: EXPANDED,
        open_end: (!text.ends_with('\n')).then(|| text.chars().count()),
    };
    let value = reader.document()?;
    Ok(Document { value, lines: reader.lines })
}

struct Reader<'t> {
    parser: Parser<'t, granit_parser::StrInput<'t>>,
    /// Values and how many parts each has.
    anchors: HashMap<usize, (Value, usize)>,
    lines: BTreeMap<String, usize>,
    budget: usize,
    /// How many characters the text has, when it does not end with its last line.
    open_end: Option<usize>,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, usize), Error> {
        let line = |span: &Span| span.start.line();
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((self.as_libyaml(event, &span), line(&span))),
            Some(Err(error)) => Err(Error { line: error.marker().line(), message: error.info() }),
            None => Ok((Event::StreamEnd, 0)),
        }
    }

    /// A block of text that is the end of a file without a last newline has none either; the parser adds one.
    fn as_libyaml(&self, event: Event<'t>, span: &Span) -> Event<'t> {
        match event {
            Event::Scalar(text, style @ (ScalarStyle::Literal | ScalarStyle::Folded), anchor, tag)
                if self.open_end.is_some_and(|end| span.end.index() >= end) =>
            {
                let text = text.strip_suffix('\n').unwrap_or(&text).to_owned();
                Event::Scalar(text.into(), style, anchor, tag)
            }
            other => other,
        }
    }

    fn document(&mut self) -> Result<Value, Error> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd | Event::DocumentEnd, _) => return Ok(Value::Null),
                (event, line) => return self.node(event, line, &mut String::new()),
            }
        }
    }

    fn node(&mut self, event: Event<'t>, line: usize, path: &mut String) -> Result<Value, Error> {
        self.lines.insert(path.clone(), line);
        self.spend(1, line)?;
        let before = self.budget;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value =
                    scalar(&text, style, tag.as_deref()).map_err(|message| Error { line, message })?;
                (value, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.sequence(path)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.mapping(path)?, anchor),
            Event::Alias(id) => {
                let Some((value, parts)) = self.anchors.get(&id).cloned() else {
                    return Err(Error {
                        line,
                        message: "an alias stands within what it is to repeat".into(),
                    });
                };
                self.spend(parts, line)?;
                (value, 0)
            }
            other => return Err(Error { line, message: format!("unexpected {other:?}") }),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, (value.clone(), before - self.budget + 1));
        }
        Ok(value)
    }

    fn spend(&mut self, parts: usize, line: usize) -> Result<(), Error> {
        match self.budget.checked_sub(parts) {
            Some(left) => self.budget = left,
            None => {
                let message = format!("the document has more than {EXPANDED} parts");
                return Err(Error { line, message });
            }
        }
        Ok(())
    }

    fn sequence(&mut self, path: &mut String) -> Result<Value, Error> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::Array(items)),
                (event, line) => {
                    let item = self.below(path, &items.len().to_string(), event, line)?;
                    items.push(item);
                }
            }
        }
    }

    fn mapping(&mut self, path: &mut String) -> Result<Value, Error> {
        let mut map = Map::new();
        loop {
            let (key, line) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Value::Object(map)),
                (Event::Scalar(text, style, _, tag), line) => {
                    let merges = style == ScalarStyle::Plain && text == "<<";
                    let key = scalar(&text, style, tag.as_deref()).and_then(key_text);
                    (if merges { None } else { Some(key.map_err(|message| Error { line, message })?) }, line)
                }
                (_, line) => return Err(Error { line, message: "a key must be plain text".into() }),
            };
            let (event, value_line) = self.next()?;
            match key {
                Some(key) => {
                    let value = self.below(path, &key, event, value_line)?;
                    // The line of the key is where people look for a field.
                    self.lines.insert(format!("{path}/{}", escaped(&key)), line);
                    map.insert(key, value);
                }
                None => {
                    let merged = self.below(path, "<<", event, value_line)?;
                    merge(&mut map, merged).map_err(|message| Error { line, message })?;
                }
            }
        }
    }

    fn below(&mut self, path: &mut String, key: &str, event: Event<'t>, line: usize) -> Result<Value, Error> {
        let length = path.len();
        path.push('/');
        path.push_str(&escaped(key));
        let value = self.node(event, line, path);
        path.truncate(length);
        value
    }
}

/// A part of a JSON pointer.
pub fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// `<<`: the entries of a map, or of a list of maps of which the first counts most.
fn merge(map: &mut Map<String, Value>, merged: Value) -> Result<(), String> {
    match merged {
        Value::Object(entries) => map.extend(entries),
        Value::Array(items) => {
            for item in items.into_iter().rev() {
                merge(map, item)?;
            }
        }
        _ => return Err("map merge requires map or sequence of maps as the value".into()),
    }
    Ok(())
}

fn key_text(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Number(number) => Ok(number_text(&number)),
        _ => Err("a key must be text, a number or a boolean".into()),
    }
}

/// A number as Go writes it into a string field: whole ones plainly, others in the shortest form that a 32 bit float needs.
#[must_use]
pub fn number_text(number: &Number) -> String {
    if number.is_f64() { short_float(number.as_f64().unwrap_or_default()) } else { number.to_string() }
}

/// Go's `FormatFloat(x, 'g', -1, 32)`.
fn short_float(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "that is what Go does here")]
    let text = format!("{:e}", value as f32);
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let digits = digits.replace('.', "");
    if !(-4..6).contains(&exponent) {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let mark = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{first}{point}{rest}e{mark}{:02}", exponent.abs());
    }
    if exponent < 0 {
        let zeros = "0".repeat(usize::try_from(-exponent - 1).unwrap_or_default());
        return format!("{sign}0.{zeros}{digits}");
    }
    let whole = usize::try_from(exponent + 1).unwrap_or_default();
    if digits.len() <= whole {
        return format!("{sign}{digits}{}", "0".repeat(whole - digits.len()));
    }
    format!("{sign}{}.{}", &digits[..whole], &digits[whole..])
}

/// The tags of YAML itself: `!!str` and the like.
const CORE: &str = "tag:yaml.org,2002:";

/// What a scalar means, given how it was written.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    match tag.and_then(|tag| tag.suffix_in_namespace(CORE)).as_deref() {
        Some("str") => return Ok(text.into()),
        Some("binary") => {
            let packed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            let bytes = STANDARD.decode(packed).map_err(|_| "!!binary value contains invalid base64 data")?;
            return Ok(String::from_utf8_lossy(&bytes).into_owned().into());
        }
        Some("float") => {
            return match resolve(text) {
                Value::Number(number) => {
                    Ok(number.as_f64().and_then(float).map_or(Value::Null, Value::Number))
                }
                _ => Err(format!("cannot decode !!str `{text}` as a !!float")),
            };
        }
        Some("bool" | "int" | "null") => return Ok(resolve(text)),
        Some(_) => return Ok(text.into()),
        None if tag.is_some() => return Ok(text.into()),
        None => {}
    }
    Ok(if style == ScalarStyle::Plain { resolve(text) } else { text.into() })
}

/// The words of YAML 1.1 for an absent value, true and false.
const NULLS: [&str; 5] = ["", "~", "null", "Null", "NULL"];
const TRUES: [&str; 11] = ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"];
const FALSES: [&str; 11] = ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"];

/// What a plain scalar means.
#[must_use]
pub fn resolve(text: &str) -> Value {
    let Some(first) = text.chars().next() else { return Value::Null };
    if NULLS.contains(&text) {
        return Value::Null;
    }
    if TRUES.contains(&text) {
        return true.into();
    }
    if FALSES.contains(&text) {
        return false.into();
    }
    let number = match first {
        '.' => text.parse().ok().filter(|_| is_float(text)).and_then(float),
        '0'..='9' | '+' | '-' => number(&text.replace('_', "")),
        _ => None,
    };
    number.map_or_else(|| text.into(), Value::Number)
}

fn number(plain: &str) -> Option<Number> {
    if let Some(whole) = whole(plain) {
        return Some(whole);
    }
    plain.parse().ok().filter(|_| is_float(plain)).and_then(float)
}

/// A float as JSON has it: a whole one has no fraction there. Large ones stay floats, for the sake of [`number_text`].
fn float(value: f64) -> Option<Number> {
    #[expect(clippy::cast_possible_truncation, reason = "whole and small, as tested before")]
    let whole = (value.fract() == 0.0 && value.abs() < 1e6).then_some(value as i64);
    whole.map(Number::from).or_else(|| Number::from_f64(value))
}

/// Go's `ParseInt` and `ParseUint` with base 0.
fn whole(plain: &str) -> Option<Number> {
    let (negative, digits) = match plain.as_bytes().first()? {
        b'-' => (true, &plain[1..]),
        b'+' => (false, &plain[1..]),
        _ => (false, plain),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, &lower[..]),
    };
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let value = u64::from_str_radix(digits, base).ok()?;
    match (negative, i64::try_from(value)) {
        (false, _) if plain.starts_with('+') => i64::try_from(value).ok().map(Number::from),
        (false, _) => Some(value.into()),
        (true, Ok(value)) => Some((-value).into()),
        (true, Err(_)) if value == 1 << 63 => Some(i64::MIN.into()),
        (true, Err(_)) => None,
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.strip_prefix(['-', '+']).unwrap_or(exponent)),
        None => (text, "0"),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    mantissa && digits(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn value(text: &str) -> Value {
        parse(text).unwrap().value
    }

    #[test]
    fn plain_scalars_mean_what_yaml_1_1_says() {
        let table = [
            ("yes", json!(true)),
            ("Off", json!(false)),
            ("n", json!(false)),
            ("yEs", json!("yEs")),
            ("~", json!(null)),
            ("", json!(null)),
            ("010", json!(8)),
            ("08", json!(8)),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("0b101", json!(5)),
            ("1_000", json!(1000)),
            ("-7", json!(-7)),
            ("18446744073709551615", json!(u64::MAX)),
            ("7.10", json!(7.1)),
            (".5", json!(0.5)),
            ("1e3", json!(1000)),
            ("1e7", json!(1e7)),
            ("12:30:45", json!("12:30:45")),
            ("2020-01-02", json!("2020-01-02")),
            ("1.2.3", json!("1.2.3")),
            ("0755a", json!("0755a")),
            ("-", json!("-")),
            ("/ foo", json!("/ foo")),
        ];
        for (text, expected) in table {
            assert_eq!(resolve(text), expected, "{text}");
        }
    }

    #[test]
    fn quirks_of_shipped_packs_are_read() {
        let table = [
            ("a: 1\nb: 2\na: 3\n", json!({"a": 3, "b": 2})),
            ("url:\thttp://x\n", json!({"url": "http://x"})),
            ("Documentation: /\n  two\n  lines\n", json!({"Documentation": "/ two lines"})),
            ("a: |\n  x\n# comment\nb: 1\n", json!({"a": "x\n", "b": 1})),
            ("a: >-\n  x\n  y\n\n  z\n", json!({"a": "x y\nz"})),
            ("a: |\n  x\n  y", json!({"a": "x\ny"})),
            ("a: |\n  x\nb: |\n  y\n", json!({"a": "x\n", "b": "y\n"})),
            ("---\na: 1\n---\nb: 2\n", json!({"a": 1})),
            ("", json!(null)),
            ("# nothing\n", json!(null)),
            (
                "a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n  e: 2\n",
                json!({"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}),
            ),
            ("1: a\ntrue: b\n", json!({"1": "a", "true": "b"})),
            ("a: 'yes'\nb: !!str 1\nc: \"1\"\n", json!({"a": "yes", "b": "1", "c": "1"})),
        ];
        for (text, expected) in table {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn numbers_become_text_as_go_writes_them() {
        for (number, text) in [
            (8.0, "8"),
            (7.1, "7.1"),
            (20.04, "20.04"),
            (1e21, "1e+21"),
            (0.000_01, "1e-05"),
            (1_234_567.0, "1.234567e+06"),
            (-2.5, "-2.5"),
        ] {
            assert_eq!(number_text(&Number::from_f64(number).unwrap()), text);
        }
        assert_eq!(number_text(&Number::from(2004)), "2004");
    }

    #[test]
    fn every_part_has_its_line_and_faults_theirs() {
        let document = parse("a: 1\nb:\n  - x\n  - c: y\n    d/e: z\n").unwrap();
        let line = |path: &str| document.lines[path];
        assert_eq!((line("/a"), line("/b"), line("/b/1/c"), line("/b/1/d~1e")), (1, 2, 4, 5));
        assert_eq!(parse("a: 1\nb: [\n").unwrap_err().line, 2);
        let bomb = format!(
            "a: &a [{}]\n{}",
            "x,".repeat(2000),
            "b: [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n".replace("b:", "b: &b")
                + &"c: [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n".repeat(10)
        );
        assert!(parse(&bomb).unwrap_err().message.contains("parts"));
    }
}
