//! How answers look: JSON with sorted keys, YAML, or a table of columns.

use comfy_table::{Cell, ContentArrangement, Table, presets};
use serde_json::Value;

use crate::Error;

/// The chosen form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    shape: Shape,
    fields: Vec<String>,
    header: bool,
    longest: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Json,
    Yaml,
    Text,
    Table,
}

/// Columns when nobody says which: those of them in which some object has something to show.
const COLUMNS: &[&str] = &[
    "Name",
    "Id",
    "ID",
    "Addr",
    "Uuid",
    "Token",
    "Subnet",
    "Enabled",
    "ActiveStart",
    "ActiveEnd",
    "ExpireTime",
    "Machine",
    "StartTime",
    "Task",
    "Stages",
    "Stage",
    "Workflow",
    "BootEnv",
    "State",
    "Runnable",
    "Address",
    "ActiveAddress",
    "Provider",
    "Available",
    "Bundle",
    "Description",
];

impl Format {
    pub(crate) fn new(shape: &str, fields: &str, no_header: bool, longest: usize) -> Result<Self, Error> {
        let shape = match shape {
            "json" => Shape::Json,
            "yaml" => Shape::Yaml,
            "text" => Shape::Text,
            "table" => Shape::Table,
            other => {
                return Err(Error::Usage(format!(
                    "--format is `{other}`; it must be json, yaml, text or table"
                )));
            }
        };
        let fields =
            fields.split(',').map(str::trim).filter(|field| !field.is_empty()).map(str::to_owned).collect();
        Ok(Self { shape, fields, header: !no_header, longest })
    }

    /// The text of an answer, without a newline at its end.
    pub(crate) fn render(&self, value: &Value) -> String {
        match self.shape {
            Shape::Json => serde_json::to_string_pretty(value).unwrap_or_default(),
            Shape::Yaml => serde_saphyr::to_string(value).unwrap_or_default().trim_end().to_owned(),
            Shape::Text | Shape::Table => self.table(value),
        }
    }

    /// The same form; its tables have these columns.
    pub(crate) fn with_columns(&self, names: &[&str]) -> Self {
        Self { fields: names.iter().map(|name| (*name).to_owned()).collect(), ..self.clone() }
    }

    /// Whether columns were asked for.
    pub(crate) fn has_columns(&self) -> bool {
        !self.fields.is_empty()
    }

    /// Whether people read it, rather than programs.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self.shape, Shape::Text | Shape::Table)
    }

    fn table(&self, value: &Value) -> String {
        let rows: Vec<&Value> = match value {
            Value::Array(rows) => rows.iter().collect(),
            one => vec![one],
        };
        if rows.iter().any(|row| !row.is_object()) {
            let lines: Vec<String> = rows.iter().map(|row| plain(row)).collect();
            return lines.join("\n");
        }
        let fields = self.columns(&rows);
        let mut table = Table::new();
        table.load_style(if self.shape == Shape::Table {
            presets::UTF8_FULL_CONDENSED
        } else {
            presets::NOTHING
        });
        table.set_content_arrangement(ContentArrangement::Disabled);
        if self.header {
            table.set_header(fields.iter().map(Cell::new));
        }
        for row in rows {
            table.add_row(fields.iter().map(|field| Cell::new(self.cut(&plain(find(row, field))))));
        }
        table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }

    fn columns(&self, rows: &[&Value]) -> Vec<String> {
        if !self.fields.is_empty() {
            return self.fields.clone();
        }
        let shown = |name: &&&str| rows.iter().any(|row| !plain(find(row, name)).is_empty());
        let known: Vec<String> = COLUMNS.iter().filter(shown).map(|name| (*name).to_owned()).collect();
        match (known.is_empty(), rows.first().and_then(|row| row.as_object())) {
            (true, Some(object)) => object.keys().cloned().collect(),
            _ => known,
        }
    }

    fn cut(&self, text: &str) -> String {
        if text.chars().count() <= self.longest {
            return text.to_owned();
        }
        text.chars().take(self.longest.saturating_sub(1)).chain(['…']).collect()
    }
}

/// A field by name, or by a path with dots.
fn find<'a>(row: &'a Value, field: &str) -> &'a Value {
    row.get(field).unwrap_or_else(|| {
        field.split('.').try_fold(row, |value, name| value.get(name)).unwrap_or(&Value::Null)
    })
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// Writes to standard output. A reader that went away (`| head`) is no failure and ends the program: nobody listens any more.
pub(crate) fn print(text: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    let written =
        out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
    if written.is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
        std::process::exit(0);
    }
}

/// Writes to standard error: what people should know beside the answer.
pub(crate) fn say(text: &str) {
    use std::io::Write as _;
    // Whoever closed standard error does not want to know.
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn format(shape: &str, fields: &str) -> Format {
        Format::new(shape, fields, false, 8).unwrap()
    }

    #[test]
    fn json_is_pretty_and_sorted() {
        assert_eq!(format("json", "").render(&json!({ "b": 1, "a": [] })), "{\n  \"a\": [],\n  \"b\": 1\n}");
    }

    #[test]
    fn text_has_the_columns_that_were_asked_for() {
        let rows = json!([{ "Name": "a", "Meta": { "x": "y" } }, { "Name": "long long name", "Meta": {} }]);
        let text = format("text", "Name,Meta.x").render(&rows);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines, [vec!["Name", "Meta.x"], vec!["a", "y"], vec!["long", "lo…"]]);
    }

    #[test]
    fn columns_in_which_nothing_stands_are_left_out() {
        let rows =
            json!([{ "Name": "a", "Stage": "", "Tasks": [] }, { "Name": "b", "Stage": "s", "Workflow": "" }]);
        let text = format("text", "").render(&rows);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines, [vec!["Name", "Stage"], vec!["a"], vec!["b", "s"]]);
    }

    #[test]
    fn a_list_of_words_is_lines() {
        assert_eq!(format("table", "").render(&json!(["a", "b"])), "a\nb");
    }

    #[test]
    fn an_unknown_format_is_named() {
        assert!(Format::new("xml", "", false, 1).unwrap_err().to_string().contains("`xml`"));
    }
}
