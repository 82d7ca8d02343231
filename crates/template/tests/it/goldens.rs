//! The cases of `tests/cases`, whose outputs were recorded from Go's text/template and Sprig 3.1.0 by
//! `oracle record` (tools/oracle).

use gantry_template::{Limits, MissingKey, NoHost, Set, Value};
use serde_json::Value as Json;
use std::fmt::Write;

const DATA: &str = include_str!("../cases/data.json");

/// Cases that differ on purpose, with the reason.
const EXCEPTIONS: &[(&str, &str)] = &[];

/// Makes the data of one case, which may change them.
pub(super) type Dot = dyn Fn(&Json) -> Value;

fn answer(missing: MissingKey, text: &str, data: &Value) -> String {
    let mut set = Set::new();
    set.set_missing_key(missing);
    let mut out = Vec::new();
    let result = set
        .parse("main", text)
        .and_then(|()| set.render("main", data, &Limits::default(), &NoHost::default(), &mut out));
    match result {
        Ok(()) => format!("={}", Json::from(lossy(&out))),
        Err(error) => format!("!{}", Json::from(error.to_string())),
    }
}

/// Every byte that is no UTF-8 becomes one U+FFFD, as in Go's JSON.
fn lossy(bytes: &[u8]) -> String {
    let mut rest = bytes;
    let mut text = String::new();
    while let Err(error) = std::str::from_utf8(rest) {
        let (good, bad) = rest.split_at(error.valid_up_to());
        text.push_str(std::str::from_utf8(good).unwrap());
        text.push('\u{FFFD}');
        rest = &bad[1..];
    }
    text + std::str::from_utf8(rest).unwrap()
}

fn parse_case(line: &str) -> (MissingKey, String) {
    let (missing, text) = match line {
        line if line.starts_with("[zero] ") => (MissingKey::Zero, &line[7..]),
        line if line.starts_with("[error] ") => (MissingKey::Error, &line[8..]),
        line => (MissingKey::Default, line),
    };
    (missing, text.replace('⏎', "\n"))
}

/// The cases of a file with their recorded answers: `=` and the output, or `!` and the error, as JSON strings.
pub(super) fn cases(cases: &str, golden: &str) -> Vec<(String, String)> {
    let cases = cases.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (cases, answers): (Vec<_>, Vec<_>) = (cases.collect(), golden.lines().collect());
    assert_eq!(cases.len(), answers.len(), "record the goldens anew: as many answers as cases");
    cases.into_iter().map(str::to_owned).zip(answers.into_iter().map(str::to_owned)).collect()
}

/// Compares the answers to all cases with the golden ones, over the data that `dot` makes of the recorded ones.
#[track_caller]
pub(super) fn check(cases: &str, golden: &str, dot: &Dot) {
    let data: Json = serde_json::from_str(DATA).unwrap();
    let mut faults = String::new();
    let mut count = 0;
    for (line, want) in self::cases(cases, golden) {
        let (missing, text) = parse_case(&line);
        let got = answer(missing, &text, &dot(&data));
        count += 1;
        // Compare decoded, so that the way of escaping does not count.
        let decode = |s: &str| (s[..1].to_owned(), serde_json::from_str::<String>(&s[1..]).unwrap());
        if cfg!(not(feature = "keys")) && line.contains("buildCustomCert") {
            continue;
        }
        if decode(&want) != decode(&got) && !EXCEPTIONS.iter().any(|(case, _)| *case == line) {
            writeln!(faults, "{line}\n  want {want}\n  got  {got}").unwrap();
        }
    }
    assert!(count > 40, "only {count} cases");
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn the_language_is_gos() {
    check(
        include_str!("../cases/language.txt"),
        include_str!("../cases/language.golden"),
        &Value::from_json_live,
    );
}

#[test]
fn printf_is_gos() {
    check(
        include_str!("../cases/printf.txt"),
        include_str!("../cases/printf.golden"),
        &Value::from_json_live,
    );
}

#[test]
fn the_functions_are_sprigs() {
    check(include_str!("../cases/sprig.txt"), include_str!("../cases/sprig.golden"), &Value::from_json_live);
}

#[test]
fn the_examples_of_the_reference_are_gos() {
    check(
        include_str!("../cases/examples.txt"),
        include_str!("../cases/examples.golden"),
        &Value::from_json_live,
    );
}
