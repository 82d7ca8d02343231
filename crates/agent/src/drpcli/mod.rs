//! `drpcli` for task scripts: the verbs that content uses on the machine itself, over plain REST.
//!
//! Not the whole command line of that name, which the server's own client has; here a table of verbs
//! ([`table::VERBS`]) that work on every kind of object, JSON in and out, errors on standard error with
//! exit code 1. Endpoint, token and machine come from the environment that the agent gives to scripts
//! (`RS_ENDPOINT`, `RS_TOKEN`, `RS_UUID`, `GANTRY_TLS`).

pub mod table;
mod verbs;

use crate::cmdline;
use crate::http::{Client, Endpoint, Fault};
use crate::secret::Secret;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::process::ExitCode;

/// Options that take a value; all others are switches.
const WITH_VALUE: [&str; 18] = [
    "E", "endpoint", "T", "token", "U", "username", "P", "password", "F", "format", "ref", "timeout",
    "limit", "offset", "sort", "params", "slim", "colors",
];

/// A command line: words, and options without their dashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// What is no option.
    pub words: Vec<String>,
    /// Options; switches have the value `true`.
    pub options: BTreeMap<String, String>,
}

impl Line {
    /// Splits arguments. Everything after `--` is a word, and so is a lone `-` (standard input).
    pub fn parse(arguments: &[String]) -> Self {
        let mut line = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let name = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'));
            match name {
                _ if argument == "--" => {
                    line.words.extend(rest.by_ref().cloned());
                }
                Some(name) if !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) => {
                    let (name, value) = match name.split_once('=') {
                        Some((name, value)) => (name, value.to_owned()),
                        None if WITH_VALUE.contains(&name) => {
                            (name, rest.next().cloned().unwrap_or_default())
                        }
                        None => (name, "true".to_owned()),
                    };
                    line.options.insert(name.to_owned(), value);
                }
                _ => line.words.push(argument.clone()),
            }
        }
        line
    }

    /// An option by its long or short name.
    pub fn option(&self, long: &str, short: &str) -> Option<&str> {
        self.options.get(long).or_else(|| self.options.get(short)).map(String::as_str)
    }

    /// A query string out of switches and options that the server understands.
    pub fn query(&self) -> String {
        let mut parts: Vec<String> =
            ["force", "aggregate", "decode", "compose", "limit", "offset", "sort", "slim", "params"]
                .iter()
                .filter_map(|name| Some(format!("{name}={}", self.options.get(*name)?)))
                .collect();
        if parts.is_empty() {
            return String::new();
        }
        parts.sort();
        format!("?{}", parts.join("&"))
    }
}

/// What a verb prints.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// JSON, or the bare text of a string when `--format text` is asked for.
    Json(Value),
    /// As it is.
    Text(String),
    /// Was printed already.
    Done,
}

/// Runs a command line; `arguments` begin after the program's name.
pub fn run(arguments: &[String]) -> ExitCode {
    let line = Line::parse(arguments);
    let result = client(&line).and_then(|client| table::dispatch(&client, &line));
    match result.and_then(|output| print(&line, output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            let _ = writeln!(io::stderr(), "Error: {text}");
            ExitCode::FAILURE
        }
    }
}

fn client(line: &Line) -> Result<Client, String> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let given = line.option("endpoint", "E").map(str::to_owned);
    let url = given
        .or_else(|| variable("RS_ENDPOINT"))
        .or_else(|| variable("RS_ENDPOINTS").and_then(|all| all.split_whitespace().next().map(str::to_owned)))
        .unwrap_or_else(|| "https://127.0.0.1:8092".to_owned());
    let token =
        line.option("token", "T").map(str::to_owned).or_else(|| variable("RS_TOKEN")).unwrap_or_default();
    let pin = match variable("GANTRY_TLS") {
        Some(text) => Some(cmdline::pin(&text).ok_or("GANTRY_TLS: want sha256: and 64 hexadecimal digits")?),
        None => None,
    };
    Ok(Client::new(Endpoint { url: url.trim_end_matches('/').to_owned(), pin }, Secret::new(token)))
}

fn print(line: &Line, output: Output) -> Result<(), String> {
    let text = match output {
        Output::Done => return Ok(()),
        Output::Text(text) => text,
        Output::Json(Value::String(text)) if line.option("format", "F") == Some("text") => text + "\n",
        Output::Json(value) => {
            serde_json::to_string_pretty(&value).map_err(|error| error.to_string())? + "\n"
        }
    };
    io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string())
}

/// The text of a refusal as the older client prints it.
pub(crate) fn explain(fault: Fault) -> String {
    let Fault::Refused(refusal) = fault else { return fault.to_string() };
    let place = [refusal.model.as_str(), refusal.key.as_str()];
    let place: Vec<&str> = place.into_iter().filter(|part| !part.is_empty()).collect();
    let head = if place.is_empty() {
        refusal.kind.clone()
    } else {
        format!("{}: {}", refusal.kind, place.join("/"))
    };
    match &refusal.messages[..] {
        [one] => format!("{head}: {one}"),
        several => format!("{head}\n  {}", several.join("\n  ")),
    }
}

/// An argument that is `-` (standard input), the name of a JSON file, JSON, or, failing that, a text.
pub(crate) fn value_of(argument: &str) -> Result<Value, String> {
    let text = if argument == "-" {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map_err(|error| format!("standard input: {error}"))?;
        text
    } else if argument.ends_with(".json") && std::path::Path::new(argument).is_file() {
        std::fs::read_to_string(argument).map_err(|error| format!("{argument}: {error}"))?
    } else {
        argument.to_owned()
    };
    Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line::parse(&text.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_anywhere() {
        let line = line("-E https://x machines get u param a/b --aggregate --format=text -");
        assert_eq!(line.words, ["machines", "get", "u", "param", "a/b", "-"]);
        assert_eq!(
            (line.option("endpoint", "E"), line.option("format", "F")),
            (Some("https://x"), Some("text"))
        );
        assert_eq!(line.query(), "?aggregate=true");
    }

    #[test]
    fn words_after_two_dashes_and_negative_numbers() {
        assert_eq!(line("jobs log j -- --not-an-option").words, ["jobs", "log", "j", "--not-an-option"]);
        assert_eq!(line("machines update u -1").words.last().map(String::as_str), Some("-1"));
    }

    #[test]
    fn arguments_are_json_or_text() {
        assert_eq!(value_of("{\"a\":1}").expect("value"), serde_json::json!({"a": 1}));
        assert_eq!(value_of("true").expect("value"), Value::Bool(true));
        assert_eq!(value_of("plain words").expect("value"), Value::String("plain words".into()));
    }
}
