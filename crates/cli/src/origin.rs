//! Parameters with where each value was set and what it hides, for people.

use serde_json::Value;

/// Longest value that is shown whole; `--format json` shows all.
const LONGEST: usize = 60;

/// One line per value: name, value, origin; what a value hides stands below it.
pub(crate) fn table(found: &Value) -> String {
    let rows: Vec<[String; 3]> =
        found.as_object().into_iter().flatten().flat_map(|(name, values)| rows(name, values)).collect();
    let widest = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let (first, second) = (widest(0), widest(1));
    let line = |[name, value, origin]: &[String; 3]| format!("{name:first$}  {value:second$}  {origin}");
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn rows(name: &str, values: &Value) -> Vec<[String; 3]> {
    let text = |value: &Value| value.get("Origin").and_then(Value::as_str).unwrap_or_default().to_owned();
    let values = values.as_array().map(Vec::as_slice).unwrap_or_default();
    let row = |(at, value): (usize, &Value)| {
        let shown = shortened(&value.get("Value").unwrap_or(&Value::Null).to_string());
        let name = if at == 0 { name.to_owned() } else { "  hides".to_owned() };
        [name, shown, text(value)]
    };
    values.iter().enumerate().map(row).collect()
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_stands_above_what_it_hides() {
        let found = json!({
            "a/b": [{"Origin": "machine", "Value": 1}, {"Origin": "profile p > q", "Value": "x"}],
            "c": [{"Origin": "default of the parameter", "Value": null}],
        });
        assert_eq!(
            table(&found),
            "a/b      1     machine\n  hides  \"x\"   profile p > q\nc        null  default of the parameter"
        );
    }
}
