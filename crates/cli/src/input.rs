//! What a JSON argument may be: JSON or YAML text, the name of a file, `-` for standard input, or a URL.

use gantry_model::Kind;
use gantry_pack::{coerce, yaml};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;

use crate::Error;

/// Reads an argument that stands for a value.
pub(crate) async fn value(argument: &str) -> Result<Value, Error> {
    let text = text(argument).await?;
    parse(&text).map_err(|reason| {
        Error::Usage(format!("`{}` is neither JSON nor YAML: {reason}", shortened(argument)))
    })
}

/// A value that is typed on the command line: JSON or YAML; what is neither is a plain string, unless it begins as an object or
/// a list.
pub(crate) async fn scalar(argument: &str) -> Result<Value, Error> {
    scalar_with_text(argument).await.map(|(value, _)| value)
}

/// The same, with the text that it was read from.
pub(crate) async fn scalar_with_text(argument: &str) -> Result<(Value, String), Error> {
    if argument.trim_start().starts_with(['{', '[']) {
        let template = argument.trim_start().starts_with("{{");
        let value = value(argument).await.map_err(|error| match error {
            Error::Usage(text) if template => Error::Usage(format!(
                "{text}\nhint: a text that begins with {{{{ is quoted: '\"{{{{ … }}}}\"'"
            )),
            other => other,
        })?;
        return Ok((value, argument.to_owned()));
    }
    let text = text(argument).await?;
    Ok((parse(&text).unwrap_or_else(|_| Value::String(text.clone())), text))
}

/// The text behind an argument.
pub(crate) async fn text(argument: &str) -> Result<String, Error> {
    if argument == "-" {
        let mut text = String::new();
        let read = tokio::io::stdin().read_to_string(&mut text).await;
        return read.map(|_| text).map_err(|source| Error::File { file: "standard input".into(), source });
    }
    if argument.starts_with("http://") || argument.starts_with("https://") {
        let http = gantry_client::http().map_err(Error::Usage)?;
        let fetched = async { http.get(argument).send().await?.error_for_status()?.text().await };
        return fetched.await.map_err(|error| Error::Usage(format!("{argument} cannot be fetched: {error}")));
    }
    if argument.len() < 4_096 && std::path::Path::new(argument).is_file() {
        let read = tokio::fs::read_to_string(argument).await;
        return read.map_err(|source| Error::File { file: argument.into(), source });
    }
    if looks_like_a_file(argument) {
        let source = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(Error::File { file: argument.into(), source });
    }
    Ok(argument.to_owned())
}

/// A word that ends like a file of JSON or YAML means one, although it is YAML text, too.
fn looks_like_a_file(word: &str) -> bool {
    let ends = [".json", ".yaml", ".yml"].iter().any(|end| word.ends_with(end));
    ends && !word.contains(|letter: char| letter.is_whitespace() || "{}[]:\"".contains(letter))
}

/// JSON, else YAML as DRP's own client reads it: `010` is eight, `yes` is true, of equal keys the last counts, and only the first
/// document is read.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).or_else(|_| match yaml::parse(text) {
        Ok(document) => Ok(document.value),
        Err(error) => Err(error.to_string()),
    })
}

/// Brings the fields of an object to their types, as DRP's client does: `Version: 8` is text. What does not fit is left to the
/// server to refuse.
pub(crate) fn fitted(noun: &str, mut object: Value) -> Value {
    if let Some(kind) = Kind::from_prefix(noun) {
        drop(coerce::object(kind, &mut object));
    }
    object
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(60)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn json_yaml_and_files() {
        assert_eq!(value("{\"a\": 1}").await.unwrap(), json!({ "a": 1 }));
        assert_eq!(value("a: [x, 2]").await.unwrap(), json!({ "a": ["x", 2] }));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("v.json");
        std::fs::write(&file, "[1]").unwrap();
        assert_eq!(value(file.to_str().unwrap()).await.unwrap(), json!([1]));
        assert!(value("{ broken: [").await.unwrap_err().to_string().starts_with("`{ broken: [` is neither"));
    }

    #[tokio::test]
    async fn yaml_is_read_as_drps_client_reads_it() {
        assert_eq!(
            value("m: 010\non: yes\nt: 2020-01-02\n").await.unwrap(),
            json!({ "m": 8, "true": true, "t": "2020-01-02" })
        );
        assert_eq!(value("a: 1\na: 2\n").await.unwrap(), json!({ "a": 2 }));
        assert_eq!(value("a: 1\n---\na: 2\n").await.unwrap(), json!({ "a": 1 }));
        let env = value("Name: e\nOS: {Name: os, Version: 8}\nMeta: {x: on}\nOnlyUnknown: no").await.unwrap();
        let fitted = fitted("bootenvs", env);
        assert_eq!(fitted["OS"]["Version"], "8");
        assert_eq!((&fitted["Meta"]["x"], &fitted["OnlyUnknown"]), (&json!("true"), &json!(false)));
        // Deeper than any object.
        assert!(value(&"[".repeat(100_000)).await.is_err());
    }

    #[tokio::test]
    async fn a_missing_file_is_named_and_not_taken_for_text() {
        let error = value("no-such-pack.yaml").await.unwrap_err().to_string();
        assert!(error.starts_with("no-such-pack.yaml: "), "{error}");
        assert_eq!(scalar("{name: x.yaml}").await.unwrap(), json!({ "name": "x.yaml" }));
    }

    #[tokio::test]
    async fn a_bare_word_is_a_string() {
        assert_eq!(scalar("hello").await.unwrap(), json!("hello"));
        assert_eq!(scalar("5").await.unwrap(), json!(5));
        assert_eq!(scalar("true").await.unwrap(), json!(true));
        let broken = scalar("{\"Name\": \"x\"").await.unwrap_err().to_string();
        assert!(broken.contains("is neither JSON nor YAML"), "{broken}");
        // A template is text.
        assert_eq!(scalar("x {{ .Param }}").await.unwrap(), json!("x {{ .Param }}"));
    }
}
