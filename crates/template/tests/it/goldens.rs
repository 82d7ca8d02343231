//! The cases of `tests/cases`, whose outputs were recorded from Go's text/template and Sprig 3.1.0 by
//! `oracle record` (tools/oracle).

use gantry_template::{Limits, MissingKey, NoHost, Set, Value};
use serde_json::Value as Json;
use std::fmt::Write;

const DATA: &str = include_str!("../cases/data.json");

/// Cases that differ on purpose, with the reason.
const EXCEPTIONS: &[(&str, &str)] = &[];

fn answer(missing: MissingKey, text: &str, data: &Json) -> String {
    let mut set = Set::new();
    set.set_missing_key(missing);
    let mut out = Vec::new();
    let result = set.parse("main", text).and_then(|()| {
        let data = Value::from_json_live(data);
        set.render("main", &data, &Limits::default(), &NoHost::default(), &mut out)
    });
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

#[track_caller]
fn check(cases: &str, golden: &str) {
    let data: Json = serde_json::from_str(DATA).unwrap();
    let cases = cases.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut faults = String::new();
    let mut count = 0;
    let mut answers = golden.lines();
    for line in cases {
        let want = answers.next().expect("record the goldens anew: fewer answers than cases");
        let (missing, text) = parse_case(line);
        let got = answer(missing, &text, &data);
        count += 1;
        // Compare decoded, so that the way of escaping does not count.
        let decode = |s: &str| (s[..1].to_owned(), serde_json::from_str::<String>(&s[1..]).unwrap());
        if cfg!(not(feature = "keys")) && line.contains("buildCustomCert") {
            continue;
        }
        if decode(want) != decode(&got) && !EXCEPTIONS.iter().any(|(case, _)| *case == line) {
            writeln!(faults, "{line}\n  want {want}\n  got  {got}").unwrap();
        }
    }
    assert_eq!(answers.next(), None, "record the goldens anew: more answers than cases");
    assert!(count > 40, "only {count} cases");
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn the_language_is_gos() {
    check(include_str!("../cases/language.txt"), include_str!("../cases/language.golden"));
}

#[test]
fn printf_is_gos() {
    check(include_str!("../cases/printf.txt"), include_str!("../cases/printf.golden"));
}

#[test]
fn the_functions_are_sprigs() {
    check(include_str!("../cases/sprig.txt"), include_str!("../cases/sprig.golden"));
}
