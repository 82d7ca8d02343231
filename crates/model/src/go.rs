//! Values printed as Go's `fmt` prints them, because DRP's messages contain such prints.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// `%v` of a decoded JSON value.
#[must_use]
pub fn print(value: &Value) -> String {
    let mut text = String::new();
    write_value(&mut text, value);
    text
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("<nil>"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&float(number.as_f64().unwrap_or_default(), 1e6)),
        Value::String(text) => out.push_str(text),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                write_value(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push_str("map[");
            for (i, (key, item)) in map.iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                out.push_str(key);
                out.push(':');
                write_value(out, item);
            }
            out.push(']');
        }
    }
}

/// `%#v` of a map of JSON values: `map[string]interface {}{"a":1}`.
#[must_use]
pub fn print_map(map: &Map<String, Value>) -> String {
    let mut text = String::new();
    write_map(&mut text, map);
    text
}

fn write_map(out: &mut String, map: &Map<String, Value>) {
    out.push_str("map[string]interface {}{");
    for (i, (key, item)) in map.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        let _ = write!(out, "{key:?}:");
        write_syntax(out, item);
    }
    out.push('}');
}

fn write_syntax(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("interface {}(nil)"),
        Value::String(text) => {
            let _ = write!(out, "{text:?}");
        }
        Value::Array(items) => {
            out.push_str("[]interface {}{");
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                write_syntax(out, item);
            }
            out.push('}');
        }
        Value::Object(map) => write_map(out, map),
        Value::Number(number) => out.push_str(&float(number.as_f64().unwrap_or_default(), 1e21)),
        plain => write_value(out, plain),
    }
}

/// A float64 with the shortest digits, in exponent form from `large` (1e6 for `%v`, 1e21 for `%#v`) and below 1e-4.
fn float(number: f64, large: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-4..large).contains(&size) {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    format!("{number}")
}

/// The word for a JSON value in the decoder's errors.
#[must_use]
pub fn word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_print_as_in_go() {
        assert_eq!(print(&json!([5])), "[5]");
        assert_eq!(print(&json!({"b": [1.5, null, true], "a": "x y"})), "map[a:x y b:[1.5 <nil> true]]");
        assert_eq!(print(&json!(1e21)), "1e+21");
        assert_eq!(print(&json!([999_999, 1_234_567])), "[999999 1.234567e+06]");
        assert_eq!(print(&json!(0.00001)), "1e-05");
        let map = json!({"k": {"n": 1}, "s": "q", "l": []});
        assert_eq!(
            print_map(map.as_object().unwrap()),
            r#"map[string]interface {}{"k":map[string]interface {}{"n":1}, "l":[]interface {}{}, "s":"q"}"#
        );
    }
}
