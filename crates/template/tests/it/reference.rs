//! The reference page of the language, made from the table of functions and the recorded examples.

use super::goldens::cases;
use gantry_template::{Row, functions, groups};
use std::collections::BTreeMap;
use std::fmt::Write;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/templates.md");

const INTRODUCTION: &str = "# Templates

Made from the table of functions of `crates/template` and recorded answers of Go; `cargo test` says when it is stale.

Templates are written in the language of Go's [text/template](https://pkg.go.dev/text/template) with the functions of
[Sprig](https://masterminds.github.io/sprig/) v3.1, without `env`, `expandenv`, `now` and `ago`. Output and errors are those of Go,
byte for byte; the few exceptions are in the README of the crate. `gantry template render FILE --data DATA.yaml` tries a template out.

What surprises most:

- **Numbers** in parameters are `float64`: a million prints as `1e+06`, and `eq` with an integer constant is an error. `int` makes
  them whole: `{{ if eq (int (.Param \"n\")) 3 }}`. `len` gives an `int`, `add` and its like an `int64`.
- **False** is what is zero or empty: `false`, `0`, `\"\"`, nil, an empty list or map. Everything else is true, `\"false\"` too.
- **A key that is not in a map** prints `<no value>`; looking into it further does as well. Looking into a string or a number is an
  error. The paths and links of a template fail for any missing key.
- **`:=` declares** a variable until the `end` of its block, **`=` changes** one that is there. A `:=` inside of `if` or `range` hides
  the outer variable and is gone after it.
- **`{{-` and `-}}`** eat all white space beside them, line feeds included.
- **A map is shared**: `set` changes it for everyone who holds it, `deepCopy` makes one of your own. Ranging and printing go in the
  order of keys.
- `{{ template \"x\" . }}` needs a constant name; `.CallTemplate` takes a computed one.

A render ends with an error that says so when it passes a bound: depth of calls, bytes of output, bytes of values, steps, time.

In the examples `→` is followed by the output. Functions without one depend on chance or on the world.
";

/// The examples by the function that they are about, with Go's answer.
fn examples() -> BTreeMap<String, (String, String)> {
    let cases = cases(include_str!("../cases/examples.txt"), include_str!("../cases/examples.golden"));
    let named = cases.into_iter().map(|(text, answer)| {
        let name: String = text[2..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        (name, (text, answer))
    });
    named.collect()
}

/// Text inside a table, as code.
fn code(text: &str) -> String {
    let text = text.replace('\n', "⏎").replace('|', "\\|");
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

fn line(row: &Row, example: Option<&(String, String)>) -> String {
    let doc = row.doc.replace('|', "\\|").replace('<', "&lt;");
    let example = example.map(|(text, answer)| {
        let shown = serde_json::from_str::<String>(&answer[1..]).unwrap();
        match answer.as_bytes()[0] {
            b'=' if shown.is_empty() => format!("{} → nothing", code(text)),
            b'=' => format!("{} → {}", code(text), code(&shown)),
            _ => format!("{} fails", code(text)),
        }
    });
    format!("| {} | {doc} | {} |\n", code(row.usage), example.unwrap_or_default())
}

fn page() -> String {
    let (mut page, examples) = (INTRODUCTION.to_owned(), examples());
    let wins: BTreeMap<&str, *const Row> =
        functions().into_iter().map(|row| (row.name, std::ptr::from_ref(row))).collect();
    for group in groups() {
        write!(page, "\n## {}\n\n| usage | what it does | example |\n|---|---|---|\n", group.title).unwrap();
        let mut rows: Vec<&Row> =
            group.rows.iter().filter(|row| wins[row.name] == std::ptr::from_ref(*row)).collect();
        rows.sort_by_key(|row| row.name);
        rows.iter().for_each(|row| page.push_str(&line(row, examples.get(row.name))));
    }
    page
}

#[test]
fn every_function_is_documented() {
    let rows = functions();
    let names: Vec<&str> = rows.iter().map(|row| row.name).collect();
    let mut want: Vec<&str> = include_str!("../cases/functions.txt").lines().collect();
    want.sort_unstable();
    assert_eq!(names, want);
    for row in rows {
        assert!(row.usage.starts_with(row.name), "{}", row.name);
        assert!(row.doc.ends_with('.') || row.doc.ends_with('!') || row.doc.ends_with(')'), "{}", row.name);
    }
}

#[test]
fn functions_without_an_example_are_those_that_cannot_have_one() {
    let examples = examples();
    let without: Vec<_> =
        functions().into_iter().map(|row| row.name).filter(|name| !examples.contains_key(*name)).collect();
    let want = "buildCustomCert call decryptAES encryptAES genCA genPrivateKey genSelfSignedCert genSignedCert getHostByName \
        htpasswd randAlpha randAlphaNum randAscii randNumeric shuffle uuidv4";
    assert_eq!(without, want.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn the_reference_of_templates_is_current() {
    let want = page();
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::create_dir_all(std::path::Path::new(PAGE).parent().unwrap()).unwrap();
        std::fs::write(PAGE, &want).unwrap();
    }
    let have = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(have == want, "docs/reference/templates.md is stale: run the tests with UPDATE_GOLDENS=1");
}
