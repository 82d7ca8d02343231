//! YAML as the Go libraries of DRP read it (engine §1.10): content was written for go-yaml version 2, which speaks YAML 1.1.
//!
//! `yes`, `no`, `on`, `off` are booleans, a leading zero is octal, `1_000` is a number, of two equal keys the last counts,
//! a timestamp stays text, and only the first document of a stream is read. The grammar itself is a library's
//! (`granit-parser`); what a scalar means is decided here. Beside the value comes the line of every part of it, so that
//! faults found later can be shown where they are.

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_boot::yaml::{float, number_text, resolve};
use granit_parser::{Event, Options, Parser, ScalarStyle, Span, Tag};
use serde_json::{Map, Value};

/// A document and where its parts are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Document {
    /// What it says.
    pub value: Value,
    /// The line of each part, counted from 1, by JSON pointer (RFC 6901).
    pub lines: BTreeMap<String, usize>,
    /// What is passed over: what a key says that is there again, and a further document.
    pub dropped: Vec<Error>,
}

/// Why a text is no YAML, or not all of it.
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

/// How deep parts may nest.
const DEPTH: usize = 256;

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
        dropped: Vec::new(),
        budget: EXPANDED,
        depth: 0,
        open_end: (!text.ends_with('\n')).then(|| text.chars().count()),
    };
    let value = reader.document()?;
    reader.look_further();
    Ok(Document { value, lines: reader.lines, dropped: reader.dropped })
}

struct Reader<'t> {
    parser: Parser<'t, granit_parser::StrInput<'t>>,
    /// Values and how many parts each has.
    anchors: HashMap<usize, (Value, usize)>,
    lines: BTreeMap<String, usize>,
    dropped: Vec<Error>,
    budget: usize,
    depth: usize,
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

    /// Whether another document follows; what is wrong behind the first is nobody's matter.
    fn look_further(&mut self) {
        let mut next = self.next();
        while let Ok((Event::DocumentEnd, _)) = next {
            next = self.next();
        }
        if let Ok((Event::DocumentStart(..), line)) = next {
            self.dropped.push(Error { line, message: "a further document begins".into() });
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
                    let pointer = format!("{path}/{}", escaped(&key));
                    if self.lines.contains_key(&pointer) {
                        self.dropped.push(Error { line, message: format!("the key `{key}` is there again") });
                    }
                    let value = self.below(path, &key, event, value_line)?;
                    // The line of the key is where people look for a field.
                    self.lines.insert(pointer, line);
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
        if self.depth >= DEPTH {
            return Err(Error { line, message: format!("nests deeper than {DEPTH} levels") });
        }
        let length = path.len();
        path.push('/');
        path.push_str(&escaped(key));
        self.depth += 1;
        let value = self.node(event, line, path);
        self.depth -= 1;
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn value(text: &str) -> Value {
        parse(text).unwrap().value
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
    fn what_is_written_reads_back_the_same() {
        let texts = [
            "",
            "yes",
            "Off",
            "y",
            "~",
            "null",
            "1",
            "0x1f",
            "1.5",
            "-",
            "- a",
            "a: b",
            "a #b",
            "a:",
            ":a",
            "#a",
            "  a",
            "a ",
            "a\nb",
            "a\nb\n",
            "a\nb\n\n\n",
            "\na",
            " a\nb",
            "a\n b\n\n  c\n",
            "a\t\nb",
            "a\n \nb",
            "\t",
            "'",
            "\"",
            "[a]",
            "{a}",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a`",
            "|",
            ">",
            "12:30:45",
            "2020-01-02",
            "---",
            "--- a",
            "...",
            "é",
            "\u{85}x",
            "\u{1}",
            "a\r\nb",
            "{{ .Param \"x\" }}",
            "?",
            "? a",
            "a,b",
            "\u{feff}a",
            "key: |",
            "<<",
            "=",
            ".inf",
            "0o7",
            "\n",
            "\n\n",
        ];
        for text in texts {
            let value = json!({ text: text, "list": [text, [text, [text]], {"k": text, "deep": {"z": text}}], "n": 1.5, "e": [], "m": {}, "x": null });
            let written = gantry_boot::yaml::to_yaml(&value);
            let read = parse(&written).unwrap_or_else(|error| panic!("{text:?}: {error}\n{written}"));
            assert_eq!(read.value, value, "{text:?}\n{written}");
        }
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
