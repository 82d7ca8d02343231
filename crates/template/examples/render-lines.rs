//! Reads JSON lines `{"name", "templates": {NAME: TEXT}, "main": NAME, "data": ANY, "missingkey":
//! "default|zero|error"}` from stdin and answers each with `{"name", "output"}` or `{"name", "error"}`.
//! The templates of a line are parsed in the order of their names; every number of the data is a
//! `float64`. The oracle (tools/oracle) asks Go the same questions.

use gantry_template::{Limits, MissingKey, NoHost, Set, Value};
use serde_json::{Value as Json, json};
use std::io::{self, BufRead, BufWriter, Write};

fn main() -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let answer = match serde_json::from_str::<Json>(&line) {
            Ok(question) => answer(&question),
            Err(error) => json!({"name": Json::Null, "error": format!("bad line: {error}")}),
        };
        writeln!(out, "{answer}")?;
    }
    out.flush()
}

fn answer(question: &Json) -> Json {
    let name = &question["name"];
    match render(question) {
        Ok(output) => json!({"name": name, "output": output}),
        Err(error) => json!({"name": name, "error": error}),
    }
}

fn render(question: &Json) -> Result<String, String> {
    let mut set = Set::new();
    set.set_missing_key(match question["missingkey"].as_str() {
        Some("zero") => MissingKey::Zero,
        Some("error") => MissingKey::Error,
        _ => MissingKey::Default,
    });
    let templates = question["templates"].as_object().ok_or("templates: want an object of texts")?;
    let mut names: Vec<&String> = templates.keys().collect();
    names.sort();
    for name in names {
        let text = templates[name].as_str().ok_or_else(|| format!("templates.{name}: want a string"))?;
        set.parse(name, text).map_err(|error| error.to_string())?;
    }
    let main = question["main"].as_str().ok_or("main: want the name of a template")?;
    let data = Value::from_json_live(&question["data"]);
    let mut out = Vec::new();
    set.render(main, &data, &Limits::default(), &NoHost::default(), &mut out)
        .map_err(|error| error.to_string())?;
    Ok(go_text(&out))
}

/// Text as Go's JSON encoder makes it: every byte that is no UTF-8 becomes one U+FFFD.
fn go_text(mut bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    loop {
        match std::str::from_utf8(bytes) {
            Ok(rest) => {
                text.push_str(rest);
                return text;
            }
            Err(error) => {
                let (good, bad) = bytes.split_at(error.valid_up_to());
                text.push_str(std::str::from_utf8(good).unwrap_or_default());
                text.push('\u{FFFD}');
                bytes = &bad[1..];
            }
        }
    }
}
