//! JSON values as YAML that reads back the same, with go-yaml 2 as with [`crate::yaml`].

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::yaml::resolve;

/// The value as a YAML document: keys in order, two spaces, texts of several lines as blocks.
#[must_use]
pub fn to_yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => mapping(&mut out, map, 0),
        Value::Array(items) if !items.is_empty() => sequence(&mut out, items, 0),
        plain => {
            scalar(&mut out, plain, 0);
            out.push('\n');
        }
    }
    out
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

fn mapping(out: &mut String, map: &Map<String, Value>, depth: usize) {
    for (at, (key, value)) in map.iter().enumerate() {
        // The first key of a map in a list stands behind the dash.
        if at > 0 || !out.ends_with("- ") {
            indent(out, depth);
        }
        text(out, key, None);
        out.push(':');
        entry(out, value, depth);
    }
}

fn entry(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            mapping(out, map, depth + 1);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            sequence(out, items, depth + 1);
        }
        plain => {
            out.push(' ');
            scalar(out, plain, depth + 1);
            out.push('\n');
        }
    }
}

fn sequence(out: &mut String, items: &[Value], depth: usize) {
    for item in items {
        indent(out, depth);
        out.push_str("- ");
        match item {
            Value::Object(map) if !map.is_empty() => mapping(out, map, depth + 1),
            Value::Array(items) if !items.is_empty() => {
                out.pop();
                out.push('\n');
                sequence(out, items, depth + 1);
            }
            plain => {
                scalar(out, plain, depth + 1);
                out.push('\n');
            }
        }
    }
}

fn scalar(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::String(string) => text(out, string, Some(depth)),
        other => out.push_str(&other.to_string()),
    }
}

/// A text: plain where that is safe, a block where it has lines (and `depth` says that there is room), else in quotes.
fn text(out: &mut String, text: &str, depth: Option<usize>) {
    if let Some(depth) = depth.filter(|_| is_block(text)) {
        block(out, text, depth);
    } else if is_plain(text) {
        out.push_str(text);
    } else {
        quoted(out, text);
    }
}

fn is_plain(text: &str) -> bool {
    let safe = |c: char| c.is_alphanumeric() || "-_./+=@ ,()~^$;%!?*&<>|'\"\\[]{}:#".contains(c);
    let first = |c: char| c.is_alphanumeric() || c == '/' || c == '_' || c == '.' || c == '(' || c == '$';
    text.starts_with(first)
        && text.chars().all(safe)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && text.len() < 512
        && !text.starts_with("---")
        && !text.starts_with("...")
        && resolve(text).is_string()
        && !looks_like_time(text)
}

/// Sexagesimal numbers and dates are texts here, but other readers take them for more.
fn looks_like_time(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit()) && text.contains([':', '-'])
}

/// Blocks cannot begin with white space, hold control characters, or (for old readers) lines that are only white space.
fn is_block(text: &str) -> bool {
    text.contains('\n')
        && !text.starts_with([' ', '\n', '\t'])
        && !text.chars().any(|c| {
            c.is_control() && c != '\n' && c != '\t'
                || c == '\u{feff}'
                || c == '\u{2028}'
                || c == '\u{2029}'
                || c == '\u{85}'
        })
        && !text.trim_end_matches('\n').lines().any(|line| !line.is_empty() && line.trim().is_empty())
        && !text.trim_end_matches('\n').is_empty()
}

fn block(out: &mut String, text: &str, depth: usize) {
    let body = text.trim_end_matches('\n');
    out.push_str(match text.len() - body.len() {
        0 => "|-",
        1 => "|",
        _ => "|+",
    });
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            indent(out, depth);
            out.push_str(line);
        }
    }
    // The caller ends the last line; further ones are part of the text.
    out.extend(std::iter::repeat_n('\n', (text.len() - body.len()).saturating_sub(1)));
}

/// Double quotes with the escapes that JSON and YAML share.
fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{85}') => {
                write!(out, "\\u{:04x}", u32::from(c)).expect("a String takes everything");
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;
    use serde_json::json;

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
            let written = to_yaml(&value);
            let read = yaml::parse(&written).unwrap_or_else(|error| panic!("{text:?}: {error}\n{written}"));
            assert_eq!(read.value, value, "{text:?}\n{written}");
        }
    }

    #[test]
    fn documents_look_as_people_write_them() {
        let value = json!({"Name": "x", "Contents": "a\n  b\n", "List": [{"a": 1, "b": "yes"}, "p"]});
        assert_eq!(
            to_yaml(&value),
            "Contents: |\n  a\n    b\nList:\n  - a: 1\n    b: \"yes\"\n  - p\nName: x\n"
        );
    }
}
